//! Oracles of the fuzz targets: what must hold of any bytes. Each target calls one function of this crate.

mod dns;
mod imap;
mod journal;
mod message;
mod search;
mod setup;
mod smtp;
mod smtp_client;

pub use dns::dns_answer;
pub use imap::{imap_command, imap_frame};
pub use journal::journal_scan;
pub use message::{message_header, message_mime};
pub use search::message_search;
pub use setup::setup_autodiscover;
pub use smtp::{smtp_command, smtp_data};
pub use smtp_client::smtp_client;

/// Splits an input: its first byte steers, the rest is what a peer sends.
fn steered(bytes: &[u8]) -> (u8, &[u8]) {
    bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest))
}

/// The input in pieces whose lengths follow from `seed`: from 1 to 8 octets, now and then up to 64.
fn pieces(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut state = u32::from(seed) | 0x100;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let wide = if state >> 28 == 0 { 64 } else { 8 };
        let len = ((state >> 16) as usize % wide + 1).min(rest.len());
        let (piece, tail) = rest.split_at(len);
        rest = tail;
        (len > 0).then_some(piece)
    })
}
