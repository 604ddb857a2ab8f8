//! Where a message for a recipient goes next (RFC 5321 §5, RFC 7505).
//!
//! ```text
//! rule of the settings? -> its server        address literal -> that address
//! smarthost?            -> the smarthost     domain -> its MX in order, or itself when it has none
//! ```

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::{Destination, Hop, Plan};
use crate::address::{Domain, Host, Mailbox};
use crate::decision::{Because, Decision, FactAnswer, Facts, Known, MxHost, Question};
use crate::limits;
use crate::smtp::client::ask::TlsUse;
use crate::store::queue::Said;

/// What a route is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteMatter {
    /// Who is to get it.
    pub recipient: Mailbox,
    /// A snapshot of the settings.
    pub settings: Arc<RouteSettings>,
    /// Makes the order among equals (RFC 5321 §5.1: it MUST be random).
    pub seed: u64,
}

/// The settings that routes depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// `[[route]]`: the first that fits wins.
    pub rules: Vec<Rule>,
    /// `delivery.smarthost`: everything that no rule takes goes there.
    pub smarthost: Option<NextHop>,
    /// `delivery.port`: where mail exchangers listen.
    pub port: u16,
    /// `delivery.allow_loopback_targets`.
    pub allow_loopback_targets: bool,
    /// The address families we have a source for.
    pub families: Families,
}

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// For mail to these domains.
    pub recipient_domains: Vec<Domain>,
    /// Where to.
    pub next: NextHop,
}

/// A server that the settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// Its name or address; its MX is not asked for.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// Whether and how TLS is used.
    pub tls: TlsUse,
    /// Whether its certificate must be valid for its name.
    pub verified: bool,
    /// Whether to log in.
    pub login: bool,
}

/// Which families are used, and which of them first (`delivery.source`; `rules.md`, "Outbound addresses").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// Both; the settings name no source for IPv6.
    Ipv4First,
    /// Both; the settings name a source for IPv6.
    Ipv6First,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteVerdict {
    /// Where it goes, if anywhere.
    pub outcome: Route,
    /// Why.
    pub because: Vec<Because>,
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the first of these servers that takes it.
    Plan(Arc<Plan>),
    /// Nowhere, ever: 5yz.
    Failed(Arc<Said>),
    /// It cannot be found out now: 4yz.
    Deferred(Arc<Said>),
}

crate::record_struct!(RouteMatter {
    recipient,
    settings,
    seed
});
crate::record_struct!(RouteSettings {
    rules,
    smarthost,
    port,
    allow_loopback_targets,
    families
});
crate::record_struct!(Rule { recipient_domains, next });
crate::record_struct!(NextHop {
    host,
    port,
    tls,
    verified,
    login
});
crate::record_enum!(Families { 0 => Ipv4, 1 => Ipv6, 2 => Ipv4First, 3 => Ipv6First });
crate::record_struct!(RouteVerdict { outcome, because });
crate::record_enum!(Route { 0 => Plan(plan), 1 => Failed(said), 2 => Deferred(said) });

impl Default for RouteSettings {
    fn default() -> Self {
        RouteSettings {
            rules: Vec::new(),
            smarthost: None,
            port: 25,
            allow_loopback_targets: false,
            families: Families::Ipv4First,
        }
    }
}

impl core::fmt::Display for NextHop {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.host {
            Host::Domain(domain) => write!(f, "{domain}:{}", self.port),
            Host::Literal(IpAddr::V4(ip)) => write!(f, "{ip}:{}", self.port),
            Host::Literal(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

impl Families {
    /// Whether a family is used.
    fn has(self, ipv6: bool) -> bool {
        match self {
            Families::Ipv4 => !ipv6,
            Families::Ipv6 => ipv6,
            Families::Ipv4First | Families::Ipv6First => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Families::Ipv4 => "IPv4",
            Families::Ipv6 => "IPv6",
            Families::Ipv4First | Families::Ipv6First => "IP",
        }
    }
}

/// The destination that a recipient's messages share, as far as the settings alone tell; the same that [`route`] puts in its plan.
pub fn destination(recipient: &Mailbox, settings: &RouteSettings) -> Destination {
    match (named(recipient, settings), &recipient.host) {
        (Some((next, _)), _) => Destination::Relay(next.to_string().into()),
        (None, Host::Domain(domain)) => Destination::Domain(domain.clone()),
        (None, Host::Literal(ip)) => Destination::Literal(*ip),
    }
}

/// The server that the settings name for a recipient, and by which setting.
fn named<'a>(recipient: &Mailbox, settings: &'a RouteSettings) -> Option<(&'a NextHop, &'static str)> {
    let mut rules = settings.rules.iter();
    let rule = match &recipient.host {
        Host::Domain(domain) => rules.find(|rule| rule.recipient_domains.contains(domain)),
        Host::Literal(_) => None,
    };
    let rule = rule.map(|rule| (&rule.next, "route"));
    rule.or(settings.smarthost.as_ref().map(|next| (next, "delivery.smarthost")))
}

/// Decides where a recipient's message goes.
pub fn route(matter: &RouteMatter, facts: &Facts) -> Decision<RouteVerdict> {
    let mut search = Search {
        facts,
        settings: &matter.settings,
        missing: BTreeSet::new(),
        because: Vec::new(),
    };
    match search.route(matter) {
        Some(outcome) => Decision::Known(RouteVerdict {
            outcome,
            because: search.because,
        }),
        None => Decision::Needs(search.missing.into_iter().collect()),
    }
}

/// One run of the decision. `None` anywhere: a fact is missing, and noted.
struct Search<'a> {
    facts: &'a Facts,
    settings: &'a RouteSettings,
    missing: BTreeSet<Question>,
    because: Vec<Because>,
}

/// What a server's name leads to.
enum Found {
    /// These addresses, at least one.
    At(Vec<IpAddr>),
    /// To ourselves.
    Ours,
    /// Nowhere.
    Nothing(String),
    /// It could not be found out.
    Unknown(String),
}

fn said(code: u16, status: [u16; 3], text: String) -> Arc<Said> {
    Arc::new(Said {
        code,
        status,
        text: text.into(),
        by: None,
    })
}

/// RFC 3463 §3.5, X.4.3: directory server failure.
fn deferred(text: String) -> Route {
    Route::Deferred(said(451, [4, 4, 3], text))
}

fn failed(code: u16, status: [u16; 3], text: String) -> Route {
    Route::Failed(said(code, status, text))
}

impl<'a> Search<'a> {
    fn ask(&mut self, question: Question) -> Option<&'a FactAnswer> {
        let known = self.facts.look_up(&question);
        if known.is_none() {
            self.missing.insert(question);
        }
        known
    }

    fn saw(&mut self, saw: String, rule: &'static str) {
        self.because.push(Because { saw, rule: rule.into() });
    }

    fn route(&mut self, matter: &RouteMatter) -> Option<Route> {
        let settings = self.settings;
        if let Some((next, setting)) = named(&matter.recipient, settings) {
            self.saw(format!("{} goes to {next}", matter.recipient), setting);
            return self.relay(next);
        }
        match &matter.recipient.host {
            Host::Literal(ip) => self.literal(*ip),
            Host::Domain(domain) => self.domain(domain, matter.seed),
        }
    }

    /// A server that the settings name. Whoever wrote them may name this machine: another server may listen there.
    fn relay(&mut self, next: &NextHop) -> Option<Route> {
        let (name, addresses) = match &next.host {
            Host::Literal(ip) => (bracketed(*ip), Vec::from([*ip])),
            Host::Domain(domain) => match self.addresses(domain)? {
                Ok(addresses) if !addresses.is_empty() => (domain.as_str().into(), addresses),
                // A name of the settings that leads nowhere is repaired by the operator: the mail waits.
                Ok(_) => {
                    let text = format!("the next hop {next} has no {} address", self.settings.families.name());
                    return Some(Route::Deferred(said(451, [4, 4, 4], text)));
                }
                Err(text) => return Some(deferred(text)),
            },
        };
        let hop = Hop {
            name,
            addresses,
            port: next.port,
            tls: next.tls,
            verified: next.verified,
            login: next.login,
        };
        let destination = Destination::Relay(next.to_string().into());
        Some(plan(destination, Vec::from([hop])))
    }

    /// `user@[192.0.2.1]` (RFC 5321 §4.1.3): that host, whatever the DNS says.
    fn literal(&mut self, ip: IpAddr) -> Option<Route> {
        let rule = "RFC 5321 §4.1.3";
        let name = bracketed(ip);
        if let Some(why) = self.no_target(ip) {
            self.saw(format!("{name} is {why}"), "delivery.allow_loopback_targets");
            return Some(failed(550, [5, 4, 4], format!("{name} is {why}: mail is not sent there")));
        }
        if !self.settings.families.has(ip.is_ipv6()) {
            self.saw(
                format!("{name} is of a family that this server has no source for"),
                "delivery.source",
            );
            let families = self.settings.families.name();
            let text = format!("{name} cannot be reached: this server sends by {families} only");
            return Some(failed(550, [5, 4, 4], text));
        }
        match self.ask(Question::OurAddress(ip))? {
            FactAnswer::Known(_) => {
                self.saw(format!("{name} is an address of ours"), "RFC 5321 §5.1");
                let text = format!("{name} is this server, but it takes no mail for addresses at {name}");
                Some(failed(554, [5, 4, 6], text))
            }
            FactAnswer::Failed(_) => Some(deferred(format!("it cannot be found out whether {name} is this server"))),
            FactAnswer::Absent => {
                self.saw(format!("{name} names its host itself"), rule);
                let hop = self.exchanger(name, Vec::from([ip]));
                Some(plan(Destination::Literal(ip), Vec::from([hop])))
            }
        }
    }

    /// The servers of a domain.
    fn domain(&mut self, domain: &Domain, seed: u64) -> Option<Route> {
        let (exchangers, implicit) = match self.ask(Question::Mx(domain.clone()))? {
            FactAnswer::Known(Known::Mx(records)) if !records.is_empty() => (records.clone(), false),
            FactAnswer::Absent | FactAnswer::Known(Known::Mx(_)) => {
                self.saw(format!("{domain} has no MX: it is its own exchanger"), "RFC 5321 §5.1");
                let itself = MxHost {
                    preference: 0,
                    host: Some(domain.clone()),
                };
                (Vec::from([itself]), true)
            }
            FactAnswer::Failed(_) | FactAnswer::Known(Known::Yes | Known::Targets(_) | Known::Addresses(_)) => {
                self.saw(format!("the MX of {domain} could not be looked up"), "RFC 5321 §5.1");
                return Some(deferred(format!("the mail servers of {domain} cannot be looked up now")));
            }
        };
        if exchangers.iter().all(|exchanger| exchanger.host.is_none()) {
            self.saw(format!("{domain} has a null MX: it takes no mail"), "RFC 7505 §3");
            return Some(failed(556, [5, 1, 10], format!("{domain} takes no mail (null MX)")));
        }
        let ordered = in_order(exchangers, seed);
        let found = self.look_up_all(&ordered)?;
        Some(self.choose(domain, implicit, ordered, found))
    }

    /// What each exchanger's name leads to; all look-ups side by side.
    fn look_up_all(&mut self, ordered: &[(u16, Domain)]) -> Option<Vec<Found>> {
        let found: Vec<_> = ordered.iter().map(|(_, host)| self.look_up(host)).collect();
        found.into_iter().collect()
    }

    fn look_up(&mut self, host: &Domain) -> Option<Found> {
        let ours = self.ask(Question::OurDomain(host.clone()));
        let addresses = self.addresses(host);
        match ours? {
            FactAnswer::Known(_) => return Some(Found::Ours),
            FactAnswer::Failed(_) => {
                return Some(Found::Unknown(format!(
                    "it cannot be found out whether {host} is this server"
                )));
            }
            FactAnswer::Absent => {}
        }
        let addresses = match addresses? {
            Ok(addresses) => addresses,
            Err(text) => return Some(Found::Unknown(text)),
        };
        if addresses.is_empty() {
            let families = self.settings.families.name();
            return Some(Found::Nothing(format!("{host} has no {families} address")));
        }
        let mut targets = Vec::new();
        let mut refused = String::new();
        for ip in addresses {
            match self.no_target(ip) {
                Some(why) => refused = format!("the address {ip} of {host} is {why}: mail is not sent there"),
                None => targets.push(ip),
            }
        }
        let ours: Vec<_> = targets.iter().map(|ip| self.ask(Question::OurAddress(*ip))).collect();
        let mut unknown = false;
        for answer in ours.into_iter().collect::<Option<Vec<_>>>()? {
            match answer {
                FactAnswer::Known(_) => return Some(Found::Ours),
                FactAnswer::Failed(_) => unknown = true,
                FactAnswer::Absent => {}
            }
        }
        Some(match (unknown, targets.is_empty()) {
            (true, _) => Found::Unknown(format!("it cannot be found out whether {host} is this server")),
            (false, true) => Found::Nothing(refused),
            (false, false) => Found::At(targets),
        })
    }

    /// The addresses of a name, in the order to try, at most [`limits::ROUTE_ADDRESSES`]; or why they are not known.
    fn addresses(&mut self, host: &Domain) -> Option<Result<Vec<IpAddr>, String>> {
        let families = self.settings.families;
        let ipv4 = families.has(false).then(|| self.ask(Question::Ipv4(host.clone())));
        let ipv6 = families.has(true).then(|| self.ask(Question::Ipv6(host.clone())));
        let ipv4 = ipv4.map_or(Some(&FactAnswer::Absent), |answer| answer)?;
        let ipv6 = ipv6.map_or(Some(&FactAnswer::Absent), |answer| answer)?;
        let list = |answer: &FactAnswer| match answer {
            FactAnswer::Known(Known::Addresses(addresses)) => Some(addresses.clone()),
            FactAnswer::Absent => Some(Vec::new()),
            FactAnswer::Failed(_) | FactAnswer::Known(Known::Yes | Known::Targets(_) | Known::Mx(_)) => None,
        };
        let (first, second) = match families {
            Families::Ipv6First => (list(ipv6), list(ipv4)),
            Families::Ipv4 | Families::Ipv6 | Families::Ipv4First => (list(ipv4), list(ipv6)),
        };
        let failure = || format!("the addresses of {host} cannot be looked up now");
        let (first, second) = match (first, second) {
            (None, None) => return Some(Err(failure())),
            // One family is enough to go on with; none of it, and the other unknown, is not.
            (None, Some(known)) | (Some(known), None) if known.is_empty() => return Some(Err(failure())),
            (first, second) => (first.unwrap_or_default(), second.unwrap_or_default()),
        };
        // One place is kept for the other family: a way out when the first is broken.
        let room = limits::ROUTE_ADDRESSES - usize::from(!second.is_empty());
        let first = first.into_iter().take(room);
        Some(Ok(first.chain(second).take(limits::ROUTE_ADDRESSES).collect()))
    }

    /// Why mail is never sent to an address. Loopback addresses in the DNS lead strangers to the machine's inner services.
    fn no_target(&self, ip: IpAddr) -> Option<&'static str> {
        let ip = ip.to_canonical();
        let link_local = match ip {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        let nowhere = match ip {
            IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unspecified(),
        };
        if ip.is_loopback() && !self.settings.allow_loopback_targets {
            Some("a loopback address")
        } else if ip.is_multicast() {
            Some("a multicast address")
        } else if nowhere {
            Some("no host's address")
        } else if link_local {
            Some("a link-local address")
        } else {
            None
        }
    }

    fn exchanger(&self, name: Arc<str>, addresses: Vec<IpAddr>) -> Hop {
        Hop {
            name,
            addresses,
            port: self.settings.port,
            tls: TlsUse::Opportunistic,
            verified: false,
            login: false,
        }
    }

    /// The plan, or why there is none.
    fn choose(&mut self, domain: &Domain, implicit: bool, ordered: Vec<(u16, Domain)>, found: Vec<Found>) -> Route {
        // RFC 5321 §5.1: when one of them is ourselves, its preference and all worse ones are discarded.
        let ours = ordered.iter().zip(&found);
        let ours = ours
            .filter(|(_, found)| matches!(found, Found::Ours))
            .map(|(exchanger, _)| exchanger);
        let ours = ours.min().cloned();
        let (mut hops, mut unknown, mut nothing) = (Vec::new(), None, None);
        for ((preference, host), found) in ordered.into_iter().zip(found) {
            if ours.as_ref().is_some_and(|(limit, _)| preference >= *limit) {
                continue;
            }
            match found {
                Found::At(addresses) => {
                    self.saw(
                        format!("{host} (preference {preference}) has {}", shown(&addresses)),
                        "RFC 5321 §5.1",
                    );
                    hops.push(self.exchanger(host.as_str().into(), addresses));
                }
                Found::Unknown(text) => unknown = Some(text),
                Found::Nothing(text) => nothing = Some(text),
                Found::Ours => unreachable!("its preference is the limit, or better ones are"),
            }
        }
        if let Some((preference, host)) = &ours {
            let text = format!("{host} (preference {preference}) is this server: it and worse ones are left out");
            self.saw(text, "RFC 5321 §5.1");
        }
        if !hops.is_empty() {
            hops.truncate(limits::ROUTE_HOPS);
            return plan(Destination::Domain(domain.clone()), hops);
        }
        // What may be found out later decides before what is known to fail.
        if let Some(text) = unknown {
            self.saw(text.clone(), "RFC 5321 §5.1");
            return deferred(text);
        }
        if let Some((_, host)) = ours {
            let text = format!(
                "mail for {domain} comes back to this server (its mail server is {host}), which does not take it: add [[domain]] name = \"{domain}\""
            );
            return failed(554, [5, 4, 6], text);
        }
        let text = nothing.unwrap_or_else(|| format!("{domain} has no mail server"));
        self.saw(text.clone(), "RFC 5321 §5.1");
        match implicit {
            // No MX, no address: there is no such domain, or none that takes mail (RFC 3463 §3.2, X.1.2).
            true => failed(
                550,
                [5, 1, 2],
                format!("{domain} does not exist, or takes no mail: it has no MX, and {text}"),
            ),
            false => failed(550, [5, 4, 4], format!("no mail server of {domain} can be used: {text}")),
        }
    }
}

fn plan(destination: Destination, hops: Vec<Hop>) -> Route {
    Route::Plan(Arc::new(Plan { destination, hops }))
}

fn bracketed(ip: IpAddr) -> Arc<str> {
    Host::Literal(ip).to_string().into()
}

fn shown(addresses: &[IpAddr]) -> String {
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

/// Exchangers by preference, equals in the seed's order, each name once; a null MX beside others is no exchanger (RFC 7505 §3).
fn in_order(exchangers: Vec<MxHost>, seed: u64) -> Vec<(u16, Domain)> {
    let named = exchangers
        .into_iter()
        .filter_map(|exchanger| Some((exchanger.preference, exchanger.host?)));
    // By name first: the order in which a resolver happens to give them must not matter to a replay.
    let mut named: Vec<_> = named.collect();
    named.sort();
    let mut names = BTreeSet::new();
    named.retain(|(_, host)| names.insert(host.clone()));
    let mut keyed: Vec<_> = named.into_iter().zip(0..).collect();
    keyed.sort_by_key(|((preference, _), place)| (*preference, super::mixed(seed, *place)));
    let ordered = keyed.into_iter().map(|(exchanger, _)| exchanger);
    ordered.take(limits::ROUTE_EXCHANGERS).collect()
}

#[cfg(test)]
mod tests;
