//! `pillarbox dns`: the records that a domain publishes.

use std::fmt::Write as _;
use std::net::IpAddr;

use clap::Subcommand;
use pillarbox_core::address::Domain;
use pillarbox_core::setup::dns_records::{self, DnsRecord, Publisher, STEPS};

use super::account::json_text;
use super::check::print;
use super::load::load;
use super::{ConfigFile, Exit, Failure};
use crate::config::{Config, Protocol, RelayHost};
use crate::setup;

/// Print the DNS records that a domain of ours publishes
#[derive(Debug, clap::Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  pillarbox dns records example.org                 text for a zone file, with the reasons
  pillarbox dns records example.org --json

Exit codes: 0 done, 65 the domain is not in the configuration, 69 not in this version, 78 configuration."
)]
pub(super) struct DnsArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the records to publish, in the order of the steps to take
    ///
    /// Made from the configuration alone: nothing is looked up. What only you know (public addresses) is left for you to fill in.
    Records {
        /// A domain of the configuration
        domain: String,
        #[command(flatten)]
        config: ConfigFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Compare them with what DNS says (not in this version)
    Check {
        /// A domain of the configuration
        domain: String,
        #[command(flatten)]
        config: ConfigFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl DnsArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Records { domain, config, json } => {
                let (config, domain) = ours(&config, &domain)?;
                let records = dns_records::records(&publisher(&config), &domain);
                print(&match json {
                    true => as_json(&records),
                    false => dns_records::zone_text(&records) + &to_forward(&config, &domain),
                })
            }
            Action::Check { .. } => Err(Failure::new(
                Exit::Unavailable,
                "dns check is not in this version: compare what `pillarbox dns records` prints with what `dig` says",
            )),
        }
    }
}

/// The configuration, and a domain of it.
fn ours(config: &ConfigFile, domain: &str) -> Result<(Config, Domain), Failure> {
    let config = load(config)?.config()?;
    let ours = Domain::parse(domain.strip_suffix('.').unwrap_or(domain), true).ok();
    let ours = ours.filter(|domain| config.domains.contains(domain)).ok_or_else(|| {
        let names: Vec<&str> = config.domains.iter().map(Domain::as_str).collect();
        let text = format!("{domain:?} is not in the configuration, which has {}", names.join(", "));
        Failure::new(Exit::BadData, text)
    })?;
    Ok((config, ours))
}

/// What another web server of this machine is to forward to us: it has the ports, our listeners are on loopback.
fn to_forward(config: &Config, domain: &Domain) -> String {
    let planned = setup::planned(config);
    let mut behind = planned
        .iter()
        .filter(|bound| bound.protocol.is_web() && bound.address.ip().is_loopback());
    let Some(bound) = behind.next().filter(|_| setup::services(config, &planned).web().is_some()) else {
        return String::new();
    };
    format!(
        "\n; The web server of this machine forwards to {} ({}), with the Host field as it came:\n\
         ;   all of autoconfig.{domain} and autodiscover.{domain}\n\
         ;   /.well-known/autoconfig/ and /autodiscover/ of {domain} and {}\n",
        bound.address,
        bound.protocol.name(),
        config.hostname
    )
}

fn publisher(config: &Config) -> Publisher {
    let planned = setup::planned(config);
    let smtp = planned.iter().filter(|bound| bound.protocol == Protocol::Smtp);
    let mut addresses: Vec<IpAddr> = Vec::new();
    for ip in smtp
        .clone()
        .map(|bound| bound.address.ip())
        .chain(config.delivery.source.iter().copied())
    {
        if !addresses.contains(&ip) && is_public(ip) {
            addresses.push(ip);
        }
    }
    let smarthost = match config.delivery.smarthost.as_ref().map(|relay| &relay.host) {
        Some(RelayHost::Name(name)) => Some(name.clone()),
        Some(RelayHost::Address(_)) | None => None,
    };
    let mut smtp = smtp;
    Publisher {
        services: setup::services(config, &planned),
        addresses,
        sources: config.delivery.source.iter().copied().filter(|ip| is_public(*ip)).collect(),
        smarthost,
        smtp: smtp.any(|bound| bound.behind_proxy || !bound.address.ip().is_loopback()),
    }
}

/// Whether others can reach it, as far as its number tells: not "any", this machine, or a private network.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_unspecified() || ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    }
}

fn as_json(records: &[DnsRecord]) -> String {
    let mut out = String::from("[");
    for (index, record) in records.iter().enumerate() {
        let title = STEPS.get(usize::from(record.step).wrapping_sub(1)).unwrap_or(&"");
        let data = record.data.as_ref().map_or("null".to_string(), |data| json_text(data));
        let _ = write!(
            out,
            "{}\n  {{\"step\": {}, \"title\": {}, \"name\": {}, \"type\": {}, \"data\": {data}, \"why\": {}}}",
            if index == 0 { "" } else { "," },
            record.step,
            json_text(title),
            json_text(&record.name),
            json_text(record.kind),
            json_text(&record.why)
        );
    }
    out.push_str("\n]\n");
    out
}
