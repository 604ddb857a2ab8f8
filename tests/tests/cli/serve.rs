//! `serve`: readiness, reload, and what it does with a message that the disk has spoiled.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use super::demo::Dialogue;
use super::{Folder, program};

const CONFIG: &str = "\
hostname = \"mx.one.test\"
data_dir = \"data\"
postmaster = \"alice@one.test\"
[[domain]]
name = \"one.test\"
[[listener]]
protocol = \"smtp\"
address = \"127.0.0.1:0\"
[[listener]]
protocol = \"imap\"
address = \"127.0.0.1:0\"
plaintext_auth = [\"127.0.0.0/8\"]
[store]
ring = \"16M\"
";

/// A running server, whose log is read as it comes.
struct Serve {
    child: Child,
    log: BufReader<ChildStderr>,
    told: String,
}

impl Serve {
    fn start(folder: &Folder) -> Serve {
        let child = Command::new(program())
            .arg("serve")
            .current_dir(&folder.0)
            .env("NOTIFY_SOCKET", folder.0.join("notify"))
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("it starts");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        let told = String::new();
        let mut serve = Serve { child, log, told };
        serve.until("all listeners are open");
        serve
    }

    /// Reads the log up to a line with this.
    fn until(&mut self, what: &str) {
        loop {
            let before = self.told.len();
            assert_ne!(
                self.log.read_line(&mut self.told).expect("text"),
                0,
                "no {what:?} in\n{}",
                self.told
            );
            if self.told[before..].contains(what) {
                return;
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    fn connect(&self, protocol: &str) -> Dialogue {
        let listening = format!("listening protocol=\"{protocol}\" address=");
        let address = self
            .told
            .split(&listening)
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next());
        let stream = TcpStream::connect(address.expect("an address")).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        Dialogue(BufReader::new(stream))
    }

    fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.until("stopped");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_tells_systemd_and_takes_a_new_file_only_when_it_is_good() {
    let folder = Folder::new("serve");
    folder.write("pillarbox.toml", CONFIG);
    let notified = UnixDatagram::bind(folder.0.join("notify")).expect("a socket");
    notified.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let state = || {
        let mut state = [0; 64];
        let octets = notified.recv(&mut state).expect("a state in time");
        String::from_utf8_lossy(&state[..octets]).into_owned()
    };
    let mut serve = Serve::start(&folder);
    assert_eq!(state(), "READY=1");
    assert!(
        serve
            .told
            .contains("not listening: http 80, https 443, submissions 465, submission 587, imaps 993"),
        "{}",
        serve.told
    );

    folder.write("pillarbox.toml", &CONFIG.replace("mx.one.test", "mx..test"));
    serve.signal("-HUP");
    serve.until("reload failed; everything stays as it was");
    serve.connect("smtp").until("220 mx.one.test ");

    folder.write(
        "pillarbox.toml",
        &CONFIG.replace("mx.one.test", "new.one.test").replace("16M", "32M"),
    );
    serve.signal("-HUP");
    serve.until("this change needs a restart setting=\"store.ring\"");
    serve.until("reloaded");
    serve.connect("smtp").until("220 new.one.test ");
    assert_eq!(serve.stop(), Some(0));
    let states: Vec<String> = (0..5).map(|_| state()).collect();
    assert_eq!(states, ["RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]);
}

#[test]
fn a_spoiled_message_is_never_served() {
    let folder = Folder::new("spoiled");
    folder.write("pillarbox.toml", CONFIG);
    let add = folder.run(&["account", "add", "alice@one.test", "--password-stdin"], "correct horse\n");
    assert!(add.status.success(), "{}", String::from_utf8_lossy(&add.stderr));
    let serve = Serve::start(&folder);
    let mut smtp = serve.connect("smtp");
    smtp.until("220 ");
    smtp.say("HELO client.test", "250 ");
    smtp.say("MAIL FROM:<bob@two.test>", "250 ");
    smtp.say("RCPT TO:<Postmaster>", "250 ");
    smtp.say("DATA", "354 ");
    smtp.say("Subject: spoiled\r\n\r\nThe disk will change this line.\r\n.", "250 ");
    smtp.say("QUIT", "221 ");
    assert_eq!(serve.stop(), Some(0));

    let pack = packs(&folder.0.join("data/acct")).pop().expect("a pack");
    let mut bytes = std::fs::read(&pack).expect("the pack");
    let at = bytes
        .windows(8)
        .position(|window| window == b"The disk")
        .expect("the body is text");
    bytes[at] ^= 1;
    std::fs::write(&pack, bytes).expect("the pack");

    let serve = Serve::start(&folder);
    let mut imap = serve.connect("imap");
    imap.until("* OK");
    imap.say("a LOGIN alice \"correct horse\"", "a OK");
    imap.say("b SELECT INBOX", "b OK");
    let fetched = imap.say("c FETCH 1 BODY[]", "c NO [CONTACTADMIN]");
    assert!(!fetched.contains("disk"), "{fetched}");
    imap.say("d FETCH 1 FLAGS", "d OK");
    assert_eq!(serve.stop(), Some(0));
}

fn packs(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pack") {
                found.push(path);
            }
        }
    }
    found
}
