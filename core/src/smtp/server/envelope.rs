//! MAIL and RCPT.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::ask::Ask;
use super::{Pending, Session};
use crate::address::{ForwardPath, Mailbox, ReversePath};
use crate::limits;
use crate::policy::access::{RecipientMatter, RecipientVerdict, Target};
use crate::smtp::parameter::{MailParameters, RcptParameters};
use crate::smtp::reply::Reply;
use crate::store::AccountId;
use crate::store::queue::{Notify, QueuedRecipient, Task, Wishes};

/// Who from, who to.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) reverse_path: ReversePath,
    pub(super) size: u64,
    pub(super) wishes: Wishes,
    /// Copies, each once: for an account of ours, or (`None`) for another server.
    pub(super) copies: Vec<(Option<AccountId>, QueuedRecipient)>,
    /// Recipients of which the sender is told that the message was delivered here, or expanded.
    pub(super) told: Vec<QueuedRecipient>,
    /// For whom they are: each new one is looked for among many.
    known: BTreeSet<(Option<AccountId>, Mailbox)>,
    /// The recipients that were taken, as they were given: the first of them, and how many there are.
    pub(super) first: Option<ForwardPath>,
    pub(super) accepted: usize,
    /// RCPTs that were given, taken or not, and are looked up.
    pub(super) asked: usize,
}

impl Session {
    pub(super) fn mail(&mut self, path: ReversePath, parameters: MailParameters) {
        if self.hello.is_none() {
            return self.protocol_error(503, [5, 5, 1], "say EHLO first");
        }
        if self.settings.submission && self.login.is_none() {
            return self.refuse(530, [5, 7, 0], "log in first");
        }
        if self.envelope.is_some() {
            return self.protocol_error(503, [5, 5, 1], "MAIL was given already");
        }
        // A parameter needs its extension: none is offered to HELO, AUTH= only where AUTH is (RFC 5321 §4.1.1.11).
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let auth_offered = self.login.is_some() || self.may_log_in();
        let unoffered = match self.login {
            _ if parameters.any && !extended => return self.refuse(555, [5, 5, 4], "parameters need EHLO"),
            _ if parameters.auth && !auth_offered => Some("AUTH"),
            None => parameters.dsn(),
            Some(_) => None,
        };
        if let Some(name) = unoffered {
            return self.not_offered(name);
        }
        // RFC 6531 §3.5.
        if !parameters.utf8 && !path.is_ascii() {
            return self.refuse(550, [5, 6, 7], "an address that is not ASCII needs SMTPUTF8");
        }
        if parameters.size > self.settings.message_max {
            let text = alloc::format!("the message is larger than {} octets", self.settings.message_max);
            return self.refuse(552, [5, 3, 4], text);
        }
        self.envelope = Some(Envelope {
            reverse_path: path,
            size: parameters.size,
            wishes: Wishes {
                ret: parameters.ret,
                envelope_id: parameters.envelope_id.map(Into::into),
                eight_bit: parameters.eight_bit,
                utf8: parameters.utf8,
            },
            copies: Vec::new(),
            told: Vec::new(),
            known: BTreeSet::new(),
            first: None,
            accepted: 0,
            asked: 0,
        });
        self.refuse(250, [2, 1, 0], "OK");
    }

    fn not_offered(&mut self, parameter: &str) {
        self.refuse(555, [5, 5, 4], alloc::format!("parameter {parameter} was not offered"));
    }

    pub(super) fn rcpt(&mut self, path: ForwardPath, parameters: RcptParameters) {
        let Some(envelope) = &mut self.envelope else {
            return self.protocol_error(503, [5, 5, 1], "MAIL comes first");
        };
        if self.message.is_some() {
            return self.protocol_error(503, [5, 5, 1], "the message has begun");
        }
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        if let Some(name) = parameters.dsn().filter(|_| !extended || self.login.is_none()) {
            return self.not_offered(name);
        }
        let ascii = path.is_ascii() && parameters.original.as_ref().is_none_or(|original| original.is_ascii());
        if !ascii && !envelope.wishes.utf8 {
            return self.refuse(553, [5, 6, 7], "an address that is not ASCII needs SMTPUTF8");
        }
        if envelope.asked >= limits::SMTP_RECIPIENTS {
            return self.refuse(452, [4, 5, 3], "too many recipients");
        }
        envelope.asked += 1;
        let matter = RecipientMatter {
            login: self.login.clone(),
            submission: self.settings.submission,
            reverse_path: envelope.reverse_path.clone(),
            recipient: path.clone(),
        };
        let place = self.reply_later();
        let then = self.slots.ask(Pending::Recipient { place, path, parameters });
        self.asks.push_back(Ask::ResolveRecipient { matter, then });
    }

    pub(super) fn recipient_known(
        &mut self,
        place: u64,
        path: &ForwardPath,
        wishes: &RcptParameters,
        verdict: RecipientVerdict,
    ) {
        let reply = match verdict.outcome {
            Ok(targets) => {
                let envelope = self.envelope.as_mut().expect("an envelope outlives its look-ups");
                envelope.take(path, targets, wishes);
                envelope.accepted += 1;
                envelope.first.get_or_insert_with(|| path.clone());
                Reply::new(250, [2, 1, 5], "OK")
            }
            Err(refusal) => Reply::new(refusal.code, refusal.status, refusal.text),
        };
        self.fill(place, reply);
    }
}

impl Envelope {
    /// A recipient that is ours to deliver or to hand on (RFC 3461 §5.2.3, §5.2.7).
    fn take(&mut self, path: &ForwardPath, targets: Vec<Target>, wishes: &RcptParameters) {
        let mut notify = wishes.notify;
        let success = notify.is_some_and(|notify| notify.contains(Notify::SUCCESS));
        if targets.len() > 1 {
            // Several copies would be several successes: the alias is reported in their place.
            notify = notify.map(|notify| Notify(notify.0 & !Notify::SUCCESS.0));
        }
        match targets.as_slice() {
            [Target::Local { address, .. }] if success => self.tell(address.clone(), Task::TellDelivered, wishes),
            [_, _, ..] if success => self.tell(path.mailbox(), Task::TellExpanded, wishes),
            _ => {}
        }
        for target in targets {
            self.add(target, notify, wishes.original.as_deref());
        }
    }

    fn tell(&mut self, address: Mailbox, task: Task, wishes: &RcptParameters) {
        let told = QueuedRecipient {
            address,
            original: wishes.original.as_deref().map(Into::into),
            notify: wishes.notify,
            task,
        };
        if !self.told.contains(&told) {
            self.told.push(told);
        }
    }

    /// The same mailbox twice is one copy: the first counts.
    fn add(&mut self, target: Target, notify: Option<Notify>, original: Option<&str>) {
        let (account, address) = match target {
            Target::Local { account, address } => (Some(account), address),
            Target::Remote { address } => (None, address),
        };
        if !self.known.insert((account, address.clone())) {
            return;
        }
        let recipient = QueuedRecipient {
            original: original.map(Into::into),
            notify,
            ..QueuedRecipient::of(address)
        };
        self.copies.push((account, recipient));
    }
}
