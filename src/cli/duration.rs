//! Lengths of time as they are written on the command line.

use std::time::Duration;

/// Reads `90s`, `30m`, `1.5h`, `2d`, or several of them as in `1h30m`.
///
/// # Errors
/// How it is written.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write it like 90s, 30m, 1.5h, 2d or 1h30m".to_owned();
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        let unit = match rest.as_bytes()[end] {
            b's' => 1.0,
            b'm' => 60.0,
            b'h' => 3600.0,
            b'd' => 86_400.0,
            _ => return Err(wrong()),
        };
        seconds += number * unit;
        rest = &rest[end + 1..];
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_units_and_is_not_0() {
        let seconds = |text| parse_duration(text).map(|time| time.as_secs_f64());
        for (text, expected) in [("90s", 90.0), ("30m", 1800.0), ("1.5h", 5400.0), ("2d", 172_800.0), ("1h30m", 5400.0)]
        {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for wrong in ["", "30", "m", "30 minutes", "30x", "-1h", "0s", "nans", "1e999h", "1h30", "30µ"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
