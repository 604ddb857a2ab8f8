use std::net::SocketAddr;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hickory_proto::rr::{RData, RecordType};
use pillarbox::env::{Alpn, Disk, Env};
use pillarbox_core::store::disk::{DiskOp, DiskPath, DiskValue};

use super::dns::{self, Zone};
use super::state::Network;
use super::tls::Certificate;
use super::{Ended, SimEnv, World};

async fn echo(env: SimEnv, certificate: Option<Certificate>) {
    let listener = env.listen("0.0.0.0:7".parse().expect("an address")).expect("free");
    loop {
        let (mut stream, _) = env.accept(&listener).await.expect("it listens");
        let (task_env, certificate) = (env.clone(), certificate.clone());
        env.spawn("echo", async move {
            if let Some(certificate) = certificate {
                let Ok((protected, _)) = task_env.tls_accept(stream, &certificate, Alpn::Require("echo")).await else {
                    return;
                };
                stream = protected;
            }
            let mut buffer = [0; 1000];
            while let Ok(len @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..len]).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            let _ = stream.close().await;
        });
    }
}

/// Two nodes, a DNS, a client that writes and reads at once, half-closes, and a hash of all that happened.
fn conversation(seed: u64) -> super::trace::Trace {
    let mut world = World::new(seed);
    let server = world.node(1, "echo");
    world.start(server, |env| echo(env, Some(Certificate::of("echo.test"))));
    let dns = world.dns(Zone::default().mx("a.test", 10, "echo.test").address("echo.test", server));
    let client = world.client();
    world.run(async move {
        let mx = dns::look_up(&client, dns, "A.test", RecordType::MX)
            .await
            .expect("it answers");
        let [RData::MX(mx)] = mx.as_slice() else { panic!("{mx:?}") };
        let host = mx.exchange.to_ascii();
        let address = dns::look_up(&client, dns, &host, RecordType::A).await.expect("it answers");
        let [RData::A(address)] = address.as_slice() else {
            panic!("{address:?}")
        };
        assert!(dns::look_up(&client, dns, "no.test", RecordType::A).await.is_err());
        let to = SocketAddr::new(address.0.into(), 7);
        let stream = client.connect(to, None).await.expect("it listens");
        let (stream, name) = stream.connect("echo.test", "echo").await.expect("a handshake");
        assert_eq!(name, "echo.test");
        let sent: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
        let (mut reader, mut writer) = futures_lite::io::split(stream);
        let bytes = sent.clone();
        client.spawn("writer", async move {
            writer.write_all(&bytes).await.expect("it reads");
            writer.close().await.expect("it ends");
        });
        let mut received = Vec::new();
        reader.read_to_end(&mut received).await.expect("it ends with close_notify");
        assert_eq!(received, sent);
        let refused = client
            .connect(to, None)
            .await
            .expect("it listens")
            .connect("echo.test", "other")
            .await;
        assert!(refused.is_err(), "another protocol is refused");
    });
    assert_eq!(world.panics(server), Vec::<String>::new());
    world.trace()
}

#[test]
fn equal_seeds_have_equal_traces() {
    let (one, two, other) = (conversation(1), conversation(1), conversation(2));
    assert_eq!(one.difference(&two), None);
    assert_eq!(one.hash(), two.hash());
    assert_ne!(one.hash(), other.hash());
}

#[test]
fn a_client_checks_the_name_and_who_vouches_for_it() {
    let mut world = World::new(6);
    let (good, alone) = (world.node(1, "good"), world.node(2, "alone"));
    world.start(good, |env| echo(env, Some(Certificate::of("echo.test"))));
    let untrusted = Certificate {
        untrusted: true,
        ..Certificate::of("echo.test")
    };
    world.start(alone, |env| echo(env, Some(untrusted)));
    let client = world.client();
    world.run(async move {
        let rows = [
            (good, "Echo.test.", true, true),
            (good, "other.test", true, false),
            (good, "other.test", false, true),
            (alone, "echo.test", true, false),
            (alone, "echo.test", false, true),
        ];
        for (server, name, verify, taken) in rows {
            let stream = client.connect(SocketAddr::new(server, 7), None).await.expect("it listens");
            let outcome = client.tls_connect(stream, name, verify).await;
            assert_eq!(outcome.is_ok(), taken, "{server} {name} {verify}");
        }
        let elsewhere = client.connect(SocketAddr::new(good, 7), Some(alone)).await;
        assert!(elsewhere.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrNotAvailable));
    });
}

#[test]
fn a_peer_that_does_not_read_stops_the_writer() {
    let mut world = World::new(3);
    let server = world.node(1, "deaf");
    world.start(server, |env| async move {
        let listener = env.listen("0.0.0.0:9".parse().expect("an address")).expect("free");
        let _kept = env.accept(&listener).await;
        std::future::pending::<()>().await;
    });
    let client = world.client();
    let window = Network::default().window;
    world.run(async move {
        let to = SocketAddr::new(server, 9);
        let mut stream = client.connect(to, None).await.expect("it listens");
        let mut written = 0;
        let patience = client.now().instant.after(Duration::from_secs(60));
        let stuck = async {
            loop {
                written += stream.write(&[0; 1000]).await.expect("it is only slow");
            }
        };
        futures_lite::future::or(stuck, client.sleep_until(patience)).await;
        assert_eq!(written, window);
    });
}

#[test]
fn a_life_ends_alone_and_its_disk_stays() {
    let mut world = World::new(4);
    let (one, two) = (world.node(1, "one"), world.node(2, "two"));
    world.start(one, |env| async move {
        let path = DiskPath::new("kept");
        let write = DiskOp::Write {
            path,
            offset: 0,
            parts: vec![(*b"durable").into()],
        };
        env.disk().perform(write).await.expect("it writes");
        env.disk().perform(DiskOp::SyncAll).await.expect("it syncs");
        env.spawn("defect", async { panic!("on purpose") });
        env.sleep_until(env.now().instant.after(Duration::from_secs(1))).await;
        env.exit(70, "fdatasync failed");
    });
    world.start(two, |env| echo(env, None));
    let client = world.client();
    world.run({
        let world = world.nodes();
        async move {
            while world.ended(one).is_none() {
                client
                    .sleep_until(client.now().instant.after(Duration::from_millis(100)))
                    .await;
            }
            let to = SocketAddr::new(two, 7);
            let mut stream = client.connect(to, None).await.expect("two lives");
            stream.write_all(b"hello").await.expect("it reads");
            stream.close().await.expect("half-closed");
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await.expect("it ends");
            assert_eq!(received, b"hello");
            world.power_loss(one);
        }
    });
    assert_eq!(world.ended(one), Some(Ended::Exit(70, "fdatasync failed".into())));
    assert_eq!(world.panics(one), ["defect: on purpose"]);
    let kept = world.disk(one, |disk| {
        disk.perform(&DiskOp::Read {
            path: DiskPath::new("kept"),
            offset: 0,
            len: 100,
        })
    });
    assert_eq!(kept, Ok(DiskValue::Read(b"durable".to_vec())));
}

#[test]
fn a_cut_network_delays_and_a_power_loss_resets() {
    let mut world = World::new(5);
    let server = world.node(1, "echo");
    world.start(server, |env| echo(env, None));
    let client = world.client();
    world.run({
        let world = world.nodes();
        async move {
            let to = SocketAddr::new(server, 7);
            let mut stream = client.connect(to, None).await.expect("it listens");
            world.cut(server, client.ip());
            stream.write_all(b"hello").await.expect("taken by the window");
            let began = client.now().instant;
            let refused = client.connect(to, None).await;
            assert!(refused.is_err_and(|error| error.kind() == std::io::ErrorKind::TimedOut));
            assert!(client.now().instant.since(began) >= Duration::from_secs(30));
            world.heal();
            let mut buffer = [0; 5];
            stream.read_exact(&mut buffer).await.expect("delayed, not lost");
            assert_eq!(&buffer, b"hello");
            world.power_loss(server);
            assert!(stream.read(&mut buffer).await.is_err(), "the peer is gone");
            let refused = client.connect(to, None).await;
            assert!(refused.is_err(), "nothing listens");
        }
    });
    assert_eq!(world.ended(server), Some(Ended::PowerLoss));
}
