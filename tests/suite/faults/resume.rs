//! Going on with a run: on what, from which checkpoint, and who may.

use crate::common::{Ended, tilewright};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

/// Images `0.png`, `1.png`, ... of one grey each in `root/PART/CLASS`.
fn images(root: &Path, part: &str, class: &str, count: u8) {
    let folder = root.join(part).join(class);
    fs::create_dir_all(&folder).unwrap();
    for index in 0..count {
        paint(&folder.join(format!("{index}.png")), index * 9 + class.len() as u8);
    }
}

fn paint(file: &Path, grey: u8) {
    image::GrayImage::from_pixel(12, 12, image::Luma([grey])).save(file).unwrap();
}

fn train(run: &str, extra: &[&str], status: i32) -> Ended {
    let tiny = ["train", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:16", "--batch", "4", "--run", run];
    tilewright(&[&tiny[..], extra].concat(), status)
}

fn resume(run: &str, extra: &[&str], status: i32) -> Ended {
    tilewright(&[&["train", "--device", "cpu", "--resume", run][..], extra].concat(), status)
}

/// A run of one epoch on images of two classes, and where these are.
fn run_on_images(folder: &TempDir) -> (PathBuf, String) {
    let (data, run) = (folder.path().join("images"), path(folder, "run"));
    for (part, count) in [("train", 6), ("test", 2)] {
        images(&data, part, "cat", count);
        images(&data, part, "horse", count);
    }
    let source = format!("folder:{}", data.display());
    let options = ["--device", "cpu", "--data", &source, "--batch", "4", "--epochs", "1", "--run", &run];
    tilewright(&[&["train", "lenet5"][..], &options].concat(), 0);
    (data, run)
}

#[test]
fn a_run_does_not_go_on_with_data_that_have_changed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("there are 15 train images, and were 12, with 6 of `cat` that became 9", |data| {
            images(data, "train", "cat", 9)
        }),
        ("there are 3 test images, and were 4", |data| fs::remove_file(data.join("test/cat/0.png")).unwrap()),
        ("classes that are gone: `cat`; classes that are new: `zebra`", |data| {
            for part in ["train", "test"] {
                fs::rename(data.join(part).join("cat"), data.join(part).join("zebra")).unwrap();
            }
        }),
        ("the train images are others", |data| {
            // Two images exchange their classes.
            paint(&data.join("train/cat/0.png"), 5);
            paint(&data.join("train/horse/0.png"), 3);
        }),
        ("the test images are others", |data| paint(&data.join("test/horse/1.png"), 200)),
    ];
    for (told, change) in changes {
        let folder = tempdir().unwrap();
        let (data, run) = run_on_images(&folder);
        let checkpoint = Path::new(&run).join("checkpoint.safetensors");
        let before = fs::read(&checkpoint).unwrap();
        change(&data);
        resume(&run, &["--epochs", "2"], 1).says("no longer the data").says(told).says("--init");
        assert!(fs::read(&checkpoint).unwrap() == before, "{told}");
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused_with_what_differs() {
    let folder = tempdir().unwrap();
    let [run, other, longer] = ["run", "other", "longer"].map(|name| path(&folder, name));
    train(&run, &["--epochs", "1"], 0);
    train(&other, &["--epochs", "1", "--seed", "5", "--flip"], 0);
    train(&longer, &["--epochs", "3"], 0);
    let swap = |from: &str| {
        fs::copy(Path::new(from).join("checkpoint.safetensors"), Path::new(&run).join("checkpoint.safetensors"))
    };
    swap(&other).unwrap();
    resume(&run, &["--epochs", "2"], 1)
        .says("another run")
        .says("seed is 5 there and 1 here")
        .says("flip is true there");
    // The same settings and data, but further than this run goes.
    swap(&longer).unwrap();
    resume(&run, &["--epochs", "2"], 2).says("must be at least 3").never_says("of 8 steps done");

    // What the configuration says is held against the checkpoint, too.
    let config = Path::new(&other).join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("seed = 5", "seed = 6")).unwrap();
    resume(&other, &["--epochs", "2"], 1).says("seed is 5 there and 6 here");
}

#[test]
fn a_checkpoint_that_is_missing_is_no_reason_to_begin_anew() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    train(&run, &["--epochs", "1"], 0);
    let best = fs::read(Path::new(&run).join("best.safetensors")).unwrap();
    let steps = fs::read(Path::new(&run).join("steps.csv")).unwrap();
    fs::remove_file(Path::new(&run).join("checkpoint.safetensors")).unwrap();
    resume(&run, &["--epochs", "2"], 1).says("checkpoint.safetensors` is missing").says("--recipe");
    assert!(fs::read(Path::new(&run).join("best.safetensors")).unwrap() == best);
    assert!(fs::read(Path::new(&run).join("steps.csv")).unwrap() == steps);

    // Nothing but a configuration, that of a run which has had no checkpoint yet: it begins.
    let fresh = path(&folder, "fresh");
    fs::create_dir(&fresh).unwrap();
    let config = fs::read_to_string(Path::new(&run).join("config.toml")).unwrap();
    fs::write(Path::new(&fresh).join("config.toml"), config.replace("has_checkpoint = true", "has_checkpoint = false"))
        .unwrap();
    resume(&fresh, &[], 0).says("begins anew");
}

#[test]
fn a_new_run_writes_over_no_file_of_another() {
    let folder = tempdir().unwrap();
    for file in ["checkpoint.safetensors", "best.safetensors", "steps.csv", "epochs.csv"] {
        let run = folder.path().join(file.replace('.', "-"));
        fs::create_dir(&run).unwrap();
        fs::write(run.join(file), "kept").unwrap();
        train(run.to_str().unwrap(), &["--epochs", "1"], 2).says(file);
        assert_eq!(fs::read_to_string(run.join(file)).unwrap(), "kept");
        assert!(!run.join("config.toml").exists());
    }
}

#[test]
fn a_folder_that_a_process_writes_to_is_refused_and_free_when_that_has_ended() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    train(&run, &["--epochs", "1"], 0);
    // What another process would do; a killed one leaves the file behind, unlocked.
    let lock = File::options().read(true).write(true).open(Path::new(&run).join(".lock")).unwrap();
    lock.try_lock().unwrap();
    fs::write(Path::new(&run).join(".lock"), "4711\n").unwrap();
    resume(&run, &["--epochs", "2"], 1).says("is in use").says("process 4711");
    drop(lock);
    resume(&run, &["--epochs", "2"], 0);
}

#[test]
fn a_run_goes_on_with_other_settings_that_may_change_and_says_so() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    train(&run, &["--epochs", "1", "--schedule", "constant", "--lr", "0.01"], 0);
    let options = ["--epochs", "2", "--lr", "0.004", "--checkpoint-every", "2"];
    let ended = resume(&run, &options, 0);
    ended.says("lr was 0.01, and is 0.004 from here on").says("epochs was 1, and is 2");
    let text = fs::read_to_string(Path::new(&run).join("steps.csv")).unwrap();
    let rates: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
    assert_eq!(rates, [["0.01"; 4], ["0.004"; 4]].concat());
    let config = fs::read_to_string(Path::new(&run).join("config.toml")).unwrap();
    assert!(config.contains("lr = 0.004") && config.contains("checkpoint_every = 2"), "{config}");
    resume(&run, &["--epochs", "3", "--schedule", "exponential:gamma=0.5"], 0).says("schedule was constant");
    resume(&run, &["--batch", "2"], 2).says("--batch");
}

#[test]
fn a_checkpoint_of_other_settings_that_may_change_is_told_of() {
    let folder = tempdir().unwrap();
    let [run, other] = ["run", "other"].map(|name| path(&folder, name));
    train(&run, &["--epochs", "1", "--lr", "0.01"], 0);
    train(&other, &["--epochs", "1", "--lr", "0.02"], 0);
    let file = |run: &str| Path::new(run).join("checkpoint.safetensors");
    fs::copy(file(&other), file(&run)).unwrap();
    resume(&run, &["--epochs", "2"], 0).says("lr was 0.02, and is 0.01 from here on");
}

#[test]
fn a_damaged_row_costs_itself_and_is_told() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    train(&run, &["--epochs", "2"], 0);
    for (file, row) in [("steps.csv", 3), ("epochs.csv", 1)] {
        let file = Path::new(&run).join(file);
        let mut lines: Vec<String> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
        lines[row] = lines[row].replace(',', ";");
        fs::write(file, lines.join("\n") + "\n").unwrap();
    }
    resume(&run, &["--epochs", "3"], 0).says("steps.csv has lost 1 rows").says("epochs.csv has lost 1 rows");
    let lines = |file: &str| fs::read_to_string(Path::new(&run).join(file)).unwrap().lines().count();
    assert_eq!((lines("steps.csv"), lines("epochs.csv")), (1 + 12 - 1, 1 + 3 - 1));
}

#[test]
fn a_damaged_checkpoint_is_refused_by_name_and_the_one_before_takes_its_place() {
    let folder = tempdir().unwrap();
    let run = path(&folder, "run");
    train(&run, &["--epochs", "1"], 0);
    let checkpoint = Path::new(&run).join("checkpoint.safetensors");
    let whole = fs::read(&checkpoint).unwrap();
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 4;
    fs::write(&checkpoint, &damaged).unwrap();
    let told = ["checkpoint.safetensors", "is damaged", "is not what was written"];
    for command in [&["eval", "--device", "cpu", &run][..], &["train", "--device", "cpu", "--resume", &run]] {
        let ended = tilewright(command, 1);
        for part in told {
            ended.says(part);
        }
    }
    let out = path(&folder, "out.safetensors");
    tilewright(&["export", &run, &out], 1).says("is damaged");
    let init = ["--epochs", "1", "--init", checkpoint.to_str().unwrap()];
    train(&path(&folder, "other"), &init, 1).says("is damaged");

    fs::write(Path::new(&run).join("previous.safetensors"), &whole).unwrap();
    resume(&run, &["--epochs", "2"], 0).says("takes its place");
}

#[cfg(unix)]
#[test]
fn paths_that_are_not_text_are_paths() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let folder = tempdir().unwrap();
    let strange = folder.path().join(OsStr::from_bytes(b"caf\xe9"));
    let data = strange.join("images");
    for part in ["train", "test"] {
        images(&data, part, "a", 4);
        images(&data, part, "bb", 4);
    }
    let at = |name: &str| strange.join(name).into_os_string();
    let source = OsString::from_vec([b"folder:", data.as_os_str().as_bytes()].concat());
    let words = |words: &[&str]| -> Vec<OsString> { words.iter().map(OsString::from).collect() };
    let run = |command: &[&str], rest: Vec<OsString>| tilewright(&[words(command), rest].concat(), 0);

    let tiny = ["--device", "cpu", "--batch", "4", "--json"];
    let on = |name: &str, option: &str| vec!["--data".into(), source.clone(), option.into(), at(name)];
    run(&[&["train", "lenet5", "--epochs", "1"], &tiny[..]].concat(), on("run", "--run")).json();
    run(&["train", "--json", "--device", "cpu", "--epochs", "2", "--resume"], vec![at("run")]).json();
    run(&["eval", "--json", "--device", "cpu"], vec![at("run")]).json();
    run(&["predict", "--json", "--device", "cpu"], vec![at("run"), data.join("test/a/0.png").into()]).json();
    run(&["export", "--json"], vec![at("run"), at("out.safetensors")]).json();
    run(&["export", "--json"], vec![at("run"), at("out.onnx")]).json();
    let mut import =
        vec![at("out.safetensors"), "--out".into(), at("imported.safetensors"), "--data".into(), source.clone()];
    import.extend(words(&["--set", "image_size=[12,12]"]));
    run(&["import", "--json", "lenet5"], import).json();
    let init = [on("second", "--run"), vec!["--init".into(), at("run/best.safetensors")]].concat();
    run(&[&["train", "lenet5", "--epochs", "1"], &tiny[..]].concat(), init).json();
    run(&["train", "--json", "--device", "cpu", "--epochs", "2", "--resume"], vec![at("second")]).json();
    run(&[&["sweep", "lenet5", "--grid", "lr=0.1,0.01", "--epochs", "1"], &tiny[..]].concat(), on("sweep", "--out"))
        .json();
    run(&["sweep", "--json", "--device", "cpu", "--resume"], vec![at("sweep")]).json();
    let landscape = ["landscape", "cifar_cnn", "--size", "8x8", "--steps", "2", "--rates", "0.01,0.1"];
    run(&[&landscape, &tiny[..]].concat(), on("landscape", "--out")).json();
    assert!(strange.join("landscape/landscape.svg").is_file());
    let find = [&["lr-find", "lenet5", "--steps", "20", "--from", "1e-3", "--to", "1"], &tiny[..]].concat();
    // Whether a rate is suggested depends on the images; that is no panic either way.
    let found = crate::common::command().args(find).args(on("lr", "--out")).output().unwrap();
    assert!(!String::from_utf8_lossy(&found.stderr).contains("panicked"));
}

#[cfg(unix)]
#[test]
fn a_table_of_kernels_may_lie_where_paths_are_not_text() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    if tilewright::gpu::adapters().is_empty() {
        println!("skipped: 1 table of kernels, since there is no adapter");
        return;
    }
    let folder = tempdir().unwrap();
    let table = folder.path().join(OsStr::from_bytes(b"caf\xe9")).join("table.toml");
    let mut tune: Vec<OsString> =
        ["tune", "lenet5", "--batch", "1", "--budget", "0", "--json", "--out"].map(OsString::from).into();
    tune.push(table.clone().into());
    tilewright(&tune, 0).json();
    let words = ["train", "lenet5", "--data", "synthetic:1x12x12:2:8", "--batch", "4", "--epochs", "1", "--json"];
    let mut train: Vec<OsString> = words.map(OsString::from).into();
    train.extend(["--run".into(), folder.path().join("run").into_os_string(), "--tuned".into(), table.into()]);
    tilewright(&train, 0).json();
}
