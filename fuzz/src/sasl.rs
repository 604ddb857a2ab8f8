//! SASL exchanges: whatever a client says, nobody enters without an answer of the host, and what is asked of the host is what was said.
//! Recordings show an exchange that goes the same way.

use pillarbox_core::bytes::base64;
use pillarbox_core::policy::access::Login;
use pillarbox_core::sasl::{Exchange, Mechanism, ProofVerdict, ScramSalt, Step};
use pillarbox_core::store::AccountId;

use crate::steered;

/// The client's messages are lines; `%N` in one stands for the nonce that the server gave, `%P` for a proof in base64.
pub fn sasl_exchange(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    let mechanism = [Mechanism::Plain, Mechanism::Login, Mechanism::ScramSha256][usize::from(steer % 3)];
    assert_eq!(Mechanism::parse(mechanism.name()), Some(mechanism));
    assert_eq!(Mechanism::parse(&mechanism.name().to_lowercase()), Some(mechanism));
    assert_eq!(
        Mechanism::offered(false).contains(&mechanism),
        mechanism != Mechanism::ScramSha256
    );
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let initial = if steer & 4 != 0 { lines.next() } else { None };
    // Another one hears what a recording shows.
    let first = initial.map(|initial| shown(&Exchange::begin(mechanism, None).0, initial));
    let (mut shadow, masked) = Exchange::begin(mechanism, first.as_deref());
    let (mut exchange, mut step) = Exchange::begin(mechanism, initial);
    assert!(alike(&step, &masked), "{step:?} but {masked:?} of what is shown");
    let mut said: Vec<Vec<u8>> = initial.iter().map(|line| line.to_vec()).collect();
    let (mut nonce, mut granted) = (String::new(), None);
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                let Some(line) = lines.next() else { return };
                let challenge = String::from_utf8(challenge).expect("challenges are ASCII");
                if let Some(rest) = challenge.strip_prefix("r=") {
                    nonce = rest.split(',').next().unwrap_or_default().into();
                }
                let line = String::from_utf8_lossy(line).replace("%N", &nonce).replace("%P", PROOF);
                said.push(line.clone().into_bytes());
                let masked = shadow.message(&shown(&exchange, line.as_bytes()));
                let step = exchange.message(line.as_bytes());
                assert!(alike(&step, &masked), "{step:?} but {masked:?} of what is shown");
                step
            }
            Step::Password { login, password } => {
                assert!((1..=255).contains(&login.len()) && (1..=1024).contains(&password.reveal().len()));
                match mechanism {
                    Mechanism::Plain => {
                        let message = said[0].splitn(2, |byte| *byte == 0).nth(1).unwrap_or_default();
                        assert_eq!(message, [login.as_bytes(), b"\0", password.reveal().as_bytes()].concat());
                        planted!(said[0].starts_with(login.as_bytes()) && password.reveal().len() == 1);
                    }
                    Mechanism::Login => {
                        assert_eq!(said, [login.as_bytes(), password.reveal().as_bytes()]);
                    }
                    Mechanism::ScramSha256 => panic!("SCRAM tells no password"),
                }
                assert_eq!(exchange.message(b"more"), Step::Malformed, "it is over");
                return;
            }
            Step::Salt { login } => {
                assert!((1..=255).contains(&login.len()));
                let escaped = login.replace('=', "=3D").replace(',', "=2C");
                let first = String::from_utf8_lossy(said.last().expect("a message"));
                assert!(first.contains(&format!("n={escaped},r=")), "{first} of {login}");
                let salt = ScramSalt {
                    salt: [1; 16],
                    iterations: 4096,
                    nonce: [2; 18],
                };
                let step = exchange.salted(&salt);
                assert_eq!(shadow.salted(&salt), step);
                step
            }
            Step::Proof { login, message, proof } => {
                let last = said.last().expect("a message");
                let text = std::str::from_utf8(last).expect("what was taken is UTF-8");
                let (signed, written) = text.rsplit_once(",p=").expect("a proof");
                assert!(message.ends_with(&format!(",{signed}")) && message.starts_with("n="));
                assert!(signed.split(',').nth(1) == Some(&*format!("r={nonce}")), "the nonces of both");
                assert_eq!(base64::decode(written.as_bytes()).as_deref(), Some(&proof.0[..]));
                planted!(message.contains(",x=") && said[0].starts_with(b"y,a="));
                let verdict = if steer & 8 != 0 {
                    ProofVerdict::Denied
                } else {
                    let login = Login {
                        account: AccountId([1; 16]),
                        name: login,
                    };
                    granted = Some(login.clone());
                    ProofVerdict::Granted {
                        login,
                        signature: pillarbox_core::sasl::Proof([3; 32]),
                    }
                };
                let step = exchange.proved(verdict.clone());
                assert_eq!(shadow.proved(verdict), step);
                step
            }
            Step::Done(login) => {
                assert_eq!(Some(login), granted, "only who was granted enters");
                assert_eq!(exchange.message(b""), Step::Malformed, "once");
                return;
            }
            Step::Denied | Step::Malformed => {
                assert!(!matches!(
                    exchange.message(b"\0tim\0secret"),
                    Step::Done(_) | Step::Password { .. }
                ));
                return;
            }
        };
    }
}

/// What a recording shows of the next message.
fn shown(exchange: &Exchange, message: &[u8]) -> Vec<u8> {
    let response = base64::encode(message).into_bytes();
    let shown = exchange.shown(&response);
    assert_eq!(shown.len(), response.len());
    base64::decode(&shown).expect("base64, as it was")
}

/// The same steps, but that the second knows no password and no proof.
fn alike(real: &Step, shown: &Step) -> bool {
    match (real, shown) {
        (
            Step::Password { login, password },
            Step::Password {
                login: same,
                password: mask,
            },
        ) => login == same && mask.reveal() == "x".repeat(password.reveal().len()),
        (
            Step::Proof { login, message, .. },
            Step::Proof {
                login: same,
                message: signed,
                proof,
            },
        ) => (login, message) == (same, signed) && proof.0 == [0; 32],
        (real, shown) => real == shown,
    }
}

const PROOF: &str = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
