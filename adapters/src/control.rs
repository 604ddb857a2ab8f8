//! The control socket: `control` in the data directory, mode 0600. One line in; out comes a line, and what was asked for.
//!
//! ```text
//! request = ( "reload-accounts" / "queue list " form / "queue show " form SP id / "queue " verb SP which ) LF
//! form    = "text" / "json"        verb = "retry" / "hold" / "release" / "cancel"        which = "all" / id / "@" domain
//! reply   = "ok" LF *OCTET / "error " text LF
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use pillarbox_core::address::Domain;
use pillarbox_core::delivery::scheduler::ask::{Operation, Which};

/// Octets of a line.
const LINE: u64 = 1024;
/// Octets of an answer: a queue of a million messages.
const REPLY: u64 = 1 << 30;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The accounts file has changed.
    ReloadAccounts,
    /// What is in the queue?
    ListQueue(Form),
    /// All of one message in the queue; nothing when it is not there.
    ShowQueued(Form, String),
    /// Something is to be done with rows of the queue.
    Operate(Operation, Which),
}

/// In which form something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

const FORMS: [(&str, Form); 2] = [("text", Form::Text), ("json", Form::Json)];
const VERBS: [(&str, Operation); 4] = [
    ("retry", Operation::Retry),
    ("hold", Operation::Hold),
    ("release", Operation::Release),
    ("cancel", Operation::Cancel),
];

impl Request {
    /// The line that says it.
    pub fn line(&self) -> String {
        let form = |form: &Form| FORMS.iter().find(|(_, known)| known == form).map_or("", |(name, _)| name);
        match self {
            Request::ReloadAccounts => "reload-accounts".into(),
            Request::ListQueue(list) => format!("queue list {}", form(list)),
            Request::ShowQueued(show, message) => format!("queue show {} {message}", form(show)),
            Request::Operate(operation, which) => {
                let verb = VERBS
                    .iter()
                    .find(|(_, known)| known == operation)
                    .map_or("", |(name, _)| name);
                let which = match which {
                    Which::All => "all".into(),
                    Which::Message(message) => message.to_string(),
                    Which::Domain(domain) => format!("@{domain}"),
                    Which::Id(id) => panic!("{id:?} is the store's own name"),
                };
                format!("queue {verb} {which}")
            }
        }
    }

    /// Reads a line; `None`: it is none of ours.
    pub fn parse(line: &str) -> Option<Request> {
        let words: Vec<&str> = line.split(' ').collect();
        let form = |word: &str| FORMS.iter().find(|(name, _)| *name == word).map(|(_, form)| *form);
        match words.as_slice() {
            ["reload-accounts"] => Some(Request::ReloadAccounts),
            ["queue", "list", list] => form(list).map(Request::ListQueue),
            ["queue", "show", show, message] => Some(Request::ShowQueued(form(show)?, (*message).into())),
            ["queue", verb, which] => {
                let (_, operation) = VERBS.iter().find(|(name, _)| name == verb)?;
                Some(Request::Operate(*operation, parse_which(which)?))
            }
            _ => None,
        }
    }
}

/// Reads `all`, a message's id, `@example.org` or `example.org`.
pub fn parse_which(text: &str) -> Option<Which> {
    let is_id = text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text {
        "all" => Some(Which::All),
        id if is_id => Some(Which::Message(id.into())),
        domain => {
            let name = domain.strip_prefix('@').unwrap_or(domain);
            Domain::parse(name, true).ok().map(Which::Domain)
        }
    }
}

/// Opens the socket and answers on a thread of its own. Only root and the owner of the directory get as far as a line: the
/// socket's mode says so, and the peer's user is compared.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(data_dir: &Path, answer: impl Fn(Request) -> Result<String, String> + Send + 'static) -> io::Result<()> {
    let path = data_dir.join("control");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    std::thread::Builder::new().name("control".into()).spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Err(error) = serve_one(stream, &answer) {
                tracing::debug!(%error, "control connection ended early");
            }
        }
    })?;
    Ok(())
}

fn serve_one(stream: UnixStream, answer: &impl Fn(Request) -> Result<String, String>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = rustix::net::sockopt::socket_peercred(&stream)?.uid;
    let reply = match read_line(&stream)? {
        _ if !peer.is_root() && peer != rustix::process::geteuid() => Err("not your server".to_string()),
        line => match Request::parse(&line) {
            Some(request) => answer(request),
            None => Err("unknown request".into()),
        },
    };
    let line = match reply {
        Ok(text) => format!("ok\n{text}"),
        Err(text) => format!("error {}\n", text.replace(['\r', '\n'], " ")),
    };
    (&stream).write_all(line.as_bytes())
}

/// Tells a running server something, and what it answers. `Ok(None)`: no server runs.
///
/// # Errors
/// What the server said, or what went wrong on the way.
pub fn tell(data_dir: &Path, request: Request) -> Result<Option<String>, String> {
    let stream = match UnixStream::connect(data_dir.join("control")) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(None),
        Err(error) => return Err(format!("the running server cannot be told: {error}")),
    };
    let asked = || -> io::Result<String> {
        stream.set_read_timeout(Some(PATIENCE))?;
        (&stream).write_all(format!("{}\n", request.line()).as_bytes())?;
        let mut reply = Vec::new();
        (&stream).take(REPLY).read_to_end(&mut reply)?;
        Ok(String::from_utf8_lossy(&reply).into_owned())
    };
    match asked() {
        Ok(reply) => match reply.split_once('\n') {
            Some(("ok", text)) => Ok(Some(text.into())),
            Some((line, _)) => {
                let text = line.strip_prefix("error ").unwrap_or(line);
                Err(format!("the running server says: {}", text.escape_debug()))
            }
            None => Err("the running server hung up".into()),
        },
        Err(error) => Err(format!("the running server does not answer: {error}")),
    }
}

fn read_line(stream: &UnixStream) -> io::Result<String> {
    let mut line = Vec::new();
    BufReader::new(stream.take(LINE)).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s68_garbage_is_answered_and_survived() {
        let folder = std::env::temp_dir().join(format!("pillarbox-control-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        assert_eq!(tell(&folder, Request::ReloadAccounts), Ok(None));
        serve(&folder, |request| match request {
            Request::ReloadAccounts => Ok(String::new()),
            other => Ok(format!("{other:?}\nand more\n")),
        })
        .expect("a socket");
        for garbage in [&b"\xff\x00\n"[..], b"\n", &[b'x'; 4096]] {
            let stream = UnixStream::connect(folder.join("control")).expect("it listens");
            let _ = (&stream).write_all(garbage); // the server may hang up at the limit
            let reply = read_line(&stream).unwrap_or_default();
            assert!(reply == "error unknown request" || reply.is_empty(), "{reply:?}");
        }
        assert_eq!(tell(&folder, Request::ReloadAccounts), Ok(Some(String::new())));
        let domain = Domain::parse("two.test", false).expect("a domain");
        for request in [
            Request::ListQueue(Form::Json),
            Request::ShowQueued(Form::Text, "01m86ch3m0b3vny3m".into()),
            Request::Operate(Operation::Retry, Which::All),
            Request::Operate(Operation::Hold, Which::Domain(domain)),
            Request::Operate(Operation::Cancel, Which::Message("01m86ch3m0b3vny3m".into())),
        ] {
            let heard = format!("{request:?}\nand more\n");
            assert_eq!(tell(&folder, request), Ok(Some(heard)));
        }
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
    }
}
