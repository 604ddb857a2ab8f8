//! S41: another's mailboxes: whatever a client names, what is asked for is its own account's.

use std::sync::Arc;

use pillarbox_core::imap::server::Session;
use pillarbox_core::imap::server::ask::{Ask, MailboxList, Opened, Settings, TransferDone, TreeChanged};
use pillarbox_core::machine::{Input, Machine, Output};
use pillarbox_core::policy::access::Login;
use pillarbox_core::smtp::server::ask::{PasswordVerdict, TlsEvidence};
use pillarbox_core::store::AccountId;
use pillarbox_core::store::request::Refused;
use pillarbox_core::time::Now;

const OWN: AccountId = AccountId([1; 16]);

/// Every command that names a mailbox, over every way to write somebody else's: a store that has none of them is asked about the own
/// account alone, and the client is told NO.
#[test]
fn s41_no_command_reaches_another_account() {
    let names = [
        "user/bob",
        "user.bob.INBOX",
        "~bob",
        "#users/bob",
        "Other Users/bob",
        "/bob/INBOX",
        "../bob/INBOX",
        "bob@one.test",
        "02020202",
        "\"user/bob\"",
    ];
    let commands = [
        "SELECT {}",
        "EXAMINE {}",
        "STATUS {} (MESSAGES)",
        "DELETE {}",
        "RENAME {} own",
        "CREATE {}",
        "SUBSCRIBE {}",
        "UNSUBSCRIBE {}",
        "APPEND {} {3+}\r\nabc",
    ];
    for name in names {
        for command in commands {
            let (asked, reply) = said(&command.replace("{}", name));
            assert!(asked.iter().all(|account| *account == OWN), "{command} {name}");
            assert!(!reply.contains("x OK"), "{command} {name}: {reply}");
        }
    }
    let unknown = [
        "GETACL user/bob",
        "SETACL user/bob a lrs",
        "LISTRIGHTS user/bob a",
        "MYRIGHTS user/bob",
        "GENURLAUTH x",
        "LOCALDELETE user/bob",
    ];
    for command in unknown {
        let (asked, reply) = said(command);
        assert!(asked.is_empty() && reply.starts_with("x BAD"), "{command}: {reply}");
    }
}

/// Logs in and says a command: whose account was asked about, and what came back.
fn said(command: &str) -> (Vec<AccountId>, String) {
    let settings = Settings {
        hostname: "mx.one.test".into(),
        starttls: false,
        plaintext_auth: false,
        scram: false,
        message_max: 1000,
    };
    let secure = TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "x".into(),
        bits: 256,
    };
    let now = Now::default();
    let mut session = Session::new(Arc::new(settings), Some(secure), 1, now);
    let (mut asked, mut reply) = (Vec::new(), Vec::new());
    for line in ["l LOGIN tim secret\r\n".to_string(), format!("x {command}\r\n")] {
        reply.clear();
        session.handle(now, Input::Received(line.as_bytes()));
        loop {
            let sent = match session.poll() {
                Output::Ask(ask) => {
                    let answer = refuse(ask, &mut asked);
                    session.handle(now, Input::Answer(answer));
                    continue;
                }
                Output::Body(_) | Output::Close(_) => panic!("{command}"),
                Output::Wait(wait) => {
                    reply.extend_from_slice(wait.send);
                    wait.send.len()
                }
            };
            if sent == 0 {
                break;
            }
            session.handle(now, Input::Sent(sent));
        }
    }
    (asked, String::from_utf8(reply).expect("ASCII"))
}

fn refuse(ask: Ask, asked: &mut Vec<AccountId>) -> pillarbox_core::machine::Answer<pillarbox_core::imap::server::ask::Value> {
    match ask {
        Ask::VerifyPassword { then, .. } => then.answer(PasswordVerdict::Granted(Login {
            account: OWN,
            name: "tim@one.test".into(),
        })),
        Ask::Select { account, then, .. } => {
            asked.push(account);
            then.answer(Opened(Err(Refused::NoSuchMailbox)))
        }
        Ask::Mailboxes { account, then } => {
            asked.push(account);
            then.answer(MailboxList(Ok(Arc::new([]))))
        }
        Ask::ChangeTree { account, then, .. } => {
            asked.push(account);
            then.answer(TreeChanged(Err(Refused::NoSuchMailbox)))
        }
        Ask::Transfer { then, .. } => then.answer(TransferDone(Err(Refused::NoDestination))),
        other => panic!("{other:?}"),
    }
}
