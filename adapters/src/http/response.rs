//! Responses.

use pillarbox_core::message::date;
use pillarbox_core::time::UnixTime;

use super::request::Bad;

/// A response: always with a length, never with the name of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    kind: &'static str,
    /// One more field, if any.
    field: Option<(&'static str, String)>,
    body: Vec<u8>,
    closes: bool,
}

impl Response {
    /// A document of this media type.
    pub fn document(status: u16, kind: &'static str, body: Vec<u8>) -> Response {
        Response {
            status,
            kind,
            field: None,
            body,
            closes: false,
        }
    }

    /// A line for people.
    pub fn text(status: u16, text: &str) -> Response {
        Response::document(status, "text/plain; charset=utf-8", format!("{text}\n").into_bytes())
    }

    /// `302 Found`.
    pub fn found(location: String) -> Response {
        Response::text(302, &location).with("Location", location)
    }

    /// `421 Misdirected Request`: nothing is said about a name that is not ours.
    pub fn misdirected() -> Response {
        let mut response = Response::document(421, "text/plain; charset=utf-8", Vec::new());
        response.closes = true;
        response
    }

    /// `405 Method Not Allowed`.
    pub fn not_allowed(allow: &str) -> Response {
        Response::text(405, &format!("405: only {allow} here")).with("Allow", allow.into())
    }

    pub(super) fn of_bad(bad: Bad) -> Response {
        let (status, text) = match bad {
            Bad::Syntax(what) => (400, format!("400: {what}")),
            Bad::TooSlow => (408, "408: the request did not come in time".into()),
            Bad::NoLength => (411, "411: a body needs a Content-Length".into()),
            Bad::TooLarge => (413, "413: the body is too large".into()),
            Bad::Expectation => (417, "417: only 100-continue can be expected".into()),
            Bad::HeadTooLarge => (431, "431: the head is too large".into()),
            Bad::Version => (505, "505: HTTP/1.1 is spoken here".into()),
        };
        let mut response = Response::text(status, &text);
        response.closes = true;
        response
    }

    /// With one more field.
    pub fn with(mut self, name: &'static str, value: String) -> Response {
        self.field = Some((name, value));
        self
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Its body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether the connection ends with it.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// As it is sent. To HEAD the body is left out, its length is not (RFC 9110 §8.6).
    pub fn encode(&self, now: UnixTime, with_body: bool, close: bool) -> Vec<u8> {
        // RFC 9110 §5.6.7 has the form of RFC 5322, with GMT.
        let date = date::format_rfc5322(now).replace("+0000", "GMT");
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nDate: {date}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-cache\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n",
            self.status,
            reason(self.status),
            self.kind,
            self.body.len()
        );
        if let Some((name, value)) = &self.field {
            // Ours, but it may hold a name from the configuration: nothing in it ends the line.
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if close {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if with_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
