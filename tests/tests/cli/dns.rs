//! `pillarbox dns`.

use super::Folder;

const CONFIG: &str = "\
hostname = \"mx.example.test\"
postmaster = \"alice@example.test\"

[[domain]]
name = \"example.test\"

[[domain]]
name = \"second.test\"
";

#[test]
fn records_are_printed_from_the_configuration_alone() {
    let folder = Folder::new("dns");
    folder.write("pillarbox.toml", CONFIG);
    insta::assert_snapshot!("dns_records", folder.shown(&["dns", "records", "Second.test."], ""));
    let more = "[delivery]\nsource = [\"192.0.2.10\", \"2001:db8::10\"]\nsmarthost = \"smtp.isp.example:465\"\n";
    folder.write("pillarbox.toml", &format!("{CONFIG}{more}"));
    insta::assert_snapshot!(
        "dns_records_of_sources",
        folder.shown(&["dns", "records", "example.test"], "")
    );
}

#[test]
fn another_web_server_is_told_what_to_forward() {
    let folder = Folder::new("dns-forward");
    let listeners = ["submissions", "imaps", "http"].map(|protocol| match protocol {
        "http" => "[[listener]]\nprotocol = \"http\"\naddress = \"127.0.0.1:8080\"\n".to_string(),
        mail => format!("[[listener]]\nprotocol = \"{mail}\"\n"),
    });
    folder.write("pillarbox.toml", &format!("{CONFIG}{}", listeners.concat()));
    let shown = folder.shown(&["dns", "records", "example.test"], "");
    let srv = "_autodiscover._tcp.example.test.         IN SRV   0 1 443 mx.example.test.";
    assert!(shown.contains(srv), "{shown}");
    let (_, forward) = shown.split_once("\n\n; The web server").expect(&shown);
    assert!(
        forward.contains("127.0.0.1:8080 (http)") && forward.contains("all of autoconfig.example.test"),
        "{forward}"
    );
}

#[test]
fn records_for_programs() {
    let folder = Folder::new("dns-json");
    folder.write("pillarbox.toml", CONFIG);
    let output = folder.run(&["dns", "records", "example.test", "--json"], "");
    let records: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let records = records.as_array().expect("a list");
    let find = |name: &str, kind: &str| {
        let found = records.iter().find(|record| record["name"] == name && record["type"] == kind);
        found.unwrap_or_else(|| panic!("no {name} {kind}"))["data"].clone()
    };
    assert_eq!(find("example.test", "MX"), "10 mx.example.test.");
    assert_eq!(find("_imaps._tcp.example.test", "SRV"), "0 1 993 mx.example.test.");
    assert_eq!(find("_pop3s._tcp.example.test", "SRV"), "0 0 0 .");
    assert_eq!(find("autoconfig.example.test", "CNAME"), "mx.example.test.");
    assert_eq!(find("mx.example.test", "A"), serde_json::Value::Null);
    let steps: Vec<u64> = records.iter().filter_map(|record| record["step"].as_u64()).collect();
    assert!(steps.is_sorted() && steps.len() == records.len(), "{steps:?}");
}

#[test]
fn only_domains_of_ours_and_only_records() {
    let folder = Folder::new("dns-errors");
    folder.write("pillarbox.toml", CONFIG);
    insta::assert_snapshot!("dns_unknown", folder.shown(&["dns", "records", "elsewhere.test"], ""));
    insta::assert_snapshot!("dns_check", folder.shown(&["dns", "check", "example.test"], ""));
}
