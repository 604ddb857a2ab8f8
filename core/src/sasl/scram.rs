//! SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677), on the server's side.
//!
//! ```text
//! client-first:  n,,n=user,r=<client nonce>
//! server-first:  r=<client nonce><our nonce>,s=<salt>,i=<rounds>
//! client-final:  c=biws,r=<both nonces>,p=<proof>
//! server-final:  v=<ServerSignature>                              (then an empty message: RFC 4954 §4 has no room with a 235)
//! ```

use alloc::format;
use alloc::string::{String, ToString};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Proof, ProofVerdict, ScramSalt, Step};
use crate::bytes::base64;
use crate::limits;
use crate::policy::access::Login;

/// One exchange.
#[derive(Debug, Default)]
pub(super) struct Server(Stage);

#[derive(Debug, Default)]
enum Stage {
    /// Waits for client-first.
    #[default]
    First,
    /// The host looks the salt up.
    Salting(First),
    /// Waits for client-final.
    Final {
        first: First,
        nonce: String,
        server_first: String,
    },
    /// The host checks the proof.
    Proving,
    /// Waits for the empty message behind server-final.
    Last(Login),
    Over,
}

/// What client-first says.
#[derive(Debug, PartialEq, Eq)]
struct First {
    /// `gs2-header`, which comes back in client-final.
    header: String,
    login: String,
    nonce: String,
    /// `client-first-message-bare`, which is signed.
    bare: String,
}

impl Server {
    pub(super) fn new() -> Server {
        Server::default()
    }

    pub(super) fn message(&mut self, message: &[u8]) -> Step {
        let text = core::str::from_utf8(message)
            .ok()
            .filter(|text| text.len() <= limits::SCRAM_MESSAGE);
        match core::mem::replace(&mut self.0, Stage::Over) {
            Stage::First => match text.and_then(first) {
                Some(first) => {
                    let login = first.login.clone();
                    self.0 = Stage::Salting(first);
                    Step::Salt { login }
                }
                None => Step::Malformed,
            },
            Stage::Final {
                first,
                nonce,
                server_first,
            } => match text.and_then(|text| last(text, &first.header, &nonce)) {
                Some((signed, proof)) => {
                    self.0 = Stage::Proving;
                    Step::Proof {
                        login: first.login,
                        message: format!("{},{server_first},{signed}", first.bare),
                        proof: Proof(proof),
                    }
                }
                None => Step::Malformed,
            },
            Stage::Last(login) if message.is_empty() => Step::Done(login),
            Stage::Last(_) | Stage::Salting(_) | Stage::Proving | Stage::Over => Step::Malformed,
        }
    }

    /// Whether this is the first message that is waited for.
    pub(super) fn expects_first(&self, message: &[u8]) -> bool {
        let text = core::str::from_utf8(message)
            .ok()
            .filter(|text| text.len() <= limits::SCRAM_MESSAGE);
        let waits = matches!(self.0, Stage::First) && text.and_then(first).is_some();
        waits || matches!(self.0, Stage::Last(_)) && message.is_empty()
    }

    /// What stands before the proof, if this is the last message that is waited for.
    pub(super) fn expects_final<'a>(&self, message: &'a [u8]) -> Option<&'a str> {
        let text = core::str::from_utf8(message).ok()?;
        match &self.0 {
            Stage::Final { first, nonce, .. } if text.len() <= limits::SCRAM_MESSAGE => {
                last(text, &first.header, nonce).map(|(signed, _)| signed)
            }
            Stage::First | Stage::Final { .. } | Stage::Salting(_) | Stage::Proving | Stage::Last(_) | Stage::Over => None,
        }
    }

    pub(super) fn salted(&mut self, salt: &ScramSalt) -> Step {
        let Stage::Salting(first) = core::mem::replace(&mut self.0, Stage::Over) else {
            panic!("no salt was asked for");
        };
        let nonce = format!("{}{}", first.nonce, base64::encode(&salt.nonce));
        let server_first = format!("r={nonce},s={},i={}", base64::encode(&salt.salt), salt.iterations);
        let challenge = server_first.clone().into_bytes();
        self.0 = Stage::Final {
            first,
            nonce,
            server_first,
        };
        Step::Challenge(challenge)
    }

    pub(super) fn proved(&mut self, verdict: ProofVerdict) -> Step {
        assert!(matches!(self.0, Stage::Proving), "no proof was given");
        match verdict {
            ProofVerdict::Granted { login, signature } => {
                self.0 = Stage::Last(login);
                Step::Challenge(format!("v={}", base64::encode(&signature.0)).into_bytes())
            }
            ProofVerdict::Denied => {
                self.0 = Stage::Over;
                Step::Denied
            }
        }
    }
}

/// Channel binding (`p=`) is not offered, so nobody may ask for it; an authorisation identity is empty or the login itself.
///
/// ```text
/// client-first-message = gs2-header client-first-message-bare
/// gs2-header = gs2-cbind-flag "," [ "a=" saslname ] ","          gs2-cbind-flag = ("p=" cb-name) / "n" / "y"
/// client-first-message-bare = "n=" saslname "," "r=" c-nonce ["," extensions]
/// ```
fn first(text: &str) -> Option<First> {
    let (flag, rest) = text.split_once(',')?;
    if !matches!(flag, "n" | "y") {
        return None;
    }
    let (identity, bare) = rest.split_once(',')?;
    let (login, rest) = bare.strip_prefix("n=")?.split_once(',')?;
    let login = name(login)?;
    let own = match identity.strip_prefix("a=") {
        Some(identity) => name(identity)? == login,
        None => identity.is_empty(),
    };
    let nonce = rest.split(',').next()?.strip_prefix("r=")?;
    let printable = (1..=limits::SCRAM_NONCE).contains(&nonce.len()) && nonce.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
    (own && printable).then(|| First {
        header: format!("{flag},{identity},"),
        login,
        nonce: nonce.to_string(),
        bare: bare.to_string(),
    })
}

/// `saslname = 1*(value-safe-char / "=2C" / "=3D")`; SASLprep is not applied.
fn name(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut parts = text.split('=');
    name.push_str(parts.next()?);
    for part in parts {
        let (character, rest) = match part.as_bytes().get(..2)? {
            b"2C" => (',', &part[2..]),
            b"3D" => ('=', &part[2..]),
            _ => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    let fits = (1..=255).contains(&name.len()) && !name.contains('\0');
    fits.then_some(name)
}

/// What of client-final is signed, and its proof.
///
/// ```text
/// client-final-message = "c=" base64 "," "r=" nonce ["," extensions] "," "p=" base64
/// ```
fn last<'a>(text: &'a str, header: &str, nonce: &str) -> Option<(&'a str, [u8; 32])> {
    let (signed, proof) = text.rsplit_once(",p=")?;
    let mut parts = signed.split(',');
    let binding = base64::decode(parts.next()?.strip_prefix("c=")?.as_bytes())?;
    let same = parts.next()?.strip_prefix("r=")?;
    let fits = binding == header.as_bytes() && same == nonce;
    let proof = base64::decode(proof.as_bytes())?.try_into().ok()?;
    fits.then_some((signed, proof))
}

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// Checks a proof against what a server keeps (RFC 5802 §3): the server's signature when it is right. In constant time.
///
/// ```text
/// ClientSignature = HMAC(StoredKey, AuthMessage)      ClientKey = ClientProof XOR ClientSignature
/// StoredKey = H(ClientKey)                            ServerSignature = HMAC(ServerKey, AuthMessage)
/// ```
pub fn check(stored_key: &[u8; 32], server_key: &[u8; 32], message: &str, proof: &[u8; 32]) -> Option<[u8; 32]> {
    let mut client_key = hmac(stored_key, message.as_bytes());
    client_key.iter_mut().zip(proof).for_each(|(byte, proof)| *byte ^= proof);
    let known: [u8; 32] = Sha256::digest(client_key).into();
    let signature = hmac(server_key, message.as_bytes());
    bool::from(known.ct_eq(stored_key)).then_some(signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
    const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    /// The keys of "pencil" with the salt of RFC 7677 §3, as PostgreSQL keeps them.
    fn keys() -> ([u8; 32], [u8; 32]) {
        let key = |text: &str| base64::decode(text.as_bytes()).unwrap().try_into().unwrap();
        (
            key("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="),
            key("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
        )
    }

    /// RFC 7677 §3, with its nonces put together as the document has them.
    #[test]
    fn rfc_7677_example() {
        let first = first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!((first.login.as_str(), first.header.as_str()), ("user", "n,,"));
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let message = format!("c=biws,r={nonce},p={PROOF}");
        let (signed, proof) = last(&message, &first.header, nonce).unwrap();
        let auth_message = format!("{},r={nonce},s={SALT},i=4096,{signed}", first.bare);
        let (stored, server) = keys();
        let signature = check(&stored, &server, &auth_message, &proof).unwrap();
        assert_eq!(base64::encode(&signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let mut wrong = proof;
        wrong[31] ^= 1;
        assert_eq!(check(&stored, &server, &auth_message, &wrong), None);
        assert_eq!(check(&server, &stored, &auth_message, &proof), None);
    }

    #[test]
    fn first_messages() {
        assert_eq!(first("y,,n=a,r=x").unwrap().header, "y,,");
        assert_eq!(first("n,a=a,n=a,r=x").unwrap().header, "n,a=a,");
        assert_eq!(first("n,,n=a=2Cb=3Dc,r=x,ext=1").unwrap().login, "a,b=c");
        for bad in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=",
            "n,,n=,r=x",
            "n,,n=a",
            "n,,n=a,r=",
            "n,,n=a,r=\u{e4}",
            "n,,r=x,n=a",
            "p=tls-exporter,,n=a,r=x",
            "x,,n=a,r=x",
            "n,a=b,n=a,r=x",
            "n,b,n=a,r=x",
            "n,,m=1,n=a,r=x",
            "n,,n=a=b,r=x",
            "n,,n=a=2c,r=x",
            "n,,n=a=,r=x",
            "n,,n=a\0,r=x",
        ] {
            assert_eq!(first(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn final_messages() {
        assert!(last(&format!("c=biws,r=xy,p={PROOF}"), "n,,", "xy").is_some());
        for bad in [
            String::new(),
            format!("c=biws,r=xy,q={PROOF}"),
            format!("c=eSws,r=xy,p={PROOF}"), // y,, was not said at first: someone between changed it
            format!("c=biws,r=x,p={PROOF}"),
            format!("c=biws,r=xyz,p={PROOF}"),
            format!("r=xy,c=biws,p={PROOF}"),
            "c=biws,r=xy,p=AAAA".into(),
            "c=biws,r=xy,p=".into(),
        ] {
            assert_eq!(last(&bad, "n,,", "xy"), None, "{bad}");
        }
    }

    #[test]
    fn an_exchange_goes_on_step_by_step() {
        let salt = ScramSalt {
            salt: [1; 16],
            iterations: 4096,
            nonce: [2; 18],
        };
        let login = Login {
            account: crate::store::AccountId([1; 16]),
            name: "tim@one.test".into(),
        };
        let mut server = Server::new();
        assert_eq!(server.message(b"n,,n=tim,r=abc"), Step::Salt { login: "tim".into() });
        let Step::Challenge(challenge) = server.salted(&salt) else {
            panic!()
        };
        assert_eq!(challenge, b"r=abcAgICAgICAgICAgICAgICAgIC,s=AQEBAQEBAQEBAQEBAQEBAQ==,i=4096");
        let step = server.message(format!("c=biws,r=abcAgICAgICAgICAgICAgICAgIC,p={PROOF}").as_bytes());
        let Step::Proof { message, .. } = step else {
            panic!("{step:?}")
        };
        assert_eq!(
            message,
            "n=tim,r=abc,r=abcAgICAgICAgICAgICAgICAgIC,s=AQEBAQEBAQEBAQEBAQEBAQ==,i=4096,c=biws,r=abcAgICAgICAgICAgICAgICAgIC"
        );
        let granted = ProofVerdict::Granted {
            login: login.clone(),
            signature: Proof([0; 32]),
        };
        assert!(matches!(server.proved(granted), Step::Challenge(_)));
        assert_eq!(server.message(b""), Step::Done(login));
        assert_eq!(server.message(b""), Step::Malformed, "once");
    }

    proptest! {
        #[test]
        fn any_bytes(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4)) {
            let mut server = Server::new();
            for message in messages {
                prop_assert!(!matches!(server.message(&message), Step::Done(_)));
            }
        }

        #[test]
        fn a_name_is_what_was_escaped(login in "[^\0]{1,60}") {
            let escaped = login.replace('=', "=3D").replace(',', "=2C");
            prop_assert_eq!(name(&escaped), Some(login));
        }
    }
}
