//! The report message itself (RFC 6522, RFC 3464).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use memchr::memmem;

use super::field::{ascii, original_recipient, put, put_whole, typed_address};
use super::{Action, Addressee, ReportMatter, Told, words};
use crate::limits;
use crate::message::date::format_rfc5322;
use crate::message::header::{HeaderEnd, fields};
use crate::store::queue::{Ret, Said};

/// A finished report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The message, CRLF throughout.
    pub bytes: Vec<u8>,
    /// It has octets above 127 (RFC 6152).
    pub eight_bit: bool,
    /// Its header has (RFC 6532).
    pub utf8: bool,
}

/// Writes a report.
pub fn write(matter: &ReportMatter<'_>) -> Written {
    let text = words::text(matter);
    let returned = Returned::of(matter);
    let to = match &matter.order.addressee {
        Addressee::Sender(mailbox) => mailbox.to_string(),
        Addressee::Postmaster => format!("postmaster@{}", matter.ours.domain),
    };
    let eight_bit = !text.is_ascii() || !returned.bytes.is_ascii();
    let boundary = boundary(matter.id, &[text.as_bytes(), returned.bytes]);
    let mut out = Vec::new();
    put(&mut out, "Date", &format_rfc5322(matter.now));
    put_whole(
        &mut out,
        "From",
        &format!("\"Mail Delivery System\" <MAILER-DAEMON@{}>", matter.ours.domain),
    );
    put_whole(&mut out, "To", &format!("<{to}>"));
    put(&mut out, "Subject", words::subject(matter));
    put_whole(
        &mut out,
        "Message-ID",
        &format!("<{}.report@{}>", ascii(matter.id), matter.ours.hostname),
    );
    if let Some(original) = message_id(matter.original) {
        put_whole(&mut out, "References", &original);
    }
    put(&mut out, "Auto-Submitted", "auto-replied"); // RFC 3834 §5
    put(&mut out, "MIME-Version", "1.0");
    let content = format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
    put(&mut out, "Content-Type", &content);
    encoding(&mut out, eight_bit);
    let utf8 = !out.is_ascii();
    out.extend_from_slice(b"\r\nThis is a report in MIME form.\r\n");

    begin(&mut out, &boundary, "text/plain; charset=utf-8", "What happened");
    encoding(&mut out, !text.is_ascii());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(text.as_bytes());

    begin(&mut out, &boundary, "message/delivery-status", "Delivery report");
    out.extend_from_slice(b"\r\n");
    delivery_status(&mut out, matter);

    begin(&mut out, &boundary, returned.content, returned.description);
    encoding(&mut out, !returned.bytes.is_ascii());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(returned.bytes);
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Written {
        bytes: out,
        eight_bit,
        utf8,
    }
}

fn begin(out: &mut Vec<u8>, boundary: &str, content: &str, description: &str) {
    out.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
    put(out, "Content-Type", content);
    put(out, "Content-Description", description);
}

/// Without it a part is 7bit (RFC 2045 §6.1).
fn encoding(out: &mut Vec<u8>, eight_bit: bool) {
    if eight_bit {
        put(out, "Content-Transfer-Encoding", "8bit");
    }
}

/// ```text
/// delivery-status-content = per-message-fields 1*( CRLF per-recipient-fields )
/// ```
fn delivery_status(out: &mut Vec<u8>, matter: &ReportMatter<'_>) {
    let message = matter.message;
    put(
        out,
        "Reporting-MTA",
        &format!("dns; {}", ascii(matter.ours.hostname.as_str())),
    );
    if let Some(id) = &message.wishes.envelope_id {
        put(out, "Original-Envelope-Id", &ascii(id));
    }
    put(out, "Arrival-Date", &format_rfc5322(message.arrived));
    for told in &matter.order.told {
        out.extend_from_slice(b"\r\n");
        recipient(out, matter, told);
    }
}

fn recipient(out: &mut Vec<u8>, matter: &ReportMatter<'_>, told: &Told) {
    let recipient = &matter.message.recipients[told.recipient as usize];
    if let Some(original) = &recipient.original {
        put_whole(out, "Original-Recipient", &original_recipient(original));
    }
    put_whole(out, "Final-Recipient", &typed_address(&recipient.address));
    put(out, "Action", told.action.name());
    let [class, subject, detail] = status(told.action, told.said.as_deref());
    put(out, "Status", &format!("{class}.{subject}.{detail}"));
    if let Some(said) = &told.said {
        match &said.by {
            Some(server) => {
                put(out, "Remote-MTA", &format!("dns; {:.*}", limits::DOMAIN, ascii(server)));
                put(out, "Diagnostic-Code", &format!("smtp; {}", spoken(said)));
            }
            // Not a remote server's words: a type of our own (RFC 3464 §2.3.6, §2.1.2).
            None => put(out, "Diagnostic-Code", &format!("x-pillarbox; {}", ascii(&said.text))),
        }
    }
    if let Some(attempted) = told.attempted {
        put(out, "Last-Attempt-Date", &format_rfc5322(attempted));
    }
    if told.action == Action::Delayed {
        put(out, "Will-Retry-Until", &format_rfc5322(matter.message.expires));
    }
}

fn spoken(said: &Said) -> String {
    let [class, subject, detail] = said.status;
    ascii(&format!("{} {class}.{subject}.{detail} {}", said.code, said.text))
}

/// The status must be of the action's class (RFC 3464 §2.3.4).
fn status(action: Action, said: Option<&Said>) -> [u16; 3] {
    let class = match action {
        Action::Failed => 5,
        Action::Delayed => 4,
        Action::Relayed | Action::Delivered | Action::Expanded => 2,
    };
    match said {
        Some(said) if said.status[0] == class => said.status.map(|number| number.min(999)),
        Some(_) | None => [class, 0, 0],
    }
}

/// The part that brings back what was sent.
struct Returned<'a> {
    content: &'static str,
    description: &'static str,
    bytes: &'a [u8],
}

impl<'a> Returned<'a> {
    fn of(matter: &ReportMatter<'a>) -> Returned<'a> {
        let original = &matter.original[..matter.original.len().min(limits::REPORT_RETURNED)];
        let failed = matter.order.told.iter().any(|told| told.action == Action::Failed);
        // RET is about failures only (RFC 3461 §4.3); a large message is not sent back whole, whoever asks (S17).
        if failed && matter.message.wishes.ret == Some(Ret::Full) && original.len() as u64 == matter.original_len {
            // A message with a header in UTF-8 is a `message/global` (RFC 6533 §3).
            let header = header_of(original).is_ascii();
            return Returned {
                content: if header { "message/rfc822" } else { "message/global" },
                description: "Your message",
                bytes: original,
            };
        }
        let bytes = header_of(original);
        Returned {
            content: if bytes.is_ascii() {
                "text/rfc822-headers"
            } else {
                "message/global-headers"
            },
            description: "The header of your message",
            bytes,
        }
    }
}

/// The header block without the empty line behind it; whole lines of it when it is longer than what is there.
fn header_of(original: &[u8]) -> &[u8] {
    let mut end = HeaderEnd::default();
    let length = end.update(original);
    let block = &original[..length];
    if end.found() {
        return block.strip_suffix(b"\r\n").unwrap_or(block);
    }
    let lines = memmem::rfind(block, b"\r\n").map_or(0, |at| at + 2);
    &block[..lines]
}

/// The original's Message-ID, when it is well formed enough to be repeated.
fn message_id(original: &[u8]) -> Option<String> {
    let field = fields(header_of(original)).find(|field| field.is("Message-ID"))?;
    let value = field.unfolded();
    let value = core::str::from_utf8(&value).ok()?.trim();
    let inner = value.strip_prefix('<')?.strip_suffix('>')?;
    let fits = inner.len() <= 250 && inner.contains('@') && inner.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    (fits && !inner.contains(['<', '>'])).then(|| value.into())
}

/// A boundary that stands in none of the parts.
fn boundary(id: &str, parts: &[&[u8]]) -> String {
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let mut number = 0;
    loop {
        let boundary = format!("=_{id}_{number}");
        if parts.iter().all(|part| memmem::find(part, boundary.as_bytes()).is_none()) {
            return boundary;
        }
        number += 1;
    }
}
