//! A client that believes only our untagged responses knows the mailbox: random changes by others, random commands of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use pillarbox_tests::host::inbox::Inbox;

use super::support::Client;
use pillarbox_core::store::request::{FlagChange, FlagHow};
use pillarbox_core::store::version::Row;
use pillarbox_core::store::{Flags, Uid};
use proptest::prelude::*;

/// What happens next. Numbers choose among the messages that are there.
#[derive(Debug, Clone)]
enum Event {
    OtherAppends,
    OtherFlags(u32, u32, FlagHow, bool),
    OtherExpunges(u32),
    /// The host says so.
    Notice,
    Noop,
    Fetch(u32, u32),
    FetchBody(u32),
    Store(u32, u32, FlagHow, bool, bool),
    Expunge,
    UidExpunge(u32),
    Append,
    Idle,
    Done,
}

/// What the client knows of a message: its UID and flags, `\Recent` apart.
type Known = (u32, BTreeSet<String>);

struct Model {
    messages: Vec<Option<Known>>,
}

impl Model {
    /// Believes the untagged lines of a reply. `numbers`: EXPUNGE is forbidden (RFC 3501 §7.4.1).
    fn believe(&mut self, reply: &str, numbers: bool) {
        for line in reply.lines().filter_map(|line| line.strip_prefix("* ")) {
            let Some((number, rest)) = line.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else { continue };
            if rest == "EXISTS" {
                assert!(number >= self.messages.len(), "EXISTS only rises: {line}");
                self.messages.resize(number, None);
            } else if rest == "EXPUNGE" {
                assert!(!numbers, "EXPUNGE while numbers are spoken: {reply}");
                self.messages.remove(number - 1);
            } else if let Some(items) = rest.strip_prefix("FETCH (") {
                self.fetched(number - 1, items);
            }
        }
    }

    fn fetched(&mut self, place: usize, items: &str) {
        let uid = items.split_once("UID ").map(|(_, rest)| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
            digits.parse::<u32>().unwrap()
        });
        let flags = items.split_once("FLAGS (").map(|(_, rest)| {
            let names = rest.split_once(')').unwrap().0.split(' ');
            names
                .filter(|name| !name.is_empty() && *name != "\\Recent")
                .map(String::from)
                .collect()
        });
        let message = &mut self.messages[place];
        match (message.as_mut(), uid, flags) {
            (Some((known, _)), Some(uid), _) if *known != uid => panic!("message {place} has changed its UID"),
            (Some((_, known)), _, Some(flags)) => *known = flags,
            (None, Some(uid), Some(flags)) => *message = Some((uid, flags)),
            (Some(_), _, None) | (None, _, _) => {} // flags of a message that it has not asked about yet
        }
    }

    fn apply(&mut self, place: usize, how: FlagHow) {
        let Some((_, flags)) = &mut self.messages[place] else { return };
        match how {
            FlagHow::Add => _ = flags.insert("\\Flagged".into()),
            FlagHow::Remove => _ = flags.remove("\\Flagged"),
            FlagHow::Replace => *flags = BTreeSet::from(["\\Flagged".into()]),
        }
    }
}

fn names(row: &Row, keywords: &[Arc<str>]) -> BTreeSet<String> {
    let system = pillarbox_core::imap::flag::SYSTEM.iter();
    let system = system
        .filter(|(flag, _)| row.flags.contains(*flag))
        .map(|(_, name)| name.to_string());
    let keywords = keywords
        .iter()
        .enumerate()
        .filter(|(bit, _)| row.keywords.0 & (1 << bit) != 0);
    system.chain(keywords.map(|(_, name)| name.to_string())).collect()
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let how = || prop_oneof![Just(FlagHow::Add), Just(FlagHow::Remove), Just(FlagHow::Replace)];
    let event = prop_oneof![
        3 => Just(Event::OtherAppends),
        3 => (any::<u32>(), 0..4u32, how(), any::<bool>()).prop_map(|(a, n, how, keyword)| Event::OtherFlags(a, n, how, keyword)),
        3 => any::<u32>().prop_map(Event::OtherExpunges),
        2 => Just(Event::Notice),
        2 => Just(Event::Noop),
        2 => (any::<u32>(), 0..4u32).prop_map(|(a, n)| Event::Fetch(a, n)),
        1 => any::<u32>().prop_map(Event::FetchBody),
        3 => (any::<u32>(), 0..4u32, how(), any::<bool>(), any::<bool>())
            .prop_map(|(a, n, how, silent, uid)| Event::Store(a, n, how, silent, uid)),
        1 => Just(Event::Expunge),
        1 => any::<u32>().prop_map(Event::UidExpunge),
        1 => Just(Event::Append),
        1 => Just(Event::Idle),
        2 => Just(Event::Done),
    ];
    proptest::collection::vec(event, 1..60)
}

/// The bounded ring of changes is made to forget: the session then compares versions.
fn forget(store: &mut Inbox) {
    let flags = FlagChange {
        how: FlagHow::Add,
        flags: Flags::default(),
        keywords: Vec::new(),
    };
    for _ in 0..=pillarbox_core::limits::CHANGES_KEPT {
        store.flag(0, &[], &flags);
    }
}

struct World {
    store: Inbox,
    client: Client,
    model: Model,
    idling: bool,
    tag: u32,
}

impl World {
    fn command(&mut self, text: &str, numbers: bool) -> String {
        self.tag += 1;
        let line = format!("t{} {text}\r\n", self.tag);
        let reply = String::from_utf8(self.client.say(&mut self.store, line.as_bytes())).unwrap();
        assert!(reply.contains(&format!("t{} OK", self.tag)), "{text}: {reply}");
        assert_eq!(
            reply.matches(&format!("\r\nt{} ", self.tag)).count() + usize::from(reply.starts_with('t')),
            1
        );
        self.model.believe(&reply, numbers);
        reply
    }

    /// Asks about messages that are new to it, as clients do.
    fn learn(&mut self) {
        if let Some(first) = self.model.messages.iter().position(Option::is_none) {
            self.command(&format!("FETCH {}:* (UID FLAGS)", first + 1), true);
        }
    }

    fn play(&mut self, event: &Event) {
        let rows: Vec<Row> = self.store.mailbox.published().rows().collect();
        let some = |at: u32, many: u32| -> Vec<Uid> {
            let start = if rows.is_empty() { 0 } else { at as usize % rows.len() };
            rows[start..].iter().take(many as usize + 1).map(|row| row.uid).collect()
        };
        match event {
            Event::OtherAppends => {
                self.store
                    .append(9, b"", b"Subject: x\r\n\r\nhello\r\n", Flags::default(), &["k".into()]);
            }
            Event::OtherFlags(at, many, how, keyword) => {
                let change = FlagChange {
                    how: *how,
                    flags: if *keyword { Flags::default() } else { Flags::ANSWERED },
                    keywords: if *keyword {
                        vec![format!("k{}", at % 5).into()]
                    } else {
                        Vec::new()
                    },
                };
                self.store.flag(9, &some(*at, *many), &change);
            }
            Event::OtherExpunges(at) => {
                let uids = some(*at, at % 3);
                let deleted = FlagChange {
                    how: FlagHow::Add,
                    flags: Flags::DELETED,
                    keywords: Vec::new(),
                };
                self.store.flag(9, &uids, &deleted);
                self.store.expunge(9, Some(&uids));
            }
            Event::Notice => {
                self.client.notice(&mut self.store);
                let told = String::from_utf8(std::mem::take(&mut self.client.got)).unwrap();
                assert!(self.idling || told.is_empty(), "told while no command runs: {told}");
                self.model.believe(&told, false);
            }
            Event::Idle if !self.idling => {
                let reply = self.client.say(&mut self.store, b"idle IDLE\r\n");
                assert!(reply.starts_with(b"+ idling\r\n"));
                self.model.believe(&String::from_utf8(reply).unwrap(), false);
                self.idling = true;
            }
            Event::Done if self.idling => {
                let reply = String::from_utf8(self.client.say(&mut self.store, b"DONE\r\n")).unwrap();
                assert!(reply.ends_with("idle OK IDLE terminated\r\n"), "{reply}");
                self.model.believe(&reply, false);
                self.idling = false;
                self.learn();
            }
            Event::Done => {}
            _ if self.idling => {}
            Event::Idle => {}
            Event::Noop => {
                self.command("NOOP", false);
                self.learn();
            }
            Event::Expunge => {
                self.command("EXPUNGE", false);
                self.learn();
            }
            Event::UidExpunge(at) => {
                self.command(&format!("UID EXPUNGE {}:{}", at % 20 + 1, at % 20 + 5), false);
                self.learn();
            }
            Event::Append => {
                self.tag += 1;
                let line = format!("t{} APPEND INBOX (\\Draft) {{5+}}\r\na:b\r\n\r\n", self.tag);
                let reply = String::from_utf8(self.client.say(&mut self.store, line.as_bytes())).unwrap();
                assert!(reply.contains("OK [APPENDUID 7 "), "{reply}");
                self.model.believe(&reply, false);
                self.learn();
            }
            Event::Fetch(..) | Event::FetchBody(_) | Event::Store(..) if self.model.messages.is_empty() => {}
            Event::Fetch(at, many) => {
                let first = *at as usize % self.model.messages.len();
                let last = (first + *many as usize).min(self.model.messages.len() - 1);
                self.command(&format!("FETCH {}:{} (FLAGS UID)", last + 1, first + 1), true);
                self.learn();
            }
            Event::FetchBody(at) => {
                let place = *at as usize % self.model.messages.len();
                self.command(&format!("FETCH {} BODY[TEXT]", place + 1), true);
                self.learn();
            }
            Event::Store(at, many, how, silent, uid) => {
                let first = *at as usize % self.model.messages.len();
                let last = (first + *many as usize).min(self.model.messages.len() - 1);
                let sign = match how {
                    FlagHow::Add => "+",
                    FlagHow::Remove => "-",
                    FlagHow::Replace => "",
                };
                let silence = if *silent { ".SILENT" } else { "" };
                let uids = |place: usize| self.model.messages[place].as_ref().map(|(uid, _)| *uid);
                let places: Vec<usize> = (first..=last).collect();
                let text = match (uid, uids(first), uids(last)) {
                    (true, Some(from), Some(to)) => format!("UID STORE {from}:{to} {sign}FLAGS{silence} (\\Flagged)"),
                    _ => format!("STORE {}:{} {sign}FLAGS{silence} (\\Flagged)", first + 1, last + 1),
                };
                if *silent {
                    places.iter().for_each(|place| self.model.apply(*place, *how));
                }
                let numbers = !text.starts_with("UID");
                self.command(&text, numbers);
                self.learn();
            }
        }
    }

    /// In the end, after one NOOP, the client knows all.
    fn agree(&mut self) {
        if self.idling {
            self.play(&Event::Done);
        }
        self.client.notice(&mut self.store);
        self.command("NOOP", false);
        self.learn();
        let newest = self.store.mailbox.published();
        let truth: Vec<Known> = newest.rows().map(|row| (row.uid.0, names(&row, &newest.keywords))).collect();
        let known: Vec<Known> = self
            .model
            .messages
            .iter()
            .map(|known| known.clone().expect("it was learned"))
            .collect();
        assert_eq!(known, truth);
    }
}

fn play(events: &[Event], compare: bool) {
    let mut store = Inbox::new();
    for _ in 0..6 {
        store.append(0, b"", b"Subject: x\r\n\r\nhello\r\n", Flags::default(), &[]);
    }
    let mut client = Client::new(&mut store, 7);
    let reply = String::from_utf8(client.say(&mut store, b"s SELECT INBOX\r\n")).unwrap();
    let mut model = Model { messages: Vec::new() };
    model.believe(&reply, false);
    let mut world = World {
        store,
        client,
        model,
        idling: false,
        tag: 0,
    };
    world.learn();
    for event in events {
        world.play(event);
        if compare {
            forget(&mut world.store);
        }
    }
    world.agree();
    assert!(
        world.idling || world.client.session.memory() == 0,
        "an idle session owns no buffer"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_client_knows_the_mailbox(events in events()) {
        play(&events, false);
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The same where the list of changes is always too short, and versions are compared.
    #[test]
    fn the_client_knows_the_mailbox_by_comparing(events in events()) {
        play(&events, true);
    }
}
