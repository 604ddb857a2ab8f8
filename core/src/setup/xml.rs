//! As much of XML 1.0 and its namespaces as a request of Outlook needs, read strictly, forward only, without recursion (S60).
//!
//! ```text
//! document = [BOM] [XMLDecl] *Misc element *Misc      Misc = Comment / S
//! content  = *( CharData / element / Reference / CDSect / Comment )
//! ```
//! A document type is refused, and with it every entity but the five that XML has; processing instructions are refused. UTF-8 only.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::limits;

/// A text as it stands between tags or in an attribute. What XML cannot hold (most control characters) becomes U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // A reader would make a space or a line feed of them.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c if is_char(c) => out.push(c),
            _ => out.push('\u{fffd}'),
        }
    }
    out
}

/// Why a document is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XmlError {
    /// It is not UTF-8, or says that it is something else.
    Encoding,
    /// It has a document type.
    DocumentType,
    /// It has a processing instruction.
    Instruction,
    /// It names an entity that XML itself does not have.
    Entity,
    /// Elements are nested too deep, or one has too many attributes, or too many namespaces are in force.
    Limit,
    /// A prefix that nothing declares.
    Prefix,
    /// It is not well-formed: where, in octets.
    Syntax(usize),
}

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// An element begins.
    Open {
        /// Its namespace; empty: none.
        namespace: &'a str,
        /// Its name without a prefix.
        name: &'a str,
    },
    /// Text; several in a row are one text.
    Text(Cow<'a, str>),
    /// The element ends that began last.
    Close,
}

/// Reads a document piece by piece.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The names of open elements.
    open: Vec<&'a str>,
    /// Prefix, namespace, and how deep the element is that declares it.
    bindings: Vec<(&'a str, &'a str, usize)>,
    /// An empty-element tag: its end is still to be told.
    closing: bool,
    begun: bool,
}

impl<'a> Reader<'a> {
    /// A reader of these bytes, behind the XML declaration.
    ///
    /// # Errors
    /// `Encoding`, or `Syntax` in the declaration.
    pub fn new(bytes: &'a [u8]) -> Result<Reader<'a>, XmlError> {
        let text = core::str::from_utf8(bytes).map_err(|_| XmlError::Encoding)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = Reader {
            text,
            at: 0,
            open: Vec::new(),
            bindings: Vec::new(),
            closing: false,
            begun: false,
        };
        reader.declaration()?;
        Ok(reader)
    }

    /// The next piece; `None` at the end of a whole document.
    ///
    /// # Errors
    /// As [`XmlError`]; nothing can be read after one.
    pub fn read(&mut self) -> Result<Option<Event<'a>>, XmlError> {
        if self.closing {
            self.closing = false;
            self.leave();
            return Ok(Some(Event::Close));
        }
        loop {
            let rest = self.rest();
            if self.open.is_empty() {
                self.space();
                let rest = self.rest();
                if rest.is_empty() {
                    return if self.begun { Ok(None) } else { Err(self.wrong()) };
                }
                if !rest.starts_with("<!") && !rest.starts_with("<?") && (self.begun || !rest.starts_with('<')) {
                    return Err(self.wrong()); // a second root, or text outside of it
                }
            } else if rest.is_empty() {
                return Err(self.wrong()); // an element is open
            } else if !rest.starts_with('<') {
                return self.text().map(Some);
            }
            if self.take("<!--") {
                self.comment()?;
            } else if !self.open.is_empty() && self.take("<![CDATA[") {
                return self.cdata().map(Some);
            } else if self.rest().starts_with("<!DOCTYPE") {
                return Err(XmlError::DocumentType);
            } else if self.rest().starts_with("<?") {
                return Err(XmlError::Instruction);
            } else if self.take("</") {
                return self.end_tag().map(Some);
            } else if self.take("<") {
                return self.start_tag().map(Some);
            } else {
                return Err(self.wrong());
            }
        }
    }

    // --- tags -------------------------------------------------------------------------------------------------------------

    /// `Name *( S Attribute ) [S] ( ">" / "/>" )`
    fn start_tag(&mut self) -> Result<Event<'a>, XmlError> {
        self.begun = true;
        let name = self.name()?;
        if self.open.len() == limits::XML_DEPTH {
            return Err(XmlError::Limit);
        }
        self.open.push(name);
        let mut attributes: Vec<&str> = Vec::new();
        loop {
            let spaced = self.space();
            if self.take("/>") {
                self.closing = true;
                break;
            }
            if self.take(">") {
                break;
            }
            if !spaced {
                return Err(self.wrong());
            }
            let attribute = self.name()?;
            if attributes.contains(&attribute) {
                return Err(self.wrong());
            }
            if attributes.len() == limits::XML_ATTRIBUTES {
                return Err(XmlError::Limit);
            }
            attributes.push(attribute);
            self.space();
            self.want("=")?;
            self.space();
            let value = self.value()?;
            self.bind(attribute, value)?;
        }
        for attribute in attributes {
            if let Some((prefix, _)) = attribute.split_once(':')
                && prefix != "xmlns"
            {
                self.namespace(prefix)?;
            }
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        Ok(Event::Open {
            namespace: self.namespace(prefix)?,
            name: local,
        })
    }

    fn end_tag(&mut self) -> Result<Event<'a>, XmlError> {
        let name = self.name()?;
        self.space();
        self.want(">")?;
        if self.open.last() != Some(&name) {
            return Err(self.wrong());
        }
        self.leave();
        Ok(Event::Close)
    }

    fn leave(&mut self) {
        let depth = self.open.len();
        while self.bindings.last().is_some_and(|binding| binding.2 == depth) {
            self.bindings.pop();
        }
        self.open.pop();
    }

    /// Notes what an attribute declares (Namespaces in XML 1.0 §3).
    fn bind(&mut self, attribute: &'a str, value: Cow<'a, str>) -> Result<(), XmlError> {
        let prefix = match attribute.split_once(':') {
            Some(("xmlns", prefix)) => prefix,
            None if attribute == "xmlns" => "",
            Some(_) | None => return Ok(()),
        };
        if matches!(prefix, "xml" | "xmlns") || (value.is_empty() && !prefix.is_empty()) {
            return Err(XmlError::Prefix);
        }
        // One written with references would have to be copied for each element in it.
        let Cow::Borrowed(value) = value else {
            return Err(XmlError::Limit);
        };
        if self.bindings.len() == limits::XML_NAMESPACES {
            return Err(XmlError::Limit);
        }
        self.bindings.push((prefix, value, self.open.len()));
        Ok(())
    }

    fn namespace(&self, prefix: &str) -> Result<&'a str, XmlError> {
        let bound = self.bindings.iter().rev().find(|binding| binding.0 == prefix);
        match (bound, prefix) {
            (Some((_, namespace, _)), _) => Ok(namespace),
            (None, "") => Ok(""),
            (None, "xml") => Ok("http://www.w3.org/XML/1998/namespace"),
            (None, _) => Err(XmlError::Prefix),
        }
    }

    // --- text -------------------------------------------------------------------------------------------------------------

    fn text(&mut self) -> Result<Event<'a>, XmlError> {
        let start = self.at;
        let end = memchr::memchr(b'<', self.rest().as_bytes()).map_or(self.text.len(), |found| start + found);
        let raw = &self.text[start..end];
        if let Some(found) = raw.find("]]>") {
            return Err(XmlError::Syntax(start + found));
        }
        let text = self.references(raw)?;
        self.at = end;
        Ok(Event::Text(text))
    }

    fn cdata(&mut self) -> Result<Event<'a>, XmlError> {
        let start = self.at;
        let length = self.rest().find("]]>").ok_or(self.wrong())?;
        let raw = &self.text[start..start + length];
        if !raw.chars().all(is_char) {
            return Err(self.wrong());
        }
        self.at = start + length + 3;
        Ok(Event::Text(Cow::Borrowed(raw)))
    }

    fn comment(&mut self) -> Result<(), XmlError> {
        let length = self.rest().find("--").ok_or(self.wrong())?;
        if !self.rest()[..length].chars().all(is_char) {
            return Err(self.wrong());
        }
        self.at += length + 2;
        self.want(">")
    }

    /// `DQUOTE *( Char / Reference ) DQUOTE`, or the same in single quotes; no `<`.
    fn value(&mut self) -> Result<Cow<'a, str>, XmlError> {
        let quote = match self.rest().as_bytes().first() {
            Some(quote @ (b'"' | b'\'')) => *quote,
            Some(_) | None => return Err(self.wrong()),
        };
        self.at += 1;
        let length = memchr::memchr2(quote, b'<', self.rest().as_bytes()).ok_or(self.wrong())?;
        let raw = &self.rest()[..length];
        let value = self.references(raw)?;
        self.at += length;
        self.want(if quote == b'"' { "\"" } else { "'" })?;
        Ok(value)
    }

    /// The text that a raw one stands for.
    fn references(&self, raw: &'a str) -> Result<Cow<'a, str>, XmlError> {
        if !raw.chars().all(is_char) {
            return Err(self.wrong());
        }
        let Some(first) = memchr::memchr(b'&', raw.as_bytes()) else {
            return Ok(Cow::Borrowed(raw));
        };
        let mut out = String::from(&raw[..first]);
        let mut rest = &raw[first..];
        while let Some(behind) = rest.strip_prefix('&') {
            // The longest is `&#x10ffff;`, leading zeros apart.
            let end = memchr::memchr(b';', &behind.as_bytes()[..behind.len().min(16)]).ok_or(self.wrong())?;
            out.push(reference(&behind[..end])?);
            let plain = &behind[end + 1..];
            let next = memchr::memchr(b'&', plain.as_bytes()).unwrap_or(plain.len());
            out.push_str(&plain[..next]);
            rest = &plain[next..];
        }
        Ok(Cow::Owned(out))
    }

    // --- pieces -----------------------------------------------------------------------------------------------------------

    /// `<?xml version="1.0" [encoding="utf-8"] [standalone="…"] ?>`
    fn declaration(&mut self) -> Result<(), XmlError> {
        let begins = self
            .rest()
            .strip_prefix("<?xml")
            .is_some_and(|rest| rest.starts_with(is_space));
        if !begins {
            return Ok(());
        }
        self.at += "<?xml".len();
        let mut before = 0;
        loop {
            let spaced = self.space();
            if self.take("?>") {
                return if before > 0 { Ok(()) } else { Err(self.wrong()) };
            }
            let name = self.name()?;
            self.space();
            self.want("=")?;
            self.space();
            let value = self.value()?;
            let (order, good) = match name {
                "version" => (1, value == "1.0"),
                "encoding" if !value.eq_ignore_ascii_case("utf-8") && !value.eq_ignore_ascii_case("us-ascii") => {
                    return Err(XmlError::Encoding);
                }
                "encoding" => (2, before > 0),
                "standalone" => (3, before > 0 && matches!(value.as_ref(), "yes" | "no")),
                _ => return Err(self.wrong()),
            };
            if !spaced || !good || order <= before {
                return Err(self.wrong());
            }
            before = order;
        }
    }

    /// A qualified name (Namespaces in XML 1.0 §4): one colon at most, with something on both sides.
    fn name(&mut self) -> Result<&'a str, XmlError> {
        let rest = self.rest();
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        let good = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii());
        let sound = match name.split_once(':') {
            Some((prefix, local)) => good(prefix) && good(local) && !local.contains(':'),
            None => good(name),
        };
        if !sound {
            return Err(self.wrong());
        }
        self.at += end;
        Ok(name)
    }

    /// Skips white space; whether there was any.
    fn space(&mut self) -> bool {
        let rest = self.rest();
        let length = rest.find(|c| !is_space(c)).unwrap_or(rest.len());
        self.at += length;
        length > 0
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn want(&mut self, token: &str) -> Result<(), XmlError> {
        if self.take(token) { Ok(()) } else { Err(self.wrong()) }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self) -> XmlError {
        XmlError::Syntax(self.at)
    }
}

/// `lt`, `#60`, `#x3c`: the character.
fn reference(name: &str) -> Result<char, XmlError> {
    let number = |digits: &str, radix: u32| {
        let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        let code = u32::from_str_radix(digits, radix).ok().filter(|_| plain);
        code.and_then(char::from_u32).filter(|c| is_char(*c)).ok_or(XmlError::Entity)
    };
    match name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => match (name.strip_prefix("#x"), name.strip_prefix('#')) {
            (Some(digits), _) => number(digits, 16),
            (None, Some(digits)) => number(digits, 10),
            (None, None) => Err(XmlError::Entity),
        },
    }
}

/// `Char` (XML 1.0 §2.2).
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// `NameChar`, and everything beyond ASCII: no name of ours has such letters, so which of them are allowed does not matter.
fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':') || !c.is_ascii()
}

impl core::fmt::Display for XmlError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            XmlError::Encoding => f.write_str("the document is not in UTF-8"),
            XmlError::DocumentType => f.write_str("a document type is not taken"),
            XmlError::Instruction => f.write_str("processing instructions are not taken"),
            XmlError::Entity => f.write_str("an unknown entity, or a character that XML does not have"),
            XmlError::Limit => f.write_str("too many levels, attributes or namespaces"),
            XmlError::Prefix => f.write_str("a prefix without a namespace"),
            XmlError::Syntax(at) => write!(f, "not well-formed at octet {at}"),
        }
    }
}
