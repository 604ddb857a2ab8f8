//! `pillarbox queue`.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::{Args, Subcommand};
use pillarbox_core::delivery::scheduler::ask::{Operation, Which};
use pillarbox_core::message::date::format_rfc5322;
use pillarbox_core::store::queue::{QueueRow, QueuedMessage, QueuedRecipient, RowState, Said};
use pillarbox_core::time::UnixTime;

use super::account::json_text;
use super::check::print;
use super::load::load;
use super::owner::become_owner;
use super::{ConfigFile, Exit, Failure};
use crate::control::{self, Form, Request};

/// Show what waits for other servers, and what is to be done with it
///
/// A running server is asked. What is being sent at this moment is held or cancelled only if that fails.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pillarbox queue list                              as mailq shows it
  pillarbox queue list --json                       one object a line
  pillarbox queue show 01m86ch3m0b3vny3m            each recipient, and what was said of it
  pillarbox queue retry all                         try everything now
  pillarbox queue hold example.org                  keep back what goes to a domain
  pillarbox queue release example.org
  pillarbox queue cancel 01m86ch3m0b3vny3m          remove a message; its sender is not told

Exit codes: 0 done, 64 usage, 65 no such message, 69 no server runs, or it fails, 78 configuration.")]
pub(super) struct QueueArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all messages with their open recipients
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// Print one object a line
        #[arg(long)]
        json: bool,
    },
    /// Show all of one message
    Show {
        #[command(flatten)]
        config: ConfigFile,
        /// The message's id
        message: String,
        /// Print an object
        #[arg(long)]
        json: bool,
    },
    /// Try now
    Retry(What),
    /// Keep back until released
    Hold(What),
    /// Let go what is held
    Release(What),
    /// Remove; nobody is told
    Cancel(What),
}

#[derive(Debug, Args)]
struct What {
    #[command(flatten)]
    config: ConfigFile,
    /// `all`, a message's id, or a domain
    which: String,
}

impl QueueArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        let form = |json| if json { Form::Json } else { Form::Text };
        match self.action {
            Action::List { config, json } => print(&ask(&config, Request::ListQueue(form(json)))?),
            Action::Show { config, message, json } => show_one(&config, &message, form(json)),
            Action::Retry(what) => operate(&what, Operation::Retry),
            Action::Hold(what) => operate(&what, Operation::Hold),
            Action::Release(what) => operate(&what, Operation::Release),
            Action::Cancel(what) => operate(&what, Operation::Cancel),
        }
    }
}

fn message_id(text: &str) -> Result<String, Failure> {
    match control::parse_which(text) {
        Some(Which::Message(message)) => Ok(message.to_string()),
        Some(Which::All | Which::Domain(_) | Which::Id(_)) | None => {
            let text = format!(
                "`{}` is no message's id; `pillarbox queue list` shows them",
                text.escape_debug()
            );
            Err(Failure::new(Exit::BadData, text))
        }
    }
}

fn show_one(config: &ConfigFile, message: &str, form: Form) -> Result<(), Failure> {
    match ask(config, Request::ShowQueued(form, message_id(message)?))?.as_str() {
        "" => {
            let text = format!("there is no message {message} in the queue; `pillarbox queue list` shows all");
            Err(Failure::new(Exit::BadData, text))
        }
        shown => print(shown),
    }
}

fn operate(what: &What, operation: Operation) -> Result<(), Failure> {
    let bad = |text: String| Failure::new(Exit::BadData, text);
    let shown = what.which.escape_debug();
    let which = control::parse_which(&what.which);
    let which = which.ok_or_else(|| bad(format!("`{shown}` is neither `all` nor a message's id nor a domain")))?;
    let rows = ask(&what.config, Request::Operate(operation, which.clone()))?;
    match (rows.trim_end(), which) {
        ("0", Which::Message(_) | Which::Domain(_)) => {
            let text = format!("nothing in the queue is of {shown}, or could be changed; `pillarbox queue list` shows all");
            Err(bad(text))
        }
        (rows, _) => print(&format!("{rows} recipients\n")),
    }
}

/// Asks the running server.
fn ask(config: &ConfigFile, request: Request) -> Result<String, Failure> {
    let config = load(config)?.config()?;
    become_owner(&config.data_dir)?;
    let unavailable = |text: String| Failure::new(Exit::Unavailable, text);
    let told = control::tell(&config.data_dir, request).map_err(unavailable)?;
    told.ok_or_else(|| unavailable("no server runs here: `pillarbox serve` works on the queue".into()))
}

/// All messages: as `mailq` shows them, or an object a line as `postqueue -j` prints it.
pub(super) fn list(messages: &[Arc<QueuedMessage>], form: Form) -> String {
    match form {
        Form::Json => messages.iter().map(|message| object(message) + "\n").collect(),
        Form::Text => mailq(messages),
    }
}

/// One message.
pub(super) fn show(message: &QueuedMessage, form: Form) -> String {
    match form {
        Form::Json => object(message) + "\n",
        Form::Text => detail(message),
    }
}

fn size(message: &QueuedMessage) -> u64 {
    message.body_len + message.entered.prefix.len() as u64
}

fn open_rows(message: &QueuedMessage) -> impl Iterator<Item = (&QueuedRecipient, &QueueRow)> {
    let rows = message.entered.recipients.iter().zip(&message.rows);
    rows.filter(|(_, row)| !row.state.is_over())
}

/// `Tue Nov 24 13:00:00`, in UTC.
fn arrival(time: UnixTime) -> String {
    let text = format_rfc5322(time);
    let words: Vec<&str> = text.split(' ').collect();
    match words.as_slice() {
        [weekday, day, month, _, clock, ..] => format!("{} {month} {day:>2} {clock}", weekday.trim_end_matches(',')),
        _ => text,
    }
}

fn mailq(messages: &[Arc<QueuedMessage>]) -> String {
    if messages.is_empty() {
        return "Mail queue is empty\n".into();
    }
    let mut out = String::from("----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n");
    let mut octets = 0;
    for message in messages {
        octets += size(message);
        let held = open_rows(message).all(|(_, row)| row.state == RowState::Held);
        let tried = open_rows(message).any(|(_, row)| row.attempts > 0);
        let mark = match (held, tried) {
            (true, _) => "!",
            (false, false) => "*",
            (false, true) => " ",
        };
        let id = format!("{}{mark}", message.entered.message);
        let sender = sender(message);
        let _ = writeln!(
            out,
            "{id:<17} {:>8} {:>19} {sender}",
            size(message),
            arrival(message.entered.arrived)
        );
        let mut reason = None;
        for (recipient, row) in open_rows(message) {
            if row.said.is_some() && row.said != reason {
                reason = row.said.clone();
                let said = reason.as_ref().map_or_else(String::new, |said| words(said));
                let _ = writeln!(out, "{:>46} ({said})", "");
            }
            let _ = writeln!(out, "{:>46} {}", "", recipient.address);
        }
        out.push('\n');
    }
    let requests = if messages.len() == 1 { "Request" } else { "Requests" };
    let _ = writeln!(out, "-- {} Kbytes in {} {requests}.", octets.div_ceil(1024), messages.len());
    out
}

fn sender(message: &QueuedMessage) -> String {
    let path = message.entered.reverse_path.to_string();
    match path.trim_matches(['<', '>']) {
        "" => "MAILER-DAEMON".into(),
        address => address.into(),
    }
}

/// What was said, in a line: `mx.example.org said: 451 4.3.0 try later`.
fn words(said: &Said) -> String {
    let [class, subject, detail] = said.status;
    let text = format!("{} {class}.{subject}.{detail} {}", said.code, said.text.escape_debug());
    match &said.by {
        Some(by) => format!("{} said: {text}", by.escape_debug()),
        None => text,
    }
}

fn state(state: RowState) -> &'static str {
    match state {
        RowState::Waiting(_) => "waiting",
        RowState::Held => "held",
        RowState::Relayed => "relayed",
        RowState::Failed => "failed",
        RowState::Cancelled => "cancelled",
        RowState::Delivered => "delivered",
    }
}

fn detail(message: &QueuedMessage) -> String {
    let entered = &message.entered;
    let mut out = String::new();
    let _ = writeln!(out, "message   {}", entered.message);
    let _ = writeln!(out, "sender    {}", sender(message));
    let _ = writeln!(out, "size      {} octets", size(message));
    let _ = writeln!(out, "arrived   {}", format_rfc5322(entered.arrived));
    let _ = writeln!(out, "expires   {}", format_rfc5322(entered.expires));
    for (recipient, row) in entered.recipients.iter().zip(&message.rows) {
        let _ = writeln!(out, "\n{}", recipient.address);
        let _ = writeln!(out, "  {}, {} attempts", state(row.state), row.attempts);
        if let RowState::Waiting(due) = row.state {
            let _ = writeln!(out, "  next      {}", format_rfc5322(due));
        }
        if let Some(said) = &row.said {
            let _ = writeln!(out, "  last      {}", words(said));
        }
    }
    out
}

fn object(message: &QueuedMessage) -> String {
    let entered = &message.entered;
    let open: Vec<_> = open_rows(message).collect();
    let queue = match open.as_slice() {
        rows if rows.iter().all(|(_, row)| row.state == RowState::Held) => "hold",
        rows if rows.iter().all(|(_, row)| row.attempts == 0) => "active",
        _ => "deferred",
    };
    let recipient = |(recipient, row): &(&QueuedRecipient, &QueueRow)| {
        let mut object = format!("{{\"address\": {}", json_text(&recipient.address.to_string()));
        let _ = write!(
            object,
            ", \"state\": \"{}\", \"attempts\": {}",
            state(row.state),
            row.attempts
        );
        if let RowState::Waiting(due) = row.state {
            let _ = write!(object, ", \"next\": {}", due.seconds());
        }
        if let Some(said) = &row.said {
            let _ = write!(object, ", \"delay_reason\": {}", json_text(&words(said)));
        }
        object + "}"
    };
    let recipients: Vec<String> = open.iter().map(recipient).collect();
    format!(
        "{{\"queue_name\": \"{queue}\", \"queue_id\": {}, \"arrival_time\": {}, \"expires\": {}, \"message_size\": {}, \
         \"forced_expire\": false, \"sender\": {}, \"recipients\": [{}]}}",
        json_text(&entered.message),
        entered.arrived.seconds(),
        entered.expires.seconds(),
        size(message),
        json_text(&sender(message)),
        recipients.join(", ")
    )
}
