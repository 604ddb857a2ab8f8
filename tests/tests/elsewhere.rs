//! The core's examples as programs: the same sessions over standard input and output, and with a thread for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const DIALOGUE: &str = "MAIL FROM:<me@me.test>\r\nRCPT TO:<alice@one.test>\r\nRCPT TO:<bob@one.test>\r\nDATA\r\nSubject: x\r\n\r\n..text\r\n\
                        .\r\nQUIT\r\n";

/// An example, built now as this test was.
fn example(name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let test = std::env::current_exe().expect("this program's path");
    let folder = test.ancestors().nth(2).expect("target/<profile>/deps");
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", "pillarbox-core", "--example", name]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().is_ok_and(|status| status.success()), "{name} does not build");
    folder.join("examples").join(name)
}

/// The codes of all replies, by their last lines.
fn codes(heard: &str) -> Vec<&str> {
    let last = heard.lines().filter(|line| line.as_bytes().get(3) == Some(&b' '));
    last.map(|line| &line[..3]).collect()
}

/// Reads until there are so many replies.
fn hear(stream: &mut TcpStream, replies: usize, heard: &mut String) {
    let mut octets = [0; 512];
    while codes(heard).len() < replies {
        let count = stream.read(&mut octets).expect("it speaks");
        assert!(count > 0, "it hung up: {heard}");
        heard.push_str(&String::from_utf8_lossy(&octets[..count]));
    }
}

const CODES: [&str; 8] = ["220", "250", "250", "250", "550", "354", "250", "221"];

#[test]
fn standard_input_and_output() {
    let mut child = Command::new(example("smtp_stdio"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let said = format!("EHLO me.test\r\n{DIALOGUE}");
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(said.as_bytes())
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(codes(&String::from_utf8_lossy(&output.stdout)), CODES);
    let committed = String::from_utf8_lossy(&output.stderr);
    assert!(committed.ends_with("\r\nSubject: x\r\n\r\n.text\r\n"), "{committed}");
    assert!(
        committed.starts_with("Return-Path: <me@me.test>\r\nDelivered-To: alice@one.test\r\n"),
        "{committed}"
    );
}

#[test]
fn threads() {
    let mut child = Command::new(example("smtp_threads"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut at = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut at)
        .expect("where it listens");
    // Two at once: the one that came first waits meanwhile.
    let first = TcpStream::connect(at.trim()).expect("it listens");
    for mut stream in [TcpStream::connect(at.trim()).expect("it listens"), first] {
        // What waits behind EHLO would be talking out of turn: its reply comes first.
        stream.write_all(b"EHLO me.test\r\n").expect("it reads");
        let mut heard = String::new();
        hear(&mut stream, 2, &mut heard);
        let (envelope, message) = DIALOGUE.split_once("Subject").expect("both");
        stream.write_all(envelope.as_bytes()).expect("it reads");
        hear(&mut stream, 6, &mut heard);
        stream.write_all(format!("Subject{message}").as_bytes()).expect("it reads");
        stream.read_to_string(&mut heard).expect("to its end");
        assert_eq!(codes(&heard), CODES, "{heard}");
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}
