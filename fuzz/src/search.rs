//! SEARCH over any message: any split gives the same, what is known early stays, and NOT is the opposite.

use std::sync::Arc;

use pillarbox_core::imap::command::{Command, SearchKey, parse};
use pillarbox_core::imap::frame::Framed;
use pillarbox_core::imap::search::{Candidate, Context, Matcher, Program};
use pillarbox_core::imap::sequence::Intervals;
use pillarbox_core::store::version::Row;
use pillarbox_core::store::{EmailId, Flags, KeywordBits, Location, ModSeq, Uid};
use pillarbox_core::time::UnixTime;

use super::{pieces, steered};

/// A line of keys, then a message.
pub fn message_search(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let text = [b"x SEARCH ", &bytes[..line]].concat();
    let Ok((_, Command::Search { keys: Some(keys), .. })) = parse(&Framed {
        text: &text,
        literals: &[],
    }) else {
        return;
    };
    let message = bytes.get(line + 1..).unwrap_or_default();
    let Some(program) = compiled(&keys) else { return };
    let fits = matches(&program, [message].into_iter());
    planted!(
        fits && message.len() > 20 && keys.iter().filter(|key| matches!(key, SearchKey::Body(_))).count() > 2
    );
    assert_eq!(matches(&program, message.chunks(1)), fits);
    assert_eq!(matches(&program, pieces(message, steer)), fits);
    if let Some(known) = program.judge(&candidate(), &mut Vec::new()) {
        assert_eq!(known, fits);
    }
    let not = [&[SearchKey::And(1), SearchKey::Not], &keys[..]].concat();
    let not = compiled(&not).expect("as many texts");
    assert_eq!(matches(&not, [message].into_iter()), !fits);
}

fn compiled(keys: &[SearchKey]) -> Option<Arc<Program>> {
    let context = Context {
        exists: 9,
        last_uid: 90,
        keywords: &[],
        saved: &Intervals::default(),
        now: UnixTime::from_seconds(0),
    };
    Program::compile(keys, &context).ok().map(Arc::new)
}

fn matches<'a>(program: &Arc<Program>, pieces: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut matcher = Matcher::new(program.clone(), candidate());
    pieces.for_each(|piece| matcher.update(piece));
    let known = matcher.verdict();
    let fits = matcher.finish();
    assert!(known.is_none_or(|known| known == fits));
    fits
}

fn candidate() -> Candidate {
    Candidate {
        row: Row {
            uid: Uid(20),
            size: 100,
            prefix: 0,
            internal_date: UnixTime::from_seconds(0),
            save_date: UnixTime::from_seconds(0),
            email_id: EmailId([0; 16]),
            location: Location::Pack { pack: 0, offset: 0 },
            crc: 0,
            flags: Flags::FLAGGED,
            keywords: KeywordBits(1),
            mod_seq: ModSeq(1),
        },
        number: 2,
        recent: true,
    }
}
