//! `pillarbox check`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;

use super::load::{Loaded, load};
use super::{ConfigFile, Exit, Failure, secret};
use crate::config::{Config, Dns, Problem, Severity, not_listening, settings};
use crate::resolver::resolv_conf;

/// Show what is wrong with a configuration, or what is in force
///
/// Every error is shown at once, with its line and what to do. Nothing is started or changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  pillarbox check                                   is pillarbox.toml in order?
  pillarbox check -c /etc/pillarbox/pillarbox.toml --effective
  pillarbox check --example > pillarbox.toml        every setting, with its default

Exit codes: 0 in order (warnings may be shown), 78 not in order.")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// Print every setting in force and where it comes from
    #[arg(long)]
    effective: bool,
    /// Print an example configuration with every setting
    #[arg(long, conflicts_with_all = ["effective", "file"])]
    example: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.example {
            return print(&settings::example());
        }
        let mut loaded = load(&self.config)?;
        let mut problems = std::mem::take(&mut loaded.read.problems);
        if let Some(config) = &loaded.read.config {
            problems.extend(beyond_the_file(config));
        }
        loaded.read.problems = problems;
        let wrong = loaded.read.problems.iter().any(|problem| problem.severity == Severity::Error);
        if wrong {
            return Err(Failure::new(Exit::Configuration, loaded.problems()));
        }
        let mut out = String::new();
        if !loaded.read.problems.is_empty() {
            out.push_str(&loaded.problems());
        }
        if self.effective {
            out.push_str(&effective(&loaded));
        } else {
            let _ = writeln!(out, "{}: in order", loaded.path.display());
        }
        if let Some(line) = loaded
            .read
            .config
            .as_ref()
            .and_then(|config| not_listening(&config.listeners))
        {
            let _ = writeln!(out, "{line}");
        }
        if let Some(config) = &loaded.read.config {
            let _ = writeln!(out, "{}", dns_servers(&config.dns));
        }
        print(&out)
    }
}

/// Which DNS servers would be asked.
fn dns_servers(dns: &Dns) -> String {
    let (servers, from) = match dns.servers.is_empty() {
        false => (dns.servers.clone(), "dns.servers".to_string()),
        true => match crate::os::resolv_conf() {
            Ok(text) => (resolv_conf::servers(&text), "/etc/resolv.conf".into()),
            Err(error) => (resolv_conf::servers(""), format!("/etc/resolv.conf cannot be read: {error}")),
        },
    };
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    format!("DNS is asked at {} ({from})", servers.join(", "))
}

/// Each setting with its value and origin.
fn effective(loaded: &Loaded) -> String {
    let mut out = String::new();
    for origin in &loaded.read.origins {
        let from = match origin.line {
            Some(line) => format!("{}:{line}", loaded.path.display()),
            None => "default".into(),
        };
        let _ = writeln!(out, "{} = {}  # {from}", origin.setting, origin.value);
    }
    out
}

/// What only the machine can tell: files, and what a mail host must have.
fn beyond_the_file(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut error = |setting: &str, what: String, hint: &str| {
        let (severity, setting, hint) = (Severity::Error, setting.into(), hint.into());
        problems.push(Problem {
            severity,
            setting,
            what,
            at: None,
            hint,
        });
    };
    if config.postmaster.is_none() {
        let hint = "add postmaster = \"you@…\", an account of yours: every mail host has one (RFC 5321 §4.5.1)";
        error("postmaster", "missing".into(), hint);
    }
    if let Some(Err(failed)) = config.tls_roots.as_deref().map(crate::os::check_roots) {
        error(
            "tls.roots",
            failed.to_string(),
            "name a PEM file with the certificates that are trusted",
        );
    }
    if let Some(files) = &config.tls {
        if let Err(failed) = std::fs::read(&files.certificate) {
            let what = format!("{}: {failed}", files.certificate.display());
            error("tls.certificate", what, "name the PEM file of the certificate chain");
        }
        match std::fs::metadata(&files.key) {
            Err(failed) => error(
                "tls.key",
                format!("{}: {failed}", files.key.display()),
                "name the PEM file of the private key",
            ),
            Ok(key) if key.mode() & 0o007 != 0 => {
                let what = format!("{} can be read by everybody", files.key.display());
                error(
                    "tls.key",
                    what,
                    "chmod o= the file: whoever has the key can pose as this server",
                );
            }
            Ok(_) => {}
        }
    }
    problems.extend(secret::read_all(config).err().unwrap_or_default());
    problems
}

/// Prints; a closed pipe is nobody's error.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Unavailable, format!("cannot print: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
