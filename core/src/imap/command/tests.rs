extern crate std;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::encode::encode;
use super::*;
use crate::imap::frame::{Event, Framer};
use crate::limits;
use crate::store::request::FlagHow;

/// The command in these bytes, by way of the framer.
fn read(bytes: &[u8]) -> Result<(Tag, Command), Bad> {
    let mut framer = Framer::new();
    framer.log_in();
    framer.receive(bytes);
    loop {
        match framer.poll().expect("a whole command") {
            Event::Command(framed) => return parse(&framed),
            Event::Message { tag, command, .. } => return Ok((tag, command)),
            Event::Refused(bad) => return Err(bad),
            Event::Continue => {}
            Event::MessageEnd | Event::Line(_) => panic!("neither was asked for"),
        }
    }
}

fn command_of(line: &str) -> Command {
    let (tag, command) = read(format!("A1 {line}\r\n").as_bytes()).unwrap_or_else(|bad| panic!("{line}: {}", bad.text));
    assert_eq!(tag.0, "A1");
    command
}

fn items_of(line: &str) -> Vec<FetchItem> {
    match command_of(line) {
        Command::Fetch { items, .. } => items,
        other => panic!("{other:?}"),
    }
}

fn section(part: &[u32], text: SectionText, peek: bool) -> FetchItem {
    let section = Section {
        part: part.to_vec(),
        text,
    };
    FetchItem::Section {
        section,
        partial: None,
        peek,
    }
}

#[test]
fn commands_of_rfc_3501() {
    let select = |name: &str, read_only| Command::Select {
        mailbox: MailboxName(name.into()),
        read_only,
    };
    assert_eq!(command_of("capability"), Command::Capability);
    assert_eq!(command_of("CHECK"), Command::Noop);
    assert_eq!(command_of("SELECT INBOX"), select("INBOX", false));
    assert_eq!(command_of("examine \"blurdy bloop\""), select("blurdy bloop", true));
    assert_eq!(command_of("SELECT {5}\r\ninbox"), select("INBOX", false));
    assert_eq!(command_of("CLOSE"), Command::Close { expunge: true });
    assert_eq!(
        command_of("LOGIN SMITH SES]AME"),
        command_of("LOGIN \"SMITH\" {7+}\r\nSES]AME")
    );
    let list = |reference: &str, pattern: &str, lsub| {
        Command::List(List {
            reference: reference.into(),
            patterns: vec![pattern.into()],
            form: if lsub { ListForm::Lsub } else { ListForm::Basic },
        })
    };
    assert_eq!(command_of("LIST ~/Mail/ %"), list("~/Mail/", "%", false));
    assert_eq!(
        command_of("LSUB \"#news.\" \"comp.mail.*\""),
        list("#news.", "comp.mail.*", true)
    );
    assert_eq!(command_of("LIST \"\" \"\""), list("", "", false));
    assert_eq!(command_of("LIST \"\" &U,BTFw-*"), list("", "台北*", false));
    assert_eq!(
        command_of("STATUS blurdybloop (UIDNEXT MESSAGES uidnext)"),
        Command::Status {
            mailbox: MailboxName("blurdybloop".into()),
            items: vec![StatusItem::UidNext, StatusItem::Messages],
        }
    );
    assert_eq!(
        command_of("APPEND saved-messages (\\Seen $Junk) \"17-Jul-1996 02:44:25 -0700\" {310}"),
        Command::Append {
            mailbox: MailboxName("saved-messages".into()),
            flags: Flags::SEEN,
            keywords: vec!["$Junk".into()],
            date: Some(UnixTime::from_seconds(837_596_665)),
        }
    );
    let Command::Store { change, silent, uid, .. } = command_of("UID STORE 2:4 +flags.silent (\\Deleted \\DELETED a A)") else {
        panic!("STORE");
    };
    assert_eq!(
        (change.how, change.flags, change.keywords.len(), silent, uid),
        (FlagHow::Add, Flags::DELETED, 1, true, true)
    );
    assert_eq!(command_of("STORE 1 FLAGS \\Seen b"), command_of("STORE 1 FLAGS (\\seen b)"));
    assert_eq!(command_of("STORE 1 FLAGS ()"), command_of("STORE 1 FLAGS ()"));
}

#[test]
fn fetch_items() {
    use FetchItem::*;
    assert_eq!(items_of("FETCH 1 FULL"), [Flags, InternalDate, Rfc822Size, Envelope, Body]);
    assert_eq!(items_of("FETCH 1 fast"), [Flags, InternalDate, Rfc822Size]);
    assert_eq!(items_of("FETCH 1 ALL"), [Flags, InternalDate, Rfc822Size, Envelope]);
    assert_eq!(items_of("UID FETCH 1:* (FLAGS UID flags)"), [Flags, Uid]);
    assert_eq!(items_of("FETCH 1 BODY"), [Body]);
    assert_eq!(
        items_of("FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT BODYSTRUCTURE)"),
        [Rfc822, Rfc822Header, Rfc822Text, BodyStructure]
    );
    assert_eq!(items_of("FETCH 1 BODY[]"), [section(&[], SectionText::Whole, false)]);
    assert_eq!(
        items_of("FETCH 1 BODY.PEEK[4.2.1]"),
        [section(&[4, 2, 1], SectionText::Whole, true)]
    );
    assert_eq!(
        items_of("FETCH 1 body[4.2.2.mime]"),
        [section(&[4, 2, 2], SectionText::Mime, false)]
    );
    assert_eq!(items_of("FETCH 1 BODY[HEADER]"), [section(&[], SectionText::Header, false)]);
    assert_eq!(items_of("FETCH 1 BODY[1.TEXT]"), [section(&[1], SectionText::Text, false)]);
    let names = vec!["DATE".to_string(), "FROM".to_string(), "x{y".to_string()];
    assert_eq!(
        items_of("FETCH 1 (BODY[HEADER.FIELDS (DATE \"FROM\" {3+}\r\nx{y)])"),
        [section(&[], SectionText::HeaderFields(names.clone()), false)]
    );
    assert_eq!(
        items_of("FETCH 1 BODY[3.HEADER.FIELDS.NOT (DATE FROM \"x{y\")]"),
        [section(&[3], SectionText::HeaderFieldsNot(names), false)]
    );
    let FetchItem::Section { partial, .. } = &items_of("FETCH 1 BODY[]<0.2048>")[0] else {
        panic!("a section");
    };
    assert_eq!(*partial, Some((0, 2048)));
}

#[test]
fn bad_names_what_is_wrong() {
    for (line, tag, text) in [
        ("", None, "a tag is expected"),
        ("a+b NOOP", Some("a"), "a command is expected behind the tag"),
        ("a", Some("a"), "a command is expected behind the tag"),
        ("a ", Some("a"), "unknown command"),
        ("a  NOOP", Some("a"), "unknown command"),
        ("a SEARC 1 x", Some("a"), "unknown command"),
        ("a NOOP ", Some("a"), "nothing more is expected behind this command"),
        ("a LOGIN x", Some("a"), "LOGIN: a password is expected"),
        ("a LOGIN x y z", Some("a"), "nothing more is expected behind this command"),
        ("a LOGIN \"x y", Some("a"), "quoted string is not closed"),
        (
            "a LOGIN \"x\\y\" z",
            Some("a"),
            "only \" and \\ are escaped in a quoted string",
        ),
        ("a LOGIN {3}x y", Some("a"), "a literal is announced at the end of a line"),
        ("a LOGIN x {1+}\r\n\0", Some("a"), "NUL in a literal"),
        ("a LOGIN x {1+}\r\n\u{e9}", Some("a"), "LOGIN: the password is not UTF-8"),
        ("a SELECT \"\"", Some("a"), "mailbox name has an empty level"),
        (
            "a SELECT x (CONDSTORE)",
            Some("a"),
            "nothing more is expected behind this command",
        ),
        (
            "a FETCH 0 FLAGS",
            Some("a"),
            "a sequence set is expected: numbers from 1, `*`, `a:b`, joined by `,`",
        ),
        ("a FETCH 1 ()", Some("a"), "FETCH: unknown item"),
        ("a FETCH 1 (ALL)", Some("a"), "FETCH: unknown item"),
        ("a FETCH 1 (FLAGS", Some("a"), "one space is expected"),
        ("a FETCH 1 BODY.PEEK", Some("a"), "FETCH: unknown item"),
        ("a FETCH 1 BODY[MIME]", Some("a"), "FETCH: unknown section"),
        ("a FETCH 1 BODY[1.]", Some("a"), "FETCH: unknown section"),
        ("a FETCH 1 BODY[0]", Some("a"), "a number from 1 is expected"),
        ("a FETCH 1 BODY[]<0.0>", Some("a"), "a number from 1 is expected"),
        ("a FETCH 1 BODY[HEADER.FIELDS ()]", Some("a"), "a string is expected"),
        (
            "a FETCH 1 BODY[HEADER.FIELDS (\"a b\")]",
            Some("a"),
            "FETCH: that is no header name",
        ),
        ("a STORE 1 FLAGS (\\Recent)", Some("a"), "unknown system flag"),
        (
            "a STORE 1 FLAG (\\Seen)",
            Some("a"),
            "STORE: FLAGS, +FLAGS or -FLAGS is expected",
        ),
        (
            "a APPEND x \"31-Dec-9999 23:59:59 -0100\" {3}",
            Some("a"),
            "APPEND: the date-time is wrong",
        ),
        (
            "a UID NOOP",
            Some("a"),
            "UID: FETCH, SEARCH, STORE, COPY, MOVE or EXPUNGE is expected",
        ),
        ("a STATUS x ()", Some("a"), "STATUS: unknown item"),
        ("a CREATE", Some("a"), "CREATE: a mailbox is expected"),
        ("a CREATE /", Some("a"), "mailbox name has an empty level"),
        ("a CREATE a//", Some("a"), "mailbox name has an empty level"),
        ("a CREATE a (TYPE x)", Some("a"), "CREATE: unknown parameter"),
        ("a CREATE a (USE (Sent))", Some("a"), "CREATE: (USE (...)) is expected"),
        ("a RENAME a", Some("a"), "RENAME: a new name is expected"),
        ("a DELETE a/", Some("a"), "mailbox name has an empty level"),
        ("a SUBSCRIBE", Some("a"), "SUBSCRIBE: a mailbox is expected"),
        ("a COPY 1", Some("a"), "a mailbox is expected"),
        (
            "a UID MOVE x y",
            Some("a"),
            "a sequence set is expected: numbers from 1, `*`, `a:b`, joined by `,`",
        ),
        (
            "a LIST (RECURSIVEMATCH REMOTE) \"\" *",
            Some("a"),
            "LIST: RECURSIVEMATCH needs another selection option",
        ),
        ("a LIST (FOO) \"\" *", Some("a"), "LIST: unknown selection option"),
        ("a LIST \"\" * RETURN (FOO)", Some("a"), "LIST: unknown return option"),
        ("a LIST \"\" * (FOO)", Some("a"), "LIST: RETURN is expected"),
        ("a LIST \"\" ()", Some("a"), "a string is expected"),
        ("a ENABLE", Some("a"), "ENABLE: a capability is expected"),
        ("a ID", Some("a"), "ID: NIL or a list of names and values is expected"),
        ("a ID (\"name\")", Some("a"), "one space is expected"),
        ("a NAMESPACE x", Some("a"), "nothing more is expected behind this command"),
    ] {
        let mut bytes: Vec<u8> = line.chars().map(|c| c as u8).collect();
        bytes.extend_from_slice(b"\r\n");
        let bad = read(&bytes).expect_err(line);
        assert_eq!((bad.tag.as_ref().map(|tag| tag.0.as_str()), bad.text), (tag, text), "{line}");
    }
}

#[test]
fn s31_a_million_parentheses_in_64_kib_of_stack() {
    let deep = |open: &str| format!("a {open}{}\r\n", "(".repeat(1_000_000));
    let lines = [
        "",
        "FETCH 1 ",
        "FETCH 1 (BODY[HEADER.FIELDS ",
        "STORE 1 FLAGS ",
        "SEARCH ",
        "SEARCH RETURN (ALL) CHARSET UTF-8 NOT ",
        "LIST ",
        "STATUS x ",
    ]
    .map(deep);
    let words = ["NOT ", "OR ", "OR ALL "].map(|word| format!("a SEARCH {}\r\n", word.repeat(1_000_000 / word.len())));
    let check = move || {
        for line in &lines {
            assert_eq!(read(line.as_bytes()).unwrap_err().tag, Some(Tag("a".into())));
        }
        for line in &words {
            assert_eq!(read(line.as_bytes()).unwrap_err().text, "SEARCH: keys are nested too deeply");
        }
    };
    std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(check)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn s34_items_are_deduplicated_and_capped() {
    let same = format!("FETCH 1:* ({}BODY[])", "BODY[] ".repeat(100_000));
    assert_eq!(items_of(&same).len(), 1);
    let many: Vec<String> = (1..=limits::IMAP_FETCH_ITEMS + 1)
        .map(|part| format!("BODY[{part}]"))
        .collect();
    let bad = read(format!("a FETCH 1 ({})\r\n", many.join(" ")).as_bytes()).unwrap_err();
    assert_eq!(bad.text, "FETCH: too many items");
    let deep = |depth: usize| format!("FETCH 1 BODY[{}1]", "1.".repeat(depth - 1));
    assert_eq!(items_of(&deep(limits::MIME_DEPTH)).len(), 1);
    let bad = read(format!("a {}\r\n", deep(limits::MIME_DEPTH + 1)).as_bytes()).unwrap_err();
    assert_eq!(bad.text, "FETCH: too many part numbers");
}

#[test]
fn s30_lists_of_small_things_are_capped() {
    for line in [
        format!("a FETCH 1 BODY[HEADER.FIELDS ({}a)]\r\n", "a ".repeat(400_000)),
        format!(
            "a STORE 1 FLAGS ({}b)\r\n",
            (0..100_000).map(|n| format!("k{n} ")).collect::<String>()
        ),
        format!("a FETCH {}1 FLAGS\r\n", "1,".repeat(400_000)),
        format!("{} NOOP\r\n", "a".repeat(limits::IMAP_TAG + 1)),
        format!("a LIST \"\" {}\r\n", "a".repeat(limits::IMAP_MAILBOX_NAME + 1)),
    ] {
        assert!(read(line.as_bytes()).is_err());
    }
}

// --- generated commands -----------------------------------------------------------------------------------------------------

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,12}", "[^\\x00]{0,12}", "[a\\\\\"\r\n]{0,6}"]
}

fn mailbox() -> impl Strategy<Value = MailboxName> {
    let level = "[a-zA-Z&é台😀 \"\\\\{%*.~-]{1,6}";
    prop_oneof![
        Just("INBOX".to_string()),
        prop::collection::vec(level, 1..4).prop_map(|levels| levels.join("/")),
    ]
    .prop_map(|name| MailboxName(name.into()))
}

fn set() -> impl Strategy<Value = SequenceSet> {
    let number = prop_oneof![Just(SequenceNumber::Last), (1u32..).prop_map(SequenceNumber::Number)];
    prop::collection::vec((number.clone(), number), 1..5).prop_map(|ranges| SequenceSet(ranges.into()))
}

fn flags() -> impl Strategy<Value = (Flags, Vec<Arc<str>>)> {
    let keywords = prop::collection::btree_set("[$a-z][a-z0-9_-]{0,8}", 0..4);
    let keywords = keywords.prop_map(|words| words.into_iter().map(Arc::from).collect());
    ((0u16..32).prop_map(Flags), keywords)
}

fn item() -> impl Strategy<Value = FetchItem> {
    use FetchItem::*;
    let names = prop::collection::vec("[!-9;-~]{1,8}", 1..4);
    let text = (0usize..6, names).prop_map(|(kind, names)| match kind {
        0 => SectionText::Whole,
        1 => SectionText::Header,
        2 => SectionText::Text,
        3 => SectionText::HeaderFields(names),
        4 => SectionText::HeaderFieldsNot(names),
        _ => SectionText::Mime,
    });
    let part = prop::collection::vec(1u32.., 0..5);
    let partial = prop::option::of((any::<u32>(), 1u32..));
    let section = (part, text, partial, any::<bool>()).prop_map(|(part, text, partial, peek)| {
        let text = if part.is_empty() && text == SectionText::Mime {
            SectionText::Whole
        } else {
            text
        };
        let section = super::Section { part, text };
        Section { section, partial, peek }
    });
    let plain = prop::sample::select(vec![
        Body,
        BodyStructure,
        Envelope,
        Flags,
        InternalDate,
        Rfc822,
        Rfc822Header,
        Rfc822Size,
        Rfc822Text,
        Uid,
    ]);
    let part = prop::collection::vec(1u32.., 0..5);
    let partial = prop::option::of((any::<u32>(), 1u32..));
    let binary = (part, partial, any::<(bool, bool)>()).prop_map(|(part, partial, (peek, size))| match size {
        true => BinarySize { part },
        false => Binary { part, partial, peek },
    });
    prop_oneof![plain, section, binary]
}

fn items() -> impl Strategy<Value = Vec<FetchItem>> {
    prop::collection::vec(item(), 1..6).prop_map(|items| {
        let mut once: Vec<FetchItem> = Vec::new();
        for item in items {
            if !once.contains(&item) {
                once.push(item);
            }
        }
        once
    })
}

fn a_list() -> impl Strategy<Value = Command> {
    let patterns = prop::collection::vec(mailbox().prop_map(|name| name.0.to_string()), 1..4);
    let status = prop::sample::subsequence(vec![StatusItem::Messages, StatusItem::Size], 0..=2);
    let options = any::<[bool; 7]>().prop_map(|bits| ListOptions {
        subscribed: bits[0],
        special_use: bits[1],
        remote: bits[2],
        recursive: bits[3] && (bits[0] || bits[1]),
        return_subscribed: bits[4],
        return_children: bits[5],
        return_special_use: bits[6],
        status: Vec::new(),
    });
    (mailbox(), patterns, 0..3, options, status).prop_map(|(reference, mut patterns, form, mut options, status)| {
        options.status = status;
        let form = match form {
            0 => ListForm::Basic,
            1 => ListForm::Lsub,
            _ => ListForm::Extended(options),
        };
        if !matches!(form, ListForm::Extended(_)) {
            patterns.truncate(1);
        }
        Command::List(List {
            reference: reference.0.to_string(),
            patterns,
            form,
        })
    })
}

/// Keys in prefix form, as the parser gives them.
fn search_keys() -> impl Strategy<Value = Vec<SearchKey>> {
    use SearchKey::*;
    let day = 0i64..20_000;
    let flag = prop::sample::select(vec![
        Flags::ANSWERED,
        Flags::DELETED,
        Flags::DRAFT,
        Flags::FLAGGED,
        Flags::SEEN,
    ]);
    let leaf = prop_oneof![
        prop::sample::select(vec![
            All,
            Recent,
            New,
            Old,
            Numbers(SequenceSet::saved()),
            Uids(SequenceSet::saved())
        ]),
        (flag, any::<bool>()).prop_map(|(flag, is)| Flag(flag, is)),
        ("[$a-z][a-z0-9_-]{0,8}", any::<bool>()).prop_map(|(name, is)| Keyword(name.as_str().into(), is)),
        set().prop_map(Numbers),
        set().prop_map(Uids),
        (day, 0usize..6).prop_map(|(day, which)| [Before, On, Since, SentBefore, SentOn, SentSince][which](day)),
        (0u64..1 << 63, any::<bool>()).prop_map(|(size, larger)| if larger { Larger(size) } else { Smaller(size) }),
        (1u32.., any::<bool>()).prop_map(|(time, older)| if older { Older(time) } else { Younger(time) }),
        ("[!-9;-~]{1,8}", text()).prop_map(|(name, text)| Header { name, text }),
        text().prop_map(Body),
        text().prop_map(Text),
    ];
    let one = leaf.prop_map(|key| vec![key]).prop_recursive(4, 24, 3, |inner| {
        let group = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            inner.clone().prop_map(|key| [vec![Not], key].concat()),
            (inner.clone(), inner).prop_map(|(one, other)| [vec![Or], one, other].concat()),
            group.prop_map(|keys| [vec![And(keys.len() as u32)], keys.concat()].concat()),
        ]
    });
    prop::collection::vec(one, 1..4).prop_map(|keys| [vec![And(keys.len() as u32)], keys.concat()].concat())
}

fn a_search() -> impl Strategy<Value = Command> {
    let returns = any::<[bool; 5]>().prop_map(|[min, max, all, count, save]| SearchReturn {
        min,
        max,
        all: all || !(min || max || count || save),
        count,
        save,
    });
    (any::<bool>(), prop::option::of(returns), prop::option::of(search_keys())).prop_map(|(uid, returns, keys)| {
        let keys = keys.map(Arc::from);
        Command::Search { uid, returns, keys }
    })
}

fn a_command() -> impl Strategy<Value = Command> {
    use StatusItem::*;
    let how = prop::sample::select(vec![FlagHow::Add, FlagHow::Remove, FlagHow::Replace]);
    let status = prop::sample::subsequence(vec![Messages, Recent, UidNext, UidValidity, Unseen, Deleted, Size], 1..=7);
    let date = prop::option::of((0i64..4_000_000_000).prop_map(UnixTime::from_seconds));
    let plain = prop::sample::select(vec![
        Command::Capability,
        Command::Noop,
        Command::Logout,
        Command::StartTls,
        Command::Close { expunge: true },
        Command::Close { expunge: false },
        Command::Expunge,
        Command::Idle,
        Command::Namespace,
        Command::Id,
    ]);
    prop_oneof![
        plain,
        (text(), text()).prop_map(|(login, password)| Command::Login {
            login,
            password: Secret::new(password),
        }),
        ("[A-Z0-9-]{1,20}", proptest::option::of("[A-Za-z0-9+/]{1,40}={0,2}")).prop_map(|(mechanism, initial)| {
            Command::Authenticate {
                mechanism,
                initial: initial.map(Secret::new),
            }
        }),
        a_list(),
        (
            mailbox(),
            prop::sample::select(vec![None, Some(CreateUse::One(SpecialUse::Sent)), Some(CreateUse::Other)])
        )
            .prop_map(|(mailbox, special_use)| Command::Create { mailbox, special_use }),
        mailbox().prop_map(Command::Delete),
        (mailbox(), mailbox()).prop_map(|(from, to)| Command::Rename { from, to }),
        (mailbox(), any::<bool>()).prop_map(|(mailbox, on)| Command::Subscribe { mailbox, on }),
        (set(), mailbox(), any::<(bool, bool)>()).prop_map(|(set, mailbox, (moves, uid))| Command::Transfer {
            set,
            mailbox,
            moves,
            uid,
        }),
        prop::collection::vec("[A-Z0-9=]{1,12}", 1..4).prop_map(Command::Enable),
        (mailbox(), any::<bool>()).prop_map(|(mailbox, read_only)| Command::Select { mailbox, read_only }),
        (set(), items(), any::<bool>()).prop_map(|(set, items, uid)| Command::Fetch { set, items, uid }),
        (set(), how, flags(), any::<(bool, bool)>()).prop_map(|(set, how, (flags, keywords), (silent, uid))| {
            let change = FlagChange { how, flags, keywords };
            Command::Store {
                set,
                change,
                silent,
                uid,
            }
        }),
        a_search(),
        set().prop_map(Command::UidExpunge),
        (mailbox(), flags(), date).prop_map(|(mailbox, (flags, keywords), date)| Command::Append {
            mailbox,
            flags,
            keywords,
            date,
        }),
        (mailbox(), status).prop_map(|(mailbox, items)| Command::Status { mailbox, items }),
    ]
}

proptest! {
    #[test]
    fn parse_of_encode(command in a_command(), tag in "[A-Za-z0-9.*]{1,12}") {
        let tag = Tag(tag.replace('*', "]"));
        let mut bytes = Vec::new();
        encode(&tag, &command, &mut bytes);
        if matches!(command, Command::Append { .. }) {
            bytes.extend_from_slice(b"{3+}\r\n");
        }
        prop_assert_eq!(read(&bytes), Ok((tag, command)), "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>, name in prop::sample::select(vec![
        "", "LOGIN ", "LIST ", "FETCH 1 (", "FETCH 1 BODY[", "STORE 1 FLAGS (", "APPEND ", "STATUS x (", "UID ", "LIST (", "LIST x (y) RETURN (", "CREATE x (USE (", "ID (", "ENABLE ", "COPY 1 ", "RENAME x ",
        "FETCH 1 BINARY[", "SEARCH ", "SEARCH RETURN (",
    ])) {
        let mut text = format!("a {name}").into_bytes();
        text.extend(bytes);
        let _ = parse(&Framed { text: &text, literals: &[] });
    }

    #[test]
    fn what_parses_is_written_so_that_it_parses_again(words in prop::collection::vec(prop::sample::select(vec![
        "a ", "UID ", "FETCH ", "STORE ", "1:*", "2,3 ", "FLAGS", "(", ")", " ", "BODY", "[", "]", "1.", "HEADER", ".FIELDS", "<1.2>",
        "\\Seen", "LIST ", "\"", "*", "%", "x", "STATUS ", "UNSEEN", "LOGIN ", "SELECT ", ".PEEK", ".SILENT", "+", "CREATE ", "USE ", "RETURN ", "SUBSCRIBED", "RECURSIVEMATCH", "ID ", "NIL", "ENABLE ", "MOVE ",
        "SEARCH ", "NOT ", "OR ", "RETURN ", "MIN", "SAVE", "CHARSET ", "UTF-8", "BODY ", "$", "ON 1-Feb-1994", "SINCE ", "1-Jan-2020",
    ]), 0..12)) {
        let text = words.concat();
        if let Ok((tag, command)) = parse(&Framed { text: text.as_bytes(), literals: &[] }) {
            let mut bytes = Vec::new();
            encode(&tag, &command, &mut bytes);
            prop_assert_eq!(read(&bytes), Ok((tag, command)));
        }
    }
}
