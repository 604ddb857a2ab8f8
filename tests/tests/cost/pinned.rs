//! Allocations of the paths that every message takes, pinned: whoever raises one says so here.

use crate::allocator::counted;
use crate::cases::imap::Host as Imap;
use crate::cases::smtp::{Host as Smtp, transaction};

/// An SMTP transaction behind others: MAIL, RCPT, DATA, a message of a few lines, its commit.
#[test]
fn allocations_of_a_transaction() {
    let mut host = Smtp::ready(false);
    let mut run = || transaction().iter().for_each(|piece| host.say(piece));
    run();
    // Without the two pieces of the list that are said.
    let of_the_test = counted(|| drop(transaction())).allocations;
    let costs: Vec<usize> = (0..3).map(|_| counted(&mut run).allocations - of_the_test).collect();
    assert_eq!(costs, [costs[0]; 3], "each like the one before");
    assert_eq!(costs[0], PINNED_TRANSACTION, "allocations");
}

/// An item of a FETCH more: what one message of a thousand costs.
#[test]
fn allocations_of_a_fetched_item() {
    for (items, pinned) in PINNED_ITEMS {
        let cost = |messages: usize| {
            let mut host = Imap::selected(messages, MESSAGE);
            counted(|| host.say(format!("a FETCH 1:* {items}\r\n").as_bytes())).allocations
        };
        let hundredths = (cost(2000) - cost(1000)) / 10;
        println!("{items}: {hundredths} hundredths of an allocation a message");
        assert!(hundredths <= pinned, "{items}: not {pinned}");
        assert!(hundredths + 10 >= pinned, "{items}: better than {pinned}, pin it");
    }
}

const MESSAGE: &[u8] = b"From: Terry Gray <gray@cac.washington.edu>\r\nSubject: minutes\r\n\r\nHello there.\r\n";

const PINNED_TRANSACTION: usize = 51;
/// Hundredths of an allocation.
const PINNED_ITEMS: [(&str, usize); 5] = [
    ("FLAGS", 407),
    ("(UID FLAGS INTERNALDATE RFC822.SIZE)", 1307),
    ("ENVELOPE", 513),
    ("BODYSTRUCTURE", 512),
    ("BODY.PEEK[]", 718),
];
