//! Mutations of text: of lines, words and numbers. libFuzzer's own, of octets, hardly ever leave a line of a protocol whole, and never
//! a literal: whatever stands behind a grammar is out of their reach.

/// Changes the first `size` octets of `data` to at most `max`, how many: text by lines and words, or octets as libFuzzer does.
#[cfg(feature = "libfuzzer")]
pub fn mutate(data: &mut [u8], size: usize, max: usize, entries: &[Vec<u8>], seed: u32) -> usize {
    if seed % 2 == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max);
    }
    let mut changed = changed(&data[..size], entries, seed / 2);
    changed.truncate(max);
    data[..changed.len()].copy_from_slice(&changed);
    changed.len()
}

/// Writes `one` with something of `other` to `out`, how many octets; now and then, since libFuzzer crosses every other time: else it
/// is changed alone.
#[cfg(feature = "libfuzzer")]
pub fn cross(one: &[u8], other: &[u8], out: &mut [u8], entries: &[Vec<u8>], seed: u32) -> usize {
    if seed % 2 != 0 {
        let (size, max) = (one.len().min(out.len()), out.len());
        out[..size].copy_from_slice(&one[..size]);
        return mutate(out, size, max, entries, seed / 2);
    }
    let mut crossed = crossed(one, other, seed / 2);
    crossed.truncate(out.len());
    out[..crossed.len()].copy_from_slice(&crossed);
    crossed.len()
}

/// `one` with lines or words of `other`, which follow from `seed`.
pub fn crossed(one: &[u8], other: &[u8], seed: u32) -> Vec<u8> {
    let mut random = Random(u64::from(seed) << 1 | 1);
    if random.below(3) == 0 {
        let (places, others) = (lines(one), lines(other));
        if places.len() < 2 || others.len() < 2 {
            return one.to_vec();
        }
        let (here, there) = (some_lines(&places, &mut random), some_lines(&others, &mut random));
        let (before, behind) = match random.below(3) {
            0 => (here.start, here.end),
            1 => (here.start, here.start),
            _ => (here.end, here.end),
        };
        return [&one[..before], &other[there], &one[behind..]].concat();
    }
    let such = any_words(&mut random);
    let (words, others) = (runs(one, such), runs(other, such));
    if words.is_empty() || others.is_empty() {
        return one.to_vec();
    }
    let (at, from) = (words[random.below(words.len())].clone(), some_words(&others, &mut random));
    put(one, at, other, from, &mut random)
}

/// The entries of a dictionary in libFuzzer's form, without their quotes and escapes.
pub fn entries(dictionary: &str) -> Vec<Vec<u8>> {
    let quoted = dictionary
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(|entry| unescaped(entry.as_bytes())).collect()
}

fn unescaped(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((first, behind)) = rest.split_first() {
        let octet = behind
            .get(1..3)
            .and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        let (byte, taken) = match (first, behind.first(), octet) {
            (b'\\', Some(b'x'), Some(octet)) => (octet, 4),
            (b'\\', Some(second), _) => (*second, 2),
            _ => (*first, 1),
        };
        out.push(byte);
        rest = &rest[taken..];
    }
    out
}

/// One change of `input`, which follows from `seed`.
pub fn changed(input: &[u8], entries: &[Vec<u8>], seed: u32) -> Vec<u8> {
    let mut random = Random(u64::from(seed) << 1 | 1);
    match random.below(12) {
        0 | 1 => repeat_lines(input, &mut random),
        2 => drop_lines(input, &mut random),
        3 | 4 => number(input, &mut random),
        5 | 6 => word(input, &mut random),
        7 => lengthen(input, &mut random),
        8 => steer(input, &mut random),
        _ => known_word(input, entries, &mut random),
    }
}

struct Random(u64);

impl Random {
    /// Below `bound`, or 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }
}

/// Where lines begin, and the end.
fn lines(input: &[u8]) -> Vec<usize> {
    let ends = input.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut places: Vec<usize> = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
    if places.last() != Some(&input.len()) {
        places.push(input.len());
    }
    places
}

/// From one to four lines, as a range of octets.
fn some_lines(places: &[usize], random: &mut Random) -> std::ops::Range<usize> {
    let first = random.below(places.len() - 1);
    let last = (first + 1 + random.below(4)).min(places.len() - 1);
    places[first]..places[last]
}

/// Lines again, behind themselves or anywhere, now and then many times.
fn repeat_lines(input: &[u8], random: &mut Random) -> Vec<u8> {
    let places = lines(input);
    if places.len() < 2 {
        return input.to_vec();
    }
    let range = some_lines(&places, random);
    let times = if random.below(8) == 0 { 2 + random.below(40) } else { 1 };
    let at = match random.below(2) {
        0 => range.end,
        _ => places[random.below(places.len())],
    };
    [&input[..at], &input[range].repeat(times), &input[at..]].concat()
}

fn drop_lines(input: &[u8], random: &mut Random) -> Vec<u8> {
    let places = lines(input);
    if places.len() < 3 {
        return input.to_vec();
    }
    let range = some_lines(&places, random);
    [&input[..range.start], &input[range.end..]].concat()
}

/// Ranges of octets that are such, and as many as possible each.
fn runs(input: &[u8], such: impl Fn(u8) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, byte) in input.iter().enumerate() {
        match found.last_mut() {
            Some(last) if such(*byte) && last.end == at => last.end = at + 1,
            _ if such(*byte) => found.push(at..at + 1),
            _ => {}
        }
    }
    found
}

/// With another digit somewhere.
fn digit(number: u64, random: &mut Random) -> u64 {
    let places = number.checked_ilog10().unwrap_or(0) + 1;
    let unit = 10u64.pow(random.below(places as usize) as u32);
    let (without, digit) = (number - number / unit % 10 * unit, random.below(10) as u64);
    without.saturating_add(digit.saturating_mul(unit))
}

/// Another number. If it announces a literal, or a chunk of SMTP, the octets that follow are as many.
fn number(input: &[u8], random: &mut Random) -> Vec<u8> {
    let numbers = runs(input, |byte| byte.is_ascii_digit());
    let Some(range) = numbers.get(random.below(numbers.len())).cloned() else {
        return input.to_vec();
    };
    let old: u64 = std::str::from_utf8(&input[range.clone()])
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(u64::MAX);
    let new = match random.below(8) {
        0 | 1 => random.below(10) as u64,
        2 => old.wrapping_add(1),
        3 => old.saturating_sub(1),
        4 => 1 << random.below(64),
        5 | 6 => digit(old, random),
        _ => old.saturating_mul(1 + random.below(100_000) as u64),
    };
    let mut out = [&input[..range.start], new.to_string().as_bytes()].concat();
    let rest = &input[range.end..];
    let line = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
    out.extend_from_slice(&rest[..line]);
    let rest = &rest[line..];
    let announces = input[..range.start].ends_with(b"{") || input[..range.start].ends_with(b"BDAT ");
    match (usize::try_from(old), usize::try_from(new)) {
        (Ok(old), Ok(new)) if announces && old <= rest.len() && new <= 2000 => {
            let octets = rest[..old].iter().copied().chain(std::iter::repeat(b'x')).take(new);
            out.extend(octets);
            out.extend_from_slice(&rest[old..]);
        }
        _ => out.extend_from_slice(rest),
    }
    out
}

/// Up to three words in the place of one, or behind it (with what stands before them, a blank or a comma), or a word less. Words are
/// between blanks, or between anything that is no letter or digit.
fn word(input: &[u8], random: &mut Random) -> Vec<u8> {
    let words = runs(input, any_words(random));
    if words.is_empty() {
        return input.to_vec();
    }
    let (at, from) = (words[random.below(words.len())].clone(), some_words(&words, random));
    if random.below(4) == 0 {
        return [&input[..at.start], input.get(at.end + 1..).unwrap_or_default()].concat();
    }
    put(input, at, input, from, random)
}

/// What words are made of: anything but blanks; but what parts addresses and values; or letters and digits.
fn any_words(random: &mut Random) -> fn(u8) -> bool {
    match random.below(4) {
        0 | 1 => |byte| byte > b' ',
        2 => |byte| byte > b' ' && !b"@<>(),;=".contains(&byte),
        _ => |byte| byte.is_ascii_alphanumeric() || byte > 0x7f,
    }
}

/// From one to three words, as a range of octets.
fn some_words(words: &[std::ops::Range<usize>], random: &mut Random) -> std::ops::Range<usize> {
    let first = random.below(words.len());
    let last = (first + random.below(3)).min(words.len() - 1);
    words[first].start..words[last].end
}

/// Words of `other` in the place of one of `input`, or behind it, with what stands before them or without.
fn put(input: &[u8], at: std::ops::Range<usize>, other: &[u8], from: std::ops::Range<usize>, random: &mut Random) -> Vec<u8> {
    let led = from.start.saturating_sub(1)..from.end;
    match random.below(3) {
        0 => [&input[..at.start], &other[from], &input[at.end..]].concat(),
        1 => [&input[..at.end], &other[from], &input[at.end..]].concat(),
        _ => [&input[..at.end], &other[led], &input[at.end..]].concat(),
    }
}

/// An entry of the dictionary, or a word of it, in the place of a word or behind it.
fn known_word(input: &[u8], entries: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let words = runs(input, any_words(random));
    if entries.is_empty() || words.is_empty() {
        return input.to_vec();
    }
    let (entry, at) = (
        &entries[random.below(entries.len())],
        words[random.below(words.len())].clone(),
    );
    let parts = runs(entry, |byte| byte.is_ascii_alphanumeric());
    let known = match random.below(3) {
        0 if !parts.is_empty() => &entry[parts[random.below(parts.len())].clone()],
        _ => entry,
    };
    match random.below(2) {
        0 => [&input[..at.start], known, &input[at.end..]].concat(),
        _ => [&input[..at.end], known, &input[at.end..]].concat(),
    }
}

/// Another first octet.
fn steer(input: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = input.to_vec();
    if let Some(first) = out.first_mut() {
        *first ^= 1 << random.below(8);
    }
    out
}

/// A letter many times.
fn lengthen(input: &[u8], random: &mut Random) -> Vec<u8> {
    let at = random.below(input.len());
    let Some(octet) = input.get(at) else { return vec![b'x'] };
    let times = 1 << random.below(12);
    [&input[..at], &vec![*octet; times], &input[at..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_there() {
        let input = b"a APPEND INBOX {5+}\r\nhello\r\nb NOOP\r\n";
        let mut found = 0;
        for seed in 0..2000 {
            let out = number(input, &mut Random(seed << 1 | 1));
            if out.starts_with(b"a APPEND INBOX {3+}\r\n") {
                assert_eq!(out, b"a APPEND INBOX {3+}\r\nhel\r\nb NOOP\r\n");
                found += 1;
            }
        }
        assert!(found > 0);
    }

    #[test]
    fn what_two_inputs_have_comes_together() {
        let (one, other) = (b"a UID FETCH 1 FLAGS\r\n", b"b FETCH 2 BINARY.SIZE[3]\r\nc NOOP\r\n");
        let crossed: Vec<Vec<u8>> = (0..5000).map(|seed| crossed(one, other, seed)).collect();
        for wanted in [
            "a UID FETCH 1 BINARY.SIZE[3]\r\n",
            "a UID FETCH 1 FLAGS\r\nc NOOP\r\n",
            "a UID FETCH 1 FLAGS FETCH\r\n",
        ] {
            assert!(crossed.iter().any(|out| out == wanted.as_bytes()), "{wanted}");
        }
    }

    #[test]
    fn entries_are_told_without_their_escapes() {
        let dictionary = "# Some.\n\"\\x0d\\x0a\"\nname=\"x\"\n\"a\\\\\\\"b\"\n";
        assert_eq!(entries(dictionary), [b"\r\n".to_vec(), b"a\\\"b".to_vec()]);
    }

    #[test]
    fn anything_can_be_changed() {
        let entries = entries("\"a b-c\"\n\"\\x0a\"");
        for input in [&b""[..], b"\n", b"x", b"1", b" \n\n", b"a {99999999999999999999}\r\n1"] {
            (0..500).for_each(|seed| drop(changed(input, &entries, seed)));
            (0..500).for_each(|seed| drop(crossed(input, b"x y\n", seed)));
            (0..500).for_each(|seed| drop(crossed(b"x y\n", input, seed)));
        }
    }
}
