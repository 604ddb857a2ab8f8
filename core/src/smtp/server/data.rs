//! DATA: the message on its way through, its end, and the commit.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::ask::{Ask, Committed, Incoming, LocalDelivery, SinkOpened};
use super::{BodyPart, Pending, Session, State};
use crate::address::Mailbox;
use crate::limits;
use crate::machine::Deadline;
use crate::message::address_list::{self, Entry};
use crate::message::date::format_rfc5322;
use crate::message::header::{HeaderEnd, fields};
use crate::message::id;
use crate::message::intake::LoopWatch;
use crate::policy::access::{AuthorMatter, AuthorVerdict, Refusal};
use crate::smtp::dot::DotDecoder;
use crate::smtp::reply::Reply;

/// A message that is being read.
pub(super) struct Message {
    decoder: DotDecoder,
    /// Octets given to the sink.
    size: u64,
    loops: LoopWatch,
    header: Header,
    /// Why it is refused, once that is known; it is read to its end all the same.
    refused: Option<Refusal>,
    ended: bool,
    /// The beginning of the body, until the header before it has been judged.
    behind_header: Vec<u8>,
    /// Octets since the deadline was moved.
    pub(super) progress: u64,
    /// The header that the last poll lent.
    pub(super) lent: Vec<u8>,
}

/// A submission's header is held whole, and written once, rewritten.
enum Header {
    /// Not a submission: nothing is held.
    AsItCame,
    Held {
        block: Vec<u8>,
        end: HeaderEnd,
    },
    /// The host judges its author.
    Judged {
        block: Vec<u8>,
    },
    Written,
}

impl Message {
    /// Octets held of the message.
    pub(super) fn buffered(&self) -> usize {
        let header = match &self.header {
            Header::Held { block, .. } | Header::Judged { block } => block.capacity(),
            Header::AsItCame | Header::Written => 0,
        };
        header + self.behind_header.capacity() + self.lent.capacity()
    }

    pub(super) fn is_judged_now(&self) -> bool {
        matches!(self.header, Header::Judged { .. })
    }
}

impl Session {
    pub(super) fn data(&mut self) {
        let Some(envelope) = &self.envelope else {
            return self.protocol_error(503, [5, 5, 1], "MAIL and RCPT come first");
        };
        if envelope.copies.is_empty() {
            return self.refuse(554, [5, 5, 1], "no valid recipients");
        }
        let size = envelope.size;
        if self.talks_early() {
            return;
        }
        let then = self.slots.ask(Pending::Sink);
        self.asks.push_back(Ask::OpenMessage { size, then });
        self.state = State::Opening;
        self.deadline = Deadline {
            at: self.now.instant.after(limits::ANSWER_TIMEOUT),
            why: "a sink is opened",
        };
    }

    pub(super) fn sink_opened(&mut self, opened: SinkOpened) {
        if self.closing.is_some() {
            return;
        }
        match opened {
            SinkOpened::Ready => {
                if self.talks_early() {
                    return;
                }
                self.reply(Reply::bare(354, alloc::vec!["go ahead, end with a dot alone".into()]));
                let header = if self.login.is_some() {
                    Header::Held {
                        block: Vec::new(),
                        end: HeaderEnd::default(),
                    }
                } else {
                    Header::AsItCame
                };
                self.state = State::Message(Message {
                    decoder: DotDecoder::new(),
                    size: 0,
                    loops: LoopWatch::default(),
                    header,
                    refused: None,
                    ended: false,
                    behind_header: Vec::new(),
                    progress: 0,
                    lent: Vec::new(),
                });
                self.deadline = Deadline {
                    at: self.now.instant.after(limits::SMTP_DATA_TIMEOUT),
                    why: "waiting for the message",
                };
            }
            SinkOpened::Full => {
                self.envelope = None;
                self.wait_for_command();
                self.refuse(452, [4, 3, 1], "the disk is nearly full, try again later");
            }
            SinkOpened::Failed => {
                self.envelope = None;
                self.wait_for_command();
                self.refuse(451, [4, 3, 0], "the message cannot be taken now, try again later");
            }
        }
    }

    /// Takes the next piece of the message.
    pub(super) fn message(&mut self) -> bool {
        let State::Message(message) = &mut self.state else {
            return false;
        };
        message.lent = Vec::new();
        if message.is_judged_now() {
            return false;
        }
        if message.ended {
            self.message_ends();
            return true;
        }
        if self.taken == self.input.len() {
            return false;
        }
        let step = message.decoder.step(&self.input[self.taken..]);
        let body = self.taken + step.body.start..self.taken + step.body.end;
        self.taken += step.taken;
        self.searched = self.taken;
        message.ended = step.end;
        let max = self.settings.message_max;
        if body.is_empty() || message.refused.is_some() {
            return true;
        }
        message.size += body.len() as u64;
        if message.size > max {
            message.refuse(552, [5, 3, 4], &format!("the message is larger than {max} octets"));
            return true;
        }
        message.loops.update(&self.input[body.clone()]);
        if message.loops.received > limits::RECEIVED_FIELDS {
            message.refuse(554, [5, 4, 6], "the message loops: it has more than 100 Received fields");
            return true;
        }
        match &mut message.header {
            Header::AsItCame | Header::Written => {
                self.body = Some(BodyPart::Input(body));
            }
            Header::Held { block, end } => {
                let of_header = end.update(&self.input[body.clone()]);
                block.extend_from_slice(&self.input[body.start..body.start + of_header]);
                if block.len() > limits::SUBMISSION_HEADER {
                    message.refuse(552, [5, 3, 4], "the header is larger than 256 KiB");
                } else if end.found() {
                    self.hold_back(body.start + of_header..body.end);
                    self.judge_author();
                }
            }
            Header::Judged { .. } => {}
        }
        true
    }

    /// What follows the header in its last piece waits for the verdict with it: at most what was received at once.
    fn hold_back(&mut self, rest: core::ops::Range<usize>) {
        let State::Message(message) = &mut self.state else { return };
        message.behind_header = self.input[rest].to_vec();
    }

    /// Asks whether the author fields are the login's own.
    fn judge_author(&mut self) {
        let login = self.login.clone().expect("a submission has a login");
        let State::Message(message) = &mut self.state else { return };
        let Header::Held { block, .. } = &mut message.header else {
            return;
        };
        let block = core::mem::take(block);
        let Some((from, sender)) = authors(&block) else {
            message.header = Header::Written;
            message.behind_header = Vec::new();
            return message.refuse(550, [5, 6, 0], "From and Sender must stand once, with well-formed addresses");
        };
        message.header = Header::Judged { block };
        let then = self.slots.ask(Pending::Author);
        self.asks.push_back(Ask::JudgeAuthor {
            matter: AuthorMatter { login, from, sender },
            then,
        });
    }

    pub(super) fn author_known(&mut self, verdict: AuthorVerdict) {
        if self.closing.is_some() {
            return;
        }
        let date = format_rfc5322(self.now.unix);
        let id = format!("<{}@{}>", self.new_id(), self.settings.hostname);
        let State::Message(message) = &mut self.state else { return };
        let Header::Judged { block } = core::mem::replace(&mut message.header, Header::Written) else {
            return;
        };
        if let Err(refusal) = verdict.outcome {
            message.refused = Some(refusal);
            message.behind_header = Vec::new();
            return;
        }
        let mut header = rewrite(&block, &date, &id);
        message.size = message.size.saturating_sub(block.len() as u64) + header.len() as u64;
        header.append(&mut message.behind_header);
        self.body = Some(BodyPart::Held(header));
    }

    fn message_ends(&mut self) {
        let State::Message(message) = &mut self.state else { return };
        if let Header::Held { block, .. } = &mut message.header
            && message.refused.is_none()
            && !message.decoder.bare()
            && !message.decoder.nul()
        {
            // A header without an empty line: the message has no body.
            block.extend_from_slice(b"\r\n");
            return self.judge_author();
        }
        if message.decoder.bare() {
            message.refuse(550, [5, 5, 2], "lines end with CR LF: a CR or LF stood alone in the message");
        } else if message.decoder.nul() {
            message.refuse(550, [5, 6, 0], "the message has a NUL character");
        }
        let refused = message.refused.take();
        let loops = core::mem::take(&mut message.loops.delivered_to);
        let size = message.size;
        match refused {
            Some(refusal) => self.drop_message(refusal),
            None => self.commit(size, &loops),
        }
    }

    fn drop_message(&mut self, refusal: Refusal) {
        self.asks.push_back(Ask::DropMessage);
        self.envelope = None;
        self.wait_for_command();
        self.reply(Reply::new(refusal.code, refusal.status, refusal.text));
    }

    fn commit(&mut self, size: u64, delivered_to: &[Vec<u8>]) {
        let envelope = self.envelope.take().expect("a message has an envelope");
        let id = self.new_id();
        // With several recipients, `for` would tell each of the others (RFC 5321 §7.6).
        let single = envelope.first.filter(|_| envelope.accepted == 1).map(|path| path.to_string());
        let received = self.received_field(&id, single.as_deref());
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
            let prefix = format!(
                "Return-Path: {}\r\nDelivered-To: {address}\r\n{received}",
                envelope.reverse_path
            );
            local.push(LocalDelivery {
                account,
                recipient,
                prefix: prefix.into_bytes(),
            });
        }
        let message = Incoming {
            id: id.clone(),
            reverse_path: envelope.reverse_path,
            submitter: self.login.as_ref().map(|login| login.account),
            // From outside, nothing says yet that the reverse path is the sender's own.
            reportable: self.login.is_some(),
            wishes: envelope.wishes,
            local,
            remote_prefix: if remote.is_empty() {
                Vec::new()
            } else {
                received.into_bytes()
            },
            remote,
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
            Committed::Done => self.refuse(250, [2, 0, 0], &format!("OK, queued as {id}")),
            Committed::Full => self.refuse(452, [4, 3, 1], "the disk is nearly full, try again later"),
            Committed::Failed => self.refuse(451, [4, 3, 0], "the message could not be stored, try again later"),
        }
    }

    /// The trace field (RFC 5321 §4.4, RFC 3848), with its CRLF; folded lines, each short.
    fn received_field(&self, id: &str, recipient: Option<&str>) -> String {
        let (extended, name) = self
            .hello
            .as_ref()
            .map_or((false, "unknown"), |hello| (hello.extended, hello.name.as_str()));
        let name: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "-_.:[]".contains(c) {
                    c
                } else {
                    '?'
                }
            })
            .collect();
        let ip = match self.peer.ip {
            core::net::IpAddr::V4(ip) => format!("[{ip}]"),
            core::net::IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        };
        let tls = self.tls.as_ref().map_or(String::new(), |tls| {
            format!(
                "\r\n (using {} with cipher {} ({}/{} bits))",
                tls.version, tls.cipher, tls.bits, tls.bits
            )
        });
        let with = match (extended, self.tls.is_some(), self.login.is_some()) {
            (false, _, _) => "SMTP",
            (true, false, false) => "ESMTP",
            (true, false, true) => "ESMTPA",
            (true, true, false) => "ESMTPS",
            (true, true, true) => "ESMTPSA",
        };
        let by = &self.settings.hostname;
        let recipient = recipient.map_or(String::new(), |recipient| format!("\r\n for {recipient}"));
        let date = format_rfc5322(self.now.unix);
        format!("Received: from {name} ({ip}){tls}\r\n by {by} (Pillarbox) with {with} id {id}{recipient};\r\n {date}\r\n")
    }

    /// Never the same twice.
    fn new_id(&mut self) -> String {
        self.messages += 1;
        let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key("pillarbox 2026 message id", &self.seed));
        hasher.update(&self.slots.machine().to_le_bytes());
        hasher.update(&self.messages.to_le_bytes());
        let hash = hasher.finalize();
        let chance = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
        id::of(self.now.unix, chance)
    }
}

impl Message {
    fn refuse(&mut self, code: u16, status: [u16; 3], text: &str) {
        self.refused.get_or_insert(Refusal {
            code,
            status,
            text: text.into(),
        });
    }
}

/// The addresses in From, and the one in Sender. `None` when a field stands twice, or holds what is no address: readers would
/// disagree about who wrote the message (S14).
fn authors(block: &[u8]) -> Option<(Vec<Mailbox>, Option<Mailbox>)> {
    let (mut from, mut sender) = (None, None);
    for field in fields(block) {
        let place = if field.is("From") {
            &mut from
        } else if field.is("Sender") {
            &mut sender
        } else {
            continue;
        };
        if place.replace(mailboxes(&field.unfolded())?).is_some() {
            return None;
        }
    }
    let sender = match sender {
        Some(mailboxes) => Some(<[Mailbox; 1]>::try_from(mailboxes).ok()?),
        None => None,
    };
    Some((from.unwrap_or_default(), sender.map(|[sender]| sender)))
}

/// The mailboxes of an address list; `None` when one is malformed.
fn mailboxes(list: &[u8]) -> Option<Vec<Mailbox>> {
    let mut mailboxes = Vec::new();
    for entry in address_list::parse(list) {
        match entry {
            Entry::Mailbox { local, domain, .. } => {
                let local = crate::address::LocalPart::new(core::str::from_utf8(&local).ok()?, true).ok()?;
                let host = crate::address::Host::parse(core::str::from_utf8(&domain).ok()?, true).ok()?;
                mailboxes.push(Mailbox { local, host });
            }
            Entry::GroupStart(_) | Entry::GroupEnd => {}
        }
    }
    Some(mailboxes)
}

/// A submission's header as it goes on (RFC 6409 §8, `rules.md`): with a Date and a Message-ID, without Bcc, Resent-Bcc,
/// Return-Path and Content-Length. `block` ends with its empty line.
fn rewrite(block: &[u8], date: &str, id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len() + 128);
    let (mut dated, mut named, mut length) = (false, false, 0);
    for field in fields(block) {
        length += field.raw.len();
        dated |= field.is("Date");
        named |= field.is("Message-ID");
        let removed = ["Bcc", "Resent-Bcc", "Return-Path", "Content-Length"];
        if !removed.iter().any(|name| field.is(name)) {
            out.extend_from_slice(field.raw);
        }
    }
    if !named {
        out.extend_from_slice(format!("Message-ID: {id}\r\n").as_bytes());
    }
    if !dated {
        out.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
    }
    out.extend_from_slice(&block[length..]);
    out
}
