//! Plays `scripts/scheduler/*.txt`: the scheduler of the queue. The grammar is in `pillarbox_tests::script`; its own words are in
//! `core/src/delivery/scheduler/script.rs`.
//!
//! ```text
//! SET: connections 2     connections over all; default: 100
//! SET: jitter            waits are lengthened and shortened at random; default: they are exact
//! ```

use std::path::Path;
use std::sync::Arc;

use pillarbox_core::delivery::retry::RetrySettings;
use pillarbox_core::delivery::scheduler::Scheduler;
use pillarbox_core::delivery::scheduler::ask::Settings;
use pillarbox_core::time::Now;
use pillarbox_tests::script;

fn make(now: Now, script: &script::Settings) -> Scheduler {
    for name in script.names() {
        assert!(["connections", "jitter"].contains(&name), "unknown setting: {name}");
    }
    let mut settings = Settings {
        retry: RetrySettings {
            jitter: if script.has("jitter") { 20 } else { 0 },
            ..RetrySettings::default()
        },
        ..Settings::default()
    };
    if let Some(connections) = script.value("connections") {
        settings.connections = connections.parse().expect("connections is a number");
    }
    Scheduler::new(Arc::new(settings), 1, 7, now)
}

#[test]
fn scripts() {
    script::play_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/scheduler"), make);
}
