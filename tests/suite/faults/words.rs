//! What is said, and what is written for people.

use crate::common::{command, tilewright};
use serde_json::Value;
use std::fs;

/// Two steps per epoch, on the CPU reference.
const SMALL: &[&str] = &["train", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:8", "--batch", "4"];

fn help(arguments: &[&str]) -> String {
    tilewright(arguments, 0).stdout
}

#[test]
fn help_tells_each_command_its_own_defaults() {
    for command in ["train", "lr-find", "sweep"] {
        let text = help(&[command, "--help"]);
        assert!(text.contains("[default: lenet5]") && !text.contains("landscape"), "{text}");
    }
    assert!(help(&["landscape", "--help"]).contains("[default: cifar_cnn, on mnist]"));
}

#[test]
fn help_is_short_or_long_with_options_in_groups() {
    let [short, long] = ["-h", "--help"].map(|option| help(&["train", option]));
    assert!(2 * short.lines().count() < long.lines().count(), "{short}");
    for heading in ["Data:", "Model and weights:", "Training:", "Run:", "Device:", "Output:"] {
        assert!(short.contains(heading) && long.contains(heading), "{heading}\n{short}");
    }
    for (command, headings) in [
        ("eval", ["Data:", "Evaluation:", "Device:", "Output:"]),
        ("import", ["Checkpoint:", "Model and weights:", "Data:", "Output:"]),
        ("bench", ["Kernels:", "Device:", "Output:", "Options:"]),
        ("tune", ["Model:", "Table:", "Device:", "Output:"]),
    ] {
        let text = help(&[command, "-h"]);
        for heading in headings {
            assert!(text.contains(heading), "{heading}\n{text}");
        }
        // What is left without a heading is the help itself.
        let rest = text.split("Options:").nth(1).unwrap_or_default();
        let rest = rest.split("\n\n").next().unwrap_or_default();
        assert_eq!(rest.lines().filter(|line| line.trim_start().starts_with('-')).count(), 1, "{rest}");
    }
    for attribute in ["T_max (to the end of the run)", "milestones (must be given)", "momentum=0,", "betas=0.9+0.999"] {
        assert!(long.contains(attribute), "{attribute}\n{long}");
    }
}

#[test]
fn completions_and_manual_pages_name_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = help(&["completions", shell]);
        assert!(script.contains("lr-find") && script.contains("label-smoothing"), "{shell}");
    }
    tilewright(&["completions", "cmd"], 2).says("bash");
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    tilewright(&["man", pages.to_str().unwrap()], 0);
    let page = fs::read_to_string(pages.join("tilewright-train.1")).unwrap();
    assert!(page.contains("schedule"), "{page}");
    assert!(pages.join("tilewright.1").is_file());
    fs::write(folder.path().join("file"), "").unwrap();
    tilewright(&["man", folder.path().join("file").to_str().unwrap()], 1).says("cannot be written");
}

#[test]
fn data_that_only_a_recipe_names_are_told_with_what_to_say_instead() {
    let folder = tempfile::tempdir().unwrap();
    for (model, command_line) in [("cifar_cnn", "train"), ("resnet18_cifar", "lr-find")] {
        let output = command().args([command_line, model]).current_dir(folder.path()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        for part in ["recipe", "`cifar-10-batches-bin`", "--data cifar10:DIR", "--data synthetic:3x32x32:10"] {
            assert!(stderr.contains(part), "{part}: {stderr}");
        }
    }
}

#[test]
fn a_run_says_its_best_epoch_and_how_many_parameters_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let first = path("first");
    let ended = tilewright(&[SMALL, &["--epochs", "3", "--json", "--run", &first]].concat(), 0);
    let result = ended.json();
    let rows: Vec<String> =
        fs::read_to_string(folder.path().join("first/epochs.csv")).unwrap().lines().map(str::to_owned).collect();
    let accuracy = |row: &String| row.split(',').nth(4).unwrap().parse::<f64>().unwrap();
    let best = rows[1..].iter().map(accuracy).fold(0.0, f64::max);
    let last_best = rows[1..].iter().rposition(|row| accuracy(row) == best).unwrap() + 1;
    assert_eq!(result["best_epoch"], last_best);
    let last = ended.stderr.lines().last().unwrap().to_owned();
    assert!(last.contains(&format!("best epoch {last_best} with a test accuracy of {:.2} %", 100.0 * best)), "{last}");

    let weights = format!("{first}/checkpoint.safetensors");
    let frozen = ["--epochs", "1", "--init", &weights, "--head", "2", "--freeze", "*", "--run", &path("frozen")];
    tilewright(&[SMALL, &frozen].concat(), 0).says(" of ").says(" parameters trained, on ");
}

#[test]
fn each_epoch_is_a_line_of_json_where_that_is_asked_for_and_quiet_says_the_result_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let lines = tilewright(&[SMALL, &["--epochs", "3", "--json-lines", "--run", &path("lines")]].concat(), 0).stdout;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (index, line) in lines[..3].iter().enumerate() {
        assert_eq!(line["epoch"], index + 1);
        assert!(line["train_loss"].is_number() && line["test_accuracy"].is_number(), "{line}");
    }
    assert!(lines[3]["run"].is_string(), "{}", lines[3]);

    let quiet = tilewright(&[SMALL, &["--epochs", "1", "--quiet", "--run", &path("quiet")]].concat(), 0);
    assert!(quiet.stderr.is_empty(), "{}", quiet.stderr);
    assert!(quiet.stdout.contains("test accuracy"), "{}", quiet.stdout);
    tilewright(&["summary", "no_such_model", "--quiet"], 2).says("error: ").says("no_such_model");
}

#[test]
fn each_trial_of_a_sweep_that_is_over_is_a_line_of_json_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    let mut arguments = SMALL.to_vec();
    arguments[0] = "sweep";
    let search = ["--epochs", "4", "--grid", "lr=0.1,0.01,0.001,1e30", "--halving", "2", "--json-lines"];
    let place = ["--out", out.to_str().unwrap()];
    let lines = tilewright(&[&arguments[..], &search, &place].concat(), 0).stdout;
    let mut lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = lines.pop().unwrap();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for line in &lines {
        let index = line["number"].as_u64().unwrap() as usize - 1;
        assert_eq!(line, &result["trials"][index]);
        assert!(["done", "halted", "failed"].contains(&line["status"].as_str().unwrap()), "{line}");
    }
    assert_eq!(lines.last().unwrap()["status"], "done");
    assert_eq!(
        tilewright(&["sweep", "--json-lines", "--device", "cpu", "--resume", place[1]], 0).stdout.lines().count(),
        1
    );
}

#[test]
fn what_a_run_is_normalised_by_is_told_by_every_command_that_trains() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let commands: [(&str, &[&str], &str); 4] = [
        ("train", &["--epochs", "1"], "--run"),
        ("lr-find", &["--steps", "20", "--from", "1e-3", "--to", "1"], "--out"),
        ("sweep", &["--epochs", "1", "--grid", "lr=0.1"], "--out"),
        ("landscape", &["--steps", "2", "--rates", "0.01,0.1"], "--out"),
    ];
    for (name, extra, out) in commands {
        let mut arguments: Vec<String> = SMALL.iter().map(|word| word.to_string()).collect();
        arguments[0] = name.to_owned();
        if name == "landscape" {
            arguments[1] = "cifar_cnn".to_owned();
            arguments.extend(["--size".to_owned(), "8x8".to_owned()]);
        }
        arguments.extend(extra.iter().map(|word| word.to_string()));
        for (normalize, by) in [(&[][..], "(data)"), (&["--normalize", "0.5/0.25"], "(0.5/0.25)")] {
            let folder = path(&format!("{name}-{}", normalize.len()));
            // Whether a rate is suggested is not the question.
            let ended = command().args(&arguments).args(normalize).args([out, &folder]).output().unwrap();
            let told = String::from_utf8_lossy(&ended.stderr);
            let line = told.lines().find(|line| line.contains("images are normalised by"));
            assert!(line.is_some_and(|line| line.contains(by)), "{name}: {told}");
        }
        arguments.extend([out.into(), path(name)]);
        tilewright(&[&arguments[..], &["--init-key".to_owned(), "ema".to_owned()]].concat(), 2)
            .says("--init is not given, but must be a file with weights where --init-key is given");
    }
}

#[test]
fn a_recipe_says_sizes_as_the_command_line_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (size, expected) in [("'16x12'", Some("16x12")), ("[16, 12]", Some("16x12")), ("'16'", None), ("[0, 12]", None)]
    {
        let recipe = path("recipe.toml");
        fs::write(&recipe, format!("model = 'lenet5'\nbatch = 4\nepochs = 1\nsize = {size}\n")).unwrap();
        let run = path(&size.replace(['\'', '[', ']', ',', ' '], "_"));
        let train = ["train", "--device", "cpu", "--data", "synthetic:1x12x12:2:8", "--recipe", &recipe, "--run", &run];
        let ended = tilewright(&train, if expected.is_some() { 0 } else { 2 });
        match expected {
            Some(expected) => {
                let config = fs::read_to_string(format!("{run}/config.toml")).unwrap();
                assert!(config.contains(&format!("size = \"{expected}\"")), "{config}");
            }
            None => drop(ended.says("size").says("32x32")),
        }
    }
}

#[test]
fn no_escapes_are_written_where_no_terminal_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    tilewright(&[SMALL, &["--epochs", "1", "--run", run.to_str().unwrap()]].concat(), 0).never_says("\x1b");
    tilewright(&["summary", "no_such_model"], 2).never_says("\x1b");
}

#[test]
fn a_sweep_shows_more_than_ten_trials() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("sweep");
    let mut arguments = SMALL.to_vec();
    arguments[0] = "sweep";
    let options = ["--epochs", "1", "--grid", "seed=1,2,3,4,5,6,7,8,9,10,11,12", "--out", out.to_str().unwrap()];
    let ended = tilewright(&[&arguments[..], &options].concat(), 0);
    assert_eq!(ended.stdout.lines().filter(|line| line.ends_with("done |")).count(), 12, "{}", ended.stdout);
}

#[test]
fn a_file_that_is_not_there_is_no_question_of_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    tilewright(&[SMALL, &["--epochs", "1", "--run", run.to_str().unwrap()]].concat(), 0);
    let image = folder.path().join("none.png");
    let ended = tilewright(&["predict", "--device", "cpu", run.to_str().unwrap(), image.to_str().unwrap()], 1);
    ended.says("none.png").never_says("permission");
}

#[test]
fn a_run_that_goes_on_takes_no_setting_that_it_would_ignore() {
    for setting in
        [&["--drop-last"][..], &["--validation", "0.1"], &["--crop", "2"], &["--l1", "0.1"], &["--set", "pool=avg"]]
    {
        for command in ["train", "sweep"] {
            tilewright(&[&[command, "--resume", "runs/none"], setting].concat(), 2).says("cannot be used with");
        }
    }
    tilewright(&["train", "lenet5", "--resume", "runs/none"], 2).says("cannot be used with");
}

#[test]
fn what_would_steer_a_terminal_is_written_out() {
    let told = |arguments: &[&str]| {
        let ended = command().args(arguments).args(["--device", "cpu"]).output().unwrap();
        assert!(!ended.status.success());
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    for steering in ["\u{1b}[31m", "\u{202e}"] {
        for arguments in [["train", "--batch", steering], ["predict", steering, "a.png"], ["train", "lenet5", steering]]
        {
            let told = told(&arguments);
            assert!(!told.contains(steering), "{told}");
        }
        assert!(told(&["train", steering]).contains(&steering.escape_default().to_string()));
    }
    assert!(told(&["train", "--batch", "\u{202e}1"]).contains("\\u{202e}1"));
}
