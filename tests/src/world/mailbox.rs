//! What an account's mailboxes must be, by what its client was told (promises R1-R5).
//!
//! A client does one thing at a time. When it is not told how that ended, the account is *in doubt*: either nothing of it was done or all
//! of it (R4), and the next look at the account says which.

use std::collections::{BTreeMap, BTreeSet};

use super::transition::How;

/// The mailboxes that clients make, delete and fill.
pub const OWN: [&str; 5] = ["INBOX", "One", "Two", "Three", "Three/Four"];

/// The flags, in the order of their bits.
pub const FLAGS: [&str; 6] = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Work"];
/// `\Deleted`.
pub const DELETED: u8 = 8;

/// Mailboxes into which the server itself puts messages.
pub fn is_delivered_to(name: &str) -> bool {
    name == "INBOX" || name == "Undeliverable"
}

/// An account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Its mailboxes as they must be.
    pub boxes: BTreeMap<String, Mailbox>,
    /// What was begun last, if it is not known how it ended.
    pub doubt: Option<Change>,
    /// The highest UIDVALIDITY that a name ever had.
    validities: BTreeMap<String, u32>,
}

/// A mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// UIDVALIDITY; 0: not known yet.
    pub uid_validity: u32,
    /// UIDNEXT at the last look: all below it is known.
    pub uid_next: u32,
    /// UIDNEXT as it is at least, by all that was told since.
    pub uid_least: u32,
    /// Its messages, by UID.
    pub mails: BTreeMap<u32, Mail>,
    /// What left it since the last look.
    pub gone: BTreeSet<u32>,
    /// Contents that were put there without a word about their UIDs, and their flags.
    pub coming: Vec<Mail>,
}

/// A message in a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mail {
    /// The hash of all of it; of an appended message that of what was appended.
    pub hash: u64,
    /// Flags, as bits.
    pub flags: u8,
}

/// A change of an account.
#[derive(Debug, Clone)]
pub enum Change {
    /// STORE.
    Flag {
        /// Where.
        mailbox: String,
        /// Which.
        uids: Vec<u32>,
        /// How.
        how: How,
        /// Flags, as bits.
        flags: u8,
    },
    /// COPY or MOVE.
    Transfer {
        /// From here.
        from: String,
        /// Into this.
        to: String,
        /// Which.
        uids: Vec<u32>,
        /// They leave the source.
        moves: bool,
    },
    /// UID EXPUNGE of messages that have `\Deleted`.
    Expunge {
        /// Where.
        mailbox: String,
        /// Which.
        uids: Vec<u32>,
    },
    /// APPEND.
    Append {
        /// Where.
        mailbox: String,
        /// What.
        mail: Mail,
        /// Where it is, when that was told: UIDVALIDITY and UID.
        at: Option<(u32, u32)>,
    },
    /// CREATE.
    Create(String),
    /// DELETE.
    Delete(String),
    /// RENAME.
    Rename(String, String),
}

/// What a look found, by mailbox.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// Messages, by UID; contents are known of all.
    pub mails: BTreeMap<u32, Mail>,
}

impl Account {
    /// A new account.
    pub fn new() -> Account {
        Account {
            boxes: BTreeMap::from([("INBOX".to_owned(), Mailbox::default())]),
            ..Account::default()
        }
    }

    /// The client was told that this was done.
    pub fn done(&mut self, change: &Change) {
        change.apply(&mut self.boxes);
        self.doubt = None;
    }

    /// Compares what was found with what must be, and takes it in. What the server put there itself comes back: mailbox, UID. `base` is
    /// what had to be when the look began; of what another session saw meanwhile the look may know nothing.
    ///
    /// # Errors
    /// A promise is broken.
    pub fn look(
        &mut self,
        base: &BTreeMap<String, Mailbox>,
        found: &BTreeMap<String, Found>,
    ) -> Result<Vec<(String, u32)>, String> {
        let (arrived, mut boxes) = match self.doubt.take() {
            None => (arrivals(base, found)?, base.clone()),
            Some(change) => {
                let mut done = base.clone();
                change.apply(&mut done);
                // What it put into INBOX would pass for something that was delivered.
                match (arrivals(&done, found), arrivals(base, found)) {
                    (Ok(arrived), _) => (arrived, done),
                    (Err(_), Ok(arrived)) => (arrived, base.clone()),
                    (Err(with), Err(without)) => {
                        return Err(format!(
                            "neither as if {change:?} had never been ({without}), nor as if it had been ({with})"
                        ));
                    }
                }
            }
        };
        for (name, now) in found {
            let known = boxes.entry(name.clone()).or_default();
            if known.uid_validity == 0 {
                let old = self.validities.get(name).copied().unwrap_or(0);
                if now.uid_validity <= old {
                    return Err(format!(
                        "R2: {name} was made anew with UIDVALIDITY {}, after {old}",
                        now.uid_validity
                    ));
                }
            }
            let highest = self.validities.entry(name.clone()).or_default();
            *highest = (*highest).max(now.uid_validity);
            *known = Mailbox {
                uid_validity: now.uid_validity,
                uid_next: now.uid_next,
                uid_least: now.uid_next,
                mails: now.mails.clone(),
                gone: BTreeSet::new(),
                coming: Vec::new(),
            };
        }
        for (name, before) in &self.boxes {
            if let (Some(now), Some(base)) = (boxes.get_mut(name), base.get(name)) {
                let seen = before.mails.iter().filter(|(uid, _)| !base.mails.contains_key(uid));
                for (uid, mail) in seen {
                    now.mails.entry(*uid).or_insert(*mail);
                    now.uid_least = now.uid_least.max(uid + 1);
                }
            }
        }
        self.boxes = boxes;
        Ok(arrived)
    }

    /// A session was told of a message: it is durable (law 5).
    pub fn seen(&mut self, mailbox: &str, uid_validity: u32, uid: u32, hash: u64) -> Result<bool, String> {
        let Some(known) = self.boxes.get_mut(mailbox) else {
            return Ok(false);
        };
        if known.uid_validity != uid_validity {
            return Ok(false);
        }
        match known.mails.get(&uid) {
            Some(mail) if mail.hash == hash => Ok(false),
            Some(_) => Err(format!("R2: UID {uid} of {mailbox} is another message now")),
            // Gone, or of something in doubt: the next look judges.
            None if uid < known.uid_next || known.gone.contains(&uid) => Ok(false),
            None if self.doubt.is_some() || !known.coming.is_empty() => Ok(false),
            None => {
                known.mails.insert(uid, Mail { hash, flags: 0 });
                known.uid_least = known.uid_least.max(uid + 1);
                Ok(true)
            }
        }
    }
}

impl Change {
    fn apply(&self, boxes: &mut BTreeMap<String, Mailbox>) {
        match self {
            Change::Flag {
                mailbox,
                uids,
                how,
                flags,
            } => {
                let mails = boxes.get_mut(mailbox).map(|mailbox| &mut mailbox.mails);
                for (uid, mail) in mails.into_iter().flatten().filter(|(uid, _)| uids.contains(uid)) {
                    let _ = uid;
                    mail.flags = match how {
                        How::Add => mail.flags | flags,
                        How::Remove => mail.flags & !flags,
                        How::Replace => *flags,
                    };
                }
            }
            Change::Transfer { from, to, uids, moves } => {
                let Some(source) = boxes.get_mut(from) else { return };
                let taken: Vec<Mail> = uids.iter().filter_map(|uid| source.mails.get(uid).copied()).collect();
                if *moves {
                    uids.iter().for_each(|uid| _ = source.mails.remove(uid));
                    source.gone.extend(uids);
                }
                boxes.entry(to.clone()).or_default().coming.extend(taken);
            }
            Change::Expunge { mailbox, uids } => {
                if let Some(mailbox) = boxes.get_mut(mailbox) {
                    let leaves = |(uid, mail): &(&u32, &Mail)| uids.contains(uid) && mail.flags & DELETED != 0;
                    let gone: Vec<u32> = mailbox.mails.iter().filter(leaves).map(|(uid, _)| *uid).collect();
                    mailbox.mails.retain(|uid, _| !gone.contains(uid));
                    mailbox.gone.extend(gone);
                }
            }
            Change::Append { mailbox, mail, at } => {
                let Some(known) = boxes.get_mut(mailbox) else { return };
                match at {
                    Some((validity, uid)) if *validity == known.uid_validity && *uid >= known.uid_next => {
                        known.mails.insert(*uid, *mail);
                        known.uid_least = known.uid_least.max(uid + 1);
                    }
                    Some(_) | None => known.coming.push(*mail),
                }
            }
            Change::Create(name) => {
                boxes.entry(name.clone()).or_default();
            }
            Change::Delete(name) => _ = boxes.remove(name),
            Change::Rename(from, to) => {
                let below = format!("{from}/");
                let moved: Vec<String> = boxes
                    .keys()
                    .filter(|name| *name == from || name.starts_with(&below))
                    .cloned()
                    .collect();
                for old in moved {
                    let mailbox = boxes.remove(&old).expect("just listed");
                    boxes.insert(format!("{to}{}", &old[from.len()..]), mailbox);
                }
            }
        }
    }
}

/// What was found and is not in the model, if all else is the same.
fn arrivals(must: &BTreeMap<String, Mailbox>, found: &BTreeMap<String, Found>) -> Result<Vec<(String, u32)>, String> {
    let names = |name: &&String| OWN.contains(&name.as_str());
    let (own, there): (BTreeSet<&String>, BTreeSet<&String>) =
        (must.keys().filter(names).collect(), found.keys().filter(names).collect());
    if own != there {
        return Err(format!("the mailboxes must be {own:?}, and are {there:?}"));
    }
    let mut arrived = Vec::new();
    for (name, found) in found {
        let nothing = Mailbox::default();
        let known = must.get(name).unwrap_or(&nothing);
        if known.uid_validity != 0 && known.uid_validity != found.uid_validity {
            return Err(format!(
                "R2: UIDVALIDITY of {name} was {}, and is {}",
                known.uid_validity, found.uid_validity
            ));
        }
        if found.uid_next < known.uid_least {
            return Err(format!(
                "R2: UIDNEXT of {name} was {}, and is {}",
                known.uid_least, found.uid_next
            ));
        }
        for (uid, mail) in &known.mails {
            match found.mails.get(uid) {
                None => return Err(format!("R1: UID {uid} of {name} is gone")),
                Some(now) if now.hash != mail.hash => return Err(format!("R2: UID {uid} of {name} is another message now")),
                Some(now) if now.flags != mail.flags => {
                    return Err(format!(
                        "R5: flags of UID {uid} of {name} must be {:b}, and are {:b}",
                        mail.flags, now.flags
                    ));
                }
                Some(_) => {}
            }
        }
        let mut coming = known.coming.clone();
        for (uid, mail) in found.mails.iter().filter(|(uid, _)| !known.mails.contains_key(uid)) {
            if *uid < known.uid_next || known.gone.contains(uid) {
                return Err(format!("R2, R5: UID {uid} of {name} is there again, or anew below UIDNEXT"));
            }
            match coming.iter().position(|wanted| wanted == mail) {
                Some(at) => _ = coming.swap_remove(at),
                None if is_delivered_to(name) => arrived.push((name.clone(), *uid)),
                None => return Err(format!("R4: UID {uid} of {name} was put there by nobody")),
            }
        }
        if !coming.is_empty() {
            return Err(format!("R1: {} messages did not come into {name}", coming.len()));
        }
    }
    Ok(arrived)
}
