//! A host of SMTP server sessions that says yes.

use pillarbox_core::address::{ForwardPath, Host, Mailbox};
use pillarbox_core::machine::Answer;
use pillarbox_core::policy::access::{AuthorVerdict, RecipientVerdict, Target};
use pillarbox_core::sasl::ProofVerdict;
use pillarbox_core::smtp::server::ask::{Ask, Committed, Incoming, PasswordVerdict, SinkOpened, TlsOutcome, Value};
use pillarbox_core::store::AccountId;

/// A recipient that is ours.
pub fn local() -> Target {
    Target::Local {
        account: AccountId([1; 16]),
        address: Mailbox::parse("bob@one.test", false).expect("an address"),
    }
}

/// One that is not.
pub fn remote() -> Target {
    Target::Remote {
        address: Mailbox::parse("x@other.test", false).expect("an address"),
    }
}

/// The answer to an ask, if it wants one: TLS is there, any password is right (no proof is), whoever is at `other.test` is
/// remote and all else ours, every message is stored. With it a message that was to be committed.
pub fn yes(ask: Ask) -> (Option<Answer<Value>>, Option<Incoming>) {
    let mut incoming = None;
    let answer = match ask {
        Ask::DropMessage => return (None, None),
        Ask::StartTls { then } => then.answer(TlsOutcome::Secure(super::evidence())),
        Ask::VerifyPassword { then, .. } => then.answer(PasswordVerdict::Granted(super::login("tim@one.test".into()))),
        Ask::ScramSalt { then, .. } => then.answer(super::scram_salt()),
        Ask::ScramProof { then, .. } => then.answer(ProofVerdict::Denied),
        Ask::ResolveRecipient { matter, then } => then.answer(RecipientVerdict {
            outcome: Ok(vec![match matter.recipient {
                ForwardPath::Postmaster => local(),
                ForwardPath::Mailbox(address) => match &address.host {
                    Host::Domain(domain) if domain.as_str() == "other.test" => Target::Remote { address },
                    Host::Domain(_) | Host::Literal(_) => Target::Local {
                        account: AccountId([1; 16]),
                        address,
                    },
                },
            }]),
            because: Vec::new(),
        }),
        Ask::JudgeAuthor { then, .. } => then.answer(AuthorVerdict {
            outcome: Ok(()),
            because: Vec::new(),
        }),
        Ask::OpenMessage { then, .. } => then.answer(SinkOpened::Ready),
        Ask::CommitMessage { message, then } => {
            incoming = Some(message);
            then.answer(Committed::Done)
        }
    };
    (Some(answer), incoming)
}
