//! Durable inbound messages a second: Pillarbox and Debian's Postfix, in turns, the same load.
//!
//! `cargo bench -p pillarbox-tests --bench inbound` (needs `postfix`, and `strace` for the system-call counts; root, since
//! Postfix wants it). Everything runs on loopback, from temporary folders. `-- quick` makes a short run; `-- record` compares
//! Pillarbox with itself, without and with a recording of every session, in turns.
//!
//! For each server and each shape of load: messages acknowledged a second, CPU seconds for 1 000 messages (user and system, with
//! all children), and how many messages are then found: by IMAP for Pillarbox, in the Maildir for Postfix. Fewer found than
//! acknowledged voids the run. Both write to the same file system; Postfix has its default fsync.

mod load;
mod peers;

use std::path::Path;

use load::{Load, Measured};
use peers::{Pillarbox, Postfix};

const BODY: usize = 4096;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "quick");
    let rounds = if quick { 1 } else { 3 };
    let folder = std::env::temp_dir().join(format!("pillarbox-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    if arguments.iter().any(|argument| argument == "record") {
        recording(&folder, rounds);
        let _ = std::fs::remove_dir_all(&folder);
        return;
    }
    let pillarbox = Pillarbox::start(&folder.join("pillarbox"), "");
    let postfix = Postfix::start(&folder.join("postfix"));
    if postfix.is_none() {
        println!("no Postfix beside it: install Debian's postfix and run as root to compare");
    }
    print_head();
    let shapes = [
        (1, 1, 100),
        (1, 10, 200),
        (10, 1, 500),
        (10, 10, 1000),
        (100, 1, 2000),
        (100, 10, 4000),
    ];
    for (sessions, per_connection, messages) in shapes {
        let messages = if quick { messages / 4 } else { messages };
        let load = Load {
            sessions,
            per_connection,
            messages: messages.max(sessions),
            body: BODY,
        };
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let ours = pillarbox.run(&load);
            print("pillarbox", &load, &ours);
            let Some(postfix) = &postfix else { continue };
            let theirs = postfix.run(&load);
            print("postfix", &load, &theirs);
            ratios.push((
                ours.rate() / theirs.rate(),
                ours.cpu_per_thousand() / theirs.cpu_per_thousand(),
            ));
        }
        if !ratios.is_empty() {
            let rate = median(ratios.iter().map(|ratio| ratio.0).collect());
            let cpu = median(ratios.iter().map(|ratio| ratio.1).collect());
            println!(
                "  ratio at {sessions} sessions, {per_connection} a connection: {rate:.1} x the rate, {cpu:.3} x the CPU (median of {rounds})"
            );
        }
    }
    println!("system calls a message (strace -f -c, a run of its own):");
    for (per_connection, pipelining) in [(10, true), (1, false)] {
        match pillarbox.system_calls(per_connection, pipelining) {
            Some(calls) => println!(
                "  pillarbox, {per_connection} a connection, {}: {calls}",
                if pipelining { "PIPELINING" } else { "no PIPELINING" }
            ),
            None => println!("  strace is not installed"),
        }
    }
    pillarbox.stop();
    if let Some(postfix) = postfix {
        postfix.stop();
    }
    let _ = std::fs::remove_dir_all(&folder);
}

/// What it costs to record every session.
fn recording(folder: &Path, rounds: usize) {
    let without = Pillarbox::start(&folder.join("without"), "");
    let with = Pillarbox::start(&folder.join("with"), "[record]\nsessions = \"all\"\nkeep = \"10G\"\n");
    print_head();
    for (sessions, per_connection, messages) in [(1, 1, 200), (10, 10, 2000), (100, 10, 4000)] {
        let load = Load {
            sessions,
            per_connection,
            messages,
            body: BODY,
        };
        let (mut rate, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let plain = without.run(&load);
            print("plain", &load, &plain);
            let recorded = with.run(&load);
            print("recorded", &load, &recorded);
            rate.push(recorded.rate() / plain.rate());
            cpu.push(recorded.cpu_per_thousand() / plain.cpu_per_thousand());
        }
        println!(
            "  recorded, at {sessions} sessions, {per_connection} a connection: {:.2} x the rate, {:.2} x the CPU (median of {rounds})",
            median(rate),
            median(cpu)
        );
    }
    without.stop();
    with.stop();
}

fn print_head() {
    println!(
        "{:<10} {:>8} {:>9} {:>10} {:>12} {:>14} {:>8}",
        "server", "sessions", "per conn.", "messages", "messages/s", "CPU s / 1 000", "found"
    );
}

fn print(name: &str, load: &Load, measured: &Measured) {
    let void = if measured.found < measured.acknowledged {
        "  VOID: fewer found than acknowledged"
    } else {
        ""
    };
    println!(
        "{name:<10} {:>8} {:>9} {:>10} {:>12.0} {:>14.3} {:>8}{void}",
        load.sessions,
        load.per_connection,
        measured.acknowledged,
        measured.rate(),
        measured.cpu_per_thousand(),
        measured.found
    );
    assert!(void.is_empty(), "{name} acknowledged messages that are not there");
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
