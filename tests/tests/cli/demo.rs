//! One mail through the demo: in by submission, out by IMAP, over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Folder, program};

/// A running demo; stopped at the end.
struct Demo {
    child: Child,
    told: String,
}

impl Demo {
    fn start(folder: &Folder) -> Demo {
        let child = Command::new(program())
            .args(["demo", "--port-base", "auto", "--dir", "demo"])
            .current_dir(&folder.0)
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("it starts");
        let mut told = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        while !told.contains("Ctrl-C") {
            assert_ne!(output.read_line(&mut told).expect("text"), 0, "it ended early:\n{told}");
        }
        Demo { child, told }
    }

    /// The words of the line that begins with these.
    fn words(&self, first: &[&str]) -> Vec<&str> {
        let mut lines = self.told.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines
            .find(|words| words.starts_with(first))
            .unwrap_or_else(|| panic!("no {first:?} in\n{}", self.told))
    }

    fn connect(&self, protocol: &str) -> Dialogue {
        let stream = TcpStream::connect(self.words(&[protocol])[1]).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        Dialogue(BufReader::new(stream))
    }

    fn password(&self, person: &str) -> &str {
        self.words(&["account", person])[3]
    }

    /// Ends it as Ctrl-C does; its exit code.
    fn stop(mut self) -> Option<i32> {
        let stopped = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(stopped.is_ok_and(|status| status.success()));
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that sends lines and reads until a line begins with what it waits for.
pub(super) struct Dialogue(pub(super) BufReader<TcpStream>);

impl Dialogue {
    pub(super) fn until(&mut self, start: &str) -> String {
        let mut heard = String::new();
        loop {
            let before = heard.len();
            let read = self.0.read_line(&mut heard).expect("text in time");
            assert_ne!(read, 0, "closed while waiting for {start:?}:\n{heard}");
            if heard[before..].starts_with(start) {
                return heard;
            }
        }
    }

    pub(super) fn say(&mut self, line: &str, start: &str) -> String {
        self.0
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())
            .expect("it listens");
        self.until(start)
    }
}

#[test]
fn a_mail_goes_in_by_submission_and_out_by_imap() {
    let folder = Folder::new("demo");
    let demo = Demo::start(&folder);

    let mut imap = demo.connect("imap");
    imap.until("* OK");
    imap.say(&format!("a LOGIN bob@demo.test {}", demo.password("bob@demo.test")), "a OK");
    let list = imap.say("b LIST \"\" *", "b OK");
    for name in ["INBOX", "\\Drafts", "\\Sent", "\\Trash", "\\Junk", "\\Archive"] {
        assert!(list.contains(name), "{list}");
    }
    imap.say("c SELECT INBOX", "c OK");
    imap.say("d IDLE", "+");

    let mut smtp = demo.connect("submission");
    smtp.until("220 ");
    smtp.say("EHLO [127.0.0.1]", "250 ");
    let plain = format!("\0alice@demo.test\0{}", demo.password("alice@demo.test"));
    let plain = pillarbox_core::bytes::base64::encode(plain.as_bytes());
    smtp.say(&format!("AUTH PLAIN {plain}"), "235 ");
    smtp.say("MAIL FROM:<alice@demo.test>", "250 ");
    smtp.say("RCPT TO:<Bob@demo.test>", "250 ");
    // It is taken, and waits: a demo sends nothing.
    smtp.say("RCPT TO:<someone@elsewhere.test>", "250 ");
    let body = "From: alice@demo.test\r\nTo: bob@demo.test\r\nSubject: One\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\
                Message-ID: <1@demo.test>\r\n\r\nHello Bob\r\n..dots\r\n";
    smtp.say("DATA", "354 ");
    smtp.say(&format!("{body}."), "250 ");
    smtp.say("QUIT", "221 ");

    imap.until("* 1 EXISTS");
    imap.say("DONE", "d OK");
    let fetched = imap.say("e UID FETCH 1 (ENVELOPE BODY[])", "e OK");
    assert!(fetched.contains("Return-Path: <alice@demo.test>"), "{fetched}");
    assert!(fetched.contains(&body.replace("\r\n..dots", "\r\n.dots")), "{fetched}");
    assert!(
        fetched.contains("ENVELOPE (\"Tue, 24 Nov 2026 10:00:00 +0000\" \"One\""),
        "{fetched}"
    );
    imap.say("f LOGOUT", "f OK");

    assert_eq!(demo.stop(), Some(0));
    // What was acknowledged is there at the next start.
    let demo = Demo::start(&folder);
    let mut imap = demo.connect("imap");
    imap.say(&format!("a LOGIN bob@demo.test {}", demo.password("bob@demo.test")), "a OK");
    let status = imap.say("b STATUS INBOX (MESSAGES UIDNEXT)", "b OK");
    assert!(status.contains("MESSAGES 1") && status.contains("UIDNEXT 2"), "{status}");
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_large_mail_and_a_peer_that_hangs_up() {
    let folder = Folder::new("large");
    let demo = Demo::start(&folder);
    let mut smtp = demo.connect("smtp");
    smtp.until("220 ");
    smtp.say("EHLO client.test", "250 ");
    smtp.say("MAIL FROM:<someone@elsewhere.test>", "250 ");
    smtp.say("RCPT TO:<alice@demo.test>", "250 ");
    smtp.say("RCPT TO:<bob@demo.test>", "250 ");
    smtp.say("DATA", "354 ");
    let line = "All work and no play makes Jack a dull boy, and so it goes on.\r\n";
    let body = format!(
        "From: someone@elsewhere.test\r\nSubject: Large\r\n\r\n{}",
        line.repeat(30_000)
    );
    smtp.say(&format!("{body}."), "250 ");

    // A second one is cut off: nothing of it may be seen.
    smtp.say("MAIL FROM:<someone@elsewhere.test>", "250 ");
    smtp.say("RCPT TO:<bob@demo.test>", "250 ");
    smtp.say("DATA", "354 ");
    smtp.0.get_mut().write_all(body.as_bytes()).expect("it reads");
    drop(smtp);

    for person in ["alice@demo.test", "bob@demo.test"] {
        let mut imap = demo.connect("imap");
        imap.until("* OK");
        imap.say(&format!("a LOGIN {person} {}", demo.password(person)), "a OK");
        imap.say("b SELECT INBOX", "b OK");
        let head = imap.say("c UID FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)] RFC822.SIZE)", "c OK");
        assert!(head.contains("Subject: Large"), "{head}");
        imap.0
            .get_mut()
            .write_all(b"d UID FETCH 1:* BODY.PEEK[]\r\n")
            .expect("it listens");
        let first = imap.until("* 1 FETCH");
        let size = first
            .rsplit('{')
            .next()
            .and_then(|rest| rest.split('}').next())
            .expect("a literal");
        let mut message = vec![0; size.parse().expect("a number")];
        imap.0.read_exact(&mut message).expect("all of it");
        assert!(message.ends_with(body.as_bytes()), "the body is another");
        let rest = imap.until("d OK");
        assert!(!rest.contains("FETCH ("), "{rest}");
    }
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_running_server_knows_a_changed_account_at_once() {
    let folder = Folder::new("running");
    let demo = Demo::start(&folder);
    folder.write(
        "pillarbox.toml",
        "hostname = \"mx.demo.test\"\ndata_dir = \"demo/data\"\n[[domain]]\nname = \"demo.test\"\n",
    );
    let added = folder.run(&["account", "add", "carol@demo.test", "--password-stdin"], "correct horse\n");
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let mut imap = demo.connect("imap");
    imap.until("* OK");
    imap.say("a LOGIN carol@demo.test \"correct horse\"", "a OK");
    imap.say("b SELECT INBOX", "b OK");
    let second = folder.shown(&["serve"], "");
    assert!(
        second.contains("is in use by another pillarbox process") && second.ends_with("[exit 75]"),
        "{second}"
    );
    assert!(folder.run(&["account", "remove", "carol@demo.test"], "").status.success());
    let mut imap = demo.connect("imap");
    imap.until("* OK");
    imap.say("a LOGIN carol@demo.test \"correct horse\"", "a NO");
    assert_eq!(demo.stop(), Some(0));
}
