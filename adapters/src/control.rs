//! The control socket: `control` in the data directory, mode 0600. One line in, one line out.
//!
//! ```text
//! request = "reload-accounts" LF        reply = "ok" LF / "error " text LF
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// Octets of a line.
const LINE: u64 = 1024;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the server is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The accounts file has changed.
    ReloadAccounts,
}

impl Request {
    fn line(self) -> &'static str {
        match self {
            Request::ReloadAccounts => "reload-accounts",
        }
    }

    fn parse(line: &str) -> Option<Request> {
        [Request::ReloadAccounts].into_iter().find(|request| request.line() == line)
    }
}

/// Opens the socket and answers on a thread of its own. Only root and the owner of the directory get as far as a line: the
/// socket's mode says so, and the peer's user is compared.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(data_dir: &Path, answer: impl Fn(Request) -> Result<(), String> + Send + 'static) -> io::Result<()> {
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

fn serve_one(stream: UnixStream, answer: &impl Fn(Request) -> Result<(), String>) -> io::Result<()> {
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
        Ok(()) => "ok\n".to_string(),
        Err(text) => format!("error {}\n", text.replace(['\r', '\n'], " ")),
    };
    (&stream).write_all(line.as_bytes())
}

/// Tells a running server something. `Ok(false)`: no server runs.
///
/// # Errors
/// What the server said, or what went wrong on the way.
pub fn tell(data_dir: &Path, request: Request) -> Result<bool, String> {
    let stream = match UnixStream::connect(data_dir.join("control")) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => return Ok(false),
        Err(error) => return Err(format!("the running server cannot be told: {error}")),
    };
    let asked = || -> io::Result<String> {
        stream.set_read_timeout(Some(PATIENCE))?;
        (&stream).write_all(format!("{}\n", request.line()).as_bytes())?;
        read_line(&stream)
    };
    match asked() {
        Ok(reply) if reply == "ok" => Ok(true),
        Ok(reply) => Err(format!(
            "the running server says: {}",
            reply.strip_prefix("error ").unwrap_or(&reply).escape_debug()
        )),
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
    fn garbage_is_answered_and_survived() {
        let folder = std::env::temp_dir().join(format!("pillarbox-control-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        assert_eq!(tell(&folder, Request::ReloadAccounts), Ok(false));
        serve(&folder, |request| match request {
            Request::ReloadAccounts => Ok(()),
        })
        .expect("a socket");
        for garbage in [&b"\xff\x00\n"[..], b"\n", &[b'x'; 4096]] {
            let stream = UnixStream::connect(folder.join("control")).expect("it listens");
            let _ = (&stream).write_all(garbage); // the server may hang up at the limit
            let reply = read_line(&stream).unwrap_or_default();
            assert!(reply == "error unknown request" || reply.is_empty(), "{reply:?}");
        }
        assert_eq!(tell(&folder, Request::ReloadAccounts), Ok(true));
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
    }
}
