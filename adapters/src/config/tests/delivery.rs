//! The settings of delivery: what is taken, and what is told of what is not.

use std::path::Path;
use std::time::Duration;

use pillarbox_core::smtp::client::ask::TlsUse;

use super::super::{Config, Read, RelayHost, RelayTls, Secrets, read};
use super::{SMALL, errors};

fn config(more: &str) -> Config {
    let Read { config, problems, .. } = read(&format!("{SMALL}{more}"), Path::new("/etc/pillarbox"));
    assert_eq!(problems, []);
    config.expect("it is whole")
}

#[test]
fn without_a_word_mail_goes_to_the_recipients_servers() {
    let config = config("");
    assert_eq!((config.dns.servers.len(), config.dns.trust_ad), (0, false));
    assert_eq!((config.routes.len(), config.delivery.smarthost.is_none()), (0, true));
    assert_eq!(config.delivery.port, 25);
    assert!(!config.delivery.allow_loopback_targets);
    let minutes: Vec<u64> = config.delivery.retry.iter().map(|wait| wait.as_secs() / 60).collect();
    assert_eq!(minutes, [5, 10, 20, 40, 90, 180, 240]);
    assert_eq!(config.delivery.max_age, Duration::from_secs(5 * 86_400));
    assert_eq!(config.delivery.delay_notice, Duration::from_secs(4 * 3600));
    assert_eq!(config.delivery.source_for("192.0.2.1".parse().unwrap()), None);
}

#[test]
fn all_settings_of_delivery_are_taken() {
    let config = config(
        "catch_all = \"alice@example.org\"\nsubaddress = \"-\"\n[[domain]]\nname = \"example.com\"\nalias_of = \"example.org\"\n\
         subaddress = \"\"\n[tls]\nroots = \"roots.pem\"\n[dns]\nservers = [\"127.0.0.1\", \"[::1]:5353\"]\ntrust_ad = true\n\
         [[route]]\nrecipient_domain = [\"a.test\", \"b.test\"]\nhost = \"[::1]:2526\"\nprotocol = \"smtp\"\ntls = \"never\"\n\
         [[route]]\nrecipient_domain = \"c.test\"\nhost = \"relay.test:465\"\n[delivery]\nsmarthost = \"smtp.isp.test:587\"\n\
         smarthost_user = \"me\"\nsmarthost_password_file = \"smarthost.secret\"\nport = 2525\nallow_loopback_targets = true\n\
         retry = [\"1s\", \"90m\"]\nmax_age = \"2h\"\ndelay_notice = \"1d\"\nsource = [\"192.0.2.10\", \"2001:db8::10\"]\n",
    );
    let rules: Vec<_> = config.domain_rules.values().collect();
    assert_eq!(rules[0].alias_of.as_ref().map(|name| name.as_str()), Some("example.org"));
    assert_eq!(rules[0].subaddress, None);
    assert_eq!(rules[1].catch_all.as_ref().unwrap().to_string(), "alice@example.org");
    assert_eq!(rules[1].subaddress, Some('-'));
    assert_eq!(config.tls_roots.as_deref(), Some(Path::new("/etc/pillarbox/roots.pem")));
    let servers: Vec<String> = config.dns.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["127.0.0.1:53", "[::1]:5353"]);
    let [first, second] = config.routes.as_slice() else {
        panic!("two routes")
    };
    assert_eq!(
        (first.relay.name().as_str(), first.relay.tls),
        ("[::1]:2526", RelayTls::Never)
    );
    assert_eq!(first.recipient_domains.len(), 2);
    assert!(matches!(&second.relay.host, RelayHost::Name(name) if name.as_str() == "relay.test"));
    assert_eq!(
        (second.relay.tls.as_use(), second.relay.tls.is_verified()),
        (TlsUse::Implicit, true)
    );
    let smarthost = config.delivery.smarthost.as_ref().unwrap();
    assert_eq!((smarthost.port, smarthost.tls), (587, RelayTls::Required));
    assert_eq!(
        config.delivery.source_for("2001:db8::1".parse().unwrap()),
        Some("2001:db8::10".parse().unwrap())
    );
    let [(setting, file)] = config.password_files()[..] else {
        panic!("one file")
    };
    assert_eq!(
        (setting, file),
        (
            "delivery.smarthost_password_file",
            Path::new("/etc/pillarbox/smarthost.secret")
        )
    );
    let login = smarthost.login.as_ref().unwrap();
    let mut secrets = Secrets::default();
    assert_eq!(secrets.credentials(login), None);
    secrets.learn(file.to_path_buf(), "open sesame\r\nand more\n");
    assert_eq!(secrets.credentials(login).unwrap().password.reveal(), "open sesame");
    assert!(!format!("{secrets:?}").contains("sesame"));
}

/// Each wrong line, and a part of what is told.
#[test]
fn what_is_wrong_with_delivery_is_told() {
    const ROUTE: &str = "[[route]]\nrecipient_domain = \"a.test\"\n";
    let rows: [(String, &str); 34] = [
        (
            "[dns]\nservers = \"dns.test\"".into(),
            "dns.servers: `dns.test` is no address",
        ),
        (
            "[dns]\nservers = \"127.0.0.1:0\"".into(),
            "dns.servers: `127.0.0.1:0` is no address",
        ),
        ("[dns]\nservers = []".into(), "dns.servers: empty"),
        (
            format!("[dns]\nservers = [{}]", "\"::1\",".repeat(9)),
            "dns.servers: too many",
        ),
        (
            "[dns]\ntrust_ad = \"yes\"".into(),
            "dns.trust_ad: true or false is wanted, this is a string",
        ),
        ("[[route]]\nhost = \"a.test:25\"".into(), "route.recipient_domain: missing"),
        (
            "[[route]]\nrecipient_domain = []\nhost = \"a.test:25\"".into(),
            "route.recipient_domain: empty",
        ),
        (
            "[[route]]\nrecipient_domain = \"a..b\"\nhost = \"a.test:25\"".into(),
            "route.recipient_domain: `a..b` is no",
        ),
        (ROUTE.into(), "route.host: missing"),
        (
            format!("{ROUTE}host = \"a.test\""),
            "route.host: `a.test` is no host with a port",
        ),
        (format!("{ROUTE}host = \"a.test:0\""), "route.host: `a.test:0` is no host"),
        (format!("{ROUTE}host = \"::1:25\""), "route.host: `::1:25` is no host"),
        (format!("{ROUTE}host = \"1.2.3:25\""), "route.host: `1.2.3:25` is no host"),
        (format!("{ROUTE}host = \"a.test:+25\""), "route.host: `a.test:+25` is no host"),
        (
            format!("{ROUTE}host = \"a.test:25\"\ntls = \"requird\""),
            "did you mean `required`?",
        ),
        (
            format!("{ROUTE}host = \"a.test:25\"\nprotocol = \"lmtp\""),
            "`lmtp` is not in this version",
        ),
        (
            format!("{ROUTE}host = \"a.test:25\"\nprotocol = \"http\""),
            "`http` is no protocol",
        ),
        (
            format!("{ROUTE}host = \"a.test:25\"\nuser = \"me\""),
            "route.password_file: missing beside `user`",
        ),
        (
            format!("{ROUTE}host = \"a.test:25\"\npassword_file = \"x\""),
            "route.user: missing beside `password_file`",
        ),
        (
            format!("{ROUTE}host = \"a.test:25\"\nuser = \"me\"\npassword_file = \"x\"\ntls = \"opportunistic\""),
            "route.tls: a password would go to anybody",
        ),
        (
            "[delivery]\nsmarthost_tls = \"implicit\"".into(),
            "delivery.smarthost_tls: there is no smarthost",
        ),
        ("[delivery]\nport = \"25\"".into(), "delivery.port: no port"),
        ("[delivery]\nport = 65536".into(), "delivery.port: no port"),
        ("[delivery]\nport = 0".into(), "delivery.port: no port"),
        ("[delivery]\nretry = []".into(), "delivery.retry: wrong number of entries"),
        (
            "[delivery]\nretry = [\"5 minutes\"]".into(),
            "delivery.retry: `5 minutes` is not a duration",
        ),
        ("[delivery]\nretry = [\"0s\"]".into(), "delivery.retry: out of range"),
        ("[delivery]\nmax_age = \"31d\"".into(), "delivery.max_age: out of range"),
        (
            "[delivery]\nsource = \"0.0.0.0\"".into(),
            "delivery.source: 0.0.0.0 is no address to connect from",
        ),
        (
            "[delivery]\nsource = [\"192.0.2.1\", \"192.0.2.2\"]".into(),
            "192.0.2.2 is the second of its family",
        ),
        (
            "catch_all = \"alice@example.net\"".into(),
            "domain.catch_all: `alice@example.net` is in no domain of ours",
        ),
        (
            "alias_of = \"example.org\"".into(),
            "domain.alias_of: a domain is no alias of itself",
        ),
        (
            "alias_of = \"example.net\"".into(),
            "domain.alias_of: example.net is no domain of ours",
        ),
        ("subaddress = \"=\"".into(), "domain.subaddress: `=` does not separate"),
    ];
    for (more, told) in rows {
        let errors = errors(&format!("{SMALL}{more}\n"));
        assert!(errors.len() == 1 && errors[0].contains(told), "{more}: {errors:#?}");
    }
}

#[test]
fn an_alias_leads_to_a_domain_with_accounts_and_has_nothing_of_its_own() {
    let second = "[[domain]]\nname = \"b.test\"\nalias_of = \"example.org\"\n";
    let third = "[[domain]]\nname = \"c.test\"\nalias_of = \"b.test\"\n";
    let told = errors(&format!("{SMALL}{second}{third}"));
    assert!(told.len() == 1 && told[0].contains("b.test is an alias itself"), "{told:?}");
    let both = errors(&format!("{SMALL}{second}catch_all = \"a@example.org\"\n"));
    assert!(both.len() == 1 && both[0].contains("stands beside `alias_of`"), "{both:?}");
}

#[test]
fn the_second_route_of_a_domain_is_warned_of() {
    let route = "[[route]]\nrecipient_domain = \"a.test\"\nhost = \"b.test:25\"\n";
    let read = read(&format!("{SMALL}{route}{route}"), Path::new("/"));
    assert!(read.config.is_some());
    assert!(
        read.problems[0].what.contains("a.test has a route already"),
        "{:?}",
        read.problems
    );
}
