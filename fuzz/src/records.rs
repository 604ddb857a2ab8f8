//! Recorded forms: what decodes has one canonical form, and that form is read back to the same. (Secrets are left out of theirs.)

use pillarbox_core::delivery::scheduler;
use pillarbox_core::imap::server as imap;
use pillarbox_core::record::{Reader, Record, Texts};
use pillarbox_core::smtp::{client, server};
use pillarbox_core::store::committer;

use crate::steered;

macro_rules! readers {
    ($($kind:ty),* $(,)?) => {
        &[$(canonical::<$kind>),*]
    };
}

/// Every sum of questions, answers and notices that a trace holds, and what it begins with.
const READERS: &[fn(&[u8])] = readers! {
    server::ask::Ask, server::ask::Value, server::ask::Notice,
    client::ask::Ask, client::ask::Value, client::ask::Notice,
    imap::ask::Ask, imap::ask::Value, imap::ask::Notice,
    scheduler::ask::Ask, scheduler::ask::Value, scheduler::ask::Notice,
    committer::ask::Ask, committer::ask::Value, committer::ask::Notice,
    server::trace::New, client::trace::New, imap::trace::New,
};

/// The first byte picks the kind.
pub fn records(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    READERS[usize::from(steer) % READERS.len()](bytes);
}

pub(crate) fn canonical<T: Record>(bytes: &[u8]) {
    let Ok(value) = T::from_record(bytes) else { return };
    let written = value.to_record();
    planted!(written.len() > 40 && written.ends_with(b"deep") && bytes == written);
    let again = T::from_record(&written).expect("what was written is read");
    assert_eq!(again.to_record(), written);
    let texts = Texts::default();
    assert!(T::decode(&mut Reader::noting(&written, &texts)).is_ok());
    for (from_end, len) in texts.into_inner() {
        assert!(len <= from_end && from_end <= written.len(), "a text lies within");
    }
    // Nothing that is not there is read: each cut is malformed.
    if let Some((_, cut)) = written.split_last() {
        assert!(T::from_record(cut).is_err() || T::from_record(cut).is_ok_and(|value| value.to_record() == *cut));
    }
}
