//! Who may send what to whom: the acceptance of a recipient and of a submission's author fields (`rules.md`).

use alloc::string::String;
use alloc::vec::Vec;

use crate::address::{ForwardPath, Mailbox, ReversePath};
use crate::decision::Because;
use crate::store::AccountId;

/// What is known when a recipient is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientMatter {
    /// Who is logged in: then this is submission.
    pub login: Option<Login>,
    /// Whether the listener is for submission only (587, 465).
    pub submission: bool,
    /// The session's reverse path.
    pub reverse_path: ReversePath,
    /// The recipient.
    pub recipient: ForwardPath,
}

/// A session that has logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// As whom.
    pub account: AccountId,
    /// The account's address, for texts.
    pub name: String,
}

/// What becomes of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientVerdict {
    /// Taken or refused.
    pub outcome: Result<Target, Refusal>,
    /// Why.
    pub because: Vec<Because>,
}

/// Where an accepted recipient's message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// An account of ours, and the address it is delivered as (for `Delivered-To`).
    Local {
        /// Whose INBOX.
        account: AccountId,
        /// The address as written.
        address: Mailbox,
    },
}

/// A refusal in SMTP's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reply code, 4yz or 5yz.
    pub code: u16,
    /// The enhanced status code (RFC 3463), without its dots: `[5, 1, 1]`.
    pub status: [u16; 3],
    /// One line for people: which rule, and what to do.
    pub text: String,
}

/// The author fields of a submission, judged when its header has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorMatter {
    /// Who is logged in.
    pub login: Login,
    /// Addresses in From.
    pub from: Vec<Mailbox>,
    /// The address in Sender.
    pub sender: Option<Mailbox>,
}

/// Whether a submission's author fields are the login's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorVerdict {
    /// Taken or refused.
    pub outcome: Result<(), Refusal>,
    /// Why.
    pub because: Vec<Because>,
}

crate::record_struct!(Login { account, name });
crate::record_struct!(Refusal { code, status, text });
