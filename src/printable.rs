//! Text from files, names and paths, made fit to be told on a terminal.

use std::borrow::Cow;

/// The text with what steers a terminal written out, such as `\u{1b}`: control characters but for the ends of lines and
/// tabs, and what turns the direction of writing.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match steers(letter) {
            true => written.extend(letter.escape_default()),
            false => written.push(letter),
        }
    }
    Cow::Owned(written)
}

fn steers(letter: char) -> bool {
    let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || letter.is_control() && !matches!(letter, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_steers_a_terminal_is_written_out_and_the_rest_is_left_alone() {
        assert_eq!(printable("a\u{1b}[31mb\r\u{7}"), "a\\u{1b}[31mb\\r\\u{7}");
        assert_eq!(printable("\u{9b}2J \u{202e}gpj.exe"), "\\u{9b}2J \\u{202e}gpj.exe");
        for plain in ["", "two\n\tlines", "naïve café 猫"] {
            assert_eq!(printable(plain), plain);
        }
    }
}
