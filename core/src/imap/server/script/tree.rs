//! Changes of the tree, copies and moves as lines of a script.

use alloc::format;
use alloc::string::String;

use super::{key, number, word};
use crate::imap::command::{SequenceNumber, SequenceSet};
use crate::imap::response::special_use;
use crate::imap::server::ask::TreeWish;
use crate::store::ranges::UidRanges;
use crate::store::tree::{Transferred, TreeDone};
use crate::store::{Lsn, Uid};

pub(super) fn wish_line(wish: &TreeWish) -> String {
    match wish {
        TreeWish::Create {
            name,
            special_use: Some(wanted),
        } => format!("Create {} {}", name.0, special_use(*wanted)),
        TreeWish::Create { name, special_use: None } => format!("Create {}", name.0),
        TreeWish::Delete(name) => format!("Delete {}", name.0),
        TreeWish::Rename { from, to } => format!("Rename {} to {}", from.0, to.0),
        TreeWish::Subscribe(name) => format!("Subscribe {}", name.0),
        TreeWish::Unsubscribe(name) => format!("Unsubscribe {}", name.0),
    }
}

/// `lsn=9 [id=2]`
pub(super) fn parse_done(text: &str) -> Result<TreeDone, String> {
    Ok(TreeDone {
        lsn: Lsn(number(text, "lsn")?),
        mailbox: word(text, "id").map(key).transpose()?,
    })
}

/// `lsn=9 uidvalidity=7 from=2:4 first=10 [id=2]`
pub(super) fn parse_transferred(text: &str) -> Result<Transferred, String> {
    let from = match word(text, "from") {
        Some(set) => ranges(&SequenceSet::parse(set.as_bytes())?)?,
        None => UidRanges::default(),
    };
    Ok(Transferred {
        lsn: Lsn(number(text, "lsn")?),
        to: key(word(text, "id").unwrap_or("2"))?,
        uid_validity: number(text, "uidvalidity")?,
        from,
        first: Uid(number(text, "first")?),
    })
}

fn ranges(set: &SequenceSet) -> Result<UidRanges, String> {
    let number = |number: SequenceNumber| match number {
        SequenceNumber::Number(number) => Ok(Uid(number)),
        SequenceNumber::Last | SequenceNumber::Saved => Err(String::from("from= has numbers only")),
    };
    let ranges = set.0.iter().map(|(first, last)| Ok((number(*first)?, number(*last)?)));
    ranges.collect::<Result<_, String>>().map(UidRanges)
}
