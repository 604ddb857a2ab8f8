//! The one id of a message, from its first byte to `\Seen`.

use alloc::string::String;

use crate::time::UnixTime;

/// Ten characters of time and seven of chance: sortable by time.
pub fn of(time: UnixTime, chance: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let digit = |value: u64, place: u32| char::from(DIGITS[(value >> (5 * place) & 31) as usize]);
    let time = time.0.unsigned_abs();
    let time = (0..10).rev().map(|place| digit(time, place));
    time.chain((0..7).map(|place| digit(chance, place))).collect()
}
