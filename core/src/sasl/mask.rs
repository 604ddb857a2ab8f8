//! What a recording shows in place of a client's messages: as long, leading to the same step, without a password or a proof.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Exchange, State, plain, scram, text};
use crate::bytes::base64;

/// Stands for every octet of a password.
const MASK: u8 = b'x';

impl Exchange {
    /// What is shown of the client's next message in its base64.
    pub fn shown(&self, response: &[u8]) -> Vec<u8> {
        match (response, base64::decode(response)) {
            (b"*" | b"=", _) => response.to_vec(),
            (_, None) => alloc::vec![b'!'; response.len()], // no base64 either
            (_, Some(message)) => base64::encode(&self.masked(&message)).into_bytes(),
        }
    }

    /// What is shown of the client's next message.
    fn masked(&self, message: &[u8]) -> Vec<u8> {
        let password = |len: usize| [MASK].repeat(len);
        let shown = match &self.0 {
            State::Plain => plain::parse(message).map(|plain| {
                let len = plain.password.reveal().len();
                [&message[..message.len() - len], &password(len)].concat()
            }),
            State::LoginName => text(message, 255).map(String::into_bytes),
            State::LoginPassword { .. } => text(message, 1024).map(|text| password(text.len())),
            State::Scram(server) => server.masked(message),
            State::Over => None,
        };
        // What is malformed stays so: nothing but NULs is no message of any mechanism.
        shown.unwrap_or_else(|| alloc::vec![0; message.len()])
    }
}

impl scram::Server {
    fn masked(&self, message: &[u8]) -> Option<Vec<u8>> {
        if self.expects_first(message) {
            return Some(message.to_vec());
        }
        let signed = self.expects_final(message)?;
        let proof = base64::encode(&[0; 32]);
        Some([signed.as_bytes(), b",p=", proof.as_bytes()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{Mechanism, ScramSalt, Step};
    use alloc::format;
    use proptest::prelude::*;

    /// Steps are the same, secrets apart.
    fn same(one: &Step, other: &Step) -> bool {
        match (one, other) {
            (Step::Password { login, .. }, Step::Password { login: other, .. }) => login == other,
            (
                Step::Proof { login, message, .. },
                Step::Proof {
                    login: other,
                    message: said,
                    ..
                },
            ) => (login, message) == (other, said),
            (one, other) => one == other,
        }
    }

    fn exchanges() -> impl Strategy<Value = (Mechanism, Vec<Vec<u8>>)> {
        let any = prop::collection::vec(any::<u8>(), 0..40);
        let word = "[a-z]{0,12}";
        let message = prop_oneof![
            any.clone(),
            (word, word, word).prop_map(|(a, b, c)| format!("{a}\0{b}\0{c}").into_bytes()),
            (word, word).prop_map(|(b, c)| format!("\0{b}\0{c}").into_bytes()),
            word.prop_map(String::into_bytes),
            word.prop_map(|name| format!("n,,n={name},r=abc").into_bytes()),
            Just(b"c=biws,r=abcAgICAgICAgICAgICAgICAgIC,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".to_vec()),
        ];
        let mechanism = prop::sample::select(Mechanism::offered(true));
        (mechanism, prop::collection::vec(message, 1..5))
    }

    proptest! {
        #[test]
        fn a_masked_message_leads_to_the_same_step((mechanism, messages) in exchanges()) {
            let (mut real, first) = Exchange::begin(mechanism, None);
            let (mut shown, again) = Exchange::begin(mechanism, None);
            prop_assert_eq!(first, again);
            for message in messages {
                let response = base64::encode(&message).into_bytes();
                let masked = real.shown(&response);
                prop_assert_eq!(masked.len(), response.len());
                let masked = base64::decode(&masked).expect("base64");
                let (mut one, mut other) = (real.message(&message), shown.message(&masked));
                prop_assert!(same(&one, &other), "{:?} {:?}", one, other);
                if matches!(one, Step::Salt { .. }) {
                    let salt = ScramSalt { salt: [1; 16], iterations: 4096, nonce: [2; 18] };
                    (one, other) = (real.salted(&salt), shown.salted(&salt));
                    prop_assert_eq!(one, other);
                } else if matches!(one, Step::Proof { .. }) {
                    break;
                }
            }
        }
    }
}
