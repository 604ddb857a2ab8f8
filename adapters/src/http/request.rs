//! The head of a request: found, then read strictly.

use pillarbox_core::address::Domain;
use pillarbox_core::limits;

/// A request without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its method.
    pub method: Method,
    /// The path as sent, without the query.
    pub path: String,
    /// What stands behind `?`.
    pub query: String,
    /// The host that is meant, without its port; `None`: an address, or nothing that could be a name of ours.
    pub host: Option<Domain>,
    /// Octets of the body.
    pub length: usize,
    /// The client waits before it sends the body.
    pub expects_continue: bool,
    /// The connection ends with the answer.
    pub close: bool,
}

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
    /// Any other: nothing of ours takes it.
    Other,
}

/// A request that is not even looked at; the connection ends with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// 400, with what is wrong.
    Syntax(&'static str),
    /// 408.
    TooSlow,
    /// 411: a body without a length.
    NoLength,
    /// 413.
    TooLarge,
    /// 417.
    Expectation,
    /// 431.
    HeadTooLarge,
    /// 505.
    Version,
}

impl Method {
    /// For logs.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Other => "other",
        }
    }
}

/// Looks for the end of a head as it comes; no octet twice.
#[derive(Debug, Default)]
pub struct Search {
    at: usize,
    /// Where the line begins that is looked at.
    line: usize,
    /// A line that is not empty has been seen: an empty one before the request is skipped (RFC 9112 §2.2).
    begun: bool,
}

impl Search {
    /// The octets of the head with its empty line.
    pub fn end(&mut self, input: &[u8]) -> Result<Option<usize>, Bad> {
        // Whatever is no HTTP (a TLS handshake, another protocol's greeting) is told so at once.
        if input
            .first()
            .is_some_and(|first| !first.is_ascii_alphabetic() && *first != b'\r')
        {
            return Err(Bad::Syntax("this is not HTTP"));
        }
        while let Some(&octet) = input.get(self.at) {
            if self.at >= limits::HTTP_HEAD {
                return Err(Bad::HeadTooLarge);
            }
            self.at += 1;
            let after_cr = self.at >= 2 && input[self.at - 2] == b'\r';
            match octet {
                b'\n' if !after_cr => return Err(Bad::Syntax("a line ends with CR LF")),
                b'\n' => {
                    let empty = self.at - self.line == 2;
                    self.line = self.at;
                    match (empty, self.begun) {
                        (true, true) => return Ok(Some(self.at)),
                        (true, false) if self.at > 2 => return Err(Bad::Syntax("empty lines")),
                        (true, false) => {}
                        (false, _) => self.begun = true,
                    }
                }
                _ if after_cr => return Err(Bad::Syntax("a CR without LF")),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Reads a whole head.
pub fn parse(head: &[u8]) -> Result<Head, Bad> {
    let mut fields = [httparse::EMPTY_HEADER; limits::HTTP_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(httparse::Status::Complete(_) | httparse::Status::Partial) => return Err(Bad::Syntax("the head is broken")),
        Err(httparse::Error::TooManyHeaders) => return Err(Bad::HeadTooLarge),
        Err(httparse::Error::Version) => return Err(Bad::Version),
        Err(_) => return Err(Bad::Syntax("the head is broken")),
    }
    let old = request.version == Some(0);
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        Some(_) | None => Method::Other,
    };
    let fields = Fields(request.headers);
    let (authority, path, query) = target(request.path.unwrap_or_default())?;
    // What is asked for in full counts, not the field (RFC 9112 §3.2.2); the field must be there all the same.
    let named = match (fields.one("host")?, old) {
        (Some(host), _) => Some(host),
        (None, true) => None,
        (None, false) => return Err(Bad::Syntax("Host is missing")),
    };
    let close = old || fields.has("connection", "close");
    let length = length(&fields)?;
    let expects_continue = match fields.one("expect")? {
        None => false,
        Some(what) if what.eq_ignore_ascii_case("100-continue") => !old,
        Some(_) => return Err(Bad::Expectation),
    };
    Ok(Head {
        method,
        path,
        query,
        host: authority.or(named).and_then(host),
        length,
        expects_continue,
        close,
    })
}

/// `origin-form`, `absolute-form` or `asterisk-form` (RFC 9112 §3.2): host, path, query.
fn target(target: &str) -> Result<(Option<&str>, String, String), Bad> {
    let (authority, rest) = match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        Some(_) | None => (None, target),
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = if path.is_empty() && authority.is_some() { "/" } else { path };
    if !path.starts_with('/') && path != "*" {
        return Err(Bad::Syntax("the target is no path"));
    }
    Ok((authority, path.into(), query.into()))
}

/// The name in a Host field: without port and final dot.
fn host(field: &str) -> Option<Domain> {
    let name = match field.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        Some(_) => return None,
        None => field,
    };
    Domain::parse(name.strip_suffix('.').unwrap_or(name), false).ok()
}

/// The body's length (RFC 9112 §6.3): whatever could be understood in two ways is refused.
fn length(fields: &Fields<'_>) -> Result<usize, Bad> {
    let length = fields.one("content-length")?;
    if fields.any("transfer-encoding") {
        return Err(match length {
            Some(_) => Bad::Syntax("Content-Length and Transfer-Encoding"),
            None => Bad::NoLength,
        });
    }
    let Some(text) = length else { return Ok(0) };
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Bad::Syntax("Content-Length is no number"));
    }
    match text.parse() {
        Ok(length) if length <= limits::HTTP_BODY => Ok(length),
        Ok(_) | Err(_) => Err(Bad::TooLarge),
    }
}

struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    fn any(&self, name: &'static str) -> bool {
        self.all(name).next().is_some()
    }

    /// The field that may stand once, in ASCII.
    fn one(&self, name: &'static str) -> Result<Option<&'a str>, Bad> {
        let mut all = self.all(name);
        let Some(value) = all.next() else { return Ok(None) };
        if all.next().is_some() {
            return Err(Bad::Syntax("a field is given twice"));
        }
        let value = std::str::from_utf8(value).ok().filter(|value| value.is_ascii());
        Ok(Some(value.ok_or(Bad::Syntax("a field is not ASCII"))?.trim()))
    }

    /// Whether a list has a token.
    fn has(&self, name: &'static str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|octet| *octet == b','))
            .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}
