//! Reading a script (the grammar is in the module text above).

use std::time::Duration;

use pillarbox_core::machine::BodyError;

/// A script, read.
#[derive(Debug)]
pub struct Script {
    /// Its file's name, for messages.
    pub name: String,
    /// Its SET lines.
    pub settings: Settings,
    /// The rest.
    pub lines: Vec<Line>,
}

/// The SET lines of a script.
#[derive(Debug, Default, Clone)]
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// Whether a setting was named.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The value of a setting (empty when it was only named).
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// All names, for a `make` that refuses those it does not know.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "whole")
    }

    pub(super) fn whole(&self) -> bool {
        self.has("whole")
    }
}

/// One line that does something.
#[derive(Debug)]
pub struct Line {
    /// Where it stands, from 1.
    pub number: usize,
    /// What it does.
    pub action: Action,
}

/// What a line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Neighbouring C lines, joined.
    Receive(Vec<u8>),
    Sent(Vec<u8>),
    Ask(String),
    Answer {
        name: Option<String>,
        text: String,
    },
    Body(Vec<u8>),
    AnyBody,
    BodyIn(Vec<u8>),
    BodyError(BodyError),
    Notice(String),
    Time(Duration),
    Eof,
    Stall,
    Resume,
    Want {
        read: bool,
        body: bool,
    },
    Until(Option<(Duration, String)>),
    Close(String),
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// `name:line: what is wrong`.
    pub fn parse(name: &str, text: &str) -> Result<Script, String> {
        let mut script = Script {
            name: name.into(),
            settings: Settings::default(),
            lines: Vec::new(),
        };
        for (number, line) in logical_lines(text) {
            let place = |what: &str| format!("{name}:{number}: {what}: {line}");
            let (keyword, text, crlf) = split(&line).ok_or_else(|| place("not a script line"))?;
            if keyword == "SET" {
                if !script.lines.is_empty() {
                    return Err(place("SET comes first"));
                }
                let (key, value) = text.split_once(' ').unwrap_or((text, ""));
                script.settings.0.push((key.into(), value.trim().into()));
                continue;
            }
            let action = action(keyword, text, crlf).map_err(|what| place(&what))?;
            match (script.lines.last_mut().map(|line| &mut line.action), action) {
                (Some(Action::Receive(before)), Action::Receive(bytes)) => before.extend(bytes),
                (_, action) => script.lines.push(Line { number, action }),
            }
        }
        Ok(script)
    }

    /// How many bytes the peer sends.
    pub fn peer_bytes(&self) -> usize {
        self.peer().map(<[u8]>::len).sum()
    }

    /// What the peer sends, group by group.
    pub fn peer(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().filter_map(|line| match &line.action {
            Action::Receive(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
    }
}

/// Lines with their numbers, continuations joined, comments and blank lines left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some((_, before)) if line.starts_with([' ', '\t']) => before.push_str(line.trim_start()),
            _ => lines.push((index + 1, line.into())),
        }
    }
    lines
}

/// Keyword, text, and whether a CRLF follows.
fn split(line: &str) -> Option<(&str, &str, bool)> {
    let at = line.find([':', '>'])?;
    let text = &line[at + 1..];
    Some((
        &line[..at],
        text.strip_prefix(' ').unwrap_or(text),
        line.as_bytes()[at] == b':',
    ))
}

fn action(keyword: &str, text: &str, crlf: bool) -> Result<Action, String> {
    let bytes = || unescape(text, crlf);
    Ok(match keyword {
        "C" => Action::Receive(bytes()?),
        "S" => Action::Sent(bytes()?),
        "BODY" => Action::Body(bytes()?),
        "BODY*" => Action::AnyBody,
        "BODYIN" => Action::BodyIn(bytes()?),
        "ASK" => Action::Ask(text.into()),
        "ANS" => Action::Answer {
            name: None,
            text: text.into(),
        },
        "BODYERR" => Action::BodyError(match text {
            "missing" => BodyError::Missing,
            "corrupt" => BodyError::Corrupt,
            "unreadable" => BodyError::Unreadable,
            _ => return Err("missing, corrupt or unreadable".into()),
        }),
        "NOTE" => Action::Notice(text.into()),
        "TIME" => Action::Time(duration(text)?),
        "EOF" => Action::Eof,
        "STALL" => Action::Stall,
        "RESUME" => Action::Resume,
        "WANT" => Action::Want {
            read: text.split(' ').any(|word| word == "read"),
            body: text.split(' ').any(|word| word == "body"),
        },
        "UNTIL" if text == "never" => Action::Until(None),
        "UNTIL" => {
            let (after, why) = text.split_once(' ').ok_or("say how long, and why")?;
            Action::Until(Some((duration(after)?, why.into())))
        }
        "CLOSE" => Action::Close(text.into()),
        _ => {
            if let Some(count) = keyword.strip_prefix("C*") {
                let count = count.parse().map_err(|_| "how many times?")?;
                return Ok(Action::Receive(bytes()?.repeat(count)));
            }
            let name = keyword.strip_prefix("ANS ").ok_or("unknown keyword")?;
            Action::Answer {
                name: Some(name.into()),
                text: text.into(),
            }
        }
    })
}

fn unescape(text: &str, crlf: bool) -> Result<Vec<u8>, String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, tail) = rest.split_first().ok_or("a lone backslash")?;
        rest = tail;
        bytes.push(match escape {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = rest
                    .get(..2)
                    .and_then(|digits| std::str::from_utf8(digits).ok())
                    .ok_or("\\x needs two digits")?;
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).map_err(|_| "\\x needs two digits")?
            }
            _ => return Err(format!("unknown escape \\{}", char::from(escape))),
        });
    }
    if crlf {
        bytes.extend_from_slice(b"\r\n");
    }
    Ok(bytes)
}

fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|digit: char| !digit.is_ascii_digit()).ok_or("a unit is missing")?;
    let number: u64 = text[..end].parse().map_err(|_| "a number is missing")?;
    Ok(match &text[end..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        _ => return Err("units are ms, s, m, h".into()),
    })
}
