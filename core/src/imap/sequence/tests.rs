use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::*;

fn intervals(text: &str, max: u32) -> Vec<(u32, u32)> {
    SequenceSet::parse(text.as_bytes()).unwrap().resolve(max).as_slice().to_vec()
}

#[test]
fn rfc_9051_examples() {
    // RFC 9051 §9, seq-range and sequence-set
    assert_eq!(intervals("2,4:7,9,12:*", 15), [(2, 2), (4, 7), (9, 9), (12, 15)]);
    assert_eq!(intervals("*:4,5:7", 10), [(4, 10)]);
    assert_eq!(intervals("2:4", 9), intervals("4:2", 9));
    // RFC 3501 §6.4.8: `559:*` holds the last message, whatever its UID is.
    assert_eq!(intervals("559:*", 20), [(20, 559)]);
    assert_eq!(intervals("*", 0), []);
    assert_eq!(intervals("4294967295", 5), [(u32::MAX, u32::MAX)]);
}

#[test]
fn what_is_no_set_is_refused() {
    for bad in [
        "",
        ",",
        "1,",
        ",1",
        "0",
        "01",
        "1:",
        ":1",
        "1:2:3",
        "4294967296",
        "a",
        "1 ",
        "**",
        "-1",
        "1:0",
        "+1",
    ] {
        assert!(SequenceSet::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn s33_ranges_are_never_expanded() {
    assert_eq!(intervals("1:4294967295", 7), [(1, u32::MAX)]);
    let same = "1,".repeat(limits::IMAP_SET_RANGES - 1) + "1";
    assert_eq!(intervals(&same, 7), [(1, 1)]);
    assert!(SequenceSet::parse((same + ",1").as_bytes()).is_err());
}

#[test]
fn s33_cost_is_ranges_and_hits() {
    // 10^5 ranges over a mailbox of 10^6 messages: the entries looked at are counted, not the time.
    let list: Vec<u32> = (1..=1_000_000).map(|number| number * 3).collect();
    let looks = core::cell::Cell::new(0u64);
    let ranges = Intervals((0..100_000).map(|index| (index * 30 + 1, index * 30 + 7)).collect());
    let hits: usize = ranges
        .places(&list, |uid| {
            looks.set(looks.get() + 1);
            *uid
        })
        .map(|run| run.len())
        .sum();
    assert_eq!(hits, 200_000);
    assert!(looks.get() < 1_500_000, "{}", looks.get());
}

#[test]
fn compact_ranges() {
    let mut out = Vec::new();
    Intervals::from_sorted([1, 2, 3, 5, 7, 8, u32::MAX]).encode(&mut out);
    assert_eq!(out, b"1:3,5,7:8,4294967295");
}

fn a_set() -> impl Strategy<Value = Vec<(u32, u32)>> {
    prop::collection::vec((1u32..40, 1u32..40), 1..12)
}

proptest! {
    #[test]
    fn equals_the_naive_set(ranges in a_set(), list in prop::collection::btree_set(1u32..50, 0..30)) {
        let set = SequenceSet(ranges.iter().map(|(a, b)| (SequenceNumber::Number(*a), SequenceNumber::Number(*b))).collect());
        let resolved = set.resolve(50);
        let naive = |number: u32| ranges.iter().any(|(a, b)| (*a.min(b)..=*a.max(b)).contains(&number));
        for number in 0..60 {
            prop_assert_eq!(resolved.contains(number), naive(number));
        }
        for pair in resolved.as_slice().windows(2) {
            prop_assert!(pair[0].1 + 1 < pair[1].0, "merged and ascending");
        }
        let list: Vec<u32> = list.into_iter().collect();
        let hits: Vec<u32> = resolved.places(&list, |uid| *uid).flat_map(|run| list[run].to_vec()).collect();
        let wanted: Vec<u32> = list.iter().copied().filter(|uid| naive(*uid)).collect();
        prop_assert_eq!(hits, wanted.clone());
        prop_assert_eq!(resolved.places_of_numbers(20).flatten().collect::<Vec<_>>(),
            (0..20usize).filter(|place| naive(*place as u32 + 1)).collect::<Vec<_>>());
        let compact = Intervals::from_sorted(wanted.iter().copied());
        prop_assert!(wanted.iter().all(|uid| compact.contains(*uid)));
        prop_assert_eq!(compact.to_set().resolve(0), compact);
    }

    #[test]
    fn parse_of_encode(ranges in prop::collection::vec((any::<u32>(), any::<u32>()), 1..9)) {
        let number = |number: u32| if number.is_multiple_of(5) { SequenceNumber::Last } else { SequenceNumber::Number(number) };
        let set = SequenceSet(ranges.iter().map(|(a, b)| (number(*a), number(*b))).collect());
        let mut out = vec![];
        set.encode(&mut out);
        prop_assert_eq!(SequenceSet::parse(&out), Ok(set));
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = SequenceSet::parse(&bytes);
    }
}
