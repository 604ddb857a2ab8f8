//! What a report says to people: what happened, which rule says so, what to do.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::field::one_line;
use super::{Action, Addressee, ReportMatter, Told};
use crate::address::ReversePath;
use crate::limits;
use crate::message::date::format_rfc5322;
use crate::store::queue::Said;

const COLUMNS: usize = 72;

/// The subject.
pub(super) fn subject(matter: &ReportMatter<'_>) -> &'static str {
    match (&matter.order.addressee, matter.order.told[0].action) {
        (Addressee::Postmaster, _) => "Undeliverable mail that could not be returned to its sender",
        (Addressee::Sender(_), Action::Failed) => "Your message could not be delivered",
        (Addressee::Sender(_), Action::Delayed) => "Your message is delayed",
        (Addressee::Sender(_), Action::Relayed) => "Your message was handed on",
        (Addressee::Sender(_), Action::Delivered) => "Your message was delivered",
        (Addressee::Sender(_), Action::Expanded) => "Your message was passed on",
    }
}

/// The human part, lines of at most 72 columns where they have spaces, ended by CRLF.
pub(super) fn text(matter: &ReportMatter<'_>) -> String {
    let message = matter.message;
    let mut out = String::new();
    paragraph(&mut out, "", &format!("This is the mail server {}.", matter.ours.hostname));
    let which = match (&matter.order.addressee, &message.reverse_path) {
        (Addressee::Sender(_), _) => "Your message of".to_string(),
        (Addressee::Postmaster, ReversePath::Null) => {
            "A message without a reverse path, itself a report or an automatic answer, cannot be returned to anyone, so that you, the \
             postmaster, are told. It came"
                .into()
        }
        (Addressee::Postmaster, ReversePath::Mailbox(mailbox)) => format!(
            "A message that claims to be from {} was not authenticated, or was taken for junk: its alleged sender is not told, so that \
             you, the postmaster, are told. It came",
            one_line(&mailbox.to_string())
        ),
    };
    let arrived = format_rfc5322(message.arrived);
    let mut last = None;
    for (place, told) in matter.order.told.iter().enumerate() {
        if out.len() > limits::REPORT_WORDS {
            let more = matter.order.told.len() - place;
            paragraph(
                &mut out,
                "",
                &format!("{more} more recipients are listed in the attached report."),
            );
            break;
        }
        if last != Some(told.action) {
            last = Some(told.action);
            let outcome = match told.action {
                Action::Failed => "could not be delivered to the following recipients, and is not tried any longer.",
                Action::Delayed => {
                    "has not been delivered to the following recipients yet. You need not do anything: it goes on being tried."
                }
                Action::Relayed => {
                    "was handed to the next mail server for the following recipients. That server sends no reports about successful \
                     deliveries, so this is the last you hear of it, unless it fails there."
                }
                Action::Delivered => "was delivered to the following recipients.",
                Action::Expanded => {
                    "was passed on to all members of the following addresses. You hear no more of it, unless it cannot be delivered to one \
                     of them."
                }
            };
            paragraph(&mut out, "", &format!("{which} {arrived} {outcome}"));
        }
        recipient(&mut out, matter, told);
    }
    paragraph(
        &mut out,
        "",
        &format!(
            "The message had the id {} here; the postmaster of {} can find out more with it. Technical details and the beginning of \
             the message are attached.",
            one_line(&message.message),
            matter.ours.domain
        ),
    );
    out
}

fn recipient(out: &mut String, matter: &ReportMatter<'_>, told: &Told) {
    let address = &matter.message.recipients[told.recipient as usize].address;
    *out += &format!("<{address}>\r\n");
    if let Some(said) = &told.said {
        let [class, subject, detail] = said.status;
        let text = one_line(&said.text);
        let what = match &said.by {
            Some(server) => format!("{} said: {} {class}.{subject}.{detail} {text}", one_line(server), said.code),
            None => text,
        };
        paragraph(out, "  What happened: ", &what);
        if matches!(told.action, Action::Failed | Action::Delayed) {
            let (meaning, advice) = meaning(told.action, said);
            paragraph(
                out,
                "  Which rule: ",
                &format!("{class}.{subject}.{detail}, {meaning} (RFC 3463)."),
            );
            paragraph(out, "  What to do: ", advice);
        }
    }
    if told.action == Action::Delayed {
        let until = format_rfc5322(matter.message.expires);
        paragraph(out, "  Tried until: ", &until);
    }
    *out += "\r\n";
}

/// Writes text behind a label, wrapped; an empty line follows when there is no label.
fn paragraph(out: &mut String, label: &str, text: &str) {
    let mut column = 0;
    let indent = if label.is_empty() { "" } else { "    " };
    *out += label;
    column += label.len();
    let words: Vec<&str> = text.split_whitespace().collect();
    for (place, word) in words.iter().enumerate() {
        let length = word.chars().count();
        if place > 0 && column + 1 + length > COLUMNS {
            *out += "\r\n";
            *out += indent;
            column = indent.len();
        } else if place > 0 {
            *out += " ";
            column += 1;
        }
        *out += word;
        column += length;
    }
    *out += if label.is_empty() { "\r\n\r\n" } else { "\r\n" };
}

/// What a status code means, and what the sender can do.
fn meaning(action: Action, said: &Said) -> (&'static str, &'static str) {
    if action == Action::Delayed {
        return (
            "a passing condition",
            "Nothing. You are told when it cannot be delivered in the end.",
        );
    }
    let spelling = "Look whether the address is spelt as it should be, or ask the recipient for it in another way.";
    let other_way = "Reach the recipient in another way, who can then ask the people who run that mail server.";
    match said.status {
        [_, 1, 1] => ("there is no such mailbox", spelling),
        [_, 1, 2] => ("there is no such domain", spelling),
        [_, 1, 3] | [_, 1, 0] => ("the address is wrong", spelling),
        [_, 1, 10] => ("the domain takes no mail", spelling),
        [_, 1, 7] | [_, 1, 8] => (
            "your own address is refused",
            "Look at the address that your mail program sends with.",
        ),
        [_, 2, 1] => ("the mailbox is closed", other_way),
        [_, 2, 2] => (
            "the mailbox is full",
            "Send it again later, or reach the recipient in another way.",
        ),
        [_, 2, 3] | [_, 3, 4] => (
            "the message is too large there",
            "Send it without large attachments, or in parts.",
        ),
        [_, 4, 4] => ("no way leads to the recipient", spelling),
        [_, 4, 6] => (
            "the message goes in circles",
            "Nothing you can do: the postmaster must put the configuration right.",
        ),
        [_, 4, 7] => (
            "the time is over",
            "Send it again, or reach the recipient in another way: its mail server did not take the message in all this time.",
        ),
        [_, 6, _] => (
            "that server cannot take a message of this form",
            "Send it in a simpler form: without attachments, or with addresses of plain letters.",
        ),
        [_, 7, _] => (
            "that server refuses it by its own rules",
            "What the server said may name the rule. If not, the recipient or the people who run that server know it.",
        ),
        [_, 4, _] => ("the network, or the way there, failed", "Send it again later."),
        [_, 5, _] => ("the two servers did not understand each other", other_way),
        _ => ("a permanent failure", other_way),
    }
}
