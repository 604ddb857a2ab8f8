//! The end of a message: its trace fields, and the commit.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::ask::{Ask, Committed, Incoming, LocalDelivery};
use super::{Pending, Session, State};
use crate::address::{ForwardPath, ReversePath};
use crate::limits;
use crate::machine::Deadline;
use crate::message::date::format_rfc5322;
use crate::message::id;
use crate::policy::access::Refusal;

impl Session {
    pub(super) fn commit(&mut self, size: u64, delivered_to: &[Vec<u8>]) {
        let envelope = self.envelope.take().expect("a message has an envelope");
        let id = self.new_id();
        // With several recipients, `for` would tell each of the others (RFC 5321 §7.6).
        let single = envelope.first.filter(|_| envelope.accepted == 1);
        let received = self.received_field(&id, single.as_ref(), envelope.wishes.utf8);
        let (mut local, mut remote) = (Vec::new(), Vec::new());
        for (account, recipient) in envelope.copies {
            let Some(account) = account else {
                remote.push(recipient);
                continue;
            };
            let address = recipient.address.to_string();
            let was_here = |known: &Vec<u8>| known.eq_ignore_ascii_case(address.as_bytes());
            if delivered_to.iter().any(was_here) {
                let text = format!("the message loops: it was delivered to {address} before");
                return self.drop_message(Refusal {
                    code: 554,
                    status: [5, 4, 6],
                    text,
                });
            }
            let mut prefix = String::with_capacity(received.len() + address.len() + 80);
            write!(prefix, "Return-Path: {}\r\nDelivered-To: ", envelope.reverse_path).expect("a string takes all");
            prefix.extend([&address, "\r\n", &received]);
            local.push(LocalDelivery {
                account,
                recipient,
                prefix: prefix.into_bytes(),
            });
        }
        let told = match envelope.reverse_path {
            ReversePath::Mailbox(_) => envelope.told,
            ReversePath::Null => Vec::new(), // RFC 3461 §5.2: there is nobody to tell
        };
        let message = Incoming {
            id: id.clone(),
            reverse_path: envelope.reverse_path,
            submitter: self.login.as_ref().map(|login| login.account),
            // From outside, nothing says yet that the reverse path is the sender's own.
            reportable: self.login.is_some(),
            wishes: envelope.wishes,
            local,
            remote_prefix: if remote.is_empty() && told.is_empty() {
                Vec::new()
            } else {
                received.into_bytes()
            },
            remote,
            told,
            received: self.now.unix,
            size,
        };
        let then = self.slots.ask(Pending::Commit(id));
        self.asks.push_back(Ask::CommitMessage { message, then });
        self.state = State::Committing;
        self.deadline = Deadline {
            at: self.now.instant.after(limits::ANSWER_TIMEOUT),
            why: "the message is committed",
        };
    }

    pub(super) fn committed(&mut self, id: &str, committed: Committed) {
        if self.closing.is_some() {
            return;
        }
        self.wait_for_command();
        match committed {
            Committed::Done => self.refuse(250, [2, 0, 0], format!("OK, queued as {id}")),
            Committed::Full => self.refuse(452, [4, 3, 1], "the disk is nearly full, try again later"),
            Committed::Failed => self.refuse(451, [4, 3, 0], "the message could not be stored, try again later"),
        }
    }

    /// The trace field (RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3), with its CRLF; folded lines, each short.
    fn received_field(&self, id: &str, recipient: Option<&ForwardPath>, utf8: bool) -> String {
        let (extended, name) = self
            .hello
            .as_ref()
            .map_or((false, "unknown"), |hello| (hello.extended, hello.name.as_str()));
        let mut out = String::with_capacity(320);
        out.push_str("Received: from ");
        out.extend(name.chars().map(|c| match c {
            '-' | '_' | '.' | ':' | '[' | ']' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => '?',
        }));
        let written = match self.peer.ip {
            core::net::IpAddr::V4(ip) => write!(out, " ([{ip}])"),
            core::net::IpAddr::V6(ip) => write!(out, " ([IPv6:{ip}])"),
        };
        written.expect("a string takes all");
        if let Some(tls) = &self.tls {
            let (version, cipher, bits) = (&tls.version, &tls.cipher, tls.bits);
            write!(out, "\r\n (using {version} with cipher {cipher} ({bits}/{bits} bits))").expect("a string takes all");
        }
        let protocol = match (extended, utf8) {
            (_, true) => "UTF8SMTP",
            (true, false) => "ESMTP",
            (false, false) => "SMTP",
        };
        let mark = |is: bool, mark| if is && extended { mark } else { "" };
        let (tls_mark, login_mark) = (mark(self.tls.is_some(), "S"), mark(self.login.is_some(), "A"));
        let by = &self.settings.hostname;
        write!(out, "\r\n by {by} (Pillarbox) with {protocol}{tls_mark}{login_mark} id {id}").expect("a string takes all");
        if let Some(recipient) = recipient {
            write!(out, "\r\n for {recipient}").expect("a string takes all");
        }
        write!(out, ";\r\n {}\r\n", format_rfc5322(self.now.unix)).expect("a string takes all");
        out
    }

    /// Never the same twice.
    pub(super) fn new_id(&mut self) -> String {
        self.messages += 1;
        let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key("pillarbox 2026 message id", &self.seed));
        hasher.update(&self.slots.machine().to_le_bytes());
        hasher.update(&self.messages.to_le_bytes());
        let hash = hasher.finalize();
        let chance = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
        id::of(self.now.unix, chance)
    }
}
