//! Every message of a world, and what may have become of it (R1, R7, law 6).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::mailbox::Account;
use super::transition::{CLIENTS, FOREIGN, SERVERS, To};

/// A message's number: it stands in its Message-ID.
pub type Token = usize;

/// What the client was told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its end has not been sent: nobody may have it.
    Begun,
    /// Its end has been sent, and no reply has come: all of its recipients or none.
    Unknown,
    /// 250: each recipient, once.
    Taken,
    /// Refused, or given up before its end: nobody.
    Refused,
}

/// A message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Which client handed it in; `None`: it came from outside.
    pub client: Option<usize>,
    /// With an empty reverse path: failures are set aside for the postmaster.
    pub null: bool,
    /// To whom; once recipients have been accepted, these alone, and in place of an alias those whom it stands for.
    pub to: Vec<To>,
    /// As it was sent.
    pub bytes: Arc<[u8]>,
    /// What the client was told.
    pub verdict: Verdict,
    /// When it was begun, in nanoseconds.
    pub begun: u64,
}

/// A copy that reached its recipient: what its receiver calls it. It says so in the reply to the message's end ([`QUEUED`]).
pub type Copy = String;

/// Where the reply to a message's end says under which name it was taken.
pub const QUEUED: &str = "queued as ";

/// All that is known of messages and accounts.
#[derive(Debug, Default)]
pub struct Model {
    /// The messages, by token.
    pub messages: Vec<Message>,
    /// The accounts, by client.
    pub accounts: Vec<Account>,
    /// Arrivals at a recipient.
    pub copies: BTreeMap<(Token, To), Vec<Copy>>,
    /// Where an arrival in a mailbox is: client, mailbox, UIDVALIDITY, UID.
    pub places: BTreeMap<(usize, String, u32, u32), (Token, usize)>,
    /// Failures that were reported.
    pub reports: BTreeMap<(Token, To), u32>,
    /// Delays that were reported.
    pub delays: BTreeMap<(Token, To), u32>,
    /// Failures that were reported without a word of the message, which could not be read: by sender and recipient.
    pub nameless: BTreeMap<(usize, To), u32>,
    /// Reports of such failures, by the server that could not read.
    pub nameless_reports: BTreeMap<usize, u64>,
    /// What must not be and is.
    pub broken: Vec<String>,
}

impl Model {
    /// Of a world in which nothing has happened.
    pub fn new() -> Model {
        Model {
            accounts: vec![Account::new(); CLIENTS],
            ..Model::default()
        }
    }

    /// A promise is broken.
    pub fn breaks(&mut self, what: String) {
        self.broken.push(what);
    }

    /// A new message.
    pub fn begin(&mut self, message: Message) -> Token {
        self.messages.push(message);
        self.messages.len() - 1
    }

    /// A message reached a mailbox into which the server delivers.
    pub fn arrived(&mut self, client: usize, mailbox: &str, at: (u32, u32), bytes: &[u8]) {
        let place = (client, mailbox.to_owned(), at.0, at.1);
        if self.places.contains_key(&place) {
            return;
        }
        let head = head(bytes);
        if let Some(token) = token_of(head, "Message-ID: <m") {
            self.places.insert(
                place,
                (token, self.copies.get(&(token, To::Client(client))).map_or(0, Vec::len)),
            );
            if mailbox != "INBOX" {
                return self.breaks(format!("message {token} was delivered into {mailbox}"));
            }
            return self.reached(token, To::Client(client), received_id(head), bytes);
        }
        let Some(token) = token_of(head, "References: <m") else {
            if self.reported_nameless(client, bytes) {
                self.places.insert(place, (usize::MAX, usize::MAX));
                return;
            }
            return self.breaks(format!(
                "client {client} got in {mailbox} what nobody sent: {}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(3000)])
            ));
        };
        self.places.insert(place, (token, usize::MAX));
        self.reported(token, client, mailbox, bytes);
    }

    /// Whether this is a report to which the original could not be attached: our disk had failed.
    fn reported_nameless(&mut self, client: usize, bytes: &[u8]) -> bool {
        let text = String::from_utf8_lossy(bytes);
        if !text.contains("\r\nAuto-Submitted: auto-replied\r\n") || text.contains("\r\nMessage-ID: <m") {
            return false;
        }
        for part in text.split("\r\nFinal-Recipient: rfc822; ").skip(1) {
            let (address, rest) = part.split_once("\r\n").unwrap_or((part, ""));
            let named = self.messages.iter().map(|message| named(address, &message.to));
            let Some(named) = named.into_iter().find(|named| !named.is_empty()) else {
                return false;
            };
            if rest.starts_with("Action: failed\r\n") {
                for to in named {
                    *self.nameless.entry((client, to)).or_default() += 1;
                }
            }
        }
        *self.nameless_reports.entry(home(client)).or_default() += 1;
        true
    }

    /// A report has come.
    fn reported(&mut self, token: Token, client: usize, mailbox: &str, bytes: &[u8]) {
        let Some(message) = self.messages.get(token) else {
            return self.breaks(format!("a report of message {token}, which is none"));
        };
        let to_postmaster = client < SERVERS && message.client.is_some_and(|sender| home(sender) == client);
        let right = match message.null {
            true => to_postmaster, // in INBOX when the mailbox for it cannot be made
            false => mailbox == "INBOX" && message.client == Some(client),
        };
        if !right {
            return self.breaks(format!("the report of message {token} came to client {client}, {mailbox}"));
        }
        let recipients = message.to.clone();
        let text = String::from_utf8_lossy(bytes).replace("\r\n ", " ");
        let mut about = 0;
        for part in text.split("\r\nFinal-Recipient: rfc822; ").skip(1) {
            about += 1;
            let (address, rest) = part.split_once("\r\n").unwrap_or((part, ""));
            let named = named(address, &recipients);
            if named.is_empty() {
                self.breaks(format!("the report of message {token} is of {address}"));
            }
            for to in named {
                match rest.strip_prefix("Action: ").map(|rest| rest.split("\r\n").next()) {
                    Some(Some("failed")) => *self.reports.entry((token, to)).or_default() += 1,
                    Some(Some("delayed")) => *self.delays.entry((token, to)).or_default() += 1,
                    other => self.breaks(format!("the report of message {token} says {other:?} of {address}")),
                }
            }
        }
        if about == 0 {
            self.breaks(format!("the report of message {token} is of nobody"));
        }
    }

    /// A message reached a recipient, where it was taken under this name.
    pub fn reached(&mut self, token: Token, to: To, copy: Copy, bytes: &[u8]) {
        let Some(message) = self.messages.get(token) else {
            return self.breaks(format!("{to:?} got message {token}, which is none"));
        };
        if !message.to.contains(&to) {
            return self.breaks(format!("{to:?} got message {token}, which is for {:?}", message.to));
        }
        match message.verdict {
            Verdict::Unknown | Verdict::Taken => {}
            Verdict::Begun => {
                return self.breaks(format!("R4: {to:?} got message {token}, whose end had not been sent"));
            }
            Verdict::Refused => return self.breaks(format!("R4: {to:?} got message {token}, which was refused")),
        }
        if !bytes.ends_with(&message.bytes) {
            let was = String::from_utf8_lossy(&message.bytes[..message.bytes.len().min(900)]).into_owned();
            return self.breaks(format!(
                "R1: message {token} reached {to:?} changed:\n{}\nwas\n{was}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(1500)])
            ));
        }
        self.copies.entry((token, to)).or_default().push(copy);
    }
}

/// Whom of a message's recipients an address means: one, or all for whom an alias stands that was not resolved where it failed.
fn named(address: &str, recipients: &[To]) -> Vec<To> {
    let one = recipients.iter().copied().find(|to| to.address() == address);
    let alias = (0..SERVERS).map(To::Alias).find(|alias| alias.address() == address);
    let named = one.or(alias).map_or_else(Vec::new, To::targets);
    match named.iter().all(|to| recipients.contains(to)) {
        true => named,
        false => Vec::new(),
    }
}

/// The header, up to the first empty line.
fn head(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    &bytes[..end.map_or(bytes.len(), |end| end + 2)]
}

/// Under which name the last server took it: the id in its own Received, which is the first.
fn received_id(head: &[u8]) -> Copy {
    let text = String::from_utf8_lossy(head);
    let field = text.split_once("Received: ").map_or("", |(_, rest)| rest);
    let id = field.split_once(" id ").map_or("", |(_, rest)| rest);
    id.split([';', '\r']).next().unwrap_or_default().to_owned()
}

/// The token behind the start of a field.
pub fn token_of(head: &[u8], field: &str) -> Option<Token> {
    let text = std::str::from_utf8(head).ok()?;
    let at = text.find(&format!("\r\n{field}"))? + 2 + field.len();
    let digits = text[at..].split('@').next()?;
    digits.parse().ok()
}

/// The token of a whole message.
pub fn token_of_message(bytes: &[u8]) -> Option<Token> {
    token_of(head(bytes), "Message-ID: <m")
}

/// The server of a client.
pub fn home(client: usize) -> usize {
    client % SERVERS
}

/// A server's domain.
pub fn domain(server: usize) -> String {
    format!("s{server}.test")
}

/// A server's address.
pub fn server_ip(server: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, 1 + server as u8])
}

/// A foreign server's address.
pub fn foreign_ip(foreign: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, 11 + foreign as u8])
}

/// A client's address.
pub fn client_ip(client: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, 21 + client as u8])
}

/// An account's address.
pub fn account(client: usize) -> String {
    format!("c{client}@{}", domain(home(client)))
}

impl To {
    /// The recipient's address.
    pub fn address(self) -> String {
        match self {
            To::Client(client) => account(client),
            To::Alias(server) => format!("all@{}", domain(server)),
            To::List(server) => format!("list@{}", domain(server)),
            To::Nobody(server) => format!("nobody@{}", domain(server)),
            To::Foreign(foreign) => format!("someone@f{foreign}.test"),
            To::ForeignOther(foreign) => format!("other@f{foreign}.test"),
            To::ForeignNobody(foreign) => format!("nobody@f{foreign}.test"),
            To::Dead => "someone@dead.test".into(),
            To::NoDomain => "someone@nowhere.test".into(),
        }
    }

    /// Who gets what is sent to it.
    pub fn targets(self) -> Vec<To> {
        match self {
            To::Alias(server) => (0..CLIENTS)
                .filter(|client| home(*client) == server)
                .map(To::Client)
                .collect(),
            To::List(server) => vec![
                To::Client(server),
                To::Client((server + 1) % SERVERS),
                To::Foreign(server % FOREIGN),
            ],
            To::Client(_)
            | To::Nobody(_)
            | To::Foreign(_)
            | To::ForeignOther(_)
            | To::ForeignNobody(_)
            | To::Dead
            | To::NoDomain => vec![self],
        }
    }

    /// The recipient of an address of a foreign server.
    pub fn at_foreign(address: &str) -> Option<To> {
        (0..FOREIGN).find_map(|foreign| {
            [To::Foreign(foreign), To::ForeignOther(foreign), To::ForeignNobody(foreign)]
                .into_iter()
                .find(|to| to.address() == address)
        })
    }

    /// Where mail for it goes.
    pub fn node(self) -> Option<IpAddr> {
        match self {
            To::Client(client) => Some(server_ip(home(client))),
            To::Alias(server) | To::List(server) | To::Nobody(server) => Some(server_ip(server)),
            To::Foreign(foreign) | To::ForeignOther(foreign) | To::ForeignNobody(foreign) => Some(foreign_ip(foreign)),
            To::Dead | To::NoDomain => None,
        }
    }
}

/// FNV-1a.
pub fn hash_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
