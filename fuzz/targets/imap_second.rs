#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pillarbox_fuzz::imap_second(bytes));
