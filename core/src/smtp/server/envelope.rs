//! MAIL and RCPT.

use alloc::vec::Vec;

use super::ask::Ask;
use super::{Pending, Session};
use crate::address::{ForwardPath, ReversePath};
use crate::limits;
use crate::policy::access::{RecipientMatter, RecipientVerdict, Target};
use crate::smtp::command::MailParameters;
use crate::smtp::reply::Reply;

/// Who from, who to.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) reverse_path: ReversePath,
    pub(super) size: u64,
    pub(super) recipients: Vec<(ForwardPath, Target)>,
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
        if parameters.any && !extended || parameters.auth && !auth_offered {
            return self.refuse(555, [5, 5, 4], "the parameter was not offered");
        }
        if parameters.size > self.settings.message_max {
            let text = alloc::format!("the message is larger than {} octets", self.settings.message_max);
            return self.refuse(552, [5, 3, 4], &text);
        }
        self.envelope = Some(Envelope {
            reverse_path: path,
            size: parameters.size,
            recipients: Vec::new(),
            asked: 0,
        });
        self.refuse(250, [2, 1, 0], "OK");
    }

    pub(super) fn rcpt(&mut self, path: ForwardPath) {
        let Some(envelope) = &mut self.envelope else {
            return self.protocol_error(503, [5, 5, 1], "MAIL comes first");
        };
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
        let then = self.slots.ask(Pending::Recipient { place, path });
        self.asks.push_back(Ask::ResolveRecipient { matter, then });
    }

    pub(super) fn recipient_known(&mut self, place: u64, path: &ForwardPath, verdict: RecipientVerdict) {
        let reply = match verdict.outcome {
            Ok(target) => {
                let envelope = self.envelope.as_mut().expect("an envelope outlives its look-ups");
                // The same mailbox twice is one delivery.
                if !envelope.recipients.iter().any(|(_, known)| *known == target) {
                    envelope.recipients.push((path.clone(), target));
                }
                Reply::new(250, [2, 1, 5], "OK")
            }
            Err(refusal) => Reply::new(refusal.code, refusal.status, refusal.text),
        };
        self.fill(place, reply);
    }
}
