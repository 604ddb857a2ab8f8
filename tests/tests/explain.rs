//! `explain` and a live server agree: on random senders, recipients, logins and authors, over a fake DNS that has every kind of domain.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use pillarbox::accounts::{self, Account, Names, Register, Table};
use pillarbox::config::{self, Config, Dns};
use pillarbox::env::Env;
use pillarbox::explain::{Case, Step, explain};
use pillarbox::resolver::Resolver;
use pillarbox_core::address::{ForwardPath, Mailbox, ReversePath};
use pillarbox_core::bytes::base64;
use pillarbox_core::policy::access::Login;
use pillarbox_core::secret::Secret;
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::client::smtp::{Smtp, stuffed};
use pillarbox_tests::rng::Rng;
use pillarbox_tests::sim::dns::Zone;
use pillarbox_tests::sim::server::{self, PASSWORD, config_text};
use pillarbox_tests::sim::{SimEnv, World};

const MORE: &str = "\
[[domain]]
name = \"all.test\"
catch_all = \"bob@one.test\"
[[domain]]
name = \"other.test\"
alias_of = \"one.test\"
[[route]]
recipient_domain = \"routed.test\"
host = \"10.0.0.2:25\"
tls = \"opportunistic\"
[[route]]
recipient_domain = \"lost.test\"
host = \"nowhere.test:25\"
tls = \"opportunistic\"
";

const RECIPIENTS: [&str; 24] = [
    "alice@one.test",
    "ALICE+tag@one.test",
    "\"alice\"@One.Test",
    "nobody@one.test",
    "postmaster@one.test",
    "whoever@all.test",
    "bob@other.test",
    "nobody@other.test",
    "abuse@mx.one.test",
    "x@localhost",
    "postmaster",
    "carol@two.test",
    "nobody@two.test",
    "carol@implicit.test",
    "carol@several.test",
    "carol@routed.test",
    "x@lost.test",
    "x@null.test",
    "x@loop.test",
    "x@inner.test",
    "x@nowhere.test",
    "x@[127.0.0.1]",
    "x@[10.0.0.1]",
    "x@[10.0.0.2]",
];

const SENDERS: [&str; 7] = [
    "",
    "alice@one.test",
    "Alice+news@one.test",
    "alice@other.test",
    "bob@one.test",
    "nobody@one.test",
    "stranger@elsewhere.test",
];

const AUTHORS: [&str; 6] = [
    "From: <alice@one.test>\r\n",
    "From: <bob@one.test>\r\n",
    "From: <bob@one.test>\r\nSender: <alice@one.test>\r\n",
    "From: <alice@one.test>, <stranger@elsewhere.test>\r\n",
    "From: <alice@one.test>\r\nFrom: <bob@one.test>\r\n",
    "",
];

/// Most often the usual thing: otherwise nearly everything would be refused for one reason or another.
fn usual(rng: &mut Rng, usual: &'static str, all: &[&'static str]) -> &'static str {
    match rng.percent(70) {
        true => usual,
        false => all[rng.index(all.len())],
    }
}

/// Both, in one world.
#[derive(Clone)]
struct Both {
    client: SimEnv,
    server: IpAddr,
    two: IpAddr,
    config: Config,
    table: Table,
    resolver: Resolver<SimEnv>,
}

#[test]
fn explain_and_live_agree() {
    for seed in 1..=3 {
        let mut world = World::new(seed);
        let server = world.node(1, "one.test");
        let two = world.node(2, "two.test");
        let zone = Zone::default()
            .mx("two.test", 10, "mx.two.test")
            .address("mx.two.test", two)
            .address("implicit.test", two)
            .mx("several.test", 10, "silent.test")
            .mx("several.test", 20, "mx.two.test")
            .address("silent.test", IpAddr::from([10, 0, 0, 99]))
            .mx("null.test", 0, ".")
            .mx("loop.test", 10, "mx.one.test")
            .address("mx.one.test", server)
            .address("inner.test", IpAddr::from([127, 0, 0, 1]));
        world.dns(zone);
        server::start_with(&world, server, "one.test", &["alice", "bob"], MORE);
        let more = "[[domain]]\nname = \"implicit.test\"\nalias_of = \"two.test\"\n[[domain]]\nname = \"several.test\"\nalias_of = \
                    \"two.test\"\n[[domain]]\nname = \"routed.test\"\nalias_of = \"two.test\"\n";
        server::start_with(&world, two, "two.test", &["carol"], more);
        let client = world.client();
        world.run(async move {
            let both = Both::new(client, server, two).await;
            let mut rng = Rng::new(seed);
            let mut fates = BTreeMap::new();
            for number in 0..100 {
                *fates.entry(both.compare(&mut rng, number).await).or_insert(0) += 1;
            }
            assert_eq!(fates.len(), 4, "each fate is met: {fates:?}");
        });
        for ip in [server, two] {
            assert_eq!(world.panics(ip), Vec::<String>::new(), "seed {seed}");
        }
    }
}

fn account<E: Env>(env: E, address: Mailbox) -> Pin<Box<dyn Future<Output = Account> + Send>> {
    Box::pin(async move { accounts::make(&env, address, &Secret::new(PASSWORD.into())).await })
}

/// Generic and boxed: only of a generic environment does the compiler see that all of it is `Send`.
fn explained<E: Env>(
    env: E,
    config: Config,
    table: Table,
    resolver: Resolver<E>,
    case: Case,
) -> Pin<Box<dyn Future<Output = Vec<Step>> + Send>> {
    Box::pin(async move { explain(&env, &config, &table, &resolver, &case, 1).await })
}

impl Both {
    async fn new(client: SimEnv, server: IpAddr, two: IpAddr) -> Both {
        let text = config_text("one.test", "alice") + MORE;
        let read = config::read(&text, Path::new("/"));
        let config = read.config.unwrap_or_else(|| panic!("{:?}", read.problems));
        let mut made: Vec<Account> = Vec::new();
        for address in ["alice@one.test", "bob@one.test"] {
            let address = Mailbox::parse(address, true).expect("an address");
            made.push(account(client.clone(), address).await);
        }
        let register = Register {
            accounts: made,
            aliases: Vec::new(),
        };
        Both {
            resolver: Resolver::new(client.clone(), &Dns::default()),
            client,
            server,
            two,
            config,
            table: Table::new(register),
        }
    }

    async fn compare(&self, rng: &mut Rng, number: u32) -> &'static str {
        let login = rng.percent(67);
        let from = usual(rng, "alice@one.test", &SENDERS);
        let to = *rng.pick(&RECIPIENTS);
        let author = usual(rng, AUTHORS[0], &AUTHORS);
        let subject = format!("number-{number}");
        let header = format!("{author}To: <{to}>\r\nSubject: {subject}\r\n\r\n");
        let told = self.explained(login, from, to, &header).await;
        let context = format!("login {login}, from <{from}>, to <{to}>, {author:?}:\n{told:#?}");
        let before = self.reports().await;
        let live = self.submit(login, from, to, &header).await;
        // What refuses: the recipient, then the author.
        let refused = told
            .iter()
            .take(2)
            .filter(|step| !step.matter.starts_with("route"))
            .find_map(|step| step.refused.as_ref());
        match (&live, refused) {
            (Ok(()), None) => {}
            (Err(reply), Some(refused)) => {
                let [class, subject, detail] = refused.status;
                let words = format!("{} {class}.{subject}.{detail} {}", refused.code, refused.text);
                assert_eq!(reply.trim_end(), words, "{context}");
                return "refused";
            }
            (live, _) => panic!("live {live:?}, {context}"),
        }
        self.client
            .sleep_until(self.client.now().instant.after(Duration::from_secs(200)))
            .await;
        let Some(route) = told.iter().find(|step| step.matter.starts_with("route")) else {
            assert_eq!(self.reports().await.len(), before.len(), "nothing fails, {context}");
            return "kept here";
        };
        let arrived = self.arrived(&subject).await;
        match &route.refused {
            // The first server that answers takes it, or says that nobody is there.
            None => {
                assert_eq!(arrived, to.starts_with("carol"), "{context}");
                "sent on"
            }
            Some(refused) => {
                assert!(!arrived, "{context}");
                let [class, status, detail] = refused.status;
                let reports = self.reports().await;
                let status = format!("Status: {class}.{status}.{detail}");
                let said = reports
                    .iter()
                    .any(|report| report.contains(&subject) && report.contains(&status));
                // Without a reverse path nobody is told; what is deferred is tried for days.
                let told = refused.code >= 500 && !from.is_empty();
                assert_eq!(said, told, "{status}, {context}");
                "no way there"
            }
        }
    }

    async fn explained(&self, login: bool, from: &str, to: &str, header: &str) -> Vec<Step> {
        let names = Names::of(&self.config);
        let account = self.table.login(&names, "alice@one.test").expect("an account");
        let whole = |path: &str| format!("<{path}>").into_bytes();
        let case = Case {
            from: ReversePath::parse_prefix(&whole(from), true).expect("a path").0,
            to: ForwardPath::parse_prefix(&whole(to), true).expect("a path").0,
            login: login.then(|| Login {
                account: account.id,
                name: account.address.to_string(),
            }),
            header: Some(header.as_bytes().to_vec()),
        };
        explained(
            self.client.clone(),
            self.config.clone(),
            self.table.clone(),
            self.resolver.clone(),
            case,
        )
        .await
    }

    /// Hands the message in; the reply that refuses it.
    async fn submit(&self, login: bool, from: &str, to: &str, header: &str) -> Result<(), String> {
        let port = if login { 587 } else { 25 };
        let stream = server::connect(&self.client, SocketAddr::new(self.server, port)).await;
        let mut smtp = Smtp::begin(stream).await.expect("a session");
        if login {
            let words = base64::encode(format!("\0alice@one.test\0{PASSWORD}").as_bytes());
            smtp.command(&format!("AUTH PLAIN {words}"), "235").await.expect("logged in");
        }
        smtp.command(&format!("MAIL FROM:<{from}>"), "250").await.expect("MAIL");
        let reply = smtp.any(&format!("RCPT TO:<{to}>")).await.expect("RCPT");
        if !reply.starts_with("250") {
            return Err(reply);
        }
        smtp.command("DATA", "354").await.expect("DATA");
        smtp.0
            .send(&stuffed(format!("{header}text\r\n").as_bytes()))
            .await
            .expect("sent");
        match smtp.0.line().await.expect("a reply") {
            taken if taken.starts_with("250") => Ok(()),
            refused => Err(refused),
        }
    }

    /// What has been reported to anybody at one.test.
    async fn reports(&self) -> Vec<String> {
        let mut all = Vec::new();
        for user in ["alice", "bob"] {
            all.extend(self.inbox(self.server, &format!("{user}@one.test")).await);
        }
        all.retain(|message| message.starts_with("Return-Path: <>\r\n") && message.contains("MAILER-DAEMON"));
        all
    }

    async fn arrived(&self, subject: &str) -> bool {
        let messages = self.inbox(self.two, "carol@two.test").await;
        messages
            .iter()
            .any(|message| message.contains(&format!("Subject: {subject}\r\n")))
    }

    async fn inbox(&self, at: IpAddr, address: &str) -> Vec<String> {
        let stream = server::connect(&self.client, SocketAddr::new(at, 143)).await;
        let mut imap = Imap::login(stream, address, PASSWORD).await.expect("a session");
        let messages = imap.messages("INBOX").await.expect("messages");
        imap.ok("LOGOUT").await.expect("logged out");
        messages
            .into_iter()
            .map(|bytes| String::from_utf8(bytes).expect("text"))
            .collect()
    }
}
