//! HTTP is tried over a whole simulated server: many requests, slow peers, hang-ups, and the limits of a connection.

mod support;

use std::io;
use std::time::Duration;

use pillarbox::env::Env;
use pillarbox_core::limits;
use pillarbox_tests::client::Lines;
use pillarbox_tests::sim::tls::Stream;
use support::Story;

const GET: &str = "GET /mail/config-v1.1.xml HTTP/1.1\r\nHost: autoconfig.here.test\r\n\r\n";

/// A response: its status, its fields, its body.
struct Told {
    status: u16,
    fields: String,
    body: String,
}

struct Client(Lines<Stream>);

impl Client {
    async fn http(story: &Story) -> Client {
        Client(Lines::new(story.connect(80).await))
    }

    async fn https(story: &Story, name: &str, protocols: &str) -> io::Result<Client> {
        let (stream, _) = story.connect(443).await.connect(name, protocols).await?;
        Ok(Client(Lines::new(stream)))
    }

    async fn send(&mut self, text: &str) {
        self.0.send(text.as_bytes()).await.expect("sent");
    }

    async fn told(&mut self) -> io::Result<Told> {
        let first = self.0.line().await?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {first:?}"));
        let mut fields = String::new();
        let length = loop {
            let line = self.0.line().await?;
            if line == "\r\n" {
                let length = fields.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                break length.map_or(0, |length| length.parse().expect("a number"));
            }
            fields.push_str(&line);
        };
        let body = String::from_utf8(self.0.octets(length).await?).expect("UTF-8");
        Ok(Told { status, fields, body })
    }

    async fn ask(&mut self, text: &str) -> Told {
        self.send(text).await;
        self.told()
            .await
            .unwrap_or_else(|error| panic!("{error}:\n{}", self.0.dialogue()))
    }

    /// The server has ended the connection.
    async fn ended(&mut self) -> bool {
        self.0.line().await.is_err()
    }
}

fn post(body: &str) -> String {
    let length = body.len();
    format!("POST /Autodiscover/Autodiscover.xml HTTP/1.1\r\nHost: here.test\r\nContent-Length: {length}\r\n\r\n{body}")
}

const REQUEST: &str = "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\"><Request>\
                       <EMailAddress>alice@here.test</EMailAddress></Request></Autodiscover>";

/// One connection: one behind the other, several at once, and octet by octet; the hundredth is the last.
#[test]
fn requests_share_a_connection() {
    Story::new(301).tell(|story| async move {
        let mut client = Client::http(&story).await;
        let first = client.ask(GET).await;
        assert_eq!(first.status, 200);
        assert!(
            first.body.contains("<port>993</port>") && first.body.contains("<port>465</port>"),
            "{}",
            first.body
        );
        client.send(&format!("{GET}{}{GET}", post(REQUEST))).await;
        for expected in ["clientConfig", "<LoginName>alice@here.test</LoginName>", "clientConfig"] {
            let told = client.told().await.expect("answered");
            assert!(told.status == 200 && told.body.contains(expected), "{}", told.body);
        }
        for octet in post(REQUEST).split_inclusive(|_| true) {
            client.send(octet).await;
        }
        assert!(client.told().await.expect("answered").body.contains("<Type>IMAP</Type>"));
    });
}

#[test]
fn the_hundredth_request_is_the_last() {
    Story::new(302).tell(|story| async move {
        let mut client = Client::http(&story).await;
        for number in 1..=limits::HTTP_REQUESTS {
            let told = client.ask(GET).await;
            assert_eq!(
                told.fields.contains("Connection: close"),
                number == limits::HTTP_REQUESTS,
                "{number}"
            );
        }
        assert!(client.ended().await);
    });
}

/// HTTPS: an unknown host gets 421 and no page; a name that is none of the certificate's is no alert; ALPN is ours or nothing.
#[test]
fn https_by_name() {
    Story::new(303).tell(|story| async move {
        for (name, protocols) in [
            ("mx.here.test", ""),
            ("autoconfig.here.test", "http/1.1"),
            ("10.0.0.1", "h2,http/1.1"),
        ] {
            let mut client = Client::https(&story, name, protocols).await.expect("a handshake");
            assert_eq!(client.ask(GET).await.status, 200);
            let told = client.ask(&GET.replace("autoconfig.here", "elsewhere")).await;
            assert_eq!((told.status, told.body.as_str()), (421, ""));
            assert!(client.ended().await);
        }
        for protocols in ["h2", "imap", "smtp"] {
            assert!(Client::https(&story, "mx.here.test", protocols).await.is_err(), "{protocols}");
        }
        // TLS at the plain port and plain text at the TLS port end at once.
        assert!(story.connect(80).await.connect("mx.here.test", "").await.is_err());
        let mut client = Client(Lines::new(story.connect(443).await));
        client.send(GET).await;
        assert!(client.told().await.is_err());
    });
}

/// Slow peers (S09): each part of a request has its time, however it drips.
#[test]
fn slow_peers_are_let_go() {
    Story::new(304).tell(|story| async move {
        let begun = story.env.now().instant;
        let passed = |story: &Story| story.env.now().instant.since(begun);
        // Silence.
        let mut client = Client::http(&story).await;
        assert!(client.ended().await);
        assert!(passed(&story) < limits::HTTP_IDLE + Duration::from_secs(5));
        // A head that drips: 408.
        let mut client = Client::http(&story).await;
        let begun = story.env.now().instant;
        client.send("GET / HTTP/1.1\r\nX: ").await;
        while story.env.now().instant.since(begun) < limits::HTTP_HEAD_TIME {
            client.send("x").await;
            story.sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(client.told().await.expect("told").status, 408);
        // A body that drips.
        let mut client = Client::http(&story).await;
        client
            .send("POST /autodiscover/autodiscover.xml HTTP/1.1\r\nHost: here.test\r\nContent-Length: 60000\r\n\r\n")
            .await;
        let begun = story.env.now().instant;
        for _ in 0..limits::HTTP_BODY_TIME.as_secs() {
            let _ = client.0.send(b"x").await; // it may have hung up
            story.sleep(Duration::from_secs(1)).await;
        }
        assert!(client.ended().await);
        assert!(story.env.now().instant.since(begun) < limits::HTTP_BODY_TIME + Duration::from_secs(10));
        // A peer that goes in the middle is nobody's problem.
        for part in [
            "",
            "GET",
            "POST / HTTP/1.1\r\nHost: here.test\r\nContent-Length: 10\r\n\r\nabc",
        ] {
            let mut client = Client::http(&story).await;
            client.send(part).await;
            drop(client);
        }
        assert_eq!(Client::http(&story).await.ask(GET).await.status, 200);
    });
}

/// Whatever is too much, or can be read in two ways, is refused with words that arrive, and ends the connection.
#[test]
fn refusals_arrive() {
    Story::new(305).tell(|story| async move {
        let long = format!("GET /{} HTTP/1.1\r\nHost: here.test\r\n\r\n", "x".repeat(100_000));
        let large = format!(
            "POST / HTTP/1.1\r\nHost: here.test\r\nContent-Length: 100000\r\n\r\n{}",
            "x".repeat(100_000)
        );
        for (request, status) in [
            ("EHLO you\r\n\r\n", 400),
            ("\u{16}\u{3}\u{1}", 400),
            ("GET / HTTP/1.1\n\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\nHost: here.test\r\n\r\n", 505),
            (
                "POST / HTTP/1.1\r\nHost: here.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                411,
            ),
            (
                "GET / HTTP/1.1\r\nHost: here.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
                400,
            ),
            (&long, 431),
            (&large, 413),
        ] {
            let mut client = Client::http(&story).await;
            let told = client.ask(request).await;
            assert_eq!(told.status, status, "{:?}", &request[..request.len().min(60)]);
            assert!(told.fields.contains("Connection: close"));
            assert!(client.ended().await);
        }
        // A body that is waited for with 100-continue.
        let mut client = Client::http(&story).await;
        let (head, body) = post(REQUEST)
            .split_once("\r\n\r\n")
            .map(|(head, body)| (head.to_string(), body.to_string()))
            .expect("both");
        let go_on = client.ask(&format!("{head}\r\nExpect: 100-continue\r\n\r\n")).await;
        assert_eq!(go_on.status, 100);
        assert_eq!(client.ask(&body).await.status, 200);
    });
}

/// An entity bomb, depth and junk by POST: an error document each, on the same connection (S60).
#[test]
fn s60_hostile_documents_get_an_error_document() {
    Story::new(306).tell(|story| async move {
        let mut client = Client::http(&story).await;
        let bomb = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>".to_string();
        for body in [
            bomb,
            "<a>".repeat(20_000),
            "x".repeat(limits::HTTP_BODY),
            "\0".repeat(100),
            String::new(),
        ] {
            let told = client.ask(&post(&body)).await;
            assert_eq!(told.status, 200);
            assert!(told.body.contains("<ErrorCode>600</ErrorCode>"), "{}", told.body);
        }
        assert!(client.ask(&post(REQUEST)).await.body.contains("<LoginName>"));
    });
}
