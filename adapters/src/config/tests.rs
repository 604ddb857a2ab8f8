//! Each rule of the file, and the example file against the table.

mod delivery;

use std::path::Path;

use super::settings::{LATER, SETTINGS, example};

use super::{Network, Protocol, Severity, not_listening, read, standard_listeners};

const SMALL: &str = "hostname = \"mx.example.org\"\n[[domain]]\nname = \"Example.ORG\"\n";

fn errors(text: &str) -> Vec<String> {
    let read = read(text, Path::new("/etc/pillarbox"));
    let errors = read.problems.iter().filter(|problem| problem.severity == Severity::Error);
    errors
        .map(|problem| format!("{}: {} ({})", problem.setting, problem.what, problem.hint))
        .collect()
}

#[test]
fn a_host_name_and_a_domain_are_a_whole_configuration() {
    let read = read(SMALL, Path::new("/etc/pillarbox"));
    assert_eq!(read.problems, []);
    let config = read.config.expect("it is whole");
    assert_eq!(config.domains[0].as_str(), "example.org");
    assert_eq!(config.listeners, standard_listeners());
    assert_eq!(config.message_max, 50 << 20);
    assert_eq!(not_listening(&config.listeners), None);
}

#[test]
fn every_error_is_told_at_once() {
    let text = "hostnme = \"mx.example.org\"\n[[domain]]\nname = 7\n[limits]\nmessage = \"5x\"\n[dns]\nservers = []\n";
    let errors = errors(text);
    assert_eq!(errors.len(), 5, "{errors:#?}");
    assert!(errors[0].contains("did you mean `hostname`?"));
}

#[test]
fn rules_of_recording_are_read_and_refused() {
    let text = format!(
        "{SMALL}[record]\nsessions = \"1 in 10\"\npeers = \"192.0.2.0/24\"\naccounts = \"alice@example.org\"\nverdict = \"refused\"\nkeep = \"2M\"\n"
    );
    let record = read(&text, Path::new("/")).config.expect("it is whole").record;
    assert_eq!((record.one_in, record.refused_only, record.keep), (10, true, 2 << 20));
    assert_eq!((record.peers.len(), record.accounts.len()), (1, 1));
    let text = format!(
        "{SMALL}[record]\nsessions = \"some\"\npeers = \"x\"\naccounts = \"alice\"\nverdict = \"bad\"\nkeep = \"1K\"\n"
    );
    let errors = errors(&text);
    for setting in ["sessions", "peers", "accounts", "verdict", "keep"] {
        let name = format!("record.{setting}: ");
        assert!(errors.iter().any(|error| error.starts_with(&name)), "{setting}: {errors:#?}");
    }
}

#[test]
fn what_later_versions_know_is_refused() {
    for (table, key) in LATER {
        let text = match *table {
            "" => format!("{key} = 1\n{SMALL}"),
            "domain" => format!("{SMALL}{key} = 1\n"),
            table => format!("{SMALL}[{table}]\n{key} = 1\n"),
        };
        let errors = errors(&text);
        assert!(
            errors.iter().any(|error| error.contains("not in this version")),
            "{key}: {errors:?}"
        );
    }
}

#[test]
fn the_example_file_is_valid_with_every_setting_switched_on() {
    let plain = example();
    assert_eq!(errors(&plain), Vec::<String>::new());
    // An alias needs a second domain, and a section is shown once.
    let alias = |line: &&str| line.starts_with("# alias_of = ");
    let all: String = plain
        .lines()
        .filter(|line| !alias(line))
        .map(|line| {
            format!(
                "{}\n",
                line.strip_prefix("# ")
                    .filter(|rest| rest.starts_with('[') || rest.contains(" = "))
                    .filter(|rest| !rest.starts_with(' '))
                    .unwrap_or(line)
            )
        })
        .collect();
    let read = read(&all, Path::new("/etc/pillarbox"));
    assert_eq!(read.problems, [], "{all}");
    assert_eq!(plain.lines().filter(alias).count(), 1);
    for setting in SETTINGS.iter().filter(|setting| setting.key != "alias_of") {
        let found = read.origins.iter().any(|origin| {
            let name: String = origin.setting.replace("[1]", "");
            name == super::settings::full_name(setting.table, setting.key) && origin.line.is_some()
        });
        assert!(found, "{} {} is not in the example", setting.table, setting.key);
    }
}

#[test]
fn the_example_in_the_tree_is_the_one_printed() {
    let kept = include_str!("../pillarbox.example.toml");
    assert_eq!(
        kept,
        example(),
        "write it again: pillarbox check --example > adapters/src/pillarbox.example.toml"
    );
}

#[test]
fn defaults_in_the_table_are_those_in_force() {
    let read = read(SMALL, Path::new("/"));
    for origin in read
        .origins
        .iter()
        .filter(|origin| origin.line.is_none() && !origin.setting.starts_with("listener"))
    {
        let setting = SETTINGS
            .iter()
            .find(|setting| super::settings::full_name(setting.table, setting.key) == origin.setting.replace("[1]", ""));
        let default = setting.expect("a setting of the table").default;
        let shown = [default.to_string(), format!("{default:?}")];
        assert!(shown.contains(&origin.value), "{} = {}", origin.setting, origin.value);
    }
}

#[test]
fn networks_are_read_strictly() {
    let loopback = Network::parse("127.0.0.0/8").expect("a network");
    assert!(loopback.contains("127.1.2.3".parse().unwrap()));
    assert!(!loopback.contains("128.0.0.1".parse().unwrap()));
    assert!(!loopback.contains("::1".parse().unwrap()));
    assert!(Network::parse("0.0.0.0/0").unwrap().contains("192.0.2.1".parse().unwrap()));
    assert!(
        Network::parse("2001:db8::/32")
            .unwrap()
            .contains("2001:db8:1::1".parse().unwrap())
    );
    for wrong in ["127.0.0.1/8", "127.0.0.0/33", "127.0.0.0/+8", "loopback", "", "127.0.0.0/"] {
        assert_eq!(Network::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_standard_listener_can_stand_beside_another() {
    let text = format!(
        "{SMALL}[[listener]]\nprotocol = \"standard\"\n[[listener]]\nprotocol = \"smtp\"\naddress = \"127.0.0.1:2525\"\n"
    );
    let config = read(&text, Path::new("/")).config.expect("it is whole");
    assert_eq!(config.listeners.len(), Protocol::ALL.len() + 1);
    let one = read(&format!("{SMALL}[[listener]]\nprotocol = \"smtp\"\n"), Path::new("/"))
        .config
        .expect("whole");
    let line = not_listening(&one.listeners).expect("four are missing");
    assert!(
        line.contains("submissions 465") && line.contains("imaps 993") && !line.contains("smtp 25"),
        "{line}"
    );
}

#[test]
fn any_bytes_end_in_a_verdict() {
    for text in [
        "\u{0}",
        "[[",
        "a = [1, \"",
        "[[domain]]\n[domain]",
        "hostname = \"\\u0000\"",
        "listener = 3\ndomain = {}",
    ] {
        assert!(read(text, Path::new("/")).config.is_none(), "{text:?}");
    }
}
