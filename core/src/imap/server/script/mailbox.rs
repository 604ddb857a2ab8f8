//! A mailbox as a line of a script.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{key, parse as parse_number, word};
use crate::imap::flag;
use crate::store::request::Selected;
use crate::store::version::{self as store, CHUNK_ROWS, Chunk, Fixed, FlagColumns, Version};
use crate::store::{EmailId, Flags, KeywordBits, Location, Lsn, ModSeq, Uid};
use crate::time::UnixTime;

/// INTERNALDATE of every row: that of RFC 3501's examples, 17-Jul-1996 02:44:25 -0700.
const INTERNAL_DATE: i64 = 837_596_665;
/// Octets of a message whose row does not tell.
const SIZE: u32 = 100;

/// `mailbox [id=1] [lsn=1] [uidvalidity=1] [next=1] [recent=…] [keywords=a+b] [rows=…]`
pub(super) fn parse(text: &str) -> Result<Selected, String> {
    let text = text.strip_prefix("mailbox").ok_or("mailbox …")?;
    let or = |name: &str, default: &'static str| parse_number(word(text, name).unwrap_or(default));
    let mut keywords: Vec<Arc<str>> = Vec::new();
    if let Some(list) = word(text, "keywords") {
        keywords.extend(list.split('+').map(Arc::from));
    }
    let mut rows = Rows::default();
    for row in word(text, "rows").into_iter().flat_map(|rows| rows.split(',')) {
        rows.add(row, &mut keywords)?;
    }
    let uid_next = Uid(or("next", "1")?);
    let recent_from = match word(text, "recent") {
        Some(from) => Uid(parse_number(from)?),
        None => uid_next,
    };
    let version = Version {
        lsn: Lsn(u64::from(or("lsn", "1")?)),
        uid_validity: or("uidvalidity", "1")?,
        uid_next,
        highest_mod_seq: ModSeq(1),
        exists: rows.0.len() as u32,
        keywords: keywords.into(),
        chunks: rows.0.chunks(CHUNK_ROWS).map(chunk).collect(),
    };
    Ok(Selected {
        mailbox: key(word(text, "id").unwrap_or("1"))?,
        version: Arc::new(version),
        recent_from,
    })
}

/// As [`parse`] reads it, from behind the id.
///
/// # Errors
/// A keyword that would be read as something else.
pub(super) fn text(version: &Version, recent_from: Uid) -> Result<String, String> {
    if let Some(keyword) = version
        .keywords
        .iter()
        .find(|keyword| keyword.contains(['+', ',', ':', '@', '#']))
    {
        return Err(format!("a script has no words for the keyword {keyword}"));
    }
    let mut text = format!(
        " lsn={} uidvalidity={} next={}",
        version.lsn, version.uid_validity, version.uid_next.0
    );
    if recent_from != version.uid_next {
        text += &format!(" recent={}", recent_from.0);
    }
    if !version.keywords.is_empty() {
        let names: Vec<&str> = version.keywords.iter().map(|keyword| &**keyword).collect();
        text += &format!(" keywords={}", names.join("+"));
    }
    let mut rows = version.rows().peekable();
    let mut separator = " rows=";
    while let Some(row) = rows.next() {
        let same =
            |first: &store::Row, next: &store::Row| row_text(&version.keywords, first) == row_text(&version.keywords, next);
        let mut last = row.uid.0;
        while let Some(next) = rows.next_if(|next| next.uid.0 == last + 1 && same(&row, next)) {
            last = next.uid.0;
        }
        let uids = if last == row.uid.0 {
            format!("{last}")
        } else {
            format!("{}-{last}", row.uid.0)
        };
        text += &format!("{separator}{uids}{}", row_text(&version.keywords, &row));
        separator = ",";
    }
    Ok(text)
}

/// `[:flags][@size[/prefix]][#date]`
fn row_text(table: &[Arc<str>], row: &store::Row) -> String {
    let system = flag::SYSTEM
        .iter()
        .filter(|(one, _)| row.flags.contains(*one))
        .map(|(_, name)| *name);
    let keywords = table.iter().enumerate().filter(|(bit, _)| row.keywords.0 & (1 << bit) != 0);
    let names: Vec<&str> = system.chain(keywords.map(|(_, name)| &**name)).collect();
    let mut text = String::new();
    if !names.is_empty() {
        text += &format!(":{}", names.join("+"));
    }
    match (row.size, row.prefix) {
        (SIZE, 0) => {}
        (size, 0) => text += &format!("@{size}"),
        (size, prefix) => text += &format!("@{size}/{prefix}"),
    }
    if row.internal_date.seconds() != INTERNAL_DATE {
        text += &format!("#{}", row.internal_date.seconds());
    }
    text
}

struct Row {
    uid: u32,
    flags: Flags,
    keywords: u64,
    size: u32,
    prefix: u16,
    date: i64,
}

#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    /// `uid[-uid][:flags][@size[/prefix]][#date]`
    fn add(&mut self, text: &str, table: &mut Vec<Arc<str>>) -> Result<(), String> {
        let (text, date) = text.split_once('#').unwrap_or((text, ""));
        let date = if date.is_empty() { INTERNAL_DATE } else { parse_number(date)? };
        let (text, size) = text.split_once('@').unwrap_or((text, ""));
        let (size, prefix) = size.split_once('/').unwrap_or((size, "0"));
        let size = if size.is_empty() { SIZE } else { parse_number(size)? };
        let prefix: u16 = parse_number(prefix)?;
        let (uids, names) = text.split_once(':').unwrap_or((text, ""));
        let (first, last) = uids.split_once('-').unwrap_or((uids, uids));
        let (mut flags, mut keywords) = (Flags::default(), 0);
        for name in names.split('+').filter(|name| !name.is_empty()) {
            if let Some((flag, _)) = flag::SYSTEM.iter().find(|(_, known)| *known == name) {
                flags = flags.with(*flag);
            } else if name.starts_with('\\') {
                return Err(format!("no flag: {name}"));
            } else {
                let known = table.iter().position(|known| &**known == name);
                let bit = known.unwrap_or_else(|| {
                    table.push(name.into());
                    table.len() - 1
                });
                keywords |= 1 << bit;
            }
        }
        for uid in parse_number(first)?..=parse_number(last)? {
            self.0.push(Row {
                uid,
                flags,
                keywords,
                size,
                prefix,
                date,
            });
        }
        Ok(())
    }
}

fn chunk(rows: &[Row]) -> Chunk {
    let many = rows.len();
    Chunk {
        fixed: Arc::new(Fixed {
            uid: rows.iter().map(|row| Uid(row.uid)).collect(),
            size: rows.iter().map(|row| row.size).collect(),
            prefix: rows.iter().map(|row| row.prefix).collect(),
            internal_date: rows.iter().map(|row| UnixTime::from_seconds(row.date)).collect(),
            save_date: alloc::vec![UnixTime::from_seconds(INTERNAL_DATE); many],
            email_id: alloc::vec![EmailId([0; 16]); many],
            location: alloc::vec![Location::Pack { pack: 0, offset: 0 }; many],
            crc: alloc::vec![0; many],
        }),
        flags: Arc::new(FlagColumns {
            flags: rows.iter().map(|row| row.flags).collect(),
            keywords: rows.iter().map(|row| KeywordBits(row.keywords)).collect(),
            mod_seq: alloc::vec![ModSeq(1); many],
        }),
    }
}
