//! The runner is tested with a machine that echoes lines in upper case, once its question is answered.

use super::*;
use pillarbox_core::machine::{Answer, Close, Deadline, Input, Machine, Output, Reason, Slot, Slots, Wait};
use pillarbox_core::time::Instant;

struct Echo {
    slots: Slots<Vec<u8>>,
    line: Vec<u8>,
    asks: Vec<Question>,
    send: Vec<u8>,
    end: Option<Reason>,
    now: Now,
}

struct Question {
    line: String,
    then: Slot<bool>,
}

impl Machine for Echo {
    type Ask = Question;
    type Value = bool;
    type Notice = ();

    fn handle(&mut self, now: Now, input: Input<'_, bool, ()>) {
        self.now = now;
        match input {
            Input::Received(bytes) => self.line.extend_from_slice(bytes),
            Input::Eof => self.end = Some(Reason::PeerGone),
            Input::Sent(n) => drop(self.send.drain(..n)),
            Input::Body(_) => {}
            Input::Answer(answer) => {
                let line = self.slots.take(answer.id);
                if answer.value {
                    self.send.extend(line.to_ascii_uppercase());
                }
            }
            Input::Notice(()) => self.end = Some(Reason::Shutdown),
            Input::Tick => self.end = Some(Reason::Timeout("echo")),
        }
        while let Some(at) = self.line.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.line.drain(..at + 2).collect();
            let text = String::from_utf8_lossy(&line[..at]).into_owned();
            let then = self.slots.ask(line);
            self.asks.push(Question { line: text, then });
        }
    }

    fn poll(&mut self) -> Output<'_, Question> {
        if !self.asks.is_empty() {
            return Output::Ask(self.asks.remove(0));
        }
        match self.end {
            Some(why) if self.send.is_empty() => Output::Close(Close { why, linger: None }),
            _ => Output::Wait(Wait {
                send: &self.send,
                read: self.slots.open() == 0,
                body: false,
                until: Some(Deadline {
                    at: self.now.instant.after(std::time::Duration::from_secs(10)),
                    why: "echo",
                }),
            }),
        }
    }
}

impl ScriptForm for Echo {
    fn ask_line(ask: &Question) -> String {
        format!("Echo {}", ask.line)
    }
    fn answer_line(ask: Question, text: &str) -> Result<Option<Answer<bool>>, String> {
        Ok(Some(ask.then.answer(text == "yes")))
    }
    fn notice_line(_: &str) -> Result<(), String> {
        Ok(())
    }
}

fn make(_: Now, _: &Settings) -> Echo {
    Echo {
        slots: Slots::new(1),
        line: Vec::new(),
        asks: Vec::new(),
        send: Vec::new(),
        end: None,
        now: Now {
            instant: Instant(0),
            ..Now::default()
        },
    }
}

fn fails(script: &str, because: &str) {
    let failure = play_at_every_split("x.txt", script, &make).expect_err("it must fail");
    assert!(failure.contains(because), "{failure}");
}

#[test]
fn a_script_that_fits() {
    let script =
        "# echo\nC: a\\x62\nASK: Echo ab\nANS: yes\nS: A\n B\nC> x\nUNTIL: 10s echo\nTIME: 10s\nCLOSE: Timeout(\"echo\")\n";
    assert_eq!(play_at_every_split("x.txt", script, &make), Ok(6));
}

#[test]
fn answers_by_name() {
    let script =
        "C: one\nC: two\nASK: Echo one\nASK: Echo two\nANS two: yes\nS: TWO\nANS: no\nWANT: read\nNOTE: x\nCLOSE: Shutdown";
    let script = Script::parse("x.txt", script).unwrap();
    assert_eq!(play(&script, Split::Whole, &make), Ok(()));
}

#[test]
fn a_split_that_differs_is_found() {
    fails("C: one\nC: two\nASK: Echo one\nASK: Echo two\nANS: no\nANS: no", "Bytes");
}

#[test]
fn what_does_not_fit_is_shown() {
    fails("C: a\nASK: Echo a\nANS: yes\nS: B", "want B\\r\\n\n   got  A\\r\\n");
    fails("C: a\nASK: Echo b", "want Echo b");
    fails("C: a", "nothing more");
    fails("C: a\nASK: Echo a\nANS: yes", "nothing more");
    fails("C: a\nASK: Echo a\nCLOSE: Quit", "still open");
    fails("NOTE: x\nCLOSE: Shutdown\nC: a", "has closed");
    fails("XYZ: a", "unknown keyword");
    fails("C: \\q", "unknown escape");
}
