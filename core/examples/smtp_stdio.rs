//! An SMTP session over stdin and stdout, without a socket, a clock thread or a runtime: the whole of what a host has to do.
//!
//! ```sh
//! printf 'EHLO me.test\r\nQUIT\r\n' | cargo run -p pillarbox-core --example smtp_stdio
//! ```
//!
//! `one.test` is ours and has one user, alice. What is committed is shown on stderr.

use std::io::{BufRead, Write};

use pillarbox_core::machine::{Input, Machine, Output};

mod host;

fn main() -> std::io::Result<()> {
    let mut session = host::session(1, [127, 0, 0, 1].into(), 0);
    let mut sink = Vec::new();
    loop {
        let (mut send, mut read, mut answer) = (Vec::new(), false, None);
        match session.poll() {
            Output::Body(part) => {
                sink.extend_from_slice(part);
                continue;
            }
            Output::Ask(ask) => answer = host::perform(ask, &mut sink),
            Output::Wait(wait) => (send, read) = (wait.send.to_vec(), wait.read),
            Output::Close(_) => return Ok(()),
        }
        if let Some(answer) = answer {
            session.handle(host::now(), Input::Answer(answer));
        } else if !send.is_empty() {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&send)?;
            stdout.flush()?;
            session.handle(host::now(), Input::Sent(send.len()));
        } else if read {
            // Line by line: a client waits for the reply to EHLO, a pipe does not.
            let mut line = Vec::new();
            std::io::stdin().lock().read_until(b'\n', &mut line)?;
            let input = if line.is_empty() { Input::Eof } else { Input::Received(&line) };
            session.handle(host::now(), input);
        }
    }
}
