//! The codec and `resolv.conf`; and the resolver over real sockets, once. Its behaviour is tested in the simulation
//! (`tests/tests/resolver.rs`).

use std::net::SocketAddr;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use pillarbox_core::address::Domain;
use pillarbox_core::decision::{FactAnswer, Known, Question};
use pillarbox_core::dns::{Code, Data, Kind, Name, Outgoing};
use pillarbox_core::time::Instant;

use super::{Resolver, codec, resolv_conf};
use crate::config::Dns;
use crate::decide::FactSource;
use crate::env::{Datagram, Env};
use crate::os::OsEnv;

fn asked(name: &str) -> Outgoing {
    Outgoing {
        server: "127.0.0.1:53".parse().unwrap(),
        id: 0x1234,
        port: 5000,
        name: name.into(),
        kind: Kind::Mx,
        edns: true,
        authentic: true,
        until: Instant(0),
    }
}

#[test]
fn a_question_is_encoded_as_it_is_spelled() {
    let bytes = codec::encode(&asked("mX.oNe")).unwrap();
    let header = b"\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x01";
    let question = b"\x02mX\x03oNe\x00\x00\x0f\x00\x01";
    let opt = b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    assert_eq!(bytes, [&header[..], question, opt].concat());
    let plain = Outgoing {
        edns: false,
        authentic: false,
        ..asked("")
    };
    let bytes = codec::encode(&plain).unwrap();
    assert_eq!(bytes, b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x01");
}

#[test]
fn an_answer_is_decoded_with_its_spelling() {
    let mut bytes = b"\x12\x34\x81\xa0\x00\x01\x00\x03\x00\x01\x00\x00\x02mX\x03oNe\x00\x00\x0f\x00\x01".to_vec();
    bytes.extend_from_slice(b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x06\x00\x0a\x01a\xc0\x0f");
    bytes.extend_from_slice(b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x03\x00\x00\x00");
    bytes.extend_from_slice(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x09\x00\x06\x03a.b\xc0\x0f");
    bytes.extend_from_slice(b"\xc0\x0f\x00\x06\x00\x01\x00\x00\x00\x64\x00\x16\x00\x00");
    bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 60]);
    let message = codec::decode(&bytes).unwrap();
    assert_eq!(
        (message.id, message.name.as_deref(), message.kind),
        (0x1234, Some("mX.oNe"), Some(Kind::Mx))
    );
    assert!(message.answers && message.competent && message.authentic && !message.truncated);
    assert_eq!((message.code, message.negative_ttl), (Code::Fine, Some(60)));
    let data: Vec<Data> = message.records.into_iter().map(|record| record.data).collect();
    let mx = |preference, exchange: &str| Data::Mx {
        preference,
        exchange: Name::parse(exchange),
    };
    assert_eq!(data, [mx(10, "a.one"), mx(0, ""), Data::Alias(None)]);
}

#[test]
fn bytes_that_are_no_message_are_none() {
    let good = codec::encode(&asked("one.test")).unwrap();
    for len in 0..good.len() {
        assert!(codec::decode(&good[..len]).is_none(), "{len} octets");
    }
    // A name that points to itself.
    assert!(codec::decode(b"\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x0f\x00\x01").is_none());
    assert!(!codec::decode(&good).unwrap().answers, "a question is no answer");
}

#[test]
fn names_beyond_ascii_are_asked_for_by_their_a_labels() {
    let name = |text| codec::name_of(&Domain::parse(text, true).unwrap());
    assert_eq!(name("Bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
    assert_eq!(name("_dmarc.One.test").unwrap().as_str(), "_dmarc.one.test");
    assert_eq!(name(&format!("{}ab", "a.".repeat(126))), None, "254 octets");
}

#[test]
fn resolv_conf_names_servers() {
    let text = "# made by dhcp\nsearch one.test\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 \nnameserver fe80::1%eth0\n\
                nameserver 192.0.2.1\noptions edns0\nnameserver x\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n";
    let servers: Vec<String> = resolv_conf::servers(text).iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:53", "192.0.2.3:53"]);
    assert_eq!(resolv_conf::servers(""), ["127.0.0.1:53".parse().unwrap()]);
}

/// A small DNS server over real sockets: by UDP it answers only that TCP has the answer.
async fn fake_dns(env: OsEnv, told: async_channel::Sender<SocketAddr>) {
    let socket = env.bind_datagram("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = socket.local_address().unwrap();
    let listener = env.listen(at).unwrap();
    told.send(at).await.unwrap();
    let mut question = [0; 512];
    let (len, by) = socket.receive_from(&mut question).await.unwrap();
    let mut answer = answered(&question[..len]);
    // TC, and no answers.
    answer[2] |= 0x02;
    answer[6..8].fill(0);
    socket.send_to(&answer[..len], by).await.unwrap();
    let (mut stream, _) = env.accept(&listener).await.unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).await.unwrap();
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question).await.unwrap();
    let answer = answered(&question);
    stream
        .write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes())
        .await
        .unwrap();
    stream.write_all(&answer).await.unwrap();
    stream.close().await.unwrap();
}

/// The question with one address behind it, and without EDNS.
fn answered(question: &[u8]) -> Vec<u8> {
    let opt = 11;
    let mut answer = question[..question.len() - opt].to_vec();
    answer[2] |= 0x84;
    answer[7] = 1;
    answer[11] = 0;
    answer.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07");
    answer
}

#[test]
fn over_real_sockets_what_is_cut_off_comes_by_tcp() {
    let folder = std::env::temp_dir().join(format!("pillarbox-resolver-{}", std::process::id()));
    let env = OsEnv::open(&folder).unwrap();
    env.run(async {
        let (told, at) = async_channel::bounded(1);
        env.spawn("fake DNS", fake_dns(env.clone(), told));
        let dns = Dns {
            servers: vec![at.recv().await.unwrap()],
            trust_ad: false,
        };
        let resolver = Resolver::new(env.clone(), &dns);
        let question = Question::Ipv4(Domain::parse("mx.one.test", false).unwrap());
        let fact = resolver.fact(&question).await;
        let address = "192.0.2.7".parse().unwrap();
        assert_eq!(fact.answer, FactAnswer::Known(Known::Addresses(vec![address])));
        // The fake server is gone: this comes from the cache.
        assert_eq!(resolver.fact(&question).await.answer, fact.answer);
    });
    let _ = std::fs::remove_dir_all(&folder);
}
