//! What the examples share: a host that answers every question at once. `one.test` is ours and has one user, alice; what is committed is
//! shown on stderr.

use std::sync::Arc;
use std::time::SystemTime;

use pillarbox_core::decision::{AliasTarget, Decision, Fact, FactAnswer, Facts, Known, Question};
use pillarbox_core::limits;
use pillarbox_core::machine::Answer;
use pillarbox_core::policy::access;
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::ask::{Ask, Committed, PasswordVerdict, Peer, Settings, SinkOpened, TlsOutcome, Value};
use pillarbox_core::store::AccountId;
use pillarbox_core::time::{Instant, Now, UnixTime};

const ALICE: AccountId = AccountId([1; 16]);

/// A session with somebody who came from here. Machines have numbers of their own.
pub(crate) fn session(number: u64, ip: std::net::IpAddr, port: u16) -> Session {
    let settings = Settings {
        hostname: "mx.one.test".into(),
        submission: false,
        starttls: false,
        plaintext_auth: false,
        scram: false,
        message_max: limits::MESSAGE,
    };
    Session::new(Arc::new(settings), Peer { ip, port }, None, number, [0; 16], now())
}

/// Answers a question at once; a server would take its time.
pub(crate) fn perform(ask: Ask, sink: &mut Vec<u8>) -> Option<Answer<Value>> {
    match ask {
        Ask::ResolveRecipient { matter, then } => Some(then.answer(decide(|facts| access::recipient(&matter, facts)))),
        Ask::JudgeAuthor { matter, then } => Some(then.answer(decide(|facts| access::author(&matter, facts)))),
        Ask::OpenMessage { then, .. } => Some(then.answer(SinkOpened::Ready)),
        Ask::DropMessage => {
            sink.clear();
            None
        }
        Ask::CommitMessage { message, then } => {
            for delivery in &message.local {
                eprint!("{}", String::from_utf8_lossy(&delivery.prefix));
            }
            eprint!("{}", String::from_utf8_lossy(sink));
            sink.clear();
            Some(then.answer(Committed::Done))
        }
        Ask::VerifyPassword { then, .. } => Some(then.answer(PasswordVerdict::Denied)),
        // A stranger on port 25 is never asked to log in.
        Ask::ScramSalt { .. } | Ask::ScramProof { .. } => None,
        Ask::StartTls { then } => Some(then.answer(TlsOutcome::Failed)),
    }
}

/// The loop of every decision: ask, fetch what it needs, ask again.
fn decide<T>(decision: impl Fn(&Facts) -> Decision<T>) -> T {
    let mut facts = Facts::new();
    loop {
        match decision(&facts) {
            Decision::Known(verdict) => return verdict,
            Decision::Needs(questions) => questions.into_iter().for_each(|question| {
                let answer = look_up(&question);
                facts.learn(question, Fact::local(answer));
            }),
        }
    }
}

fn look_up(question: &Question) -> FactAnswer {
    match question {
        Question::OurDomain(domain) if domain.as_str() == "one.test" => FactAnswer::Known(Known::Yes),
        Question::LocalAddress(address) if address.local.folded() == "alice" => {
            FactAnswer::Known(Known::Targets(vec![AliasTarget::Account(ALICE, address.clone())]))
        }
        Question::OurDomain(_) | Question::LocalAddress(_) | Question::Owns(..) | Question::OurAddress(_) => FactAnswer::Absent,
        Question::Mx(_) | Question::Ipv4(_) | Question::Ipv6(_) => FactAnswer::Absent,
    }
}

/// Both clocks.
pub(crate) fn now() -> Now {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = i64::try_from(unix.as_millis()).unwrap_or(i64::MAX);
    Now {
        instant: Instant(u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)),
        unix: UnixTime(millis),
    }
}
