//! What would become of a message: the live decisions, with all that they looked at.
//!
//! ```text
//! recipient ──► author (of a submission whose message is given) ──► route, for each target on another server
//! ```
//!
//! Nothing is decided here: the functions are those that sessions and the scheduler call, the facts come from the same sources, and the
//! settings are made of the configuration by the same code.

use pillarbox_core::address::{ForwardPath, ReversePath};
use pillarbox_core::decision::{Because, Fact, Facts, Question};
use pillarbox_core::delivery::route::{Route, RouteMatter, route};
use pillarbox_core::delivery::{Hop, Plan};
use pillarbox_core::policy::access::{self, AuthorMatter, Login, RecipientMatter, Refusal, Target};
use pillarbox_core::smtp::client::ask::TlsUse;
use pillarbox_core::smtp::server::author::authors;

use crate::accounts::{self, Names, Table};
use crate::config::Config;
use crate::decide::{FactSource, decide_with_facts};
use crate::env::Env;
use crate::hosts::scheduler::settings;
use crate::resolver::Resolver;

/// A message that might come.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its reverse path.
    pub from: ReversePath,
    /// Its recipient.
    pub to: ForwardPath,
    /// Who has logged in on a submission port; `None`: a stranger on port 25.
    pub login: Option<Login>,
    /// Its header, to its empty line, if there is one to look at.
    pub header: Option<Vec<u8>>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which, and on what.
    pub matter: String,
    /// What was looked at.
    pub facts: Vec<(Question, Fact)>,
    /// Why.
    pub because: Vec<Because>,
    /// The verdict, a line each.
    pub verdict: Vec<String>,
    /// A reply that refuses or defers the message.
    pub refused: Option<Refusal>,
}

/// Explains what would become of a message. The order among equal mail exchangers is drawn with `seed`.
pub async fn explain<E: Env>(
    env: &E,
    config: &Config,
    table: &Table,
    resolver: &Resolver<E>,
    case: &Case,
    seed: u64,
) -> Vec<Step> {
    let names = Names::of(config);
    let source = Sources {
        names: &names,
        table,
        resolver,
    };
    let mut steps = Vec::new();
    let matter = RecipientMatter {
        login: case.login.clone(),
        submission: case.login.is_some(),
        reverse_path: case.from.clone(),
        recipient: case.to.clone(),
    };
    let who = match &case.login {
        Some(login) => format!("by {}, who has logged in", login.name),
        None => "by a stranger on port 25".to_string(),
    };
    let (verdict, facts) = decide_with_facts(env, &source, |facts| access::recipient(&matter, facts)).await;
    let (outcome, because) = verdict.map_or_else(undecided, |verdict| (verdict.outcome, verdict.because));
    let targets = outcome.as_ref().map_or(Vec::new(), Clone::clone);
    let lines: Vec<String> = targets.iter().map(target_line).collect();
    steps.push(Step::new(
        format!("recipient {}, from {}, {who}", case.to, case.from),
        facts,
        because,
        outcome.map(|_| lines),
    ));
    if steps[0].refused.is_some() {
        return steps;
    }
    if let (Some(login), Some(header)) = (&case.login, &case.header) {
        steps.push(author(env, &source, login, header).await);
        if steps[1].refused.is_some() {
            return steps;
        }
    }
    let route_settings = settings(config).route;
    for target in targets {
        let Target::Remote { address } = target else { continue };
        let matter = RouteMatter {
            recipient: address.clone(),
            settings: route_settings.clone(),
            seed,
        };
        let (verdict, facts) = decide_with_facts(env, &source, |facts| route(&matter, facts)).await;
        let (outcome, because) = match verdict {
            Some(verdict) => (routed(&verdict.outcome), verdict.because),
            None => undecided(),
        };
        steps.push(Step::new(format!("route to {address}"), facts, because, outcome));
    }
    steps
}

async fn author<E: Env>(env: &E, source: &Sources<'_, E>, login: &Login, header: &[u8]) -> Step {
    let name = format!("author of the message, sent by {}", login.name);
    let Some((from, sender)) = authors(header) else {
        let text = "From and Sender must stand once, with well-formed addresses";
        return Step::new(name, Facts::new(), Vec::new(), Err(refusal(550, [5, 6, 0], text)));
    };
    let matter = AuthorMatter {
        login: login.clone(),
        from,
        sender,
    };
    let (verdict, facts) = decide_with_facts(env, source, |facts| access::author(&matter, facts)).await;
    let (outcome, because) = verdict.map_or_else(undecided, |verdict| (verdict.outcome, verdict.because));
    Step::new(
        name,
        facts,
        because,
        outcome.map(|()| vec!["taken: the author fields are the login's own".into()]),
    )
}

impl Step {
    fn new(matter: String, facts: Facts, because: Vec<Because>, outcome: Result<Vec<String>, Refusal>) -> Step {
        let (verdict, refused) = match outcome {
            Ok(lines) => (lines, None),
            Err(refusal) => {
                let word = if refusal.code < 500 { "deferred" } else { "refused" };
                let [class, subject, detail] = refusal.status;
                let line = format!("{word}: {} {class}.{subject}.{detail} {}", refusal.code, refusal.text);
                (vec![line], Some(refusal))
            }
        };
        Step {
            matter,
            facts: facts
                .iter()
                .map(|(question, fact)| (question.clone(), fact.clone()))
                .collect(),
            because,
            verdict,
            refused,
        }
    }
}

fn refusal(code: u16, status: [u16; 3], text: &str) -> Refusal {
    Refusal {
        code,
        status,
        text: text.into(),
    }
}

/// As sessions say it when a decision does not come to its end.
fn undecided<T>() -> (Result<T, Refusal>, Vec<Because>) {
    (
        Err(refusal(451, [4, 3, 0], "this cannot be decided now, try again later")),
        Vec::new(),
    )
}

fn target_line(target: &Target) -> String {
    match target {
        Target::Local { account, address } => format!("taken: into the INBOX of account {account}, as {address}"),
        Target::Remote { address } => format!("taken: {address} is on another server, so it is queued"),
    }
}

/// A route in words: the servers in the order in which they are tried.
fn routed(route: &Route) -> Result<Vec<String>, Refusal> {
    match route {
        Route::Plan(plan) => Ok(plan_lines(plan)),
        Route::Failed(said) | Route::Deferred(said) => Err(refusal(said.code, said.status, &said.text)),
    }
}

fn plan_lines(plan: &Plan) -> Vec<String> {
    let numbered = plan.hops.iter().enumerate();
    numbered
        .map(|(index, hop)| format!("{}. {}", index + 1, hop_line(hop)))
        .collect()
}

fn hop_line(hop: &Hop) -> String {
    let addresses: Vec<String> = hop.addresses.iter().map(ToString::to_string).collect();
    let tls = match (hop.tls, hop.verified) {
        (TlsUse::Implicit, true) => "TLS from the first byte, certificate verified",
        (TlsUse::Implicit, false) => "TLS from the first byte, any certificate",
        (TlsUse::Required, true) => "STARTTLS required, certificate verified",
        (TlsUse::Required, false) => "STARTTLS required, any certificate",
        (TlsUse::Opportunistic, _) => "STARTTLS if offered, any certificate (RFC 7435)",
        (TlsUse::Never, _) => "no TLS",
    };
    let login = if hop.login { ", with a login" } else { "" };
    format!("{} port {} at {}: {tls}{login}", hop.name, hop.port, addresses.join(", "))
}

/// Where facts come from when no server's sessions are asked.
struct Sources<'a, E: Env> {
    names: &'a Names,
    table: &'a Table,
    resolver: &'a Resolver<E>,
}

impl<E: Env> FactSource for Sources<'_, E> {
    async fn fact(&self, question: &Question) -> Fact {
        match question {
            Question::OurDomain(_) | Question::LocalAddress(_) | Question::Owns(..) | Question::OurAddress(_) => {
                Fact::local(accounts::answer(self.names, self.table, question))
            }
            Question::Mx(_) | Question::Ipv4(_) | Question::Ipv6(_) => self.resolver.fact(question).await,
        }
    }
}
