//! Amounts of memory, as written on the command line and in recipes: `512M`, `2G`.

use crate::setting::{Written, as_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Bytes of memory. `FromStr` and `Display` are inverse but for fractions; serde uses the same text.
///
/// ```
/// use tilewright::data::MemorySize;
///
/// assert_eq!("1.5G".parse(), Ok(MemorySize(1536 << 20)));
/// assert_eq!(MemorySize(1536 << 20).to_string(), "1536M");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub struct MemorySize(pub u64);

/// Letters of units, each 1024 times the one before; bytes have none.
const UNITS: [char; 4] = ['K', 'M', 'G', 'T'];

/// What is told to whoever writes something else.
const FORM: &str = "write bytes, or a number with K, M, G or T, such as 512M or 1.5G";

impl MemorySize {
    /// For people: with three digits, such as `3.66 GiB`.
    pub(crate) fn rounded(self) -> String {
        let place = (1..=UNITS.len()).rev().find(|&place| self.0 >= 1 << (10 * place));
        let Some(place) = place else { return format!("{} bytes", self.0) };
        let number = self.0 as f64 / (1_u64 << (10 * place)) as f64;
        let digits = [2, 1, 0][usize::from(number >= 10.0) + usize::from(number >= 100.0)];
        format!("{number:.digits$} {}iB", UNITS[place - 1])
    }
}

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let last = text.chars().last().unwrap_or_default().to_ascii_uppercase();
        let (number, unit) = match UNITS.iter().position(|&unit| unit == last) {
            Some(place) => (&text[..text.len() - 1], 1_u64 << (10 * (place + 1))),
            None => (text, 1),
        };
        let whole = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        let fraction = || number.parse::<f64>().ok().map(|number| number * unit as f64);
        // An f64 has more digits than any memory needs.
        let in_range = |bytes: &f64| unit > 1 && (0.0..1e18).contains(bytes);
        whole.or_else(|| fraction().filter(in_range).map(|bytes| bytes as u64)).map(MemorySize).ok_or(FORM.to_owned())
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = (1..=UNITS.len()).rev().find(|&place| self.0 > 0 && self.0.is_multiple_of(1 << (10 * place)));
        match whole {
            Some(place) => write!(f, "{}{}", self.0 >> (10 * place), UNITS[place - 1]),
            None => write!(f, "{}", self.0),
        }
    }
}

as_text!(MemorySize, String, Written);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_units_are_powers_of_1024() {
        for (text, bytes) in
            [("0", 0), ("1000", 1000), ("1K", 1024), ("512M", 512 << 20), ("3G", 3 << 30), ("2T", 2 << 40)]
        {
            assert_eq!(text.parse(), Ok(MemorySize(bytes)));
            assert_eq!(MemorySize(bytes).to_string(), text);
        }
        assert_eq!(MemorySize(3_932_160_000).rounded(), "3.66 GiB");
        assert_eq!(MemorySize(512 << 20).rounded(), "512 MiB");
        assert_eq!("0.5g".parse(), Ok(MemorySize(512 << 20)));
        for text in ["", "M", "1.5", "-1", "-1M", "1 G", "nanG", "infG", "99999999T", "512MB", "512é"] {
            assert!(text.parse::<MemorySize>().is_err(), "{text}");
        }
    }
}
