//! The recorded form of asks, answers and notices.

use alloc::vec::Vec;

use super::ask::*;
use crate::record::{Malformed, Reader, Record};

crate::record_enum!(Ask {
    0 => StartTls { then },
    1 => NextTransaction { then },
    2 => OpenBody { id, start, len, then },
    3 => Report { id, results, then },
    4 => Unusable { said, greeted },
});
crate::record_struct!(Transaction {
    id,
    reverse_path,
    wishes,
    recipients,
    size,
    ours
});
crate::record_enum!(Outcome { 0 => Relayed { said, dsn }, 1 => Deferred(said), 2 => Failed(said) });
crate::record_struct_tuple!(Next);
crate::record_enum!(TlsOutcome { 0 => Secure(evidence), 1 => Failed(why) });
crate::record_enum!(BodyOpened { 0 => Ready, 1 => Failed(error) });
crate::record_enum!(Value { 0 => Tls(tls), 1 => Next(next), 2 => Body(body), 3 => Reported(reported) });
crate::record_enum!(Notice { 0 => Shutdown });

impl Record for Reported {
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(_: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Reported)
    }
}
