//! What mail programs are told: made from the configuration and the open sockets.

use pillarbox_core::setup::{Kind, Security, Service, Services};

use crate::config::{Config, Protocol};
use crate::http::Site;
use crate::server::Bound;

/// The site over these sockets.
pub fn site(config: &Config, bound: &[Bound]) -> Site {
    Site {
        services: services(config, bound),
        domains: config.domains.clone(),
    }
}

/// What listens. Sockets on loopback are for this machine alone: they are told only when there is nothing else (`demo`). Behind a
/// proxy the port outside is the standard one, as far as anybody can know.
pub fn services(config: &Config, bound: &[Bound]) -> Services {
    let outside = |bound: &&Bound| bound.behind_proxy || !bound.address.ip().is_loopback();
    let public = bound.iter().any(|bound| outside(&bound));
    let mut services = Services {
        hostname: config.hostname.clone(),
        mail: Vec::new(),
        https: None,
        http: None,
    };
    for bound in bound.iter().filter(|bound| !public || outside(bound)) {
        let port = match bound.behind_proxy {
            true => bound.protocol.port(),
            false => bound.address.port(),
        };
        let (kind, security) = match bound.protocol {
            Protocol::Smtp => continue,
            Protocol::Submission => (Kind::Submission, Security::StartTls),
            Protocol::Submissions => (Kind::Submission, Security::Tls),
            Protocol::Imap => (Kind::Imap, Security::StartTls),
            Protocol::Imaps => (Kind::Imap, Security::Tls),
            Protocol::Http => {
                services.http = best(services.http, port, 80);
                continue;
            }
            Protocol::Https => {
                services.https = best(services.https, port, 443);
                continue;
            }
        };
        services.mail.push(Service { kind, security, port });
    }
    // Another web server of this machine forwards to us (`rules.md`): it has the standard ports.
    let forwarded = bound.iter().any(|bound| !outside(&bound) && bound.protocol.is_web());
    if public && forwarded && services.web().is_none() {
        (services.http, services.https) = (Some(80), Some(443));
    }
    services
}

fn best(old: Option<u16>, new: u16, standard: u16) -> Option<u16> {
    old.into_iter().chain([new]).min_by_key(|port| (*port != standard, *port))
}

/// The sockets that a configuration asks for, as if they were open.
pub fn planned(config: &Config) -> Vec<Bound> {
    let listeners = config.listeners.iter();
    let all = listeners.flat_map(|listener| listener.addresses.iter().map(|address| Bound::of(listener, *address)));
    all.collect()
}
