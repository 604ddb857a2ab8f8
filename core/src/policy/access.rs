//! Who may send what to whom: the acceptance of a recipient and of a submission's author fields (`rules.md`).

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::{ForwardPath, Host, Mailbox, ReversePath};
use crate::decision::{AliasTarget, Because, Decision, FactAnswer, Facts, Known, Question};
use crate::store::AccountId;

/// What is known when a recipient is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientMatter {
    /// Who is logged in: then this is submission.
    pub login: Option<Login>,
    /// Whether the listener is for submission only (587, 465).
    pub submission: bool,
    /// The session's reverse path.
    pub reverse_path: ReversePath,
    /// The recipient.
    pub recipient: ForwardPath,
}

/// A session that has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// As whom.
    pub account: AccountId,
    /// The account's address, for texts.
    pub name: String,
}

/// What becomes of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientVerdict {
    /// Taken, with where it goes (never nowhere; to several for an alias), or refused.
    pub outcome: Result<Vec<Target>, Refusal>,
    /// Why.
    pub because: Vec<Because>,
}

/// Where an accepted recipient's message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An account of ours, and the address it is delivered as (for `Delivered-To`).
    Local {
        /// Whose INBOX.
        account: AccountId,
        /// The final address.
        address: Mailbox,
    },
    /// Another server, which the queue finds.
    Remote {
        /// The address there.
        address: Mailbox,
    },
}

/// A refusal in SMTP's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reply code, 4yz or 5yz.
    pub code: u16,
    /// The enhanced status code (RFC 3463), without its dots: `[5, 1, 1]`.
    pub status: [u16; 3],
    /// One line for people: which rule, and what to do.
    pub text: String,
}

/// The author fields of a submission, judged when its header has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorMatter {
    /// Who is logged in.
    pub login: Login,
    /// Addresses in From.
    pub from: Vec<Mailbox>,
    /// The address in Sender.
    pub sender: Option<Mailbox>,
}

/// Whether a submission's author fields are the login's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorVerdict {
    /// Taken or refused.
    pub outcome: Result<(), Refusal>,
    /// Why.
    pub because: Vec<Because>,
}

crate::record_struct!(Login { account, name });
crate::record_struct!(Refusal { code, status, text });
crate::record_struct!(RecipientMatter {
    login,
    submission,
    reverse_path,
    recipient
});
crate::record_struct!(RecipientVerdict { outcome, because });
crate::record_enum!(Target { 0 => Local { account, address }, 1 => Remote { address } });
crate::record_struct!(AuthorMatter { login, from, sender });
crate::record_struct!(AuthorVerdict { outcome, because });

/// Decides about a recipient.
pub fn recipient(matter: &RecipientMatter, facts: &Facts) -> Decision<RecipientVerdict> {
    let mut judge = Judge::new(facts);
    let outcome = judge.recipient(matter);
    judge
        .verdict(outcome)
        .map(|(outcome, because)| RecipientVerdict { outcome, because })
}

/// Decides about a submission's author fields (RFC 6409 §6.1, `rules.md`: the login owns every address in From, or, with several
/// or none of its own there, the one in Sender, RFC 5322 §3.6.2).
pub fn author(matter: &AuthorMatter, facts: &Facts) -> Decision<AuthorVerdict> {
    let mut judge = Judge::new(facts);
    let outcome = judge.author(matter);
    judge
        .verdict(outcome)
        .map(|(outcome, because)| AuthorVerdict { outcome, because })
}

impl<T> Decision<T> {
    fn map<U>(self, into: impl FnOnce(T) -> U) -> Decision<U> {
        match self {
            Decision::Known(value) => Decision::Known(into(value)),
            Decision::Needs(questions) => Decision::Needs(questions),
        }
    }
}

/// One run of a decision: looks facts up, and notes what is missing and what was seen.
struct Judge<'a> {
    facts: &'a Facts,
    missing: Vec<Question>,
    because: Vec<Because>,
}

/// Not decided: a fact is missing, and noted.
struct Missing;

/// Where a recipient is.
enum Place {
    /// With us: an account's, or an alias.
    Ours(Vec<Target>),
    /// At another server.
    Elsewhere(Mailbox),
}

impl Target {
    fn of(target: &AliasTarget) -> Target {
        match target.clone() {
            AliasTarget::Account(account, address) => Target::Local { account, address },
            AliasTarget::Remote(address) => Target::Remote { address },
        }
    }
}

/// Whether an address literal names no other host: ourselves, nobody, or many.
fn leads_nowhere(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || broadcast
}

fn refusal(code: u16, status: [u16; 3], text: impl Into<String>) -> Refusal {
    Refusal {
        code,
        status,
        text: text.into(),
    }
}

impl<'a> Judge<'a> {
    fn new(facts: &'a Facts) -> Judge<'a> {
        Judge {
            facts,
            missing: Vec::new(),
            because: Vec::new(),
        }
    }

    fn verdict<T>(self, outcome: Result<Result<T, Refusal>, Missing>) -> Decision<(Result<T, Refusal>, Vec<Because>)> {
        match outcome {
            Ok(outcome) => Decision::Known((outcome, self.because)),
            Err(Missing) => Decision::Needs(self.missing),
        }
    }

    fn saw(&mut self, saw: String, rule: &'static str) {
        self.because.push(Because { saw, rule: rule.into() });
    }

    /// A fact; a failure to find it out is a temporary refusal.
    fn ask(&mut self, question: Question) -> Result<Result<Option<&'a Known>, Refusal>, Missing> {
        match self.facts.look_up(&question) {
            Some(FactAnswer::Known(known)) => Ok(Ok(Some(known))),
            Some(FactAnswer::Absent) => Ok(Ok(None)),
            Some(FactAnswer::Failed(_)) => Ok(Err(refusal(
                451,
                [4, 3, 0],
                "the recipient cannot be looked up now, try again later",
            ))),
            None => {
                self.missing.push(question);
                Err(Missing)
            }
        }
    }

    fn recipient(&mut self, matter: &RecipientMatter) -> Result<Result<Vec<Target>, Refusal>, Missing> {
        if matter.submission && matter.login.is_none() {
            self.saw("no login on a submission listener".into(), "RFC 6409 §4.3");
            return Ok(Err(refusal(530, [5, 7, 0], "log in first")));
        }
        // Both questions can be asked at once: note what is missing of either before giving up.
        let sender = self.reverse_path(matter);
        let local = self.local(&matter.recipient);
        match sender? {
            Ok(()) => {}
            Err(refused) => return Ok(Err(refused)),
        }
        Ok(match local? {
            Ok(Place::Ours(targets)) => Ok(targets),
            Ok(Place::Elsewhere(address)) if matter.login.is_some() => {
                self.saw(
                    alloc::format!("{address} is not ours, and the client has logged in"),
                    "RFC 6409 §3.1",
                );
                Ok(alloc::vec![Target::Remote { address }])
            }
            Ok(Place::Elsewhere(_)) => {
                self.saw(
                    alloc::format!("{} is not ours, and the client is a stranger", matter.recipient),
                    "RFC 5321 §3.6.2",
                );
                Err(refusal(
                    554,
                    [5, 7, 1],
                    "relaying is not allowed: log in on the submission port",
                ))
            }
            Err(refused) => Err(refused),
        })
    }

    /// Whether the login may use the session's reverse path.
    fn reverse_path(&mut self, matter: &RecipientMatter) -> Result<Result<(), Refusal>, Missing> {
        let (Some(login), ReversePath::Mailbox(mailbox)) = (&matter.login, &matter.reverse_path) else {
            return Ok(Ok(()));
        };
        self.owns(login, mailbox)
    }

    fn owns(&mut self, login: &Login, mailbox: &Mailbox) -> Result<Result<(), Refusal>, Missing> {
        Ok(match self.ask(Question::Owns(login.account, mailbox.clone()))? {
            Ok(Some(_)) => {
                self.saw(alloc::format!("{} owns {mailbox}", login.name), "RFC 6409 §6.1");
                Ok(())
            }
            Ok(None) => {
                self.saw(alloc::format!("{} does not own {mailbox}", login.name), "RFC 6409 §6.1");
                let text = alloc::format!(
                    "{} may not send as {mailbox}: it is no address of this account (send_as)",
                    login.name
                );
                Err(refusal(550, [5, 7, 1], text))
            }
            Err(refused) => Err(refused),
        })
    }

    /// Where a recipient is.
    fn local(&mut self, path: &ForwardPath) -> Result<Result<Place, Refusal>, Missing> {
        let mailbox = path.mailbox();
        let ours = match &mailbox.host {
            Host::Domain(domain) => Question::OurDomain(domain.clone()),
            Host::Literal(ip) => Question::OurAddress(*ip),
        };
        match self.ask(ours)? {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(self.elsewhere(mailbox)),
            Err(refused) => return Ok(Err(refused)),
        }
        Ok(match self.ask(Question::LocalAddress(mailbox.clone()))? {
            Ok(Some(Known::Targets(targets))) if !targets.is_empty() => {
                for target in targets {
                    let saw = match target {
                        AliasTarget::Account(account, address) => {
                            alloc::format!("{mailbox} leads to {address}, account {account}")
                        }
                        AliasTarget::Remote(address) => alloc::format!("{mailbox} leads to {address}"),
                    };
                    self.saw(saw, "RFC 5321 §3.9.1");
                }
                Ok(Place::Ours(targets.iter().map(Target::of).collect()))
            }
            Ok(Some(Known::Targets(_) | Known::Yes | Known::Mx(_) | Known::Addresses(_)) | None) => {
                self.saw(alloc::format!("{mailbox} is no address of ours"), "RFC 5321 §3.3");
                Err(refusal(550, [5, 1, 1], "no such user here"))
            }
            Err(refused) => Err(refused),
        })
    }

    /// An address of others; one that can be nobody's is refused at once.
    fn elsewhere(&mut self, mailbox: Mailbox) -> Result<Place, Refusal> {
        if let Host::Literal(ip) = &mailbox.host
            && leads_nowhere(*ip)
        {
            self.saw(alloc::format!("{mailbox} is no address of a mail server"), "RFC 6890");
            return Err(refusal(550, [5, 1, 2], "this address leads to no mail server"));
        }
        Ok(Place::Elsewhere(mailbox))
    }

    fn author(&mut self, matter: &AuthorMatter) -> Result<Result<(), Refusal>, Missing> {
        // One author: it must be the login. Several, or none of its own: the Sender must be.
        let mut foreign = None;
        for mailbox in &matter.from {
            if let Err(refused) = self.owns(&matter.login, mailbox)? {
                foreign.get_or_insert(refused);
            }
        }
        match (foreign, &matter.sender) {
            (None, _) if !matter.from.is_empty() => Ok(Ok(())),
            (_, Some(sender)) => self.owns(&matter.login, sender),
            (Some(refused), None) => Ok(Err(refused)),
            (None, None) => Ok(Err(refusal(
                550,
                [5, 6, 0],
                "the message has no author: a From field with an address of yours is needed",
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
