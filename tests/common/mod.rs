//! The command line, run to its end.

use std::process::Command;

pub struct Ended {
    pub stdout: String,
    pub stderr: String,
}

/// Runs `tilewright` with these arguments. It must end with `status`, and never with a panic.
pub fn tilewright(arguments: &[&str], status: i32) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_tilewright")).args(arguments).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{stdout}{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    Ended { stdout, stderr }
}
