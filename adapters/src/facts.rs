//! Who answers which question: the accounts what is ours, the resolver what is in DNS.

use pillarbox_core::decision::{Fact, Question};

use crate::decide::FactSource;
use crate::env::Env;
use crate::hosts::Shared;

/// All facts that a server can find out.
pub struct Facts<'a, E: Env>(&'a Shared<E>);

impl<E: Env> Shared<E> {
    /// For [`crate::decide::decide`].
    pub fn facts(&self) -> Facts<'_, E> {
        Facts(self)
    }
}

impl<E: Env> FactSource for Facts<'_, E> {
    async fn fact(&self, question: &Question) -> Fact {
        match question {
            Question::OurDomain(_) | Question::LocalAddress(_) | Question::Owns(..) | Question::OurAddress(_) => {
                self.0.accounts.fact(question).await
            }
            Question::Mx(_) | Question::Ipv4(_) | Question::Ipv6(_) => self.0.resolver.fact(question).await,
        }
    }
}
