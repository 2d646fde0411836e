//! What the modules share: the command line run to its end, and the inputs of the tests.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A command that has ended.
pub struct Ended {
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Whether standard output or standard error holds `part`.
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        let Ended { stdout, stderr } = self;
        assert!(stdout.contains(part) || stderr.contains(part), "nothing says `{part}`:\n{stdout}\n---\n{stderr}");
        self
    }

    /// That neither holds `part`.
    #[track_caller]
    pub fn never_says(&self, part: &str) -> &Self {
        let Ended { stdout, stderr } = self;
        assert!(!stdout.contains(part) && !stderr.contains(part), "something says `{part}`:\n{stdout}\n---\n{stderr}");
        self
    }

    /// The last line of standard output, which is one JSON object.
    #[track_caller]
    pub fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("standard output is empty: {}", self.stderr));
        serde_json::from_str(last).unwrap_or_else(|error| panic!("`{last}`: {error}"))
    }
}

/// The binary, without arguments.
pub fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tilewright"))
}

/// Runs `tilewright` with these arguments. It must end with `status`, and never with a panic.
#[track_caller]
pub fn tilewright<A: AsRef<OsStr>>(arguments: &[A], status: i32) -> Ended {
    let Output { status: code, stdout, stderr } = command().args(arguments).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
    assert!(!stderr.contains("panicked"), "{arguments:?}\n{stderr}");
    assert_eq!(code.code(), Some(status), "{arguments:?}\n{stdout}{stderr}");
    Ended { stdout, stderr }
}

/// A file of `tests/data/faults`.
pub fn fault(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faults").join(path)
}
