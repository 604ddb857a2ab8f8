//! The journal: records re-encode to what was read, and a damaged segment gives a prefix of what was written, or an error.

use std::sync::Arc;

use pillarbox_core::bytes::crc::crc32c;
use pillarbox_core::store::Lsn;
use pillarbox_core::store::journal::record::{Place, decode, encode};
use pillarbox_core::store::journal::scan::Scan;

use crate::steered;

/// Reads the bytes as a segment; then writes a segment that follows from them, damages it and reads that.
pub fn journal_scan(bytes: &[u8]) {
    reencode(bytes);
    scan(bytes);
    let (steer, rest) = steered(bytes);
    let (damage, rest) = steered(rest);
    let written = records(rest);
    let mut segment: Vec<u8> = written.iter().flat_map(|record| record.bytes.clone()).collect();
    reencode(&segment);
    let found = scan(&segment).expect("a whole segment is readable");
    planted!(found.len() > 30 && found.iter().any(|(payload, _)| payload.len() > 20));
    assert_eq!(found.len(), written.len());
    // A torn or damaged segment.
    let at = segment.len() * usize::from(steer) / 256;
    match damage {
        0 => segment.truncate(at),
        _ if at < segment.len() => segment[at] ^= damage,
        _ => {}
    }
    if let Some(found) = scan(&segment) {
        assert!(found.len() <= written.len());
        for ((payload, body), record) in found.iter().zip(&written) {
            assert_eq!(
                (payload, body),
                (&record.payload, &record.body),
                "a prefix of what was written"
            );
        }
    }
}

/// What is read at each place is what `encode` would write there.
fn reencode(bytes: &[u8]) {
    let mut at = 0;
    while let Some(read) = decode(&bytes[at..]) {
        let body: Arc<[u8]> = read.body.into();
        let body = (!body.is_empty()).then(|| (&body, crc32c(read.body)));
        let again = encode(read.place, read.payload, body).concat_bytes();
        assert_eq!(again, &bytes[at..at + read.len]);
        at += read.len;
    }
}

trait ConcatBytes {
    fn concat_bytes(self) -> Vec<u8>;
}

impl ConcatBytes for Vec<Arc<[u8]>> {
    fn concat_bytes(self) -> Vec<u8> {
        self.iter().flat_map(|part| part.iter().copied()).collect()
    }
}

fn scan(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut scan = Scan::new(Lsn(0));
    scan.segment(0, bytes);
    let scanned = scan.finish().ok()?;
    let found = scanned.records.into_iter().enumerate().map(|(index, (lsn, found))| {
        assert_eq!(lsn, Lsn(index as u64 + 1), "without a gap");
        (found.payload, found.body.to_vec())
    });
    Some(found.collect())
}

struct Written {
    payload: Vec<u8>,
    body: Vec<u8>,
    bytes: Vec<u8>,
}

/// Records whose payloads and bodies are the lines of `bytes`, in batches of up to three.
fn records(bytes: &[u8]) -> Vec<Written> {
    let mut batch = 1;
    let lines = bytes.split(|byte| *byte == b'\n').take(100).zip(1u64..);
    lines
        .map(|(line, lsn)| {
            if lsn - batch == 3 {
                batch = lsn;
            }
            let (payload, body) = line.split_at(line.len() / 2);
            let place = Place {
                lsn: Lsn(lsn),
                batch: Lsn(batch),
                epoch: 7,
            };
            let shared: Arc<[u8]> = body.into();
            let bytes = encode(place, payload, (!body.is_empty()).then(|| (&shared, crc32c(body)))).concat_bytes();
            Written {
                payload: payload.into(),
                body: body.into(),
                bytes,
            }
        })
        .collect()
}
