//! IMAP.

use std::io::Result;

use futures_lite::{AsyncRead, AsyncWrite};

use super::Lines;

/// An IMAP session.
pub struct Imap<S> {
    /// Its lines.
    pub lines: Lines<S>,
    tags: u32,
}

/// What an untagged response or a tagged line was: its text, and its literals where the text has `{n}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The text without CRLF.
    pub text: String,
    /// Its literals, in order.
    pub literals: Vec<Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Imap<S> {
    /// Reads the greeting.
    ///
    /// # Errors
    /// The stream's.
    ///
    /// # Panics
    /// When it is none.
    pub async fn begin(stream: S) -> Result<Imap<S>> {
        let mut lines = Lines::new(stream);
        let greeting = lines.line().await?;
        assert!(greeting.starts_with("* OK"), "{greeting}");
        Ok(Imap { lines, tags: 0 })
    }

    /// Over a connection of which nothing has been read.
    pub fn over(lines: Lines<S>) -> Imap<S> {
        Imap { lines, tags: 0 }
    }

    /// Greeting and LOGIN.
    ///
    /// # Errors
    /// The stream's.
    pub async fn login(stream: S, user: &str, password: &str) -> Result<Imap<S>> {
        let mut imap = Imap::begin(stream).await?;
        imap.ok(&format!("LOGIN {user} \"{password}\"")).await?;
        Ok(imap)
    }

    /// A command; all untagged responses, and the tagged line without its tag.
    ///
    /// # Errors
    /// The stream's.
    pub async fn command(&mut self, command: &str) -> Result<(Vec<Response>, String)> {
        let tag = self.start(command).await?;
        self.finish(&tag).await
    }

    /// Sends a command; its tag.
    ///
    /// # Errors
    /// The stream's.
    pub async fn start(&mut self, command: &str) -> Result<String> {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.lines.send(format!("{tag} {command}\r\n").as_bytes()).await?;
        Ok(tag)
    }

    /// Reads up to the tagged line.
    ///
    /// # Errors
    /// The stream's.
    pub async fn finish(&mut self, tag: &str) -> Result<(Vec<Response>, String)> {
        let mut untagged = Vec::new();
        loop {
            let response = self.response().await?;
            match response.text.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                Some(rest) => return Ok((untagged, rest.to_owned())),
                None => untagged.push(response),
            }
        }
    }

    /// A command that must be answered OK; its untagged responses.
    ///
    /// # Errors
    /// The stream's.
    ///
    /// # Panics
    /// When it is answered otherwise.
    pub async fn ok(&mut self, command: &str) -> Result<Vec<Response>> {
        let (untagged, tagged) = self.command(command).await?;
        assert!(tagged.starts_with("OK"), "{command}: {tagged}\n{}", self.lines.dialogue());
        Ok(untagged)
    }

    /// APPEND; the tagged line.
    ///
    /// # Errors
    /// The stream's.
    pub async fn append(&mut self, mailbox: &str, message: &[u8]) -> Result<String> {
        let tag = self.start(&format!("APPEND {mailbox} {{{}}}", message.len())).await?;
        loop {
            let response = self.response().await?;
            if response.text.starts_with('+') {
                break;
            }
            if let Some(refused) = response.text.strip_prefix(&format!("{tag} ")) {
                return Ok(refused.to_owned());
            }
        }
        self.lines.send(message).await?;
        self.lines.send(b"\r\n").await?;
        Ok(self.finish(&tag).await?.1)
    }

    /// All messages of a mailbox, in order.
    ///
    /// # Errors
    /// The stream's.
    pub async fn messages(&mut self, mailbox: &str) -> Result<Vec<Vec<u8>>> {
        let select = self.ok(&format!("EXAMINE {mailbox}")).await?;
        if select.iter().any(|response| response.text == "* 0 EXISTS") {
            return Ok(Vec::new());
        }
        let fetched = self.ok("FETCH 1:* BODY.PEEK[]").await?;
        Ok(fetched
            .into_iter()
            .filter_map(|response| response.literals.into_iter().next())
            .collect())
    }

    /// The next response, with its literals.
    ///
    /// # Errors
    /// The stream's.
    pub async fn response(&mut self) -> Result<Response> {
        let mut response = Response {
            text: String::new(),
            literals: Vec::new(),
        };
        loop {
            let line = self.lines.line().await?;
            let line = line.trim_end_matches("\r\n");
            response.text.push_str(line);
            let length = line
                .strip_suffix('}')
                .and_then(|line| line.rsplit_once('{'))
                .and_then(|(_, length)| length.parse().ok());
            match length {
                Some(length) => response.literals.push(self.lines.octets(length).await?),
                None => return Ok(response),
            }
        }
    }
}
