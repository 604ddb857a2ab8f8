use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::fetch::Fetch;
use super::*;
use crate::imap::command::{FetchItem, Section, SectionText};
use crate::imap::sequence::Intervals;
use crate::store::Uid;
use crate::time::UnixTime;

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn statuses() {
    let tag = Tag("a1".into());
    let line = |code: Option<&Code<'_>>| written(|out| status(Some(&tag), Condition::Ok, code, "done", out));
    assert_eq!(line(None), "a1 OK done\r\n");
    for (code, text) in [
        (Code::ReadOnly, "READ-ONLY"),
        (Code::UidNext(7), "UIDNEXT 7"),
        (Code::AppendUid { uid_validity: 9, uid: 3 }, "APPENDUID 9 3"),
        (Code::Capability(&["IMAP4rev1", "IDLE"]), "CAPABILITY IMAP4rev1 IDLE"),
        (
            Code::PermanentFlags {
                flags: Flags::SEEN.with(Flags::DELETED),
                keywords: &["$Junk"],
                more: true,
            },
            "PERMANENTFLAGS (\\Deleted \\Seen $Junk \\*)",
        ),
        (
            Code::CopyUid {
                uid_validity: 38505,
                from: &Intervals::from_sorted([304, 319, 320]),
                to: &Intervals::from_sorted([3956, 3957, 3958]),
            },
            "COPYUID 38505 304,319:320 3956:3958",
        ),
    ] {
        assert_eq!(line(Some(&code)), alloc::format!("a1 OK [{text}] done\r\n"));
    }
    assert_eq!(written(|out| status(None, Condition::Bye, None, "bye", out)), "* BYE bye\r\n");
}

#[test]
fn mailbox_data() {
    let listed = Listed {
        name: "Entwürfe/Mein \"Neues\"",
        exists: Exists::Yes,
        subscribed: false,
        children: Some(false),
        special_use: Some(SpecialUse::Drafts),
        child_info: &[],
    };
    assert_eq!(
        written(|out| list(false, &listed, Names::Utf7, out)),
        "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entw&APw-rfe/Mein \\\"Neues\\\"\"\r\n"
    );
    assert_eq!(
        written(|out| list(false, &listed, Names::Utf8, out)),
        "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entwürfe/Mein \\\"Neues\\\"\"\r\n"
    );
    let parent = Listed {
        name: "Foo",
        exists: Exists::NonExistent,
        subscribed: true,
        children: None,
        special_use: None,
        child_info: &["SUBSCRIBED"],
    };
    assert_eq!(
        written(|out| list(false, &parent, Names::Utf7, out)),
        "* LIST (\\NonExistent \\Subscribed) \"/\" Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n"
    );
    assert_eq!(written(namespace), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    assert_eq!(written(|out| enabled(&[], out)), "* ENABLED\r\n");
    assert_eq!(
        written(|out| id(&[("name", "Pillarbox")], out)),
        "* ID (\"name\" \"Pillarbox\")\r\n"
    );
    assert_eq!(
        written(|out| {
            let values = [(StatusItem::Messages, 2), (StatusItem::UidNext, 9)];
            mailbox_status("INBOX", &values, Names::Utf7, out);
        }),
        "* STATUS INBOX (MESSAGES 2 UIDNEXT 9)\r\n"
    );
    assert_eq!(
        written(|out| flags(["$Forwarded"], out)),
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded)\r\n"
    );
    assert_eq!(written(|out| capability(&["IMAP4rev1"], out)), "* CAPABILITY IMAP4rev1\r\n");
    assert_eq!(
        written(|out| {
            exists(3, out);
            recent(1, out);
            expunge(2, out);
        }),
        "* 3 EXISTS\r\n* 1 RECENT\r\n* 2 EXPUNGE\r\n"
    );
}

#[test]
fn a_fetch_response() {
    let names = vec!["From".into(), "X-]odd".into(), "X-(odd".into()];
    let item = FetchItem::Section {
        section: Section {
            part: vec![1, 2],
            text: SectionText::HeaderFieldsNot(names),
        },
        partial: Some((5, 100)),
        peek: true,
    };
    let text = written(|out| {
        let mut fetch = Fetch::begin(12, out);
        fetch.uid(Uid(40), out);
        fetch.flags(Flags::SEEN, ["$Junk"], true, out);
        fetch.internal_date(UnixTime::from_seconds(0), out);
        fetch.size(7, out);
        fetch.encoded("BODY", b"(x)", out);
        fetch.literal(&item, 3, out);
        out.extend_from_slice(b"a((");
        fetch.nil(&FetchItem::Rfc822Text, out);
        fetch.end(out);
    });
    assert_eq!(
        text,
        "* 12 FETCH (UID 40 FLAGS (\\Seen $Junk \\Recent) INTERNALDATE \" 1-Jan-1970 00:00:00 +0000\" RFC822.SIZE 7 BODY (x) \
         BODY[1.2.HEADER.FIELDS.NOT (From X-]odd \"X-(odd\")]<5> {3}\r\na(( RFC822.TEXT NIL)\r\n"
    );
}

#[test]
fn quoted_or_literal() {
    assert_eq!(written(|out| nstring(None, out)), "NIL");
    assert_eq!(written(|out| nstring(Some(b""), out)), "\"\"");
    assert_eq!(written(|out| string(b"a\\b\"c", out)), "\"a\\\\b\\\"c\"");
    assert_eq!(written(|out| string(b"a\r\nb", out)), "{4}\r\na\r\nb");
    assert_eq!(written(|out| string("é".as_bytes(), out)), "{2}\r\né");
    assert_eq!(written(|out| astring(b"INBOX", out)), "INBOX");
}

proptest! {
    #[test]
    fn s44_a_string_never_breaks_its_line(bytes: Vec<u8>) {
        let mut out = Vec::new();
        string(&bytes, &mut out);
        if out[0] == b'{' {
            let head = alloc::format!("{{{}}}\r\n", bytes.len());
            prop_assert_eq!(out, [head.as_bytes(), &bytes].concat());
        } else {
            prop_assert!(out.iter().all(|byte| matches!(byte, b' '..=b'~')));
        }
    }
}
