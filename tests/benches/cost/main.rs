//! One case of one size in one process, to be counted: `tests/benches/cost.py` runs it under callgrind, which counts instructions
//! within `pillarbox_measured` alone.
//!
//! `cost NAME SIZE` runs a case; `cost` lists them with their sizes.

mod allocator;
mod cases;

use std::process::ExitCode;

use cases::{CASES, Run};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.as_slice() {
        [] => {
            for case in CASES {
                println!("{} {}", case.name, case.size);
            }
            ExitCode::SUCCESS
        }
        [name, size] => {
            let case = CASES.iter().find(|case| case.name == name);
            let (Some(case), Ok(size)) = (case, size.parse()) else {
                eprintln!("no such case");
                return ExitCode::FAILURE;
            };
            let mut run = (case.prepare)(size);
            pillarbox_measured(&mut run);
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}

/// By this name callgrind knows where to count.
#[unsafe(no_mangle)]
#[inline(never)]
fn pillarbox_measured(run: &mut Run) {
    run();
}
