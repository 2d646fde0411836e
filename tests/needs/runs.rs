//! Runs that are killed, stopped, gone on with, or pointed at what is not theirs; and the files they write.

use crate::common::{command, tilewright};
use crate::need::trials;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use tempfile::{TempDir, tempdir};

trials! {
    Nothing:
        #[cfg(unix)]
        a_signal_stops_a_run_after_a_checkpoint_with_the_status_a_shell_has_for_it,
        #[cfg(unix)]
        a_run_under_nohup_goes_on_when_the_terminal_goes_away,
        #[cfg(unix)]
        what_was_measured_before_an_interruption_is_written_and_said,
        #[cfg(unix)]
        what_is_no_regular_file_is_written_through_or_refused_and_stays_what_it_is;
    Adapter:
        #[cfg(target_os = "linux")]
        a_silent_socket_that_anybody_can_leave_in_tmp_keeps_nothing_waiting;
    PipelineCache:
        a_damaged_cache_of_compiled_kernels_is_dropped_with_a_line;
}

/// The smallest run there is: the reference, 12x12 images, four steps per epoch.
pub(crate) const TINY: &[&str] = &[
    "lenet5",
    "--device",
    "cpu",
    "--data",
    "synthetic:1x12x12:2:16",
    "--batch",
    "4",
    "--optimizer",
    "sgd:momentum=0.9",
];

/// `tilewright COMMAND TINY... EXTRA...`, not started.
fn tiny(name: &str, extra: &[&str]) -> Command {
    let mut tiny = command();
    tiny.arg(name).args(TINY).args(extra);
    tiny
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// Starts a command, and waits until standard error says `part`.
fn start(command: &mut Command, part: &str) -> (Child, impl Read + use<>) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it said `{part}`");
    }
    (child, said)
}

#[cfg(unix)]
fn send(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// The exit status, and the rest of standard error.
fn end(mut child: Child, mut said: impl Read) -> (Option<i32>, String) {
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("panicked"), "{rest}");
    (child.wait().unwrap().code(), rest)
}

#[cfg(unix)]
fn a_signal_stops_a_run_after_a_checkpoint_with_the_status_a_shell_has_for_it() {
    let folder = tempdir().unwrap();
    for (signal, status) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let run = path(&folder, signal);
        let mut endless = tiny("train", &["--run", &run, "--epochs", "1000000"]);
        let (child, said) = start(&mut endless, "run folder");
        send(&child, signal);
        let (code, said) = end(child, said);
        assert_eq!(code, Some(status), "{signal}: {said}");
        assert!(said.contains("stopped after") && Path::new(&run).join("checkpoint.safetensors").is_file(), "{said}");
    }
}

#[cfg(unix)]
fn a_run_under_nohup_goes_on_when_the_terminal_goes_away() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    let mut ignoring = Command::new("sh");
    let train = tiny("train", &["--run", &run, "--epochs", "1000000"]);
    ignoring.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(train.get_program()).args(train.get_args());
    let (child, said) = start(&mut ignoring, "run folder");
    send(&child, "-HUP");
    send(&child, "-TERM");
    let (code, said) = end(child, said);
    assert_eq!(code, Some(143), "{said}");
}

#[cfg(unix)]
fn what_was_measured_before_an_interruption_is_written_and_said() {
    let folder = tempdir().unwrap();
    let out = path(&folder, "out");
    let cases: [(&str, &[&str], &str, &[&str]); 3] = [
        ("lr-find", &["--steps", "50000"], "learning rates", &["lr_find.csv", "lr_find.svg"]),
        ("landscape", &["--steps", "50000"], "batch norm", &["landscape.csv", "landscape.svg"]),
        ("sweep", &["--grid", "lr=0.1,0.01", "--epochs", "1000000"], "trial 1 of 2", &["trials.csv", "sweep.svg"]),
    ];
    for (name, extra, first, files) in cases {
        let out = format!("{out}-{name}");
        let mut endless = command();
        let model: &[&str] = if name == "landscape" {
            &["cifar_cnn", "--device", "cpu", "--data", "synthetic:3x32x32:2:8", "--batch", "2"]
        } else {
            TINY
        };
        endless.arg(name).args(model).args(extra).args(["--out", &out]);
        let (child, said) = start(&mut endless, first);
        send(&child, "-TERM");
        let (code, said) = end(child, said);
        assert_eq!(code, Some(143), "{name}: {said}");
        assert!(said.contains("stopped") && said.contains(&out), "{name}: {said}");
        for file in files {
            assert!(Path::new(&out).join(file).is_file(), "{name} leaves no {file}: {said}");
        }
    }
}

#[cfg(unix)]
fn what_is_no_regular_file_is_written_through_or_refused_and_stays_what_it_is() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    assert!(tiny("train", &["--run", &run, "--epochs", "1"]).output().unwrap().status.success());
    let weights = path(&folder, "weights.safetensors");
    tilewright(&["export", &run, &weights], 0);
    let import = |out: &str| {
        let mut import = command();
        import.args(["import", "lenet5", &weights, "--set", "image_size=[12,12]", "--out", out]);
        import
    };
    let whole = path(&folder, "whole");
    assert!(import(&whole).output().unwrap().status.success());
    let whole = fs::read(whole).unwrap();

    let full = import("/dev/full").output().unwrap();
    assert_eq!(full.status.code(), Some(1), "{}", String::from_utf8_lossy(&full.stderr));
    assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());

    let pipe = path(&folder, "pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    let Output { status, stderr, .. } = import(&pipe).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    assert!(reader.join().unwrap() == whole && fs::metadata(&pipe).unwrap().file_type().is_fifo());

    let (link, target) = (path(&folder, "link"), path(&folder, "target"));
    fs::write(&target, "before").unwrap();
    symlink("target", &link).unwrap();
    assert!(
        import(&link).arg("--force").output().unwrap().status.success()
            || import(&link).output().unwrap().status.success()
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && fs::read(&target).unwrap() == whole);
}

#[cfg(target_os = "linux")]
fn a_silent_socket_that_anybody_can_leave_in_tmp_keeps_nothing_waiting() {
    use std::os::unix::net::UnixListener;
    let socket = Path::new("/tmp/wayland-0");
    // Somebody may really have one there; then this is tried with theirs.
    let own = UnixListener::bind(socket).ok();
    let Output { status, stderr, .. } = command().arg("devices").env_remove("XDG_RUNTIME_DIR").output().unwrap();
    if own.is_some() {
        fs::remove_file(socket).unwrap();
    }
    assert!(status.success() && stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
}

fn a_damaged_cache_of_compiled_kernels_is_dropped_with_a_line() {
    let folder = tempdir().unwrap();
    let cache = folder.path().join("tilewright");
    let train = |run: &str| {
        let mut train = command();
        train.args(["train", "lenet5", "--data", "synthetic:1x12x12:2:8", "--set", "image_size=[12,12]"]);
        train
            .args(["--batch", "4", "--epochs", "1", "--run", &path(&folder, run)])
            .env("XDG_CACHE_HOME", folder.path());
        let Output { status, stderr, .. } = train.output().unwrap();
        let said = String::from_utf8_lossy(&stderr).into_owned();
        assert!(status.success(), "{said}");
        said
    };
    assert!(!train("first").contains("note: the cache"));
    let file = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&file).unwrap();
    assert!(!train("second").contains("note: the cache"));
    for (index, at) in [60, whole.len() - 1].into_iter().enumerate() {
        let mut damaged = fs::read(&file).unwrap();
        damaged[at] ^= 0x10;
        fs::write(&file, damaged).unwrap();
        assert!(train(&format!("damaged-{index}")).contains("was damaged and is dropped"), "byte {at}");
    }
    assert!(!train("last").contains("note: the cache"), "it is made anew");
}
