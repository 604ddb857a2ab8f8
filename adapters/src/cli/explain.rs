//! `pillarbox explain`.

use std::fmt::Write as _;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use pillarbox_core::address::{ForwardPath, ReversePath};
use pillarbox_core::limits;
use pillarbox_core::message::header::HeaderEnd;
use pillarbox_core::policy::access::Login;

use super::account::{environment, json_text, register};
use super::check::print;
use super::load::load;
use super::{ConfigFile, Exit, Failure};
use crate::accounts::{Names, Table};
use crate::env::Env;
use crate::explain::{Case, Step, explain};
use crate::resolver::Resolver;

/// Show what would become of a message, and why
///
/// A dry run with the code that decides live: who takes the mail, whether the sender may send it, which servers it goes to. Each step
/// comes with the facts that it looked at and its reasons, by RFC section or setting. DNS is asked, no mail is sent and nothing is
/// changed; it makes no difference whether the server runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pillarbox explain --from alice@example.org --to bob@elsewhere.test         Alice has logged in
  pillarbox explain --from bob@elsewhere.test --to alice@example.org         another server comes to port 25
  pillarbox explain --from alice@example.org --to bob@elsewhere.test --ip 192.0.2.7    somebody who says to be Alice
  pillarbox explain --from alice@example.org --to bob@elsewhere.test --message letter.eml --json

Not judged yet: SPF, DKIM, DMARC, junk. So --ip and --helo change nothing but whether the client has logged in.

Exit codes: 0 explained (whatever the verdict), 64 usage, 65 not an address or no such login, 69 the disk fails, 78 configuration.")]
pub(super) struct ExplainArguments {
    #[command(flatten)]
    config: ConfigFile,
    /// The sender: an address, or `<>`
    #[arg(long, value_name = "ADDRESS")]
    from: String,
    /// The recipient
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// The address that the client comes from: a stranger on port 25
    #[arg(long, value_name = "IP", conflicts_with = "login")]
    ip: Option<IpAddr>,
    /// The name that the client gives itself
    #[arg(long, value_name = "NAME")]
    helo: Option<String>,
    /// Who has logged in [default: the account that is the sender, unless --ip is given]
    #[arg(long, value_name = "ADDRESS")]
    login: Option<String>,
    /// The message, whose author fields are looked at; `-` for standard input
    #[arg(long, value_name = "FILE")]
    message: Option<PathBuf>,
    /// Print an array of objects
    #[arg(long)]
    json: bool,
}

impl ExplainArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        let config = load(&self.config)?.config()?;
        let names = Names::of(&config);
        let table = Table::new(register(&self.config)?);
        let from = reverse_path(&self.from)?;
        let to = forward_path(&self.to)?;
        let login = match (&self.login, &self.ip) {
            (Some(login), _) => Some(find(&table, &names, login).ok_or_else(|| {
                Failure::new(
                    Exit::BadData,
                    format!("`{}` is no login here (pillarbox account list)", login.escape_debug()),
                )
            })?),
            (None, Some(_)) => None,
            (None, None) => find(&table, &names, &self.from),
        };
        let header = self.message.as_deref().map(read_header).transpose()?;
        let case = Case { from, to, login, header };
        let env = environment(&config)?;
        let resolver = Resolver::new(env.clone(), &config.dns);
        let mut seed = [0; 8];
        env.entropy(&mut seed);
        let work = explain(&env, &config, &table, &resolver, &case, u64::from_le_bytes(seed));
        let steps = env.run(work);
        print(&if self.json { as_json(&steps) } else { as_text(&steps) })
    }
}

fn find(table: &Table, names: &Names, login: &str) -> Option<Login> {
    table.login(names, login).map(|account| Login {
        account: account.id,
        name: account.address.to_string(),
    })
}

fn bracketed(text: &str) -> String {
    if text.starts_with('<') {
        text.to_string()
    } else {
        format!("<{text}>")
    }
}

fn no_address(text: &str) -> Failure {
    Failure::new(Exit::BadData, format!("`{}` is no address", text.escape_debug()))
}

fn reverse_path(text: &str) -> Result<ReversePath, Failure> {
    match ReversePath::parse_prefix(bracketed(text).as_bytes(), true) {
        Ok((path, [])) => Ok(path),
        Ok(_) | Err(_) => Err(no_address(text)),
    }
}

fn forward_path(text: &str) -> Result<ForwardPath, Failure> {
    match ForwardPath::parse_prefix(bracketed(text).as_bytes(), true) {
        Ok((path, [])) => Ok(path),
        Ok(_) | Err(_) => Err(no_address(text)),
    }
}

/// A message's header, to its empty line; lines may end as they do in files.
fn read_header(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::BadData, format!("{}: {error}", path.display()));
    let bound = limits::SUBMISSION_HEADER as u64;
    let mut text = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(bound).read_to_end(&mut text).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(bound).read_to_end(&mut text).map_err(failed)?;
    }
    let mut header = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        header.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        header.extend_from_slice(b"\r\n");
    }
    let mut end = HeaderEnd::default();
    let length = end.update(&header);
    header.truncate(length);
    Ok(header)
}

fn as_text(steps: &[Step]) -> String {
    let mut out = String::new();
    for (index, step) in steps.iter().enumerate() {
        let _ = writeln!(out, "{}{}", if index == 0 { "" } else { "\n" }, step.matter);
        for (question, fact) in &step.facts {
            let _ = writeln!(out, "  fact     {question} {fact}");
        }
        for because in &step.because {
            let _ = writeln!(out, "  because  {} [{}]", because.saw, because.rule);
        }
        for line in &step.verdict {
            let _ = writeln!(out, "  verdict  {line}");
        }
    }
    out
}

fn as_json(steps: &[Step]) -> String {
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let object = |step: &Step| {
        let facts = step.facts.iter().map(|(question, fact)| {
            let (question, answer) = (json_text(&question.to_string()), json_text(&fact.answer.to_string()));
            format!(
                "{{\"question\": {question}, \"answer\": {answer}, \"ttl\": {}, \"secure\": {}}}",
                fact.ttl_s, fact.secure
            )
        });
        let because = step.because.iter().map(|because| {
            format!(
                "{{\"saw\": {}, \"rule\": {}}}",
                json_text(&because.saw),
                json_text(&because.rule)
            )
        });
        let verdict = step.verdict.iter().map(|line| json_text(line));
        let code = step
            .refused
            .as_ref()
            .map_or("null".to_string(), |refused| refused.code.to_string());
        format!(
            "  {{\"matter\": {},\n   \"facts\": {},\n   \"because\": {},\n   \"verdict\": {},\n   \"code\": {code}}}",
            json_text(&step.matter),
            list(facts.collect()),
            list(because.collect()),
            list(verdict.collect()),
        )
    };
    let objects: Vec<String> = steps.iter().map(object).collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}
