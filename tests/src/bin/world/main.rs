//! Runs worlds: see [`pillarbox_tests::world`].

mod mutant;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pillarbox_tests::world::counters::Counters;
use pillarbox_tests::world::shrink::shrink;
use pillarbox_tests::world::transition::{list, parse_list};
use pillarbox_tests::world::{self, Failed};

const HELP: &str = "\
world [--seeds N] [--from N] [--jobs N]      runs seeds; the last line is `N passed, M failed`
world --seed N [--transitions LIST] [--story]  runs one seed, with these transitions of it (0-3,7 or none), and shows what happened
  --mutant FILE  puts the patch into a copy of the sources and runs worlds there, one of which must fail; may be given several times
  --first        stops at the first seed that fails
  --no-shrink    does not look for the fewest transitions of a seed that fails
";

/// Seeds that fail and are shrunk; more are only named.
const SHRUNK: usize = 3;
/// Runs for one of them.
const RUNS: usize = 400;

#[derive(Default)]
struct Options {
    numbers: BTreeMap<String, u64>,
    transitions: Option<Vec<usize>>,
    switches: Vec<String>,
    mutants: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    if !options.mutants.is_empty() {
        return mutants(&options.mutants);
    }
    // Panics are caught, and told with their seed.
    std::panic::set_hook(Box::new(|_| {}));
    match options.numbers.get("--seed") {
        Some(seed) => one(*seed, &options),
        None => many(&options),
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--seeds" | "--from" | "--seed" | "--jobs" => {
                let number = arguments.next().and_then(|value| value.parse().ok());
                let number = number.ok_or_else(|| format!("{name} wants a number"))?;
                options.numbers.insert(name, number);
            }
            "--transitions" => {
                let numbers = arguments.next().as_deref().and_then(parse_list);
                options.transitions = Some(numbers.ok_or("--transitions wants a list like 0-3,7")?);
            }
            "--mutant" => options.mutants.push(arguments.next().ok_or("--mutant wants a file")?.into()),
            "--story" | "--first" | "--no-shrink" => options.switches.push(name),
            _ => return Err(format!("unknown: {name}")),
        }
    }
    Ok(options)
}

fn mutants(patches: &[PathBuf]) -> ExitCode {
    let mut survived = 0;
    for patch in patches {
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match mutant::play(patch) {
            Ok(true) => println!("{name}: caught"),
            Ok(false) => {
                println!("{name}: NOT caught");
                survived += 1;
            }
            Err(error) => {
                println!("{name}: {error}");
                survived += 1;
            }
        }
    }
    match survived {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn one(seed: u64, options: &Options) -> ExitCode {
    let began = Instant::now();
    match world::run(seed, options.transitions.as_deref(), true) {
        Ok(counters) => {
            println!("{}{} ms\n1 passed, 0 failed", counters.table(), began.elapsed().as_millis());
            ExitCode::SUCCESS
        }
        Err(failed) => {
            if options.switches.iter().any(|switch| switch == "--story") {
                println!("{}", failed.story);
            }
            println!("{}\n0 passed, 1 failed", failed.why);
            ExitCode::FAILURE
        }
    }
}

fn many(options: &Options) -> ExitCode {
    let number = |name: &str, default| options.numbers.get(name).copied().unwrap_or(default);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let (from, seeds, jobs) = (number("--from", 0), number("--seeds", 1000), number("--jobs", cores).max(1));
    let first = options.switches.iter().any(|switch| switch == "--first");
    let (next, began) = (AtomicU64::new(from), Instant::now());
    let state = Mutex::new((Counters::default(), Vec::<Failed>::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds || first && !state.lock().expect("no thread panics").1.is_empty() {
                        return;
                    }
                    let outcome = world::run(seed, None, false);
                    let mut state = state.lock().expect("no thread panics");
                    match outcome {
                        Ok(counters) => state.0.add(&counters),
                        Err(failed) => state.1.push(failed),
                    }
                    let done = state.0.seeds + state.1.len() as u64;
                    if std::io::stderr().is_terminal() && done.is_multiple_of(50) {
                        eprint!(
                            "\r{done} of {seeds}, {} failed, {} s ",
                            state.1.len(),
                            began.elapsed().as_secs()
                        );
                    }
                }
            });
        }
    });
    let (counters, mut failures) = state.into_inner().expect("no thread panics");
    failures.sort_by_key(|failed| failed.seed);
    println!("{}{:>14.1}  seconds\n", counters.table(), began.elapsed().as_secs_f64());
    let (passed, failed) = (counters.seeds, failures.len());
    for (number, failed) in failures.into_iter().enumerate() {
        let why = failed.why.clone();
        println!("seed {}: {}", failed.seed, why.lines().next().unwrap_or_default());
        if number < SHRUNK && !options.switches.iter().any(|switch| switch == "--no-shrink") {
            let least = shrink(failed, RUNS);
            println!(
                "  {}\n  --seed {} --transitions {}",
                least.why,
                least.seed,
                list(&least.transitions)
            );
        }
    }
    let few = counters.too_few();
    for few in &few {
        println!("too few: {few}");
    }
    println!("{passed} passed, {failed} failed");
    match failed == 0 && few.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
