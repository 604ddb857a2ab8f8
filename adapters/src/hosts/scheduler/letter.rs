//! A report on its way: to mailboxes of ours at once, to others by the queue.

use std::sync::Arc;

use pillarbox_core::address::{Host, LocalPart, Mailbox, ReversePath};
use pillarbox_core::decision::{AliasTarget, FactAnswer, Known, Question};
use pillarbox_core::delivery::dsn::{self, Action, Addressee, Ours, ReportMatter, ReportOrder};
use pillarbox_core::limits;
use pillarbox_core::message::id;
use pillarbox_core::store::queue::{Enqueue, QueuedMessage, QueuedRecipient, Wishes};
use pillarbox_core::store::request::{Placement, Where};
use pillarbox_core::store::{AccountId, Flags};
use pillarbox_core::time::UnixTime;

use crate::decide::FactSource;
use crate::env::Env;
use crate::hosts::escaped;

/// A report, ready to be committed. At least one of the two ways is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its bytes, CRLF throughout.
    pub body: Arc<[u8]>,
    /// Mailboxes of ours that get it.
    pub placements: Vec<Placement>,
    /// Whether it goes into their mailbox `Undeliverable`, which is made when it is absent: a copy for the postmaster.
    pub set_aside: bool,
    /// For others.
    pub queued: Option<Enqueue>,
}

/// Where an address leads.
#[derive(Default)]
struct Ways {
    accounts: Vec<(AccountId, Mailbox)>,
    others: Vec<Mailbox>,
}

/// Writes a report; `None` when nobody need have it, or not even our postmaster has a mailbox here, which is logged.
pub(super) async fn write<E: Env>(
    env: &E,
    facts: &impl FactSource,
    ours: &Ours,
    message: &QueuedMessage,
    order: &ReportOrder,
    original: &[u8],
) -> Option<Letter> {
    let mut order = order.clone();
    let mut ways = match &order.addressee {
        Addressee::Sender(mailbox) => ways(facts, mailbox).await,
        Addressee::Postmaster => Ways::default(),
    };
    if ways.is_empty() {
        // Nobody is behind the reverse path any more: failures are the postmaster's, of all else nobody need hear.
        order.addressee = Addressee::Postmaster;
        order.told.retain(|told| told.action == Action::Failed);
        if order.told.is_empty() {
            return None;
        }
        ways = self::ways(facts, &postmaster(ours)).await;
        // Never by the queue: what fails there comes here again.
        ways.others.clear();
    }
    let about = escaped(&message.entered.message);
    if ways.is_empty() {
        tracing::error!(
            message = about,
            "a failure is reported to nobody: postmaster leads to no mailbox here (postmaster = …)"
        );
        return None;
    }
    let (now, mut chance) = (env.now().unix, [0; 8]);
    env.entropy(&mut chance);
    let id = id::of(now, u64::from_le_bytes(chance));
    let written = dsn::write(&ReportMatter {
        ours,
        message: &message.entered,
        order: &order,
        id: &id,
        now,
        original,
        original_len: message.body_len + message.entered.prefix.len() as u64,
    });
    tracing::info!(message = about, report = id, to = escaped(&ways.to_string()), "report");
    let placements = ways
        .accounts
        .into_iter()
        .map(|(account, address)| placement(account, &address, now));
    let queued = (!ways.others.is_empty()).then(|| Enqueue {
        message: id.into(),
        submitter: None,
        reverse_path: ReversePath::Null,
        reportable: true,
        prefix: Arc::from(&b""[..]),
        arrived: now,
        expires: now.after(limits::QUEUE_AGE_NULL),
        wishes: Wishes {
            eight_bit: written.eight_bit,
            utf8: written.utf8,
            ..Wishes::default()
        },
        recipients: ways.others.into_iter().map(QueuedRecipient::of).collect(),
    });
    Some(Letter {
        placements: placements.collect(),
        set_aside: order.addressee == Addressee::Postmaster,
        queued,
        body: written.bytes.into(),
    })
}

impl Ways {
    fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.others.is_empty()
    }
}

impl std::fmt::Display for Ways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let accounts = self.accounts.iter().map(|(_, address)| address);
        for (place, address) in accounts.chain(&self.others).enumerate() {
            write!(f, "{}<{address}>", if place > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// Mailboxes of ours, or other servers. An address of ours that leads nowhere: neither.
async fn ways(facts: &impl FactSource, mailbox: &Mailbox) -> Ways {
    let ours = match &mailbox.host {
        Host::Domain(domain) => facts.fact(&Question::OurDomain(domain.clone())).await.answer,
        Host::Literal(ip) => facts.fact(&Question::OurAddress(*ip)).await.answer,
    };
    let mut ways = Ways::default();
    if !matches!(ours, FactAnswer::Known(_)) {
        ways.others.push(mailbox.clone());
        return ways;
    }
    let targets = match facts.fact(&Question::LocalAddress(mailbox.clone())).await.answer {
        FactAnswer::Known(Known::Targets(targets)) => targets,
        FactAnswer::Known(Known::Yes | Known::Mx(_) | Known::Addresses(_)) | FactAnswer::Absent | FactAnswer::Failed(_) => {
            Vec::new()
        }
    };
    for target in targets {
        match target {
            AliasTarget::Account(account, address) => ways.accounts.push((account, address)),
            AliasTarget::Remote(address) => ways.others.push(address),
        }
    }
    ways
}

fn postmaster(ours: &Ours) -> Mailbox {
    Mailbox {
        local: LocalPart::new("postmaster", false).expect("a well-formed name"),
        host: Host::Domain(ours.domain.clone()),
    }
}

fn placement(account: AccountId, address: &Mailbox, now: UnixTime) -> Placement {
    Placement {
        account,
        mailbox: Where::Inbox,
        prefix: format!("Return-Path: <>\r\nDelivered-To: {address}\r\n").into_bytes().into(),
        flags: Flags(0),
        keywords: Vec::new(),
        internal_date: now,
        save_date: now,
    }
}
