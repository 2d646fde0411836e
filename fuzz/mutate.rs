//! Bytes that are almost right: what a parser starts from, changed a little at random.

/// A generator of Marsaglia's xorshift kind: the same seed, the same bytes.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What texts break at.
const WORDS: [&str; 24] = [
    "/",
    "=",
    ",",
    ":",
    ";",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "..",
    "log:",
    "warmup:",
    "epochs",
    "true",
    "null",
    "nan",
    "1e309",
    "-",
    "0",
    "9223372036854775807",
    "18446744073709551615",
    "\u{1b}[31m",
    "é",
];
/// What takes the place of a number.
const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "3",
    "-1",
    "65536",
    "1000000000",
    "2147483648",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "1e308",
    "1e-320",
    "nan",
    "inf",
];
const LONGEST: usize = 20_000;

/// One of `seeds`, with up to six changes.
pub(crate) fn mutated(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.of(seeds).clone();
    for _ in 0..=random.below(6) {
        change(random, &mut bytes, seeds);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = random.below(bytes.len() + 1);
    let kind = random.below(9);
    let length = random.below(40);
    let end = (at + length).min(bytes.len());
    match kind {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
        2 => drop(bytes.drain(at..end)),
        3 => drop(bytes.splice(at..at, random.of(&WORDS).bytes())),
        4 => bytes.truncate(at),
        5 => {
            let piece = bytes[at..end].to_vec();
            for _ in 0..=random.below(4) {
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, piece.iter().copied());
            }
        }
        6 => {
            let other = random.of(seeds);
            let from = random.below(other.len() + 1);
            let to = (from + random.below(60)).min(other.len());
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        7 => {
            if let Some(first) = (at..bytes.len()).find(|&place| bytes[place].is_ascii_digit()) {
                let length = bytes[first..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(first..first + length, random.of(&NUMBERS).bytes());
            }
        }
        _ => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
    }
}
