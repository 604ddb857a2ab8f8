//! Small clients for tests, over any stream. They say what they are told, check what they get, and panic with the dialogue so far.

pub mod imap;
pub mod smtp;

use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Lines and octets over a stream, with the dialogue so far.
pub struct Lines<S> {
    stream: S,
    buffer: Vec<u8>,
    at: usize,
    dialogue: String,
}

/// The dialogue keeps so many octets of each line.
const SHOWN: usize = 200;

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    /// Over this stream.
    pub fn new(stream: S) -> Lines<S> {
        Lines {
            stream,
            buffer: Vec::new(),
            at: 0,
            dialogue: String::new(),
        }
    }

    /// The dialogue so far.
    pub fn dialogue(&self) -> &str {
        &self.dialogue
    }

    /// The stream itself.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// The stream, when nothing was read beyond what was taken.
    ///
    /// # Panics
    /// When something was.
    pub fn into_stream(self) -> S {
        assert_eq!(self.at, self.buffer.len(), "bytes are left:\n{}", self.dialogue);
        self.stream
    }

    /// Sends octets.
    ///
    /// # Errors
    /// The stream's.
    pub async fn send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.note("C: ", octets);
        self.stream.write_all(octets).await?;
        self.stream.flush().await
    }

    /// The next line with its CRLF.
    ///
    /// # Errors
    /// The stream's; `UnexpectedEof` at its end.
    pub async fn line(&mut self) -> std::io::Result<String> {
        let mut scanned = self.at;
        loop {
            if let Some(end) = self.buffer[scanned..].iter().position(|octet| *octet == b'\n') {
                let end = scanned + end + 1;
                let line = self.buffer[self.at..end].to_vec();
                self.take(end);
                self.note("S: ", &line);
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            scanned = self.buffer.len();
            self.fill().await?;
            scanned = scanned.min(self.buffer.len());
        }
    }

    /// The next so many octets.
    ///
    /// # Errors
    /// The stream's; `UnexpectedEof` at its end.
    pub async fn octets(&mut self, count: usize) -> std::io::Result<Vec<u8>> {
        while self.buffer.len() - self.at < count {
            self.fill().await?;
        }
        let end = self.at + count;
        let octets = self.buffer[self.at..end].to_vec();
        self.take(end);
        self.note("S: ", &octets);
        Ok(octets)
    }

    fn take(&mut self, end: usize) {
        self.at = end;
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        }
    }

    async fn fill(&mut self) -> std::io::Result<()> {
        let mut chunk = [0; 8192];
        let len = self.stream.read(&mut chunk).await?;
        if len == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&chunk[..len]);
        Ok(())
    }

    fn note(&mut self, who: &str, octets: &[u8]) {
        let shown = String::from_utf8_lossy(&octets[..octets.len().min(SHOWN)]);
        self.dialogue.push_str(who);
        self.dialogue.push_str(shown.trim_end());
        if octets.len() > SHOWN {
            self.dialogue.push_str(&format!(" … {} octets", octets.len()));
        }
        self.dialogue.push('\n');
    }
}
