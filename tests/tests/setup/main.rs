//! The documents of client set-up: whole, as clients read them, and as equations.

mod documents;
mod requests;

use pillarbox_core::address::{Domain, Mailbox};
use pillarbox_core::setup::{Kind, Security, Service, Services};

fn domain(name: &str) -> Domain {
    Domain::parse(name, true).expect("a domain")
}

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address, true).expect("an address")
}

fn service(kind: Kind, security: Security, port: u16) -> Service {
    Service { kind, security, port }
}

/// The standard set at its ports, in no good order.
fn standard() -> Services {
    Services {
        hostname: domain("mx.example.test"),
        mail: vec![
            service(Kind::Submission, Security::StartTls, 587),
            service(Kind::Imap, Security::StartTls, 143),
            service(Kind::Imap, Security::Tls, 993),
            service(Kind::Submission, Security::Tls, 465),
        ],
        https: Some(443),
        http: Some(80),
    }
}

/// What a demo has, and POP3.
fn high_ports() -> Services {
    Services {
        hostname: domain("mx.demo.test"),
        mail: vec![
            service(Kind::Imap, Security::Tls, 10993),
            service(Kind::Pop3, Security::StartTls, 10110),
            service(Kind::Submission, Security::StartTls, 10588),
            service(Kind::Submission, Security::StartTls, 10587),
        ],
        https: Some(10443),
        http: Some(10080),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}
