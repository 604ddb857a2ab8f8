//! `pillarbox alias`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use pillarbox_core::address::{Domain, Host, Mailbox};
use pillarbox_core::limits;

use super::account::{Change, json_text, register};
use super::check::print;
use super::{ConfigFile, Exit, Failure};
use crate::accounts::{Alias, AliasAddress, Register};
use crate::config::Config;

/// Add, remove and list addresses that lead to others
///
/// An alias leads to accounts, to other aliases, or to addresses elsewhere. `@example.org` gets what is nobody else's in a domain.
/// It makes no difference whether the server runs: a running one is told, and knows the change when the command ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pillarbox alias add team@example.org alice@example.org bob@example.org
  pillarbox alias add @example.org alice@example.org          what is nobody's is Alice's
  pillarbox alias add alice@example.org alice@example.org alice@elsewhere.test    a copy elsewhere
  pillarbox alias remove team@example.org bob@example.org     one target
  pillarbox alias remove team@example.org                     all of it
  pillarbox alias list --json

Exit codes: 0 done, 64 usage, 65 no such alias or not a good address, 69 the disk or the server fails, 78 configuration.")]
pub(super) struct AliasArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an alias, or add targets to one
    Add {
        #[command(flatten)]
        config: ConfigFile,
        /// The alias, in a domain of ours; `@example.org` for all that is nobody's
        address: String,
        /// Where it leads
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Remove an alias, or some of its targets
    Remove {
        #[command(flatten)]
        config: ConfigFile,
        /// The alias
        address: String,
        /// Only these targets
        targets: Vec<String>,
    },
    /// List all aliases
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// Print an array of objects
        #[arg(long)]
        json: bool,
    },
}

impl AliasArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Add {
                config,
                address,
                targets,
            } => change(&config, &address, &targets)?.perform(|_, register, alias| add(register, alias)),
            Action::Remove {
                config,
                address,
                targets,
            } => change(&config, &address, &targets)?.perform(|_, register, alias| remove(register, &alias)),
            Action::List { config, json } => {
                let aliases = register(&config)?.aliases;
                print(&if json { as_json(&aliases) } else { as_text(&aliases) })
            }
        }
    }
}

/// The addresses of a change, and the domains that are ours.
struct Named {
    alias: Alias,
    domains: Vec<Domain>,
}

fn change(file: &ConfigFile, address: &str, targets: &[String]) -> Result<Change<Named>, Failure> {
    Change::of(file, |config| {
        Ok(Named {
            alias: Alias {
                address: parse(config, address)?,
                targets: targets
                    .iter()
                    .map(|target| parse_target(target))
                    .collect::<Result<Vec<Mailbox>, String>>()?,
            },
            domains: config.domains.clone(),
        })
    })
}

fn parse(config: &Config, address: &str) -> Result<AliasAddress, String> {
    let shown = address.escape_debug();
    let alias = AliasAddress::parse(address).ok_or_else(|| format!("`{shown}` is neither an address nor @domain"))?;
    let ours = |domain: &Domain| config.domains.contains(domain) || *domain == config.hostname;
    match (&alias, alias.domain()) {
        (AliasAddress::Mailbox(mailbox), _) if mailbox.local.to_string().contains([' ', '"']) => {
            Err(format!("`{shown}`: an alias has no quotes and no spaces"))
        }
        (AliasAddress::CatchAll(domain), _) if !config.domains.contains(domain) => Err(foreign(domain)),
        (_, Some(domain)) if !ours(domain) => Err(foreign(domain)),
        (_, None) => Err("an alias has a domain, not an address in brackets".into()),
        (_, Some(_)) => Ok(alias),
    }
}

fn foreign(domain: &Domain) -> String {
    format!("{domain} is no domain of ours; add [[domain]] name = \"{domain}\"")
}

fn parse_target(target: &str) -> Result<Mailbox, String> {
    if target.starts_with('|') || target.starts_with('/') || target.starts_with(":include:") {
        return Err(format!(
            "`{}`: an alias leads to addresses, not to programs or files; give a program an LMTP listener and a [[route]]",
            target.escape_debug()
        ));
    }
    let mailbox = Mailbox::parse(target, true).map_err(|_| format!("`{}` is no address", target.escape_debug()))?;
    if mailbox.local.to_string().contains([' ', '"']) {
        return Err(format!("`{mailbox}`: a target has no quotes and no spaces"));
    }
    Ok(mailbox)
}

fn add(register: &mut Register, named: Named) -> Result<String, Failure> {
    let Named { alias, domains } = named;
    let bad = |text: String| Err(Failure::new(Exit::BadData, text));
    // A target in a domain of ours that leads nowhere would lose mail.
    for target in &alias.targets {
        let Host::Domain(domain) = &target.host else { continue };
        if domains.contains(domain) && !is_known(register, target) && !alias.address.is(&AliasAddress::Mailbox(target.clone()))
        {
            return bad(format!(
                "there is no account or alias {target}; `pillarbox account list` shows all accounts"
            ));
        }
    }
    let existing = register.aliases.iter().position(|known| known.address.is(&alias.address));
    let index = existing.unwrap_or_else(|| {
        let address = alias.address;
        register.aliases.push(Alias {
            address,
            targets: Vec::new(),
        });
        register.aliases.len() - 1
    });
    let known = &mut register.aliases[index];
    for target in alias.targets {
        if !known.targets.contains(&target) {
            known.targets.push(target);
        }
    }
    if known.targets.len() > limits::ALIAS_TARGETS {
        return bad(format!(
            "{} would lead to more than {} addresses; a list that long is a mailing list's",
            known.address,
            limits::ALIAS_TARGETS
        ));
    }
    Ok(String::new())
}

/// Whether an account or an alias has this address, with a subaddress or without.
fn is_known(register: &Register, target: &Mailbox) -> bool {
    let local = target.local.folded();
    let base = local.split_once(['+', '-']).map_or(local.as_str(), |(base, _)| base);
    let fits = |known: &Mailbox| known.host == target.host && (known.local.folded() == local || known.local.folded() == base);
    let of_alias = |alias: &Alias| match &alias.address {
        AliasAddress::Mailbox(mailbox) => fits(mailbox),
        AliasAddress::CatchAll(domain) => target.host == Host::Domain(domain.clone()),
    };
    let role = ["postmaster", "abuse"].contains(&local.as_str());
    role || register
        .accounts
        .iter()
        .any(|account| account.active && fits(&account.address))
        || register.aliases.iter().any(of_alias)
}

fn remove(register: &mut Register, named: &Named) -> Result<String, Failure> {
    let Alias { address, targets } = &named.alias;
    let missing = |text: String| Failure::new(Exit::BadData, text);
    let index = register.aliases.iter().position(|known| known.address.is(address));
    let index = index.ok_or_else(|| missing(format!("there is no alias {address}; `pillarbox alias list` shows all")))?;
    let known = &mut register.aliases[index];
    for target in targets {
        let at = known.targets.iter().position(|known| known == target);
        let at = at.ok_or_else(|| missing(format!("{address} does not lead to {target}")))?;
        known.targets.remove(at);
    }
    if targets.is_empty() || known.targets.is_empty() {
        register.aliases.remove(index);
    }
    Ok(String::new())
}

fn as_text(aliases: &[Alias]) -> String {
    let mut out = String::new();
    for alias in aliases {
        let targets: Vec<String> = alias.targets.iter().map(Mailbox::to_string).collect();
        let _ = writeln!(out, "{:<40} {}", alias.address.to_string(), targets.join(" "));
    }
    if aliases.is_empty() {
        out.push_str("no aliases; `pillarbox alias add ADDRESS TARGET...` makes one\n");
    }
    out
}

fn as_json(aliases: &[Alias]) -> String {
    let object = |alias: &Alias| {
        let targets: Vec<String> = alias.targets.iter().map(|target| json_text(&target.to_string())).collect();
        format!(
            "  {{\"address\": {}, \"targets\": [{}]}}",
            json_text(&alias.address.to_string()),
            targets.join(", ")
        )
    };
    let objects: Vec<String> = aliases.iter().map(object).collect();
    if objects.is_empty() {
        "[]\n".into()
    } else {
        format!("[\n{}\n]\n", objects.join(",\n"))
    }
}
