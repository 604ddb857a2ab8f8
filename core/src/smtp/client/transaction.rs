//! MAIL, RCPT, DATA, and what became of each recipient.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, Next, Outcome, Transaction};
use super::message::Run;
use super::reply::{Class, Reply, as_452, ours};
use super::{Offer, Pending, Session, State, Step, xtext};
use crate::address::{Host, Mailbox, ReversePath};
use crate::limits;
use crate::machine::Reason;
use crate::message::recode::{Recoder, Survey};
use crate::smtp::dot::DotEncoder;
use crate::store::queue::{Notify, QueuedRecipient, Ret, Said};

/// A transaction at work.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) transaction: Arc<Transaction>,
    /// One for each recipient; `None`: not known yet.
    outcomes: Vec<Option<Outcome>>,
    /// Recipients that the server took.
    taken: Vec<usize>,
    /// The recipient whose RCPT is sent next.
    next: usize,
    pub(super) encoder: DotEncoder,
    /// It is looked through, to be re-encoded.
    pub(super) survey: Option<Box<Survey>>,
    /// It is re-encoded as it is sent.
    pub(super) recoder: Option<Box<Recoder>>,
    /// The message is being sent, and the server has nothing to say.
    sending: bool,
}

impl Work {
    pub(super) fn is_being_sent(&self) -> bool {
        self.sending
    }

    fn decide(&mut self, index: usize, outcome: Outcome) {
        let place = &mut self.outcomes[index];
        if place.is_none() {
            *place = Some(outcome);
        }
    }

    /// Decides about all recipients that are not decided about.
    fn decide_rest(&mut self, outcome: &Outcome) {
        for place in self.outcomes.iter_mut().filter(|place| place.is_none()) {
            *place = Some(outcome.clone());
        }
    }

    fn is_decided(&self) -> bool {
        self.outcomes.iter().all(Option::is_some)
    }

    /// The next recipient that RCPT is to be sent for.
    fn next_recipient(&mut self) -> Option<usize> {
        let next = (self.next..self.outcomes.len()).find(|index| self.outcomes[*index].is_none());
        self.next = next.map_or(self.outcomes.len(), |index| index + 1);
        next
    }
}

/// The outcome that a refusal means; `None`: it is no refusal.
fn refused(class: Class, said: &Arc<Said>) -> Option<Outcome> {
    match class {
        Class::NotNow => Some(Outcome::Deferred(said.clone())),
        Class::Never => Some(Outcome::Failed(said.clone())),
        Class::Done | Class::GoOn => None,
    }
}

impl Session {
    /// The host's answer: a transaction, or the end.
    pub(super) fn begin(&mut self, next: Next) {
        self.state = State::Commands;
        let Some(transaction) = next.0 else {
            if self.closing.is_none() {
                self.quit(Reason::Quit);
            }
            return;
        };
        let recipients = transaction.recipients.len();
        assert!(recipients <= limits::CLIENT_RECIPIENTS, "a transaction has few recipients");
        self.transactions += 1;
        self.reset = false;
        self.work = Some(Work {
            transaction,
            outcomes: alloc::vec![None; recipients],
            taken: Vec::new(),
            next: 0,
            encoder: DotEncoder::new(),
            survey: None,
            recoder: None,
            sending: false,
        });
        if self.closing.is_some() {
            let gone = ours(421, [4, 4, 2], "the connection was lost between two messages");
            let said = self.last_words.take().unwrap_or(gone);
            self.decide_rest(&Outcome::Deferred(said));
            return self.report();
        }
        self.judge();
        match &mut self.work {
            Some(work) if work.is_decided() => self.report(),
            Some(work) if work.transaction.wishes.eight_bit && !self.offer.eight_bit => {
                // It may have been declared in vain: then it goes out as the 7-bit message that it is.
                work.survey = work.transaction.ours.then(Box::default);
                self.state = State::Scanning(Run::new());
                self.read_on();
            }
            Some(_) | None => self.send_envelope(),
        }
    }

    /// What needs no server to be known: its extensions do not suffice.
    fn judge(&mut self) {
        let offer = self.offer;
        let Some(work) = &mut self.work else { return };
        let transaction = work.transaction.clone();
        if let Some(max) = offer.size.filter(|max| *max > 0 && transaction.size > *max) {
            let size = transaction.size;
            let text = format!("the message has {size} octets, the server takes {max}");
            work.decide_rest(&Outcome::Failed(ours(552, [5, 3, 4], &text)));
        }
        if !offer.utf8 {
            let said = ours(
                550,
                [5, 6, 7],
                "the address or the message needs SMTPUTF8, which the server does not offer",
            );
            if transaction.wishes.utf8 || !is_ascii(&transaction.reverse_path) {
                work.decide_rest(&Outcome::Failed(said.clone()));
            }
            for (index, recipient) in transaction.recipients.iter().enumerate() {
                if !mailbox_is_ascii(&recipient.address) {
                    work.decide(index, Outcome::Failed(said.clone()));
                }
            }
        }
        if let Some(max) = offer.recipients_max {
            let open: Vec<usize> = (0..work.outcomes.len())
                .filter(|index| work.outcomes[*index].is_none())
                .collect();
            let text = format!("the server takes {max} recipients at a time");
            let said = ours(452, [4, 5, 3], &text);
            for index in open.into_iter().skip(usize::try_from(max).unwrap_or(usize::MAX)) {
                work.decide(index, Outcome::Deferred(said.clone()));
            }
        }
    }

    /// MAIL, and with PIPELINING all that follows it up to DATA (RFC 2920 §3.1).
    pub(super) fn send_envelope(&mut self) {
        let Some(work) = &self.work else { return };
        let line = self.mail_line(&work.transaction);
        self.command(Step::Mail, &line);
        if self.offer.pipelining {
            while self.send_recipient() {}
            self.command(Step::Data, "DATA");
        }
    }

    /// `mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF`
    fn mail_line(&self, transaction: &Transaction) -> String {
        let Offer {
            size,
            eight_bit,
            utf8,
            dsn,
            ..
        } = self.offer;
        let wishes = &transaction.wishes;
        let mut line = format!("MAIL FROM:{}", transaction.reverse_path);
        let recoded = self.work.as_ref().is_some_and(|work| work.recoder.is_some());
        // RFC 1870 §6.1: how large it becomes is not known.
        if size.is_some() && !recoded {
            line.push_str(&format!(" SIZE={}", transaction.size));
        }
        if eight_bit && wishes.eight_bit {
            line.push_str(" BODY=8BITMIME");
        }
        let all_ascii = || {
            let mut recipients = transaction.recipients.iter();
            is_ascii(&transaction.reverse_path) && recipients.all(|recipient| mailbox_is_ascii(&recipient.address))
        };
        if utf8 && (wishes.utf8 || !all_ascii()) {
            line.push_str(" SMTPUTF8");
        }
        if dsn {
            // RFC 3461 §5.2.1: what was not given is not supplied.
            match wishes.ret {
                Some(Ret::Full) => line.push_str(" RET=FULL"),
                Some(Ret::Headers) => line.push_str(" RET=HDRS"),
                None => {}
            }
            if let Some(id) = wishes.envelope_id.as_ref().filter(|id| !id.is_empty()) {
                line.push_str(" ENVID=");
                line.push_str(&xtext::encode(id));
            }
        }
        line
    }

    /// `rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF`; `false`: there is no other recipient.
    fn send_recipient(&mut self) -> bool {
        let Some(work) = &mut self.work else { return false };
        let Some(index) = work.next_recipient() else { return false };
        let line = rcpt_line(&work.transaction.recipients[index], self.offer.dsn);
        self.command(Step::Rcpt(index), &line);
        true
    }

    pub(super) fn mail_known(&mut self, reply: &Reply, said: Said) {
        let said = Arc::new(said);
        let Some(work) = &mut self.work else { return };
        match refused(reply.class(), &said) {
            Some(outcome) => {
                work.decide_rest(&outcome);
                if !self.offer.pipelining {
                    self.report();
                }
            }
            None if reply.class() == Class::GoOn => self.out_of_step(&said),
            None => {
                self.reset = true;
                self.next_command();
            }
        }
    }

    pub(super) fn rcpt_known(&mut self, index: usize, reply: &Reply, said: Said) {
        let said = Arc::new(as_452(said));
        let Some(work) = &mut self.work else { return };
        let class = if said.code == 452 { Class::NotNow } else { reply.class() };
        match refused(class, &said) {
            Some(outcome) => work.decide(index, outcome),
            None if class == Class::GoOn => return self.out_of_step(&said),
            // After a refused MAIL nothing can be taken, whatever the server says.
            None if work.outcomes[index].is_none() => work.taken.push(index),
            None => {}
        }
        self.next_command();
    }

    /// Without PIPELINING: the next RCPT, or DATA, or the end.
    fn next_command(&mut self) {
        if self.offer.pipelining || self.send_recipient() {
            return;
        }
        match &self.work {
            Some(work) if work.taken.is_empty() => self.report(),
            Some(_) | None => self.command(Step::Data, "DATA"),
        }
    }

    pub(super) fn data_known(&mut self, reply: &Reply, said: Said) {
        let said = Arc::new(said);
        let Some(work) = &mut self.work else { return };
        match (reply.class(), refused(reply.class(), &said)) {
            (_, Some(outcome)) => {
                work.decide_rest(&outcome);
                self.report();
            }
            (Class::GoOn, None) if work.taken.is_empty() => {
                self.queue(b".\r\n");
                self.awaits(Step::NoMessage);
            }
            (Class::GoOn, None) => {
                work.sending = true;
                self.state = State::Message(Run::new());
                self.read_on();
            }
            (_, None) => self.out_of_step(&said),
        }
    }

    pub(super) fn final_dot_known(&mut self, reply: &Reply, said: Said) {
        let said = Arc::new(said);
        let dsn = self.offer.dsn;
        let Some(work) = &mut self.work else { return };
        match (reply.class(), refused(reply.class(), &said)) {
            (_, Some(outcome)) => work.decide_rest(&outcome),
            (Class::Done, None) => {
                work.decide_rest(&Outcome::Relayed { said, dsn });
                self.reset = false;
            }
            (_, None) => return self.out_of_step(&said),
        }
        self.report();
    }

    /// The server's refusal in the midst of the message.
    pub(super) fn refused_early(&mut self, reply: &Reply, said: &Arc<Said>) {
        if let Some(outcome) = refused(reply.class(), said) {
            self.decide_rest(&outcome);
        }
    }

    /// Decides about all recipients that are not decided about.
    pub(super) fn decide_rest(&mut self, outcome: &Outcome) {
        if let Some(work) = &mut self.work {
            work.decide_rest(outcome);
        }
    }

    /// Hands the outcomes over. Each transaction comes here once.
    pub(super) fn report(&mut self) {
        let work = self.work.take().expect("a transaction is reported once");
        let known = |outcome: Option<Outcome>| outcome.expect("every recipient has an outcome");
        let results = work.outcomes.into_iter().map(known).collect();
        let then = self.slots.ask(Pending::Report);
        self.asks.push_back(Ask::Report {
            id: work.transaction.id,
            results,
            then,
        });
        self.state = State::Reporting;
        self.deadline = None;
    }

    pub(super) fn reported(&mut self) {
        self.state = State::Commands;
        if self.closing.is_some() {
        } else if self.reset && !self.stopping {
            self.reset = false;
            self.command(Step::Rset, "RSET");
        } else {
            self.ready();
        }
    }
}

fn rcpt_line(recipient: &QueuedRecipient, dsn: bool) -> String {
    let mut line = format!("RCPT TO:<{}>", recipient.address);
    if !dsn {
        return line;
    }
    if recipient.notify == Some(Notify::NEVER) {
        line.push_str(" NOTIFY=NEVER");
    } else if let Some(notify) = recipient.notify {
        let names = [
            (Notify::SUCCESS, "SUCCESS"),
            (Notify::FAILURE, "FAILURE"),
            (Notify::DELAY, "DELAY"),
        ];
        let wanted = names.into_iter().filter(|(bit, _)| notify.contains(*bit));
        let wanted: Vec<&str> = wanted.map(|(_, name)| name).collect();
        line.push_str(&format!(" NOTIFY={}", wanted.join(",")));
    }
    if let Some(original) = recipient.original.as_deref().and_then(xtext::original_recipient) {
        line.push_str(" ORCPT=");
        line.push_str(&original);
    }
    line
}

fn is_ascii(path: &ReversePath) -> bool {
    match path {
        ReversePath::Null => true,
        ReversePath::Mailbox(mailbox) => mailbox_is_ascii(mailbox),
    }
}

fn mailbox_is_ascii(mailbox: &Mailbox) -> bool {
    let host = match &mailbox.host {
        Host::Domain(domain) => domain.as_str().is_ascii(),
        Host::Literal(_) => true,
    };
    host && mailbox.local.as_str().is_ascii()
}
