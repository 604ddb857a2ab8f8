//! Finds the configuration file and reads it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ConfigFile, Exit, Failure};
use crate::config::{self, Config, Read};

/// Where the file is looked for.
const PLACES: [&str; 2] = ["pillarbox.toml", "/etc/pillarbox/pillarbox.toml"];

/// A file that was read.
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) read: Read,
}

impl Loaded {
    /// All problems, for people.
    pub(super) fn problems(&self) -> String {
        config::render(&self.path.display().to_string(), &self.text, &self.read.problems)
    }

    /// The configuration, or all that is wrong with it.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        self.read
            .config
            .clone()
            .ok_or_else(|| Failure::new(Exit::Configuration, self.problems()))
    }
}

/// Reads the file that is meant.
pub(super) fn load(which: &ConfigFile) -> Result<Loaded, Failure> {
    match &which.file {
        Some(path) => read(path),
        None => match PLACES.iter().map(Path::new).find(|path| path.exists()) {
            Some(path) => read(path),
            None => Err(Failure::new(
                Exit::Configuration,
                format!(
                    "no configuration: neither {} nor {} exists\n\
                     write one with `pillarbox check --example > pillarbox.toml`, or try `pillarbox demo`",
                    PLACES[0], PLACES[1]
                ),
            )),
        },
    }
}

pub(super) fn read(path: &Path) -> Result<Loaded, Failure> {
    let text =
        fs::read_to_string(path).map_err(|error| Failure::new(Exit::Configuration, format!("{}: {error}", path.display())))?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    let folder = folder.canonicalize().unwrap_or(folder);
    let read = config::read(&text, &folder);
    Ok(Loaded {
        path: path.to_path_buf(),
        text,
        read,
    })
}
