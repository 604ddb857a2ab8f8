//! The servers under load, each started from its own temporary folder, on loopback.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::{Load, Measured};

const USER: &str = "u1@bench.test";
const PASSWORD: &str = "bench password";

/// Pillarbox's release binary.
pub(crate) struct Pillarbox {
    process: Child,
    smtp: SocketAddr,
    imap: SocketAddr,
}

impl Pillarbox {
    /// With these lines at the end of its configuration.
    pub(crate) fn start(folder: &Path, more: &str) -> Pillarbox {
        let binary = release_binary();
        fs::create_dir_all(folder).expect("a folder");
        let (smtp, imap) = (free_port(), free_port());
        let config = folder.join("pillarbox.toml");
        let text = format!(
            "hostname = \"mx.bench.test\"\ndata_dir = \"data\"\npostmaster = \"{USER}\"\n\n[[domain]]\nname = \"bench.test\"\n\n\
             [[listener]]\nprotocol = \"smtp\"\naddress = \"{smtp}\"\n\n\
             [[listener]]\nprotocol = \"imap\"\naddress = \"{imap}\"\nplaintext_auth = [\"127.0.0.0/8\"]\n\n{more}"
        );
        fs::write(&config, text).expect("a config file");
        let mut add = Command::new(&binary)
            .args(["account", "add", USER, "--password-stdin", "-c"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary starts");
        writeln!(add.stdin.take().expect("its input"), "{PASSWORD}").expect("it reads");
        assert!(add.wait().expect("it ends").success(), "account add failed");
        let log = fs::File::create(folder.join("log")).expect("a log file");
        let process = Command::new(&binary)
            .args(["serve", "-c"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        wait_for(smtp);
        wait_for(imap);
        Pillarbox { process, smtp, imap }
    }

    pub(crate) fn run(&self, load: &Load) -> Measured {
        let before = self.exists();
        let cpu = cpu(self.process.id());
        let (acknowledged, wall) = load.send(self.smtp, USER, true);
        let cpu = cpu_since(self.process.id(), cpu);
        Measured {
            acknowledged,
            found: self.exists() - before,
            wall,
            cpu,
        }
    }

    /// Messages in INBOX, by IMAP.
    fn exists(&self) -> usize {
        let stream = TcpStream::connect(self.imap).expect("IMAP accepts");
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a greeting");
        let commands = format!("a LOGIN \"{USER}\" \"{PASSWORD}\"\r\n");
        reader.get_mut().write_all(commands.as_bytes()).expect("IMAP reads");
        answer(&mut reader, "a ");
        reader.get_mut().write_all(b"b EXAMINE INBOX\r\n").expect("IMAP reads");
        let lines = answer(&mut reader, "b ");
        reader.get_mut().write_all(b"c LOGOUT\r\n").expect("IMAP reads");
        let exists = lines
            .iter()
            .find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS\r\n")?.parse().ok());
        exists.expect("EXAMINE tells EXISTS")
    }

    /// What `strace -f -c` counts a message, in one line.
    pub(crate) fn system_calls(&self, per_connection: usize, pipelining: bool) -> Option<String> {
        let messages = 400;
        let mut strace = Command::new("strace")
            .args(["-f", "-c", "-U", "name,calls", "-p", &self.process.id().to_string()])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let mut output = BufReader::new(strace.stderr.take().expect("its output"));
        let mut attached = String::new();
        output.read_line(&mut attached).ok()?;
        let load = Load {
            sessions: 10,
            per_connection,
            messages,
            body: crate::BODY,
        };
        let (acknowledged, _) = load.send(self.smtp, USER, pipelining);
        let interrupted = Command::new("kill").args(["-INT", &strace.id().to_string()]).status().ok()?;
        assert!(interrupted.success(), "strace is there");
        let mut calls: Vec<(String, u64)> = Vec::new();
        for line in output.lines().map_while(Result::ok) {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(count), None) = (words.next(), words.next(), words.next())
                && let Ok(count) = count.parse()
            {
                calls.push((name.to_owned(), count));
            }
        }
        strace.wait().ok()?;
        let total: u64 = calls.iter().filter(|call| call.0 != "total").map(|call| call.1).sum();
        calls.retain(|call| call.0 != "total");
        calls.sort_by_key(|call| std::cmp::Reverse(call.1));
        let each = |count: u64| count as f64 / acknowledged as f64;
        let shown: Vec<String> = calls
            .iter()
            .take(24)
            .map(|(name, count)| format!("{name} {:.2}", each(*count)))
            .collect();
        let syncs: u64 = calls.iter().filter(|call| call.0.contains("sync")).map(|call| call.1).sum();
        Some(format!("{:.1} (syncs {:.3}; {})", each(total), each(syncs), shown.join(", ")))
    }

    pub(crate) fn stop(mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn answer(reader: &mut impl BufRead, tag: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("IMAP answers") > 0, "IMAP closed");
        if let Some(outcome) = line.strip_prefix(tag) {
            assert!(outcome.starts_with("OK"), "{line}");
            return lines;
        }
        lines.push(line);
    }
}

/// Debian's Postfix with its default fsync, delivering to a Maildir.
pub(crate) struct Postfix {
    folder: PathBuf,
    smtp: SocketAddr,
    master: u32,
}

impl Postfix {
    pub(crate) fn start(folder: &Path) -> Option<Postfix> {
        if !Path::new("/usr/lib/postfix/sbin/master").exists() {
            return None;
        }
        let smtp = free_port();
        for sub in ["config", "spool", "data", "mail"] {
            fs::create_dir_all(folder.join(sub)).ok()?;
        }
        let run = |program: &str, arguments: &[&str]| {
            Command::new(program)
                .args(arguments)
                .status()
                .is_ok_and(|status| status.success())
        };
        let path = |sub: &str| folder.join(sub).display().to_string();
        run(
            "chmod",
            &["755", &folder.display().to_string(), &folder.parent()?.display().to_string()],
        );
        run("chown", &["postfix", &path("data")]);
        run("chown", &["mail:mail", &path("mail")]);
        let id = |what: &str| {
            let output = Command::new("id").args([what, "mail"]).output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        fs::write(folder.join("config/main.cf"), main_cf(folder, &id("-u")?, &id("-g")?)).ok()?;
        fs::write(folder.join("config/mailboxes"), format!("{USER} u1/Maildir/\n")).ok()?;
        fs::write(folder.join("config/master.cf"), master_cf(smtp)).ok()?;
        if !Path::new("/etc/postfix/main.cf").exists() {
            fs::write(
                "/etc/postfix/main.cf",
                "compatibility_level = 3.6\ninet_interfaces = 127.0.0.1\n",
            )
            .ok()?;
        }
        let config = path("config");
        run("postconf", &["-e", &format!("alternate_config_directories = {config}")]);
        if !run("postfix", &["-c", &config, "start"]) {
            return None;
        }
        wait_for(smtp);
        let master = fs::read_to_string(folder.join("spool/pid/master.pid"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        Some(Postfix {
            folder: folder.to_owned(),
            smtp,
            master,
        })
    }

    pub(crate) fn run(&self, load: &Load) -> Measured {
        let before = self.delivered();
        let cpu = cpu(self.master);
        let (acknowledged, wall) = load.send(self.smtp, USER, true);
        // What was accepted is delivered a little later: its CPU counts, the rate does not wait for it.
        let patience = Instant::now() + Duration::from_secs(60);
        while self.delivered() < before + acknowledged && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(50));
        }
        let cpu = cpu_since(self.master, cpu);
        Measured {
            acknowledged,
            found: self.delivered() - before,
            wall,
            cpu,
        }
    }

    fn delivered(&self) -> usize {
        fs::read_dir(self.folder.join("mail/u1/Maildir/new")).map_or(0, Iterator::count)
    }

    pub(crate) fn stop(self) {
        let config = self.folder.join("config").display().to_string();
        let _ = Command::new("postfix").args(["-c", &config, "stop"]).status();
        let _ = Command::new("postconf")
            .args(["-e", "alternate_config_directories ="])
            .status();
    }
}

fn main_cf(folder: &Path, uid: &str, gid: &str) -> String {
    let folder = folder.display();
    format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/spool\ndata_directory = {folder}/data\n\
         command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\n\
         myhostname = mail.bench.test\nmydestination =\nmynetworks = 127.0.0.0/8\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
         alias_maps =\nalias_database =\nlocal_recipient_maps =\nsmtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n\
         smtp_dns_support_level = disabled\nsmtp_host_lookup = native\nvirtual_mailbox_domains = bench.test\n\
         virtual_mailbox_base = {folder}/mail\nvirtual_mailbox_maps = texthash:{folder}/config/mailboxes\nvirtual_uid_maps = static:{uid}\n\
         virtual_gid_maps = static:{gid}\nvirtual_minimum_uid = {uid}\nvirtual_mailbox_limit = 0\ndefault_process_limit = 200\n\
         in_flow_delay = 0\nsmtpd_client_connection_count_limit = 0\nmaillog_file = {folder}/maillog\nmaillog_file_prefixes = {folder}\nsmtpd_tls_security_level = none\n"
    )
}

fn master_cf(smtp: SocketAddr) -> String {
    format!(
        "{smtp} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\n\
         proxywrite unix - - n - 1 proxymap\nsmtp unix - - n - - smtp\nrelay unix - - n - - smtp\nshowq unix n - n - - showq\n\
         error unix - - n - - error\nretry unix - - n - - error\ndiscard unix - - n - - discard\nlocal unix - n n - - local\n\
         virtual unix - n n - - virtual\nlmtp unix - - n - - lmtp\nanvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\n\
         postlog unix-dgram n - n - 1 postlogd\n"
    )
}

/// Builds and names the release binary beside this bench.
fn release_binary() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "-p", "pillarbox"])
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "the release binary does not build"
    );
    let bench = std::env::current_exe().expect("this program's path");
    bench.ancestors().nth(2).expect("target/release").join("pillarbox")
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

fn wait_for(address: SocketAddr) {
    let patience = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < patience, "nothing listens at {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// CPU seconds so far of a process, its live descendants, and all that have ended, in clock ticks by process.
fn cpu(root: u32) -> u64 {
    let mut ticks = 0;
    let mut open = vec![root];
    while let Some(process) = open.pop() {
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
            continue;
        };
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split_whitespace().collect();
        // utime, stime, cutime, cstime: fields 14 to 17 of proc(5), 11 to 14 behind the name.
        ticks += (11..15)
            .filter_map(|field| fields.get(field)?.parse::<u64>().ok())
            .sum::<u64>();
        if let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) {
            for thread in threads.flatten() {
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                open.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
        }
    }
    ticks
}

fn cpu_since(root: u32, before: u64) -> Duration {
    // A clock tick is 10 ms on Linux (USER_HZ).
    Duration::from_millis((cpu(root) - before) * 10)
}
