//! Colours of what is told on a terminal: none where there is no terminal, or where `NO_COLOR` is set.

use std::env;
use std::io::{self, IsTerminal};
use std::sync::LazyLock;

/// A colour of text on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour(&'static str);

/// Of what goes on.
pub(super) const PROGRESS: Colour = Colour("32");
/// Of what is said beside.
pub(super) const NOTE: Colour = Colour("90");
/// Of what is wrong.
pub(super) const ERROR: Colour = Colour("1;31");

/// Whether standard error takes colours.
static IS_WANTED: LazyLock<bool> = LazyLock::new(|| {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    io::stderr().is_terminal() && !is_set("NO_COLOR") && !is_dumb
});

impl Colour {
    /// The text in this colour, if there are colours.
    pub(super) fn paint(self, text: &str) -> String {
        self.paint_if(*IS_WANTED, text)
    }

    fn paint_if(self, is_wanted: bool, text: &str) -> String {
        match is_wanted {
            true => format!("\x1b[{}m{text}\x1b[0m", self.0),
            false => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ERROR, PROGRESS};

    #[test]
    fn a_text_is_painted_only_where_that_is_wanted() {
        assert_eq!(PROGRESS.paint_if(true, "epoch"), "\x1b[32mepoch\x1b[0m");
        assert_eq!(ERROR.paint_if(false, "error:"), "error:");
    }
}
