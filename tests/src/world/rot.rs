//! Behind the end of a world: disks rot, and no message is shown with other bytes than its own (R10).

use std::io::Result;

use super::actors::pass;
use super::actors::reader::{log_in, ok};
use super::mailbox::Mail;
use super::model::{hash_of, server_ip};
use super::transition::{CLIENTS, SERVERS};
use super::{Ctx, check};
use crate::disk::StrictDisk;
use crate::rng::Rng;
use crate::sim::SimEnv;

/// Octets of a pack to one that rots.
const ROTS_EACH: usize = 16 * 1024;

/// Lets packs rot while their server is down, and reads all messages.
pub async fn rot(ctx: &Ctx, env: &SimEnv, rng: &mut Rng) {
    for server in 0..SERVERS {
        ctx.nodes.kill(server_ip(server));
        ctx.nodes.disk(server_ip(server), |disk| rot_packs(disk, rng));
    }
    pass(env, check::STARTS).await;
    for client in 0..CLIENTS {
        if let Err(error) = read(ctx, client).await {
            let text = format!("R10: client {client} cannot read its mailboxes where some messages have rotted: {error}");
            ctx.with(|inner| inner.model.breaks(text));
        }
    }
}

fn rot_packs(disk: &mut StrictDisk, rng: &mut Rng) {
    let packs = disk
        .paths()
        .into_iter()
        .filter(|path| path.0.contains("/pack/") && path.0.ends_with(".pack"));
    for pack in packs {
        disk.rot(&pack, |bytes| {
            for _ in 0..bytes.len().div_ceil(ROTS_EACH) {
                let at = rng.index(bytes.len());
                bytes[at] ^= 1 << rng.below(8);
            }
        });
    }
}

/// Every message is as it was, or is not shown. Of a large one the last piece is held back until all of it is known to be right; if it is
/// not, the session ends.
async fn read(ctx: &Ctx, client: usize) -> Result<()> {
    let env = ctx.nodes.client_at(21 + client as u8, "");
    let mut imap = log_in(&env, client).await?;
    let boxes = ctx.with(|inner| inner.model.accounts[client].boxes.clone());
    for (name, mailbox) in boxes {
        ok(&imap.command(&format!("EXAMINE {name}")).await?.1)?;
        for (uid, Mail { hash, .. }) in mailbox.mails {
            let Ok((shown, tagged)) = imap.command(&format!("UID FETCH {uid} BODY.PEEK[]")).await else {
                ctx.with(|inner| inner.counters.rotten += 1);
                imap = log_in(&env, client).await?;
                ok(&imap.command(&format!("EXAMINE {name}")).await?.1)?;
                continue;
            };
            let body: Option<Vec<u8>> = shown.into_iter().find_map(|response| response.literals.into_iter().next());
            let refused = tagged.starts_with("NO [CONTACTADMIN]");
            ctx.with(|inner| match body {
                Some(bytes) if hash_of(&bytes) == hash => {}
                None if refused => inner.counters.rotten += 1,
                Some(_) | None => {
                    let text = format!(
                        "R10: client {client}: UID {uid} of {name} is shown with other bytes than its own, or not: {tagged}"
                    );
                    inner.model.breaks(text);
                }
            });
        }
    }
    Ok(())
}
