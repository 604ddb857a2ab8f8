//! How this machine's asks and answers look in a script (the grammar is in [`crate::script`]).
//!
//! ```text
//! NOTE: entered 1 from=a@one.test to=b@two.test,c@two.test     or, for reports alone: delivered=b@one.test expanded=friends@one.test
//!                                      further words: submitter=1 notify=never,success,failure,delay
//!                                      junk size=9 expires=2h (from the script's beginning) due=5m held attempts=2
//! ASK: Route 1 b@two.test              ANS: plan two.test | relay smtp.isp.test:465 | fail 550 5.1.2 text | defer 451 4.4.3 text
//! ASK: Connect 1 two.test              NOTE: unusable 1 451 4.4.1 text
//! NOTE: wants 1                        ASK: Hand 1 message 1 to b@two.test,c@two.test      ASK: Hand 1 nothing
//! NOTE: result 1 relayed; relayed-dsn; defer 451 4.7.1 text; fail 550 5.1.1 text
//! ASK: Commit 1: 0 relayed, 1 waiting 09:05:00 attempted; tells a@one.test 0 relayed       ANS: done | refused
//! ASK: Reported 1                      NOTE: ended 1
//! NOTE: retry all | hold id 1 | release message m1 | cancel domain two.test                ASK: Obeyed 3 rows
//! NOTE: smarthost smtp.isp.test        new settings
//! NOTE: Shutdown
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::Scheduler;
use super::ask::*;
use crate::address::{Domain, Host, Mailbox, ReversePath};
use crate::delivery::dsn::Addressee;
use crate::delivery::route::{NextHop, Route, RouteSettings};
use crate::delivery::{Destination, Hop, Plan};
use crate::limits;
use crate::machine::Answer;
use crate::message::date::format_internal;
use crate::script::ScriptForm;
use crate::smtp::client::ask::{Outcome, TlsUse};
use crate::store::queue::{
    Enqueue, Notify, QueueId, QueueRow, QueuedMessage, QueuedRecipient, RowChange, RowState, Said, Task, Wishes,
};
use crate::store::{AccountId, EmailId, Location};
use crate::time::UnixTime;

/// When every script begins: 24 November 2026, 09:00 UTC.
const BEGIN: UnixTime = UnixTime(1_795_510_800_000);

impl ScriptForm for Scheduler {
    fn ask_line(ask: &Ask) -> String {
        match ask {
            Ask::Route {
                connection, recipient, ..
            } => format!("Route {connection} {recipient}"),
            Ask::Connect { connection, plan } => match &plan.destination {
                Destination::Domain(domain) => format!("Connect {connection} {domain}"),
                Destination::Literal(ip) => format!("Connect {connection} [{ip}]"),
                Destination::Relay(relay) => format!("Connect {connection} relay {relay}"),
            },
            Ask::Hand { connection, handed } => match handed {
                None => format!("Hand {connection} nothing"),
                Some(Handed { transaction, .. }) => {
                    let to: Vec<_> = transaction.recipients.iter().map(|to| to.address.to_string()).collect();
                    format!("Hand {connection} message {} to {}", transaction.id.0, to.join(","))
                }
            },
            Ask::Commit { commit, .. } => commit_line(commit),
            Ask::Reported { connection } => format!("Reported {connection}"),
            Ask::Obeyed { rows, .. } => format!("Obeyed {rows} rows"),
        }
    }

    fn answer_line(ask: Ask, text: &str) -> Result<Option<Answer<Value>>, String> {
        Ok(Some(match ask {
            Ask::Route { recipient, then, .. } => then.answer(Routed(route(&recipient, text)?)),
            Ask::Commit { then, .. } => then.answer(match text {
                "done" => Committed::Done,
                "refused" => Committed::Refused,
                _ => return Err(format!("no such answer: {text}")),
            }),
            Ask::Connect { .. } | Ask::Hand { .. } | Ask::Reported { .. } | Ask::Obeyed { .. } => return Ok(None),
        }))
    }

    fn notice_line(text: &str) -> Result<Notice, String> {
        let unknown = || format!("no such notice: {text}");
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number = |text: &str| text.parse::<u64>().map_err(|_| format!("no number: {text}"));
        Ok(match verb {
            "entered" => Notice::Entered(Arc::new(entered(rest)?)),
            "wants" => Notice::Wants {
                connection: number(rest)?,
            },
            "ended" => Notice::Ended {
                connection: number(rest)?,
            },
            "unusable" => {
                let (connection, what) = rest.split_once(' ').ok_or_else(unknown)?;
                Notice::Unusable {
                    connection: number(connection)?,
                    said: said(what, false)?,
                }
            }
            "result" => {
                let (connection, results) = rest.split_once(' ').ok_or_else(unknown)?;
                Notice::Result {
                    connection: number(connection)?,
                    results: results.split("; ").map(outcome).collect::<Result<_, _>>()?,
                }
            }
            "retry" | "hold" | "release" | "cancel" => Notice::Operate {
                ticket: 1,
                which: which(rest)?,
                what: match verb {
                    "retry" => Operation::Retry,
                    "hold" => Operation::Hold,
                    "release" => Operation::Release,
                    _ => Operation::Cancel,
                },
            },
            "smarthost" => Notice::Settings(Arc::new(Settings {
                route: Arc::new(RouteSettings {
                    smarthost: Some(NextHop {
                        host: Host::parse(rest, false).map_err(|error| error.to_string())?,
                        port: 465,
                        tls: TlsUse::Implicit,
                        verified: true,
                        login: true,
                    }),
                    ..RouteSettings::default()
                }),
                ..Settings::default()
            })),
            "Shutdown" => Notice::Shutdown,
            _ => return Err(unknown()),
        })
    }
}

/// `Commit 1: 0 relayed, 1 waiting 09:05:00 attempted; tells a@one.test 0 relayed`
fn commit_line(commit: &Commit) -> String {
    let changes: Vec<_> = commit.changes.iter().map(change_line).collect();
    let mut line = format!("Commit {}: {}", commit.message.id.0, changes.join(", "));
    if let Some(report) = &commit.report {
        let who = match &report.addressee {
            Addressee::Sender(mailbox) => mailbox.to_string(),
            Addressee::Postmaster => "the postmaster".into(),
        };
        let told = report
            .told
            .iter()
            .map(|told| format!("{} {}", told.recipient, told.action.name()));
        line += &format!("; tells {who} {}", told.collect::<Vec<_>>().join(", "));
    }
    line
}

fn change_line(change: &RowChange) -> String {
    let state = match change.state {
        RowState::Waiting(due) => format!("waiting {}", &format_internal(due)[12..20]),
        RowState::Held => "held".into(),
        RowState::Relayed => "relayed".into(),
        RowState::Failed => {
            let status = change.said.as_ref().map_or([0; 3], |said| said.status);
            format!("failed {}.{}.{}", status[0], status[1], status[2])
        }
        RowState::Cancelled => "cancelled".into(),
        RowState::Delivered => "delivered".into(),
    };
    let attempted = if change.attempted { " attempted" } else { "" };
    let noticed = if change.delay_reported { " noticed" } else { "" };
    format!("{} {state}{attempted}{noticed}", change.recipient)
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text, true).map_err(|error| format!("{text}: {error}"))
}

/// `550 5.1.1 text`
fn said(text: &str, remote: bool) -> Result<Arc<Said>, String> {
    let wrong = || format!("no reply: {text}");
    let mut words = text.splitn(3, ' ');
    let code = words.next().and_then(|code| code.parse().ok()).ok_or_else(wrong)?;
    let mut digits = words.next().ok_or_else(wrong)?.split('.').map(|digit| digit.parse().ok());
    let mut digit = || digits.next().flatten().ok_or_else(wrong);
    Ok(Arc::new(Said {
        code,
        status: [digit()?, digit()?, digit()?],
        text: words.next().unwrap_or("").into(),
        by: remote.then(|| "mx.two.test".into()),
    }))
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match verb {
        "relayed" | "relayed-dsn" => Outcome::Relayed {
            said: said("250 2.0.0 taken", true)?,
            dsn: verb == "relayed-dsn",
        },
        "defer" => Outcome::Deferred(said(rest, true)?),
        "fail" => Outcome::Failed(said(rest, true)?),
        _ => return Err(format!("no such outcome: {text}")),
    })
}

fn route(recipient: &Mailbox, text: &str) -> Result<Route, String> {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let destination = match (verb, &recipient.host) {
        ("fail", _) => return Ok(Route::Failed(said(rest, false)?)),
        ("defer", _) => return Ok(Route::Deferred(said(rest, false)?)),
        ("plan", Host::Domain(domain)) => Destination::Domain(domain.clone()),
        ("plan", Host::Literal(ip)) => Destination::Literal(*ip),
        ("relay", _) => Destination::Relay(rest.into()),
        _ => return Err(format!("no such answer: {text}")),
    };
    let hop = Hop {
        name: "mx.two.test".into(),
        addresses: Vec::from([core::net::IpAddr::from([192, 0, 2, 1])]),
        port: 25,
        tls: TlsUse::Opportunistic,
        verified: false,
        login: false,
    };
    Ok(Route::Plan(Arc::new(Plan {
        destination,
        hops: Vec::from([hop]),
    })))
}

fn which(text: &str) -> Result<Which, String> {
    let (kind, name) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match kind {
        "id" => Which::Id(QueueId(name.parse().map_err(|_| format!("no number: {name}"))?)),
        "message" => Which::Message(name.into()),
        "domain" => Which::Domain(Domain::parse(name, false).map_err(|error| format!("{name}: {error}"))?),
        "all" => Which::All,
        _ => return Err(format!("no such rows: {text}")),
    })
}

/// `90s`, `5m`, `2h`, `5d`
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("no time: {text}"))?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(format!("no time: {text}")),
    };
    Ok(Duration::from_secs(number * unit))
}

fn from_begin(text: &str) -> Result<UnixTime, String> {
    let ahead = i64::try_from(duration(text)?.as_millis()).map_err(|_| format!("no time: {text}"))?;
    Ok(UnixTime(BEGIN.0 + ahead))
}

fn notify(text: &str) -> Result<Notify, String> {
    let mut wishes = 0;
    for word in text.split(',') {
        wishes |= match word {
            "never" => Notify::NEVER.0,
            "success" => Notify::SUCCESS.0,
            "failure" => Notify::FAILURE.0,
            "delay" => Notify::DELAY.0,
            _ => return Err(format!("no such wish: {word}")),
        };
    }
    Ok(Notify(wishes))
}

/// `1 from=a@one.test to=b@two.test …`
fn entered(text: &str) -> Result<QueuedMessage, String> {
    let (id, rest) = text.split_once(' ').ok_or("an id and words")?;
    let id = QueueId(id.parse().map_err(|_| format!("no number: {id}"))?);
    let mut entry = Enqueue {
        message: format!("m{}", id.0).into(),
        submitter: None,
        reverse_path: ReversePath::Null,
        reportable: true,
        prefix: Arc::from(&b""[..]),
        arrived: BEGIN,
        expires: UnixTime(BEGIN.0 + i64::try_from(limits::QUEUE_AGE.as_millis()).expect("five days")),
        wishes: Wishes::default(),
        recipients: Vec::new(),
    };
    let mut row = QueueRow {
        state: RowState::Waiting(BEGIN),
        attempts: 0,
        delay_reported: false,
        said: None,
    };
    let (mut wishes, mut body_len) = (None, 100);
    for word in rest.split(' ') {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "from" if !value.is_empty() => entry.reverse_path = ReversePath::Mailbox(mailbox(value)?),
            "from" => {}
            "to" | "delivered" | "expanded" => {
                for to in value.split(',') {
                    entry.recipients.push(QueuedRecipient {
                        task: match key {
                            "delivered" => Task::TellDelivered,
                            "expanded" => Task::TellExpanded,
                            _ => Task::Relay,
                        },
                        ..QueuedRecipient::of(mailbox(to)?)
                    });
                }
            }
            "submitter" => entry.submitter = Some(AccountId([value.parse().map_err(|_| format!("no number: {value}"))?; 16])),
            "notify" => wishes = Some(notify(value)?),
            "junk" => entry.reportable = false,
            "size" => body_len = value.parse().map_err(|_| format!("no number: {value}"))?,
            "expires" => entry.expires = from_begin(value)?,
            "due" => row.state = RowState::Waiting(from_begin(value)?),
            "held" => row.state = RowState::Held,
            "attempts" => row.attempts = value.parse().map_err(|_| format!("no number: {value}"))?,
            _ => return Err(format!("no such word: {word}")),
        }
    }
    entry.recipients.iter_mut().for_each(|recipient| recipient.notify = wishes);
    Ok(QueuedMessage {
        id,
        body_len,
        body_crc: 0,
        location: Location::Pack { pack: 0, offset: 0 },
        email_id: EmailId([0; 16]),
        rows: entry.recipients.iter().map(|_| row.clone()).collect(),
        entered: Arc::new(entry),
    })
}
