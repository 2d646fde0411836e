//! What the tests share: the command line run to its end, and the files of tests/data.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A command that has ended.
pub(crate) struct Ended {
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// What this output says. The status must be `status`, and nothing may have panicked.
    #[track_caller]
    pub(crate) fn of(Output { status: code, stdout, stderr }: Output, status: i32) -> Ended {
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert_eq!(code.code(), Some(status), "{stdout}{stderr}");
        Ended { stdout, stderr }
    }

    /// Whether standard output or standard error holds `part`.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) -> &Self {
        let Ended { stdout, stderr } = self;
        assert!(stdout.contains(part) || stderr.contains(part), "nothing says `{part}`:\n{stdout}\n---\n{stderr}");
        self
    }

    /// That neither holds `part`.
    #[track_caller]
    pub(crate) fn never_says(&self, part: &str) -> &Self {
        let Ended { stdout, stderr } = self;
        assert!(!stdout.contains(part) && !stderr.contains(part), "something says `{part}`:\n{stdout}\n---\n{stderr}");
        self
    }

    /// The last line of standard output, which is one JSON object.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_else(|| panic!("standard output is empty: {}", self.stderr));
        serde_json::from_str(last).unwrap_or_else(|error| panic!("`{last}`: {error}"))
    }
}

/// The binary, without arguments.
pub(crate) fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tilewright"))
}

/// Runs `tilewright` with these arguments. It must end with `status`, and never with a panic.
#[track_caller]
pub(crate) fn tilewright<A: AsRef<OsStr>>(arguments: &[A], status: i32) -> Ended {
    let output = command().args(arguments).output().unwrap();
    if output.status.code() != Some(status) {
        let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
        println!("tilewright {}", arguments.join(" "));
    }
    Ended::of(output, status)
}

/// A file of `tests/data`.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}
