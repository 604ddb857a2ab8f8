//! The scheduler's settings, from the configuration.

use std::sync::Arc;

use pillarbox_core::address::Host;
use pillarbox_core::delivery::retry::RetrySettings;
use pillarbox_core::delivery::route::{Families, NextHop, RouteSettings, Rule};
use pillarbox_core::delivery::scheduler::ask::Settings;

use crate::config::{Config, Relay, RelayHost};

/// The scheduler's settings.
pub fn settings(config: &Config) -> Settings {
    let delivery = &config.delivery;
    let rules = config.routes.iter().map(|route| Rule {
        recipient_domains: route.recipient_domains.clone(),
        next: next_hop(&route.relay),
    });
    let route = RouteSettings {
        rules: rules.collect(),
        smarthost: delivery.smarthost.as_ref().map(next_hop),
        port: delivery.port,
        allow_loopback_targets: delivery.allow_loopback_targets,
        families: match delivery.source.iter().any(|ip| ip.is_ipv6()) {
            true => Families::Ipv6First,
            false => Families::Ipv4First,
        },
    };
    Settings {
        route: Arc::new(route),
        retry: RetrySettings {
            waits: delivery.retry.clone(),
            delay_notice: delivery.delay_notice,
            ..RetrySettings::default()
        },
        ..Settings::default()
    }
}

fn next_hop(relay: &Relay) -> NextHop {
    NextHop {
        host: match &relay.host {
            RelayHost::Name(name) => Host::Domain(name.clone()),
            RelayHost::Address(ip) => Host::Literal(*ip),
        },
        port: relay.port,
        tls: relay.tls.as_use(),
        verified: relay.tls.is_verified(),
        login: relay.login.is_some(),
    }
}
