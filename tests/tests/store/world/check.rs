//! The oracle: what a restarted store holds, and what sessions see, against the model.

use super::*;

impl World {
    /// A published version is exactly what has been acknowledged: no less, and nothing before its time.
    pub(super) fn compare(&self, mailbox: MailboxKey, version: &pillarbox_core::store::version::Version) -> Checked {
        let must = &self.acknowledged.accounts[&mailbox.account].mailboxes[&mailbox.mailbox];
        // Contents are read after a restart, when everything is checked.
        let content = |row: &Row| Ok(must.rows.get(&row.uid.0).map_or(Arc::from([]), |row| row.content.clone()));
        let seen = MailboxModel::seen(must.name.clone(), version, content)?;
        if *must == seen {
            return Ok(());
        }
        let model = |mailboxes| AccountModel {
            mod_seq: None,
            mailboxes,
            inbox: mailbox.mailbox,
            subscriptions: Default::default(),
            last_uid_validity: None,
        };
        let one = |model: AccountModel| Model {
            accounts: [(mailbox.account, model)].into(),
            queue: QueueModel::default(),
        };
        let must = one(model([(mailbox.mailbox, must.clone())].into()));
        let seen = one(model([(mailbox.mailbox, seen)].into()));
        Err(format!("a session is shown another state: {:?}", must.difference(&seen)))
    }

    /// After a start: the store holds what was acknowledged, and then the first few of the open requests or none of them, each
    /// whole. Its contents are byte-identical. What it holds is adopted; the rest was never promised.
    pub(in super::super) fn check_recovered(&mut self) -> Checked {
        let real = self.real()?;
        let mut must = self.acknowledged.clone();
        let mut kept = 0;
        let first = must.visible().difference(&real);
        let mut found = first.is_empty();
        let mut of_queue = false;
        for (_, wanted) in self.open.iter() {
            if found {
                break;
            }
            must.apply(wanted);
            must.queue.learn(&real.queue);
            kept += 1;
            of_queue |= matches!(&wanted.request, Request::Place { queued, .. } if !queued.is_empty());
            found = must.visible() == real;
        }
        if !found {
            return Err(format!(
                "after a restart the store does not hold what was acknowledged (nor with any of {} open requests): {first:#?}",
                self.open.len()
            ));
        }
        self.note(|| format!("recovered with {kept} open requests"));
        self.counters.unacknowledged_kept += u64::from(kept > 0);
        self.counters.queue_unacknowledged += u64::from(of_queue);
        must.queue.promises()?;
        self.ids.extend(real.queue.messages.values().filter_map(|message| message.id));
        self.open.clear();
        self.acknowledged = must.clone();
        self.pending = must;
        Ok(())
    }

    /// As [`World::check_recovered`], where any of the open requests may have been refused without our hearing of it.
    pub(in super::super) fn check_recovered_some(&mut self) -> Checked {
        let open: Vec<Wanted> = self.open.iter().map(|(_, wanted)| wanted.clone()).collect();
        assert!(open.len() <= 10, "few are open where they may be refused");
        let real = self.real()?;
        for chosen in 0..1_u32 << open.len() {
            let mut must = self.acknowledged.clone();
            for (number, wanted) in open.iter().enumerate() {
                if chosen >> number & 1 == 1 {
                    must.apply(wanted);
                    must.queue.learn(&real.queue);
                }
            }
            if must.visible() == real {
                must.queue.promises()?;
                self.ids.extend(real.queue.messages.values().filter_map(|message| message.id));
                self.open.clear();
                self.acknowledged = must.clone();
                self.pending = must;
                return Ok(());
            }
        }
        let first = self.acknowledged.visible().difference(&real);
        Err(format!("after a restart the store holds something else: {first:#?}"))
    }

    /// Everything that the store shows, with contents read from memory or from the disk.
    pub(in super::super) fn real(&mut self) -> Result<Model, String> {
        let mut real = Model {
            queue: self.real_queue()?,
            ..Model::default()
        };
        for number in 0..workload::ACCOUNTS {
            let account = workload::account(number);
            let listed = match self.ask(Request::Mailboxes(account))? {
                Reply::Mailboxes(listed) => listed,
                Reply::Refused(Refused::NoSuchMailbox) => continue,
                other => return Err(format!("Mailboxes is answered {other:?}")),
            };
            let mut mailboxes = BTreeMap::new();
            let subscribed = listed.iter().filter(|one| one.subscribed).map(|one| one.name.clone());
            let subscriptions = subscribed.collect();
            for one in listed.iter() {
                let Some(id) = one.mailbox else { continue };
                let reply = self.ask(Request::Select {
                    account,
                    name: one.name.clone(),
                    watch: None,
                    take_recent: false,
                })?;
                let Reply::Selected(selected) = reply else {
                    return Err(format!("Select is answered {reply:?}"));
                };
                let seen = MailboxModel::seen(one.name.clone(), &selected.version, |row| self.content(account, row))?;
                mailboxes.insert(id, seen);
            }
            let model = AccountModel {
                mod_seq: None,
                mailboxes,
                inbox: workload::mailbox(account, 0),
                subscriptions,
                last_uid_validity: None,
            };
            real.accounts.insert(account, model);
        }
        Ok(real)
    }

    /// Prefix and body of a row, as a host reads them, with the frame before them checked.
    pub(in super::super) fn content(&self, account: AccountId, row: &Row) -> Result<Arc<[u8]>, String> {
        let (Location::Pack { pack, offset } | Location::Big { pack, offset }) = row.location;
        let big = matches!(row.location, Location::Big { .. });
        let body_len = row.size as usize - usize::from(row.prefix);
        let mut message = match self.held.get(&(account, pack, offset)) {
            Some((prefix, body)) => [&prefix[..], body].concat(),
            None => {
                let path = layout::pack(account, pack);
                let bytes = self.disk.bytes(&path).ok_or_else(|| format!("{path} is missing"))?;
                let len = usize::from(row.prefix) + if big { 0 } else { body_len };
                let at = offset as usize;
                check_frame(bytes, at, row, big)?;
                bytes.get(at..at + len).ok_or_else(|| format!("{path} is short"))?.to_vec()
            }
        };
        if big {
            let path = layout::big(account, row.email_id);
            message.extend(self.disk.bytes(&path).ok_or_else(|| format!("{path} is missing"))?);
        }
        Ok(message.into())
    }
}

/// A person who reads the pack finds the frame's line in front of the message.
fn check_frame(pack: &[u8], offset: usize, row: &Row, big: bool) -> Checked {
    let before = pack
        .get(..offset)
        .ok_or_else(|| format!("the pack ends at {}, before the frame of {row:?}", pack.len()))?;
    // Behind CRLF, or behind the gap of a queued message that was never written, where anything may be.
    let begins = before.windows(4).rposition(|four| four == b"@M1 ");
    let begins = begins.ok_or("no line before the message")?;
    let line = before[begins..].strip_suffix(b"\r\n").ok_or("no line before the message")?;
    let frame = frame::parse_line(line).ok_or_else(|| format!("no frame: {:?}", String::from_utf8_lossy(line)))?;
    let body_len = u64::from(row.size) - u64::from(row.prefix);
    // Its UID is that of the first placement; a copy has another one.
    let fits =
        frame.crc == row.crc && frame.prefix_len == usize::from(row.prefix) && frame.big == big && frame.body_len == body_len;
    if fits {
        Ok(())
    } else {
        Err(format!("the frame {frame:?} does not fit its row {row:?}"))
    }
}
