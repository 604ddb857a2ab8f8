//! SASL mechanisms (RFC 4422), on the server's side; framing (base64, continuation lines, replies) stays with the protocol.
//!
//! ```text
//! begin ---> Challenge ---> message ---> Challenge ... ---> Password                      ---> the host's PasswordVerdict
//!                                              \---> Salt ---> salted ---> Challenge ---> message ---> Proof ---> the host's
//!                                                    ProofVerdict ---> proved ---> Challenge ---> message ---> Done
//! ```
//!
//! An exchange holds no key: whether a password or a proof is right is the host's to say, so nothing of it is in a recording.

use alloc::string::String;
use alloc::vec::Vec;

use crate::policy::access::Login;
use crate::record::{Malformed, Reader, Record};
use crate::secret::Secret;

mod mask;
pub mod plain;
pub mod scram;

/// A mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// LOGIN: never a standard, and what some clients know alone.
    Login,
    /// RFC 7677, without channel binding.
    ScramSha256,
}

impl Mechanism {
    /// What can be offered: SCRAM only while every account has keys for it.
    pub fn offered(scram: bool) -> Vec<Mechanism> {
        let mut offered = Vec::from([Mechanism::Plain, Mechanism::Login]);
        if scram {
            offered.push(Mechanism::ScramSha256);
        }
        offered
    }

    /// Reads a name, in any case.
    pub fn parse(name: &str) -> Option<Mechanism> {
        let all = [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256];
        all.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
        }
    }
}

/// One exchange.
#[derive(Debug)]
pub struct Exchange(State);

#[derive(Debug)]
enum State {
    Plain,
    LoginName,
    LoginPassword {
        login: String,
    },
    Scram(scram::Server),
    /// Nothing more is expected of the client.
    Over,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// This goes to the client, whose answer is then given to [`Exchange::message`].
    Challenge(Vec<u8>),
    /// The host checks a password; that ends the exchange.
    Password {
        /// As the client wrote it.
        login: String,
        /// With which password.
        password: Secret,
    },
    /// The host looks the salt up; its answer is given to [`Exchange::salted`].
    Salt {
        /// As the client wrote it.
        login: String,
    },
    /// The host checks a proof; its answer is given to [`Exchange::proved`].
    Proof {
        /// As the client wrote it.
        login: String,
        /// What was signed (RFC 5802 §3, AuthMessage).
        message: String,
        /// The client's proof.
        proof: Proof,
    },
    /// The client is who it says.
    Done(Login),
    /// The proof is wrong, or of nobody.
    Denied,
    /// This is no message of the mechanism.
    Malformed,
}

impl Exchange {
    /// Begins one; `initial` is the client's initial response.
    pub fn begin(mechanism: Mechanism, initial: Option<&[u8]>) -> (Exchange, Step) {
        let (state, challenge) = match mechanism {
            Mechanism::Plain => (State::Plain, b"".as_slice()),
            Mechanism::Login => (State::LoginName, b"Username:".as_slice()),
            Mechanism::ScramSha256 => (State::Scram(scram::Server::new()), b"".as_slice()),
        };
        let mut exchange = Exchange(state);
        let step = match initial {
            Some(initial) => exchange.message(initial),
            None => Step::Challenge(challenge.to_vec()),
        };
        (exchange, step)
    }

    /// Takes the client's next message.
    pub fn message(&mut self, message: &[u8]) -> Step {
        match core::mem::replace(&mut self.0, State::Over) {
            State::Plain => match plain::parse(message) {
                Some(plain) => Step::Password {
                    login: plain.login,
                    password: plain.password,
                },
                None => Step::Malformed,
            },
            State::LoginName => match text(message, 255) {
                Some(login) => {
                    self.0 = State::LoginPassword { login };
                    Step::Challenge(b"Password:".to_vec())
                }
                None => Step::Malformed,
            },
            State::LoginPassword { login } => match text(message, 1024) {
                Some(password) => Step::Password {
                    login,
                    password: Secret::new(password),
                },
                None => Step::Malformed,
            },
            State::Scram(mut server) => {
                let step = server.message(message);
                self.0 = State::Scram(server);
                step
            }
            State::Over => Step::Malformed,
        }
    }

    /// Takes the host's answer to [`Step::Salt`].
    ///
    /// # Panics
    /// When the salt was not asked for: the session's bug.
    pub fn salted(&mut self, salt: &ScramSalt) -> Step {
        match &mut self.0 {
            State::Scram(server) => server.salted(salt),
            State::Plain | State::LoginName | State::LoginPassword { .. } | State::Over => panic!("no salt was asked for"),
        }
    }

    /// Takes the host's answer to [`Step::Proof`].
    ///
    /// # Panics
    /// When no proof was given: the session's bug.
    pub fn proved(&mut self, verdict: ProofVerdict) -> Step {
        match &mut self.0 {
            State::Scram(server) => server.proved(verdict),
            State::Plain | State::LoginName | State::LoginPassword { .. } | State::Over => panic!("no proof was given"),
        }
    }
}

/// One to `limit` octets of UTF-8 without NUL.
fn text(message: &[u8], limit: usize) -> Option<String> {
    let fits = (1..=limit).contains(&message.len()) && !message.contains(&0);
    core::str::from_utf8(message).ok().filter(|_| fits).map(Into::into)
}

/// What SCRAM tells a client before it proves anything: the same for an account and for nobody (S21).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramSalt {
    /// The salt; for nobody one that is made of the name and a secret of the server, so that it stays the same.
    pub salt: [u8; 16],
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// Our part of the nonce: 144 random bits, new with each answer.
    pub nonce: [u8; 18],
}

/// Whether a proof is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofVerdict {
    /// Yes.
    Granted {
        /// As whom.
        login: Login,
        /// ServerSignature (RFC 5802 §3), which shows the client that we know its keys.
        signature: Proof,
    },
    /// No such account, or not its keys: the same answer for both.
    Denied,
}

/// A proof of SCRAM, from either side: with the messages that it signs, passwords can be guessed against it. It is never recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proof(pub [u8; 32]);

impl core::fmt::Debug for Proof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Proof(…)")
    }
}

/// The recorded form is empty, and read as zeros.
impl Record for Proof {
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(_: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Proof([0; 32]))
    }
}

crate::record_struct!(ScramSalt { salt, iterations, nonce });
crate::record_enum!(ProofVerdict { 0 => Granted { login, signature }, 1 => Denied });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for mechanism in Mechanism::offered(true) {
            assert_eq!(Mechanism::parse(&mechanism.name().to_lowercase()), Some(mechanism));
        }
        for unknown in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "CRAM-MD5", "XOAUTH2", ""] {
            assert_eq!(Mechanism::parse(unknown), None);
        }
        assert!(!Mechanism::offered(false).contains(&Mechanism::ScramSha256));
    }

    #[test]
    fn login_asks_twice() {
        let (mut exchange, step) = Exchange::begin(Mechanism::Login, None);
        assert_eq!(step, Step::Challenge(b"Username:".to_vec()));
        assert_eq!(exchange.message(b"tim"), Step::Challenge(b"Password:".to_vec()));
        let password = Step::Password {
            login: "tim".into(),
            password: Secret::new("tanstaaftanstaaf".into()),
        };
        assert_eq!(exchange.message(b"tanstaaftanstaaf"), password);
        assert_eq!(exchange.message(b"more"), Step::Malformed);
        let (_, step) = Exchange::begin(Mechanism::Login, Some(b"tim"));
        assert_eq!(step, Step::Challenge(b"Password:".to_vec()));
        for bad in [b"".as_slice(), b"a\0b", b"\xff", &[b'x'; 256]] {
            assert_eq!(Exchange::begin(Mechanism::Login, Some(bad)).1, Step::Malformed);
        }
    }

    #[test]
    fn plain_is_one_message() {
        let (mut exchange, step) = Exchange::begin(Mechanism::Plain, None);
        assert_eq!(step, Step::Challenge(Vec::new()));
        assert!(matches!(exchange.message(b"\0tim\0x"), Step::Password { .. }));
        assert_eq!(Exchange::begin(Mechanism::Plain, Some(b"tim")).1, Step::Malformed);
    }
}
