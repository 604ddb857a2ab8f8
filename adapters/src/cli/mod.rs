//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod account;
mod alias;
mod capsule;
mod certificate;
mod check;
mod demo;
mod dns;
mod explain;
mod load;
mod log;
mod owner;
mod queue;
mod replay;
mod secret;
mod serve;
mod systemd;

/// A complete mail server in one program: takes mail by SMTP, keeps it, serves it by IMAP.
#[derive(Debug, Parser)]
#[command(name = "pillarbox", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Begin here:
  pillarbox demo                                    a whole server on this machine, to try
  pillarbox check --example > pillarbox.toml        a configuration to edit
  pillarbox check                                   what is wrong with it
  pillarbox account add alice@example.org           an account
  pillarbox alias add team@example.org alice@example.org bob@example.org
  pillarbox dns records example.org                 what to publish in DNS
  pillarbox explain --from alice@example.org --to bob@elsewhere.test    what would become of a message, and why
  pillarbox serve                                   the server

The configuration is pillarbox.toml in the working directory, else /etc/pillarbox/pillarbox.toml, or what -c names.
Exit codes: 0 done, 64 usage, 65 bad data, 69 unavailable, 70 internal, 75 try again, 78 configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole server on this machine, with two accounts, to try it
    Demo(demo::Demo),
    /// Run the server
    Serve(serve::Serve),
    /// Show what is wrong with a configuration, or what is in force
    Check(check::Check),
    /// Add, remove and list accounts, and set passwords
    Account(account::AccountArguments),
    /// Add, remove and list addresses that lead to others
    Alias(alias::AliasArguments),
    /// Show what waits for other servers, and what is to be done with it
    Queue(queue::QueueArguments),
    /// Print the DNS records that a domain publishes
    Dns(dns::DnsArguments),
    /// Replay recorded sessions and say whether every byte is the same
    Replay(replay::Replay),
    /// Make copies of recordings without names and texts, to attach to a bug report
    Capsule(capsule::Capsule),
    /// Show what would become of a message, and why
    Explain(explain::ExplainArguments),
}

/// Which configuration file.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    file: Option<PathBuf>,
}

/// How a command ended: the exit codes of `sysexits.h` that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done = 0,
    Usage = 64,
    BadData = 65,
    Unavailable = 69,
    Internal = 70,
    TryAgain = 75,
    Configuration = 78,
}

/// A command's failure, told on standard error.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    fn new(exit: Exit, text: impl Into<String>) -> Failure {
        Failure { exit, text: text.into() }
    }
}

/// Runs a command line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            // Standard output may be closed; then nobody reads the help.
            let _ = error.print();
            return exit.into();
        }
    };
    let outcome = match arguments.command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Check(check) => check.run(),
        Command::Account(account) => account.run(),
        Command::Alias(alias) => alias.run(),
        Command::Queue(queue) => queue.run(),
        Command::Dns(dns) => dns.run(),
        Command::Replay(replay) => replay.run(),
        Command::Capsule(capsule) => capsule.run(),
        Command::Explain(explain) => explain.run(),
    };
    match outcome {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            if !failure.text.is_empty() {
                // Standard error may be closed; the exit code still tells.
                let _ = writeln!(std::io::stderr(), "{}", failure.text.trim_end());
            }
            failure.exit.into()
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
