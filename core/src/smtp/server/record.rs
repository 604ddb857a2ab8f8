//! The recorded form of asks, answers and notices.

use super::ask::*;
use alloc::vec::Vec;

use crate::record::{Malformed, Reader, Record};

crate::record_enum!(Ask {
    0 => StartTls { then },
    1 => VerifyPassword { login, password, then },
    2 => ResolveRecipient { matter, then },
    3 => JudgeAuthor { matter, then },
    4 => OpenMessage { size, then },
    5 => DropMessage,
    6 => CommitMessage { message, then },
    7 => ScramSalt { login, then },
    8 => ScramProof { login, message, proof, then },
});
crate::record_struct!(Incoming {
    id,
    reverse_path,
    submitter,
    reportable,
    wishes,
    local,
    remote,
    remote_prefix,
    told,
    received,
    size
});
crate::record_struct!(LocalDelivery {
    account,
    recipient,
    prefix
});
crate::record_enum!(Value {
    0 => Tls(tls), 1 => Password(password), 2 => Recipient(recipient), 3 => Author(author), 4 => Sink(sink), 5 => Committed(committed),
    6 => Salt(salt), 7 => Proof(verdict),
});
crate::record_enum!(Notice { 0 => Shutdown, 1 => Shed });
crate::record_enum!(TlsOutcome { 0 => Secure(evidence), 1 => Failed });
crate::record_struct!(TlsEvidence { version, cipher, bits });
crate::record_enum!(PasswordVerdict { 0 => Granted(login), 1 => Denied, 2 => Busy });
crate::record_enum!(SinkOpened { 0 => Ready, 1 => Full, 2 => Failed });
crate::record_enum!(Committed { 0 => Done, 1 => Full, 2 => Failed });

impl Record for Peer {
    fn encode(&self, out: &mut Vec<u8>) {
        self.ip.encode(out);
        self.port.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Peer {
            ip: Record::decode(from)?,
            port: u16::decode(from)?,
        })
    }
}
