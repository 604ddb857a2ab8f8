//! Questions and facts in words, for `explain` and the log.

use core::fmt::{Display, Formatter, Result};

use super::{AliasTarget, Fact, FactAnswer, Failure, Known, MxHost, Question};

impl Display for Question {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Question::OurDomain(domain) => write!(f, "is {domain} ours?"),
            Question::LocalAddress(address) => write!(f, "who takes mail for {address}?"),
            Question::Owns(account, address) => write!(f, "may account {account} send as {address}?"),
            Question::Mx(domain) => write!(f, "{domain} MX"),
            Question::Ipv4(name) => write!(f, "{name} A"),
            Question::Ipv6(name) => write!(f, "{name} AAAA"),
            Question::OurAddress(ip) => write!(f, "is {ip} this server?"),
        }
    }
}

impl Display for Fact {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}", self.answer)?;
        if self.ttl_s > 0 {
            write!(f, " (for {} s{})", self.ttl_s, if self.secure { ", DNSSEC" } else { "" })?;
        }
        Ok(())
    }
}

impl Display for FactAnswer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            FactAnswer::Known(known) => known.fmt(f),
            FactAnswer::Absent => f.write_str("no"),
            FactAnswer::Failed(Failure::Temporary) => f.write_str("cannot be found out now"),
            FactAnswer::Failed(Failure::Bogus) => f.write_str("the answer is forged or broken"),
        }
    }
}

impl Display for Known {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Known::Yes => f.write_str("yes"),
            Known::Targets(targets) => listed(f, targets),
            Known::Mx(hosts) => listed(f, hosts),
            Known::Addresses(addresses) => listed(f, addresses),
        }
    }
}

impl Display for AliasTarget {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            AliasTarget::Account(account, address) => write!(f, "{address} (account {account})"),
            AliasTarget::Remote(address) => write!(f, "{address} (elsewhere)"),
        }
    }
}

impl Display for MxHost {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.host {
            Some(host) => write!(f, "{} {host}", self.preference),
            None => write!(f, "{} .", self.preference),
        }
    }
}

fn listed<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        item.fmt(f)?;
    }
    Ok(())
}
