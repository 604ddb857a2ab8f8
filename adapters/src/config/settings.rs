//! The table of settings: name, default, documentation. The reader knows no other key, and the example file is printed from it.

/// One key of the file.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its table: empty for the top.
    pub table: &'static str,
    /// Its name.
    pub key: &'static str,
    /// Its default as people write it, or what happens without it.
    pub default: &'static str,
    /// A value as TOML writes it, for the example file.
    pub example: &'static str,
    /// Whether the example file leaves it out by a `#`.
    pub commented: bool,
    /// What it does, in a line.
    pub doc: &'static str,
}

/// A table of the file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// `[[name]]`: it may be given several times.
    pub repeated: bool,
    /// What it is for, in a line.
    pub doc: &'static str,
}

const fn setting(
    table: &'static str,
    key: &'static str,
    default: &'static str,
    example: &'static str,
    commented: bool,
    doc: &'static str,
) -> Setting {
    Setting {
        table,
        key,
        default,
        example,
        commented,
        doc,
    }
}

/// Every section of this version, in the order of the example file.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "domain",
        repeated: true,
        doc: "A domain whose mail is ours; at least one.",
    },
    Section {
        name: "listener",
        repeated: true,
        doc: "Where to listen. None given: the standard ports, all of them, IPv4 and IPv6. Any given: only those.",
    },
    Section {
        name: "tls",
        repeated: false,
        doc: "The certificate. None given: a self-signed one.",
    },
    Section {
        name: "dns",
        repeated: false,
        doc: "Whom to ask for names.",
    },
    Section {
        name: "route",
        repeated: true,
        doc: "A next hop for mail to certain domains, in place of their servers. The first that fits decides.",
    },
    Section {
        name: "delivery",
        repeated: false,
        doc: "Delivery to other servers.",
    },
    Section {
        name: "limits",
        repeated: false,
        doc: "Limits.",
    },
    Section {
        name: "log",
        repeated: false,
        doc: "The log.",
    },
    Section {
        name: "record",
        repeated: false,
        doc: "Recordings of sessions, in data_dir/records, for `pillarbox replay`. They hold mail, but no password.",
    },
    Section {
        name: "store",
        repeated: false,
        doc: "The store.",
    },
];

/// Every key of this version.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("", "hostname", "none: it must be given", "\"mx.example.org\"", false,
        "Our name to other servers: greeting, EHLO, Received. It should resolve to this machine."),
    setting("", "data_dir", "/var/lib/pillarbox", "\"/var/lib/pillarbox\"", false,
        "Where mail and accounts are kept. One server at a time."),
    setting("", "postmaster", "the first account", "\"alice@example.org\"", false,
        "Who reads mail for postmaster, abuse, root and MAILER-DAEMON of every domain; `check` asks for it."),
    setting("domain", "name", "none: it must be given", "\"example.org\"", false,
        "The name behind the @."),
    setting("domain", "catch_all", "nobody: unknown addresses are refused", "\"alice@example.org\"", true,
        "Who gets mail for addresses of this domain that are nobody's."),
    setting("domain", "alias_of", "no alias", "\"example.com\"", true,
        "Another [[domain]]: each of its addresses is one of this domain too. Not together with catch_all."),
    setting("domain", "subaddress", "+", "\"+\"", true,
        "What separates a name from a detail (alice+lists is alice): `+` or `-`; empty: nothing."),
    setting("listener", "protocol", "none: it must be given", "\"submission\"", true,
        "smtp (25), submission (587), submissions (465), imap (143), imaps (993), http (80), https (443), or standard: all of these."),
    setting("listener", "address", "the protocol's port, IPv4 and IPv6", "[\"127.0.0.1:2587\", \"[::1]:2587\"]", true,
        "Address and port, one or a list; port 0 takes a free one."),
    setting("listener", "proxy_protocol", "nobody", "[\"127.0.0.1\"]", true,
        "Peers (addresses or prefixes) that begin with a PROXY v1/v2 header, which is believed."),
    setting("listener", "plaintext_auth", "nobody", "[\"127.0.0.0/8\"]", true,
        "Peers that may log in without TLS."),
    setting("tls", "certificate", "a self-signed certificate", "\"cert.pem\"", true,
        "The certificate chain, PEM, our own first; relative to this file."),
    setting("tls", "key", "a self-signed certificate", "\"key.pem\"", true,
        "The certificate's private key, PEM."),
    setting("tls", "roots", "the system's", "\"roots.pem\"", true,
        "Whom we trust as a client (delivery over verified TLS): certificates, PEM."),
    setting("dns", "servers", "those of /etc/resolv.conf", "[\"127.0.0.1\", \"[::1]:5353\"]", true,
        "The DNS servers to ask, in this order, with a port where it is not 53."),
    setting("dns", "trust_ad", "false", "true", true,
        "These servers validate DNSSEC, and nobody can change their answers on the way: their AD bit counts."),
    setting("route", "recipient_domain", "none: it must be given", "[\"relay.example\"]", true,
        "The recipients' domain, one or a list."),
    setting("route", "host", "none: it must be given", "\"127.0.0.1:2526\"", true,
        "The next hop: name or address, and port. Its MX is not looked up."),
    setting("route", "protocol", "smtp", "\"smtp\"", true,
        "What it speaks."),
    setting("route", "tls", "implicit at port 465, else required with a login, else opportunistic", "\"required\"", true,
        "`implicit` (from the first byte) and `required` (STARTTLS) want a valid certificate; `opportunistic` takes any; `never`."),
    setting("route", "user", "no login", "\"me\"", true,
        "The user name to log in with."),
    setting("route", "password_file", "no login", "\"route.secret\"", true,
        "The file with its password, which others must not be able to read; or a name in $CREDENTIALS_DIRECTORY."),
    setting("delivery", "smarthost", "none: mail goes to the recipients' servers", "\"smtp.isp.example:465\"", true,
        "Takes all mail that no route is for: name or address, and port."),
    setting("delivery", "smarthost_tls", "implicit at port 465, else required with a login, else opportunistic", "\"implicit\"", true,
        "As a route's tls."),
    setting("delivery", "smarthost_user", "no login", "\"me@isp.example\"", true,
        "The user name to log in with."),
    setting("delivery", "smarthost_password_file", "no login", "\"smarthost.secret\"", true,
        "As a route's password_file."),
    setting("delivery", "port", "25", "25", true,
        "Where the recipients' servers listen (tests use another)."),
    setting("delivery", "allow_loopback_targets", "false", "false", true,
        "Whether mail goes to servers on this machine (tests, relays on one machine)."),
    setting("delivery", "retry", "[\"5m\", \"10m\", \"20m\", \"40m\", \"90m\", \"3h\", \"4h\"]",
        "[\"5m\", \"10m\", \"20m\", \"40m\", \"90m\", \"3h\", \"4h\"]", true,
        "How long to wait after each attempt; the last one repeats."),
    setting("delivery", "max_age", "5d", "\"5d\"", true,
        "How long a message is tried; then its sender is told that it failed."),
    setting("delivery", "delay_notice", "4h", "\"4h\"", true,
        "After so long the sender is told of the delay; max_age or more: never."),
    setting("delivery", "source", "what the system chooses", "[\"192.0.2.10\", \"2001:db8::10\"]", true,
        "The addresses to connect from, one of a family."),
    setting("limits", "message", "50M", "\"50M\"", true,
        "The largest message: announced by SIZE, and for APPEND."),
    setting("log", "to", "stderr", "\"stderr\"", true,
        "`stderr`, or a file; the file is opened again on SIGHUP (logrotate)."),
    setting("log", "format", "text", "\"text\"", true,
        "`text` for people, `json` for programs."),
    setting("record", "sessions", "none", "\"1 in 100\"", true,
        "How many sessions are recorded: `none`, `all`, or one in so many. The settings below take fewer of them."),
    setting("record", "peers", "all", "[\"192.0.2.0/24\"]", true,
        "Only sessions with these peers (addresses or prefixes)."),
    setting("record", "accounts", "all", "[\"alice@example.org\"]", true,
        "Only sessions that log in to these accounts."),
    setting("record", "verdict", "any", "\"refused\"", true,
        "`any`, or `refused`: only sessions in which something was refused or failed."),
    setting("record", "keep", "100M", "\"100M\"", true,
        "The size of all recordings; the oldest are removed first."),
    setting("store", "ring", "64M", "\"64M\"", true,
        "The journal's ring, written once when it is made. Smaller rings make more checkpoints; at least 1M."),
];

/// Keys and tables of later versions: refused, so that nobody believes they work.
pub const LATER: &[(&str, &str)] = &[
    ("", "acme"),
    ("", "auth"),
    ("", "submit"),
    ("", "trusted_users"),
    ("", "trusted_proxies"),
    ("domain", "dkim"),
    ("limits", "max_line"),
];

/// Protocols of later versions.
pub const LATER_PROTOCOLS: &[&str] = &["lmtp", "metrics", "control"];

/// The setting of a table and key.
pub fn find(table: &str, key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.table == table && setting.key == key)
}

/// The names that may stand in a table: keys, and at the top also tables.
pub(super) fn names(table: &str) -> Vec<&'static str> {
    let keys = SETTINGS
        .iter()
        .filter(|setting| setting.table == table)
        .map(|setting| setting.key);
    let sections = SECTIONS.iter().filter(|_| table.is_empty()).map(|section| section.name);
    keys.chain(sections).collect()
}

/// `table.key`, or the key alone at the top.
pub(super) fn full_name(table: &str, key: &str) -> String {
    if table.is_empty() {
        key.into()
    } else {
        format!("{table}.{key}")
    }
}

/// The name nearest to a mistyped one, if one is near enough to be meant.
pub(super) fn nearest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    let near = names.iter().map(|name| (distance(typed, name), *name)).min()?;
    (near.0 <= 1 + typed.chars().count() / 4).then_some(near.1)
}

/// Insertions, deletions, replacements and swaps of neighbours between two names.
fn distance(one: &str, two: &str) -> usize {
    let (one, two): (Vec<char>, Vec<char>) = (one.chars().take(64).collect(), two.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=two.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=two.len() {
            let replaced = above[j - 1] + usize::from(one[i - 1] != two[j - 1]);
            let mut best = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == two[j - 2] && one[i - 2] == two[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[two.len()]
}

/// The example file: every setting with its documentation and default.
pub fn example() -> String {
    let mut out = String::from(
        "# Pillarbox: every setting of this version. The first three and one domain are a working server;\n\
         # lines that begin with `#` show other settings with an example.\n\
         # File names are relative to this file. Check it with `pillarbox check -c FILE --effective`.\n",
    );
    print_settings(&mut out, "");
    for section in SECTIONS {
        out.push_str(&format!("\n# {}\n", section.doc));
        let commented = SETTINGS
            .iter()
            .filter(|setting| setting.table == section.name)
            .all(|setting| setting.commented);
        let hash = if commented { "# " } else { "" };
        let header = if section.repeated {
            format!("[[{}]]", section.name)
        } else {
            format!("[{}]", section.name)
        };
        out.push_str(&format!("{hash}{header}\n"));
        print_settings(&mut out, section.name);
    }
    out
}

fn print_settings(out: &mut String, table: &str) {
    for setting in SETTINGS.iter().filter(|setting| setting.table == table) {
        let hash = if setting.commented { "# " } else { "" };
        out.push_str(&format!(
            "\n#   {}\n#   Default: {}.\n{hash}{} = {}\n",
            setting.doc, setting.default, setting.key, setting.example
        ));
    }
}
