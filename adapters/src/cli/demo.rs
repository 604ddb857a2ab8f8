//! `pillarbox demo`: a whole server on loopback, and lines to try it.

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use pillarbox_core::secret::Secret;

use super::check::print;
use super::{Exit, Failure, replay, serve};
use crate::accounts::{self, file};
use crate::config::{self, Config, Protocol};
use crate::env::Env;
use crate::os::OsEnv;
use crate::server::Bound;
use crate::trace::FOLDER;

const DOMAIN: &str = "demo.test";
/// What becomes of mail for others: the one place that says it.
const OUTBOUND: &str = "Nothing leaves this machine: mail for other domains waits in the queue.";
/// Where nothing listens: all mail for others is to go there, so it waits, and no name is even looked up.
const NOWHERE: &str = "127.0.0.1:1";
const PEOPLE: [&str; 2] = ["alice@demo.test", "bob@demo.test"];

/// Run a whole server on this machine, with two accounts, to try it
///
/// It listens on 127.0.0.1 only, needs no configuration and no privileges, shows a self-signed certificate, and sends nothing
/// to other machines. Each start sets new passwords and prints them with lines to try.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pillarbox demo                                    ports 10025, 10080, 10143 and so on; in a temporary folder
  pillarbox demo --dir ./demo --port-base 20000     keeps its mail in ./demo
  pillarbox demo --port-base auto                   any free ports
  pillarbox demo --record ./records                 then: pillarbox replay ./records

Stop it with Ctrl-C.")]
pub(super) struct Demo {
    /// Where mail is kept [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Ports are N+25, N+80, N+143, N+443, N+465, N+587 and N+993; `auto` takes free ones
    #[arg(long, value_name = "N", default_value = "10000", value_parser = port_base)]
    port_base: PortBase,
    /// Record every session; the recordings are put here at the end, for `pillarbox replay`
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortBase {
    At(u16),
    Auto,
}

fn port_base(text: &str) -> Result<PortBase, String> {
    match text {
        "auto" => Ok(PortBase::Auto),
        text => match text.parse::<u16>() {
            Ok(base) if base <= u16::MAX - 993 => Ok(PortBase::At(base)),
            Ok(_) | Err(_) => Err(format!("a number from 0 to {} or `auto`", u16::MAX - 993)),
        },
    }
}

impl Demo {
    pub(super) fn run(self) -> Result<(), Failure> {
        let folder = Folder::make(self.dir)?;
        let mut warnings = String::new();
        let config = configuration(&folder.path, self.port_base, self.record.is_some(), &mut warnings)?;
        let records = config.data_dir.join(FOLDER);
        serve::quiet_log(&config)?;
        let env = serve::environment(&config)?;
        let passwords = people(&env, &config)?;
        let path = folder.path.clone();
        let temporary = folder.temporary;
        serve::run(env, config, None, move |server| {
            print(&format!(
                "{warnings}{}",
                greeting(&path, temporary, server.bound(), &passwords)
            ))
        })?;
        self.record.map_or(Ok(()), |to| copy_recordings(&records, &to))
    }
}

/// The demo's folder; a temporary one is removed at the end.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn make(dir: Option<PathBuf>) -> Result<Folder, Failure> {
        let failed = |path: &Path, error| Failure::new(Exit::Unavailable, format!("{}: {error}", path.display()));
        let (path, temporary) = match dir {
            Some(path) => (path, false),
            None => {
                let mut random = [0; 8];
                getrandom::fill(&mut random).map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
                let name = format!("pillarbox-demo-{:016x}", u64::from_le_bytes(random));
                (std::env::temp_dir().join(name), true)
            }
        };
        let made = DirBuilder::new().recursive(!temporary).mode(0o700).create(&path);
        made.map_err(|error| failed(&path, error))?;
        let path = path.canonicalize().map_err(|error| failed(&path, error))?;
        Ok(Folder { path, temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed lies in the system's folder for such things.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The demo's configuration: read from the same kind of text as any other.
fn configuration(folder: &Path, base: PortBase, record: bool, warnings: &mut String) -> Result<Config, Failure> {
    let mut text = format!(
        "hostname = \"mx.{DOMAIN}\"\ndata_dir = {:?}\npostmaster = \"{}\"\n\n[[domain]]\nname = \"{DOMAIN}\"\n\n\
         [store]\nring = \"32M\"\n\n[delivery]\nsmarthost = \"{NOWHERE}\"\n",
        folder.join("data").display().to_string(),
        PEOPLE[0]
    );
    if record {
        text.push_str("\n[record]\nsessions = \"all\"\nkeep = \"10G\"\n");
    }
    for protocol in Protocol::ALL {
        let port = match base {
            PortBase::At(base) => free_port(protocol, base + protocol.port(), warnings),
            PortBase::Auto => 0,
        };
        let name = protocol.name();
        let _ = write!(
            text,
            "\n[[listener]]\nprotocol = \"{name}\"\naddress = \"127.0.0.1:{port}\"\n"
        );
        if protocol != Protocol::Smtp && !protocol.is_web() {
            text.push_str("plaintext_auth = [\"127.0.0.0/8\"]\n");
        }
    }
    let read = config::read(&text, folder);
    let problems = config::render("demo", &text, &read.problems);
    read.config.ok_or_else(|| Failure::new(Exit::Internal, problems))
}

/// Puts the recordings where they were asked for: the demo's own folder may be removed.
fn copy_recordings(from: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error| Failure::new(Exit::Unavailable, format!("{}: {error}", path.display()));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(to);
    made.map_err(|error| failed(to, error))?;
    let files = replay::recordings(&[from.to_path_buf()])?;
    for file in &files {
        if let Some(name) = file.file_name() {
            std::fs::copy(file, to.join(name)).map_err(|error| failed(file, error))?;
        }
    }
    print(&format!("{} recordings in {}\n", files.len(), to.display()))
}

/// The port, or 0 (any) with a warning when it is taken.
fn free_port(protocol: Protocol, port: u16, warnings: &mut String) -> u16 {
    match TcpListener::bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)) {
        Ok(_) => port,
        Err(error) => {
            let _ = writeln!(
                warnings,
                "warning: port {port} for {} cannot be used ({error}); another is taken",
                protocol.name()
            );
            0
        }
    }
}

/// Makes the accounts, or gives them new passwords.
fn people(env: &OsEnv, config: &Config) -> Result<Vec<Secret>, Failure> {
    let failed = |error: accounts::AccountsError| Failure::new(Exit::Unavailable, error.to_string());
    let mut all = env.run(file::read(env.disk())).map_err(failed)?;
    let mut passwords = Vec::new();
    for person in PEOPLE {
        let address = accounts::parse_address(person, &config.domains).map_err(|text| Failure::new(Exit::Internal, text))?;
        let password = accounts::random_password(env);
        match all.accounts.iter_mut().find(|account| account.address == address) {
            Some(account) => env.run(accounts::set_password(env, account, &password)),
            None => all.accounts.push(env.run(accounts::make(env, address, &password))),
        }
        passwords.push(password);
    }
    env.run(file::write(env.disk(), &all)).map_err(failed)?;
    Ok(passwords)
}

/// Everything that one needs to know to try it.
fn greeting(folder: &Path, temporary: bool, bound: &[Bound], passwords: &[Secret]) -> String {
    let port = |protocol: Protocol| {
        let found = bound.iter().find(|bound| bound.protocol == protocol);
        found.map_or(0, |bound| bound.address.port())
    };
    let (alice, bob) = (passwords[0].reveal(), passwords[1].reveal());
    let (submission, submissions) = (port(Protocol::Submission), port(Protocol::Submissions));
    let (imap, imaps) = (port(Protocol::Imap), port(Protocol::Imaps));
    let (http, https) = (port(Protocol::Http), port(Protocol::Https));
    let mut out = format!("Pillarbox demo: a whole mail server on this machine, for {DOMAIN}\n\n");
    for (person, password) in PEOPLE.iter().zip(passwords) {
        let _ = writeln!(out, "  account      {person:<18} password {}", password.reveal());
    }
    for bound in bound {
        let tls = match bound.protocol {
            Protocol::Submissions | Protocol::Imaps | Protocol::Https => "TLS",
            Protocol::Smtp | Protocol::Submission | Protocol::Imap => "STARTTLS",
            Protocol::Http => "",
        };
        let line = format!("  {:<12} {:<18} {tls}", bound.protocol.name(), bound.address.to_string());
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let kept = if temporary { ", removed at the end" } else { "" };
    let _ = writeln!(out, "  mail         {}{kept}", folder.display());
    let _ = writeln!(
        out,
        "\n{OUTBOUND}\nThe certificate is self-signed, so clients must be told to accept it (curl: -k)."
    );
    let _ = write!(
        out,
        "\nSend with curl:\n\
         \n  printf 'From: alice@demo.test\\r\\nTo: bob@demo.test\\r\\nSubject: Hello\\r\\n\\r\\nHello Bob\\r\\n' | \
         curl -k --url smtps://127.0.0.1:{submissions} --user 'alice@demo.test:{alice}' --mail-from alice@demo.test \
         --mail-rcpt bob@demo.test --upload-file -\n\
         \nRead with curl:\n\
         \n  curl -k --url 'imaps://127.0.0.1:{imaps}/INBOX;UID=1' --user 'bob@demo.test:{bob}'\n\
         \nSend with Python:\n\
         \n  python3 -c \"import smtplib, ssl; s = smtplib.SMTP('127.0.0.1', {submission}); \
         s.starttls(context=ssl._create_unverified_context()); s.login('alice@demo.test', '{alice}'); \
         s.sendmail('alice@demo.test', ['bob@demo.test'], \
         'From: alice@demo.test\\r\\nTo: bob@demo.test\\r\\nSubject: Hello\\r\\n\\r\\nHello Bob\\r\\n'); s.quit()\"\n\
         \nRead with Python:\n\
         \n  python3 -c \"import imaplib, ssl; m = imaplib.IMAP4_SSL('127.0.0.1', {imaps}, \
         ssl_context=ssl._create_unverified_context()); m.login('bob@demo.test', '{bob}'); \
         m.select('INBOX'); print(m.fetch('1', 'BODY[]')[1][0][1].decode()); m.logout()\"\n\
         \nThunderbird and others: IMAP 127.0.0.1 port {imaps} SSL/TLS (or {imap} STARTTLS), \
         SMTP 127.0.0.1 port {submissions} SSL/TLS (or {submission} STARTTLS), normal password.\n\
         \nThe settings that Thunderbird fetches, as curl sees them (a real server answers at ports 80 and 443):\n\
         \n  curl -sS --resolve autoconfig.{DOMAIN}:{http}:127.0.0.1 \
         'http://autoconfig.{DOMAIN}:{http}/mail/config-v1.1.xml?emailaddress={}'\n\
         \n  curl -sSk --resolve autoconfig.{DOMAIN}:{https}:127.0.0.1 \
         'https://autoconfig.{DOMAIN}:{https}/mail/config-v1.1.xml?emailaddress={}'\n\
         \nThe page for people:\n\
         \n  curl -sS -H 'Host: mx.{DOMAIN}' http://127.0.0.1:{http}/\n\
         \nStop with Ctrl-C.\n",
        PEOPLE[0], PEOPLE[0]
    );
    out
}
