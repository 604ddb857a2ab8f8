//! Oracles of the fuzz targets: what must hold of any bytes. Each target calls one function of this crate, and `cargo test` runs every
//! committed seed through it (`tests/tests/seeds.rs`).

/// With the feature `planted`: a fault that only inputs behind the grammar reach. `fuzz/planted.sh` shows that each is found.
macro_rules! planted {
    ($condition:expr) => {
        if cfg!(feature = "planted") && $condition {
            panic!("planted");
        }
    };
}

/// The mailbox of the tests' hosts, written once. (A crate of its own would be built for this file alone.)
#[path = "../../tests/src/host/inbox.rs"]
pub mod inbox;

/// The modules with their targets.
macro_rules! targets {
    ($($module:ident: $($name:ident),+;)*) => {
        $(
            mod $module;
            pub use $module::{$($name),+};
        )*
        /// Every target by its name.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$($((stringify!($name), $name)),+),*];
    };
}

targets! {
    adapters: accounts_file, config_file, control_line, http_head, proxy_header, resolv_conf;
    addresses: addresses;
    bytes: bytes;
    dns: dns_answer;
    imap: imap_command, imap_frame;
    imap_session: imap_session;
    journal: journal_scan;
    message: message_header, message_mime;
    recode: message_recode;
    records: records;
    sasl: sasl_exchange;
    search: message_search;
    second: imap_second, message_second, smtp_second;
    setup: setup_autodiscover;
    smtp: smtp_command, smtp_data;
    smtp_client: smtp_client;
    smtp_session: smtp_session;
    store: store_formats;
    values: message_values;
}

pub use second::message as second_message;

pub mod mutate;
mod recorded;

/// A target's program, and the dictionary that its words are from.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! program {
    ($name:ident) => {
        $crate::program!($name, "");
    };
    ($name:ident, $dictionary:expr) => {
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::$name(bytes));
        static ENTRIES: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(|| $crate::mutate::entries($dictionary));
        libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
            $crate::mutate::mutate(data, size, max, &ENTRIES, seed)
        });
        libfuzzer_sys::fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
            $crate::mutate::cross(one, other, out, &ENTRIES, seed)
        });
    };
}

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
