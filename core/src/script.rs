//! The script form: how a machine's asks, answers and notices look in a text script.
//!
//! ```text
//! C: MAIL FROM:<a@one.test>          bytes from the peer (CRLF added; `\r \n \0 \\ \xHH` escapes; `C>` adds no CRLF)
//! S: 250 2.1.0 OK                    bytes the machine sends
//! ASK: ResolveRecipient <b@two.test> what it asks: the text of `ask_line`
//! ANS: accept b                      the answer: the text that `answer_line` reads
//! NOTE: Shutdown                     a notice
//! TIME: 300s                         lets virtual time pass (ticks come when due)
//! ```
//!
//! The runner and its whole grammar are in the `tests` package; each machine implements this trait beside its asks.

use alloc::string::String;

use crate::machine::{Answer, Machine};

/// A machine that scripts can speak with.
pub trait ScriptForm: Machine {
    /// One line that names the ask and shows its arguments.
    fn ask_line(ask: &Self::Ask) -> String;

    /// Reads an answer for this ask.
    ///
    /// # Errors
    /// What is wrong with the text, for the author of the script. `Ok(None)`: this ask takes no answer.
    fn answer_line(ask: Self::Ask, text: &str) -> Result<Option<Answer<Self::Value>>, String>;

    /// Reads a notice.
    ///
    /// # Errors
    /// What is wrong with the text.
    fn notice_line(text: &str) -> Result<Self::Notice, String>;
}
