//! `pillarbox capsule`: a recording without names and texts, to be given away.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use pillarbox_core::trace::capsule::capsule_any;

use super::check::print;
use super::replay::{read, recordings};
use super::{Exit, Failure};
use crate::trace::SUFFIX;

/// Make copies of recordings without names and texts, to attach to a bug report
///
/// Local parts, domains, names of mailboxes, and every word and number of messages are replaced by others of the same length, the
/// same one always by the same other. The copy is replayed before it is written: it takes the same path through the server as
/// the recording, or it is not made. Addresses of networks (IP), times, sizes and random ids stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pillarbox capsule records/1764003312123-000042-smtp.trace           makes ….capsule.trace beside it
  pillarbox capsule records -o ./capsules                             all of a folder

Exit codes: 0 done, 65 one cannot be made: it takes another path without its texts, or does not replay.")]
pub(super) struct Capsule {
    /// Recordings, or folders of them
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A file for one recording, a folder for several [default: beside the recording]
    #[arg(short, long, value_name = "OUT")]
    out: Option<PathBuf>,
}

impl Capsule {
    pub(super) fn run(self) -> Result<(), Failure> {
        let files = recordings(&self.files)?;
        let into_folder = files.len() > 1 || self.files.iter().any(|path| path.is_dir());
        if let Some(folder) = self.out.as_ref().filter(|_| into_folder) {
            std::fs::create_dir_all(folder).map_err(|error| unavailable(folder, &error))?;
        }
        // One for all, so that the same names are the same in all of them; nobody keeps it.
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
        let mut failed = 0;
        for path in &files {
            let bytes = read(path)?;
            let made = catch_unwind(AssertUnwindSafe(|| capsule_any(&bytes, key)));
            let made = made.unwrap_or(Err(pillarbox_core::trace::capsule::NoCapsule::Unsound("the machine panics")));
            match made {
                Ok(capsule) => {
                    let out = match &self.out {
                        Some(folder) if into_folder => folder.join(path.file_name().unwrap_or_default()),
                        Some(file) => file.clone(),
                        None => beside(path),
                    };
                    write(&out, &capsule)?;
                    print(&format!("{}\n", out.display()))?;
                }
                Err(error) => {
                    failed += 1;
                    print(&format!("{}: no capsule: {error}\n", path.display()))?;
                }
            }
        }
        print(&format!("{} capsules, {failed} not made\n", files.len() - failed))?;
        match failed {
            0 => Ok(()),
            _ => Err(Failure::new(Exit::BadData, "")),
        }
    }
}

fn unavailable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("{}: {error}", path.display()))
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(SUFFIX).unwrap_or(&name);
    path.with_file_name(format!("{name}.capsule{SUFFIX}"))
}

/// Whoever makes it may look at it first.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| unavailable(path, &error))
}
