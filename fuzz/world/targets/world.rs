//! Worlds as bytes choose them, against the world's own model.
#![no_main]

use std::io::Write;

use pillarbox_tests::world::chosen;

libfuzzer_sys::fuzz_target!(
    init: {
        // A server that panics dies alone, and its world says whether it may: not the fuzzer.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |bytes: &[u8]| {
        if let Err(failed) = chosen::run(bytes) {
            let (seed, transitions) = chosen::choose(bytes);
            let mut out = std::io::stderr().lock();
            let _ = writeln!(out, "world {seed}, broken: {}", failed.why);
            for transition in transitions {
                let _ = writeln!(out, "{transition:?}");
            }
            std::process::abort();
        }
    }
);
