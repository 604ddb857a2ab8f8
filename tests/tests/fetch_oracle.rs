//! The digest against recorded answers of another server (Dovecot 2.3.19, with a mark where Cyrus 3.6.1 answers alike).
//!
//! Compared are parsed values: types, subtypes, charsets and encodings without case, parameters in any order, NIL and the empty
//! string alike, missing extension fields as NIL. Messages in which a defect was recorded are shown, but do not count.

use std::collections::BTreeMap;

use pillarbox_core::message::digest::Digest;
use pillarbox_core::message::intake::Intake;
use pillarbox_tests::data;

/// Answers that must be equal, of 100.
const EQUAL_PERCENT: usize = 97;

#[test]
fn digests_are_those_that_two_servers_agree_on() {
    let Ok(lines) = std::fs::read_to_string(data::folder().join("imap/fetch-oracle/dovecot-2.3.19.jsonl")) else {
        return data::is_missing();
    };
    let (mut counted, mut equal, mut others, mut others_equal) = (0, 0, 0, 0);
    for line in lines.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("a line is a JSON object");
        let file = entry["file"].as_str().expect("a file name");
        let message = data::wire_form(&std::fs::read(data::folder().join(file)).expect("the oracle's message"));
        let size = entry["crlf_size"].as_u64().expect("a size");
        assert_eq!(message.len() as u64, size, "{file} is not the message that was recorded");
        let differences = differences(&digest(&message), entry["fetch"].as_str().expect("an answer"));
        let counts = entry["cyrus_agrees"].as_bool().unwrap_or(true) && entry["defects"].as_array().is_none_or(Vec::is_empty);
        let (total, good) = match counts {
            true => (&mut counted, &mut equal),
            false => (&mut others, &mut others_equal),
        };
        *total += 1;
        *good += usize::from(differences.is_empty());
        for difference in differences {
            println!("{} {file}: {difference}", if counts { "DIFFERS" } else { "(not counted)" });
        }
    }
    println!("{equal} of {counted} equal; of those that do not count {others_equal} of {others}");
    assert!(counted > 200, "the oracle has been cut short");
    assert!(equal * 100 >= counted * EQUAL_PERCENT, "{equal} of {counted}");
}

/// The digest of a message that comes in pieces, as from a socket.
fn digest(message: &[u8]) -> Digest {
    let mut intake = Intake::new();
    message.chunks(1500).for_each(|chunk| intake.update(chunk));
    intake.finish().digest
}

fn differences(digest: &Digest, fetch: &str) -> Vec<String> {
    let latin1: Vec<u8> = fetch.chars().map(|c| c as u32 as u8).collect();
    let open = latin1.iter().position(|byte| *byte == b'(').expect("a FETCH answer");
    let answer = parse(&latin1[open..]);
    let items: BTreeMap<String, &Value> = answer[0].list().chunks(2).map(|pair| (pair[0].lower(), &pair[1])).collect();
    let mut differences = Vec::new();
    let mut compare = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            differences.push(format!("{what}\n    ours   {ours}\n    theirs {theirs}"));
        }
    };
    compare("RFC822.SIZE", digest.size.to_string(), items["rfc822.size"].lower());
    let envelope = parse(&digest.envelope);
    compare("ENVELOPE", normal(&envelope[0]), normal(items["envelope"]));
    for (what, ours, theirs, extended) in [
        ("BODY", &digest.body, items["body"], false),
        ("BODYSTRUCTURE", &digest.body_structure, items["bodystructure"], true),
    ] {
        let ours = parse(ours);
        compare(what, body(&ours[0], extended), body(theirs, extended));
    }
    differences
}

/// IMAP data.
#[derive(Debug, Clone)]
enum Value {
    Nil,
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    fn list(&self) -> &[Value] {
        match self {
            Value::List(list) => list,
            Value::Nil | Value::Text(_) => &[],
        }
    }
    fn is_nothing(&self) -> bool {
        match self {
            Value::Nil => true,
            Value::Text(text) => text.is_empty(),
            Value::List(list) => list.is_empty(),
        }
    }
    fn show(&self) -> String {
        match self {
            Value::Nil => String::new(),
            Value::Text(text) => text.escape_ascii().to_string(),
            Value::List(_) => normal(self),
        }
    }
    fn lower(&self) -> String {
        self.show().to_lowercase()
    }
}

/// Parses IMAP data; a literal's CRLF may have been cut from the recording to its LF.
fn parse(mut text: &[u8]) -> Vec<Value> {
    let mut stack = vec![Vec::new()];
    while let Some((&byte, rest)) = text.split_first() {
        text = rest;
        let value = match byte {
            b' ' | b'\r' | b'\n' => continue,
            b'(' => {
                stack.push(Vec::new());
                continue;
            }
            b')' => Value::List(stack.pop().expect("balanced parentheses")),
            b'"' => {
                let mut content = Vec::new();
                loop {
                    let (&byte, rest) = text.split_first().expect("a closing quote");
                    text = rest;
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            content.push(text[0]);
                            text = &text[1..];
                        }
                        _ => content.push(byte),
                    }
                }
                Value::Text(content)
            }
            b'{' => {
                let end = text.iter().position(|byte| *byte == b'}').expect("a literal's end");
                let size: usize = std::str::from_utf8(&text[..end]).unwrap().parse().expect("a literal's size");
                text = &text[end + 1..];
                text = text.strip_prefix(b"\r\n").or(text.strip_prefix(b"\n")).expect("a line end");
                let (content, rest) = text.split_at(size);
                text = rest;
                Value::Text(content.to_vec())
            }
            first => {
                let end = text
                    .iter()
                    .position(|byte| b" \r\n()\"{".contains(byte))
                    .unwrap_or(text.len());
                let mut atom = vec![first];
                atom.extend_from_slice(&text[..end]);
                text = &text[end..];
                match atom.eq_ignore_ascii_case(b"NIL") {
                    true => Value::Nil,
                    false => Value::Text(atom),
                }
            }
        };
        stack.last_mut().expect("balanced parentheses").push(value);
    }
    assert_eq!(stack.len(), 1, "balanced parentheses");
    stack.remove(0)
}

fn normal(value: &Value) -> String {
    match value {
        value if value.is_nothing() => "-".into(),
        Value::Nil => "-".into(),
        Value::Text(text) => format!("'{}'", text.escape_ascii()),
        Value::List(list) => format!("({})", list.iter().map(normal).collect::<Vec<_>>().join(" ")),
    }
}

/// A body in one canonical form.
fn body(value: &Value, extended: bool) -> String {
    let list = value.list();
    let parts = list.iter().take_while(|part| matches!(part, Value::List(_))).count();
    if parts > 0 {
        let inner: Vec<String> = list[..parts].iter().map(|part| body(part, extended)).collect();
        let mut text = format!("multipart[{}] {}", inner.join(" "), list[parts].lower());
        if extended {
            let rest = &list[parts + 1..];
            let given = parameters(rest.first());
            text += &format!(" {given} {}", extension(rest.get(1..).unwrap_or_default()));
        }
        return text;
    }
    if list.len() < 7 {
        return format!("not a body: {}", normal(value));
    }
    let (kind, subtype) = (list[0].lower(), list[1].lower());
    let mut shown = parameters(list.get(2));
    if kind == "text" && !shown.contains("charset=") {
        let Value::List(mut with) = list[2].clone() else {
            return body(&with_charset(list, Vec::new()), extended);
        };
        with.extend([Value::Text(b"charset".to_vec()), Value::Text(b"us-ascii".to_vec())]);
        shown = parameters(Some(&Value::List(with)));
    }
    let mut text = format!(
        "{kind}/{subtype} {shown} {} {} {} {}",
        normal(&list[3]),
        normal(&list[4]),
        list[5].lower(),
        list[6].lower()
    );
    let mut next = 7;
    if kind == "text" {
        text += &format!(" lines={}", list[7].lower());
        next = 8;
    } else if kind == "message" && matches!(subtype.as_str(), "rfc822" | "global") && list.len() > 9 {
        text += &format!(" {} <{}> {}", normal(&list[7]), body(&list[8], extended), list[9].lower());
        next = 10;
    }
    if extended {
        let rest = &list[next..];
        text += &format!(
            " {} {}",
            rest.first().map_or("-".into(), normal),
            extension(rest.get(1..).unwrap_or_default())
        );
    }
    text
}

fn with_charset(list: &[Value], mut parameters: Vec<Value>) -> Value {
    parameters.extend([Value::Text(b"charset".to_vec()), Value::Text(b"us-ascii".to_vec())]);
    let mut list = list.to_vec();
    list[2] = Value::List(parameters);
    Value::List(list)
}

/// Disposition, language, location.
fn extension(rest: &[Value]) -> String {
    let disposition = match rest.first() {
        Some(Value::List(list)) if !list.is_empty() => format!("{} {}", list[0].lower(), parameters(list.get(1))),
        Some(_) | None => "-".into(),
    };
    let language = match rest.get(1) {
        Some(Value::Text(one)) if !one.is_empty() => one.escape_ascii().to_string().to_lowercase(),
        Some(Value::List(many)) => many.iter().map(Value::lower).collect::<Vec<_>>().join(","),
        Some(_) | None => String::new(),
    };
    format!("{disposition} [{language}] {}", rest.get(2).map_or("-".into(), normal))
}

fn parameters(value: Option<&Value>) -> String {
    let pairs = value.map(Value::list).unwrap_or_default().chunks(2);
    let mut shown: Vec<String> = pairs
        .map(|pair| {
            let name = pair[0].lower();
            let value = match name.as_str() {
                "charset" => pair[1].lower(),
                _ => pair[1].show(),
            };
            format!("{name}={value}")
        })
        .collect();
    shown.sort();
    format!("{{{}}}", shown.join(";"))
}
