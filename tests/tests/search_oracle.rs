//! SEARCH against recorded answers of another server (Dovecot 2.3.19, with a mark where Cyrus 3.6.1 answers alike) over one mailing
//! list. Answers that the two do not share are shown, but do not count.

use std::sync::Arc;

use pillarbox_core::imap::command::{Command, Tag, parse};
use pillarbox_core::imap::frame::{Event, Framer};
use pillarbox_core::imap::response::search::{Answer, Found};
use pillarbox_core::imap::search::{Candidate, Context, Matcher, Program};
use pillarbox_core::imap::sequence::Intervals;
use pillarbox_core::message::date;
use pillarbox_core::store::version::Row;
use pillarbox_core::store::{EmailId, Flags, KeywordBits, Location, ModSeq, Uid};
use pillarbox_core::time::UnixTime;
use pillarbox_tests::data;

/// Answers that must be equal, of 100.
const EQUAL_PERCENT: usize = 95;

#[test]
fn searches_find_what_two_servers_agree_on() {
    let Ok(lines) = std::fs::read_to_string(data::folder().join("imap/fetch-oracle/linux-mips-search-sort-thread.jsonl"))
    else {
        return data::is_missing();
    };
    let mut lines = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is a JSON object"));
    let head = lines.next().expect("a first line");
    let mailbox = Mailbox::read(head["corpus"].as_str().expect("a directory"));
    assert_eq!(
        mailbox.0.len() as u64,
        head["files"].as_u64().expect("how many"),
        "another corpus"
    );
    let (mut counted, mut equal) = (0, 0);
    for entry in lines {
        let query = entry["q"].as_str().expect("a query");
        if !query.starts_with("SEARCH") {
            continue; // SORT and THREAD
        }
        let counts = entry["cyrus_agrees"] == true;
        let theirs = normal(entry["reply"][0].as_str().expect("an answer"));
        let ours = normal(&mailbox.search(query));
        counted += usize::from(counts);
        equal += usize::from(counts && ours == theirs);
        if ours != theirs {
            let what = if counts { "DIFFERS" } else { "(not counted)" };
            let only = |one: &[String], other: &[String]| {
                let only: Vec<&str> = one.iter().filter(|word| !other.contains(word)).map(String::as_str).collect();
                only.join(" ")
            };
            println!(
                "{what} {query}\n    ours only   {}\n    theirs only {}",
                only(&ours, &theirs),
                only(&theirs, &ours)
            );
        }
    }
    println!("{equal} of {counted} equal");
    assert!(counted > 150, "the oracle has been cut short");
    assert!(equal * 100 >= counted * EQUAL_PERCENT, "{equal} of {counted}");
}

/// Messages with UIDs from 1, seven hours apart.
struct Mailbox(Vec<(Candidate, Vec<u8>)>);

impl Mailbox {
    /// As the recorder appended it: by file name, every line feed behind a carriage return.
    fn read(directory: &str) -> Mailbox {
        let files = data::files(directory);
        let first = date::parse_internal(b"01-Jan-2020 00:00:00 +0000").expect("a date").seconds();
        let messages = files.iter().enumerate().map(|(index, file)| {
            let message = data::wire_form(&std::fs::read(file).expect("a message"));
            let date = first + 7 * 3600 * index as i64;
            (
                candidate(index as u32 + 1, message.len() as u32, UnixTime::from_seconds(date)),
                message,
            )
        });
        Mailbox(messages.collect())
    }

    /// The untagged answer to a SEARCH with the tag `x`.
    fn search(&self, query: &str) -> String {
        let mut framer = Framer::new();
        framer.receive(format!("x {query}\r\n").as_bytes());
        let Some(Event::Command(framed)) = framer.poll() else {
            panic!("a command")
        };
        let (
            tag,
            Command::Search {
                returns,
                keys: Some(keys),
                ..
            },
        ) = parse(&framed).expect(query)
        else {
            panic!("a SEARCH: {query}");
        };
        let exists = self.0.len() as u32;
        let context = Context {
            exists,
            last_uid: exists,
            keywords: &[],
            saved: &Intervals::default(),
            now: UnixTime::from_seconds(0),
        };
        let program = Arc::new(Program::compile(&keys, &context).expect("a program"));
        let fits = |(candidate, message): &&(Candidate, Vec<u8>)| {
            program.judge(candidate, &mut Vec::new()).unwrap_or_else(|| {
                let mut matcher = Matcher::new(program.clone(), *candidate);
                message.chunks(1500).for_each(|octets| matcher.update(octets));
                matcher.finish()
            })
        };
        let found: Vec<u32> = self.0.iter().filter(fits).map(|(candidate, _)| candidate.number).collect();
        let all = Intervals::from_sorted(found.iter().copied());
        let mut answer = match returns {
            None => Answer::search(all),
            Some(returns) => Answer::esearch(
                &Tag(tag.0),
                false,
                Found {
                    min: found.first().copied().filter(|_| returns.min),
                    max: found.last().copied().filter(|_| returns.max),
                    count: returns.count.then_some(found.len() as u32),
                    all: returns.all.then_some(all),
                },
            ),
        };
        let mut out = Vec::new();
        while answer.next(&mut out) {}
        String::from_utf8(out).expect("ASCII")
    }
}

fn candidate(uid: u32, size: u32, internal_date: UnixTime) -> Candidate {
    Candidate {
        row: Row {
            uid: Uid(uid),
            size,
            prefix: 0,
            internal_date,
            save_date: internal_date,
            email_id: EmailId([0; 16]),
            location: Location::Pack { pack: 0, offset: 0 },
            crc: 0,
            flags: Flags::default(),
            keywords: KeywordBits(0),
            mod_seq: ModSeq(1),
        },
        number: uid,
        recent: false,
    }
}

/// The words of an answer; result data in any order (RFC 4731 §3.1).
fn normal(answer: &str) -> Vec<String> {
    let words: Vec<&str> = answer.split_whitespace().collect();
    if words[1] != "ESEARCH" {
        return words.into_iter().map(String::from).collect();
    }
    let mut data: Vec<String> = words[2..].chunks(2).map(|pair| pair.join(" ")).collect();
    data.sort();
    data
}
