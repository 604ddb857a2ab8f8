//! Worlds whose transitions somebody else chooses: a fuzzer, byte by byte (`fuzz/world`).

use super::counters::Counters;
use super::transition::{self, Transition};
use super::{Failed, play};

/// Transitions of such a world: few, so that a fuzzer sees many worlds a second.
pub const MOST: usize = 16;

/// What the bytes choose: two for the world's seed, then four for each transition, which can be left out, doubled and moved without
/// changing the others.
pub fn choose(bytes: &[u8]) -> (u64, Vec<Transition>) {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let (seed, rest) = bytes.split_at(bytes.len().min(2));
    let transitions = rest.chunks_exact(4).take(MOST).enumerate();
    let chosen = transitions.map(|(place, four)| transition::chosen(place, number(four)));
    (number(seed), chosen.collect())
}

/// Runs the world that the bytes choose.
///
/// # Errors
/// A promise is broken.
pub fn run(bytes: &[u8]) -> Result<Counters, Failed> {
    let (seed, transitions) = choose(bytes);
    play(seed, transitions, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_stays_what_it_is() {
        let bytes = [1, 2, 9, 9, 9, 9, 7, 7, 7, 7];
        let (seed, both) = choose(&bytes);
        let (_, second) = choose(&[&bytes[..2], &bytes[6..]].concat());
        assert_eq!((seed, both.len()), (0x102, 2));
        assert_eq!((&both[1].what, both[1].after), (&second[0].what, second[0].after));
        assert_eq!(choose(&[&bytes[..], &[0; 400]].concat()).1.len(), MOST);
        assert_eq!(choose(&[]), (0, Vec::new()));
    }
}
