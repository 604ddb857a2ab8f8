//! The files with passwords: read once, and only when nobody else can read them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Exit, Failure};
use crate::config::{Config, Problem, Secrets, Severity};

/// All passwords that the configuration names files for, or what is wrong with them.
pub(super) fn read_all(config: &Config) -> Result<Secrets, Vec<Problem>> {
    let (mut secrets, mut problems) = (Secrets::default(), Vec::new());
    for (setting, path) in config.password_files() {
        match read(path) {
            Ok(text) => secrets.learn(path.to_path_buf(), &text),
            Err((what, hint)) => problems.push(Problem {
                severity: Severity::Error,
                setting: setting.into(),
                what,
                at: None,
                hint: hint.into(),
            }),
        }
    }
    if problems.is_empty() { Ok(secrets) } else { Err(problems) }
}

/// For `serve`, which tells one failure.
pub(super) fn of(config: &Config) -> Result<Secrets, Failure> {
    read_all(config).map_err(|problems| {
        let told: Vec<String> = problems
            .iter()
            .map(|problem| format!("{}: {}; {}", problem.setting, problem.what, problem.hint))
            .collect();
        Failure::new(Exit::Configuration, told.join("\n"))
    })
}

fn read(path: &Path) -> Result<String, (String, &'static str)> {
    let path = &placed(path);
    let failed = |error| {
        (
            format!("{}: {error}", path.display()),
            "name the file that holds the password",
        )
    };
    // The file that is looked at is the one that is read.
    let mut file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & 0o007 != 0 {
        let what = format!("{} can be read by everybody", path.display());
        return Err((what, "chmod o= the file: it holds a password"));
    }
    let mut text = String::new();
    std::io::Read::read_to_string(&mut file, &mut text).map_err(failed)?;
    if text.lines().next().unwrap_or_default().is_empty() {
        let what = format!("{}: its first line is empty", path.display());
        return Err((what, "write the password into its first line"));
    }
    Ok(text)
}

/// The file itself; where there is none, the credential of that name that systemd passes on (LoadCredential=).
fn placed(path: &Path) -> PathBuf {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
        .and_then(|folder| Some(PathBuf::from(folder).join(path.file_name()?)))
        .filter(|credential| !path.exists() && credential.exists());
    credential.unwrap_or_else(|| path.to_path_buf())
}
