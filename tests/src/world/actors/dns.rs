//! The DNS of a world: it knows every domain, and has its moods.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};

use crate::sim::dns::Zone;
use crate::sim::dns::server::{Asked, Reply};
use crate::world::Ctx;
use crate::world::model::{domain, foreign_ip, server_ip};
use crate::world::transition::{DnsMood, FOREIGN, SERVERS};

/// The number of its node.
const NODE: u8 = 53;

/// Its address.
pub fn ip() -> IpAddr {
    IpAddr::from([10, 0, 0, NODE])
}

/// Starts it.
pub fn start(ctx: &Ctx) {
    let zone = zone();
    let moods = ctx.clone();
    let server = ctx.nodes.dns_server(NODE, move |asked: &Asked| {
        let mood = moods.with(|inner| inner.dns);
        if mood != DnsMood::Sound {
            moods.with(|inner| inner.counters.dns_failures += 1);
        }
        match mood {
            DnsMood::Sound => zone.reply(asked).into_iter().collect(),
            DnsMood::Silent => Vec::new(),
            DnsMood::Failing => failing(asked).into_iter().collect(),
        }
    });
    ctx.nodes.set_resolv_conf(&format!("nameserver {}\n", server.address.ip()));
}

fn failing(asked: &Asked) -> Option<Reply> {
    let mut answer = Message::response(asked.message.metadata.id, asked.message.metadata.op_code);
    answer.metadata.response_code = ResponseCode::ServFail;
    for question in &asked.message.queries {
        answer.add_query(question.clone());
    }
    answer.to_vec().ok().map(Reply::of)
}

fn zone() -> Zone {
    let mut zone = Zone::default();
    let servers = (0..SERVERS).map(|server| (domain(server), server_ip(server)));
    let foreign = (0..FOREIGN).map(|foreign| (format!("f{foreign}.test"), foreign_ip(foreign)));
    for (domain, ip) in servers.chain(foreign) {
        let host = format!("mx.{domain}");
        zone = zone.mx(&domain, 10, &host).address(&host, ip);
    }
    zone.mx("dead.test", 10, "mx.dead.test")
        .address("mx.dead.test", IpAddr::from([10, 0, 0, 99]))
}
