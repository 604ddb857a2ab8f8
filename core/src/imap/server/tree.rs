//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE; ID and ENABLE.

use alloc::boxed::Box;
use alloc::string::String;

use super::ask::{Ask, TreeChanged, TreeWish};
use super::{Doing, Session, Wanted};
use crate::imap::command::{CreateUse, Tag};
use crate::imap::mailbox_name::Names;
use crate::imap::response::{self, Code, Condition};
use crate::store::MailboxName;

/// What this file, `list.rs` and `transfer.rs` add to the capabilities after login.
pub(super) const CAPABILITIES: [&str; 8] = [
    "NAMESPACE",
    "ID",
    "ENABLE",
    "MOVE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "CREATE-SPECIAL-USE",
];

/// A change of the tree on its way.
#[derive(Debug)]
pub(super) struct Changing {
    tag: Tag,
    completed: &'static str,
    /// DELETE: if the mailbox was the selected one, none is selected any more.
    deletes: bool,
}

impl Session {
    /// The form of mailbox names in this session.
    pub(super) fn names(&self) -> Names {
        if self.rev2 { Names::Utf8 } else { Names::Utf7 }
    }

    /// RFC 3501 §6.3.3, with a use (RFC 6154 §3).
    pub(super) fn create(&mut self, tag: Tag, name: MailboxName, wanted: Option<CreateUse>) {
        let special_use = match wanted {
            None => None,
            Some(CreateUse::One(special_use)) => Some(special_use),
            Some(CreateUse::Other) => {
                let text = "A mailbox has one use: archive, drafts, junk, sent or trash";
                return self.reply(&tag, Condition::No, Some(&Code::UseAttr), text);
            }
        };
        self.change_tree(tag, TreeWish::Create { name, special_use });
    }

    pub(super) fn change_tree(&mut self, tag: Tag, wish: TreeWish) {
        let completed = match &wish {
            TreeWish::Create { .. } => "CREATE completed",
            TreeWish::Delete(_) => "DELETE completed",
            TreeWish::Rename { .. } => "RENAME completed",
            TreeWish::Subscribe(_) => "SUBSCRIBE completed",
            TreeWish::Unsubscribe(_) => "UNSUBSCRIBE completed",
        };
        let deletes = matches!(wish, TreeWish::Delete(_));
        self.ask = Some(Ask::ChangeTree {
            account: self.account.expect("only when logged in"),
            wish,
            then: self.slots.ask(Wanted::Tree),
        });
        self.doing = Doing::Tree(Box::new(Changing { tag, completed, deletes }));
    }

    /// A session that deletes its own mailbox goes on without one; others are told BYE when they look (RFC 2180 §3.3), as
    /// `finish.rs` does it.
    pub(super) fn tree_changed(&mut self, changing: Changing, done: TreeChanged) {
        let done = match done.0 {
            Ok(done) => done,
            Err(refused) => return self.refuse(&changing.tag, &refused),
        };
        let selected = self.view.as_mut().filter(|view| Some(view.mailbox()) == done.mailbox);
        match selected {
            Some(_) if changing.deletes => {
                self.deselect();
                let text = "The selected mailbox was deleted; none is selected";
                response::status(None, Condition::Ok, Some(&Code::Closed), text, self.out.end());
            }
            Some(view) => view.learn(done.lsn),
            None => {}
        }
        self.finish_ok(changing.tag, changing.completed);
    }

    /// RFC 2971. Whoever has not logged in learns what the greeting says, and no version.
    pub(super) fn id(&mut self, tag: Tag) {
        let known = [("name", "Pillarbox"), ("version", env!("CARGO_PKG_VERSION"))];
        let told = if self.account.is_some() { &known[..] } else { &known[..1] };
        response::id(told, self.out.end());
        self.finish_ok(tag, "ID completed");
    }

    /// RFC 5161: what is not known is ignored. Once a mailbox is selected, it is too late (§3.1).
    pub(super) fn enable(&mut self, tag: Tag, names: &[String]) {
        if self.view.is_some() {
            return self.bad(Some(&tag), "ENABLE comes before a mailbox is selected");
        }
        let rev2 = names.iter().any(|name| name == "IMAP4REV2");
        if rev2 {
            self.rev2 = true;
            self.framer.set_names(Names::Utf8);
        }
        let enabled: &[&str] = if rev2 { &["IMAP4rev2"] } else { &[] };
        response::enabled(enabled, self.out.end());
        self.finish_ok(tag, "ENABLE completed");
    }
}
