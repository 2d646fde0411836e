//! The command as a user meets it: exit status, what is said where, and what a wrong word leads to.

use crate::common::{Ended, command, tilewright};
use crate::need::trials;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tilewright::gpu::adapters;

trials! {
    Nothing:
        wrong_usage_ends_with_status_2_and_a_hint,
        wrong_usage_is_told_as_json_too_where_json_is_asked_for,
        data_that_cannot_be_trained_on_are_refused_with_their_path,
        a_checkpoint_that_is_none_is_refused_with_its_path,
        every_subcommand_has_help_and_the_command_a_version,
        a_command_has_the_options_of_a_device_only_if_it_uses_them,
        an_unknown_model_or_attribute_is_refused_with_what_is_close,
        f16_is_refused_where_f32_is_asked_for_too,
        json_is_the_last_line_and_the_only_one_on_standard_output,
        a_file_that_cannot_be_read_is_a_failed_case_with_the_reason,
        a_wrong_number_is_told_with_the_largest_error_beside_its_bound,
        nan_agrees_with_nothing,
        what_is_not_known_is_unsupported_and_what_is_wrong_has_failed,
        the_graph_of_a_model_is_written_for_graphviz_and_mermaid,
        the_loader_is_silent_without_a_runtime_folder,
        a_closed_pipe_is_no_crash;
    Adapter:
        an_unknown_device_is_refused_with_those_there_are,
        check_ends_with_a_report_and_its_counts,
        check_takes_a_changed_shader_without_a_build_and_says_what_it_breaks,
        a_step_is_measured_with_changed_shaders_attributes_and_size;
    NoMatrixUnits:
        f16_runs_without_matrix_units_and_what_lacks_is_told;
    Vulkan:
        without_an_adapter_the_user_is_told_what_to_install;
}

/// A safetensors file with one case and tensors of f32.
fn write_case(folder: &Path, name: &str, case: &Value, tensors: &[(&str, &[usize], &[f32])]) {
    let mut header = json!({ "__metadata__": { "case": case.to_string() } });
    let mut data = Vec::new();
    for (tensor, shape, values) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        header[tensor] = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
    }
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(folder.join(format!("{name}.safetensors")), bytes).unwrap();
}

fn relu_case() -> Value {
    json!({ "format": 1, "name": "relu", "kind": "op", "op": "relu", "mode": "eval", "attrs": {}, "rtol": 1e-6, "atol": 0.0 })
}

/// Runs one case on the CPU reference and gives the line about it.
fn verdict(case: &Value, tensors: &[(&str, &[usize], &[f32])], status: i32) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_case(folder.path(), "case", case, tensors);
    let ended = tilewright(&["verify", "--device", "cpu", folder.path().to_str().unwrap()], status);
    ended.stdout.lines().next().unwrap_or_default().to_owned()
}

fn wrong_usage_ends_with_status_2_and_a_hint() {
    tilewright::<&str>(&[], 2).says("Usage");
    tilewright(&["chekc"], 2).says("check");
    tilewright(&["verify"], 2).says("DIR");
    tilewright(&["devices", "--jsno"], 2).says("--json");
    tilewright(&["summary", "lenet5", "--batch", "0"], 2).says("0");
    tilewright(&["summary", "lenet5", "--batch", "many"], 2).says("many");
    tilewright(&["summary", "lenet5", "--dot", "--text"], 2).says("--text");
    tilewright(&["train", "--batch", "0"], 2).says("--batch is 0");
    tilewright(&["train", "--epochs", "0"], 2).says("--epochs is 0");
    tilewright(&["train", "--lr", "-1"], 2).says("--lr is -1");
    tilewright(&["train", "--data", "minst"], 2).says("idx:DIR");
    tilewright(&["train", "--optimizer", "adm"], 2).says("adamw");
    tilewright(&["train", "--optimizer", "adam:bta=1"], 2).says("betas");
    tilewright(&["train", "--schedule", "cosin"], 2).says("cosine");
    tilewright(&["train", "--resume", "runs/x", "--batch", "1"], 2).says("--resume");
}

fn wrong_usage_is_told_as_json_too_where_json_is_asked_for() {
    let error = |arguments: &[&str]| tilewright(arguments, 2).json()["error"].as_str().unwrap().to_owned();
    assert!(error(&["train", "--json", "--bacth", "1"]).contains("--bacth"));
    assert!(error(&["train", "--json", "--batch", "0"]).contains("--batch is 0"));
    assert!(error(&["models", "surplus", "--json"]).contains("surplus"));
    assert!(tilewright(&["models", "--", "--json"], 2).stdout.is_empty());
    assert!(tilewright(&["models", "--json", "--help"], 0).stdout.contains("Usage"));
}

fn data_that_cannot_be_trained_on_are_refused_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run_folder = path("run").display().to_string();
    let train = |data: String, words: &[&str]| {
        let ended =
            tilewright(&["train", "--device", "cpu", "--epochs", "1", "--run", &run_folder, "--data", &data], 1);
        for word in words {
            ended.says(word);
        }
        assert!(!path("run").exists(), "{data} leaves a run folder behind");
    };
    train(format!("idx:{}", path("none").display()), &["none", "does not exist"]);
    for class in ["a", "b"] {
        fs::create_dir_all(path("images/train").join(class)).unwrap();
    }
    let source = format!("folder:{}", path("images").display());
    train(source.clone(), &["train/a", "is empty"]);
    fs::write(path("images/train/a/text.jpg"), b"no picture").unwrap();
    fs::write(path("images/train/b/empty.png"), b"").unwrap();
    fs::write(path("images/train/b/other.png"), b"").unwrap();
    train(source, &["cannot be decoded"]);
    train("synthetic:1x28x28:1:40".to_owned(), &["one class only"]);
}

fn a_checkpoint_that_is_none_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("noise"), [0xff; 64]).unwrap();
    fs::write(path("cut"), [9, 0, 0]).unwrap();
    tilewright(&["eval", &path("none")], 1).says(&path("none")).says("cannot be read");
    for file in ["noise", "cut"] {
        tilewright(&["eval", &path(file)], 1).says(&path(file)).says("is not a checkpoint");
        tilewright(&["predict", &path(file), &path("image.png")], 1).says("is not a checkpoint");
    }
    tilewright(&["train", "--resume", &path("none")], 2).says("is not a run folder");
    fs::create_dir(path("empty")).unwrap();
    tilewright(&["train", "--resume", &path("empty")], 2).says("is not a run folder");
}

fn without_an_adapter_the_user_is_told_what_to_install() {
    let mut command = command();
    for variable in ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"] {
        command.env(variable, "/nonexistent");
    }
    let output = command.args(["check", "--json"]).output().unwrap();
    Ended::of(output, 1).says("no GPU adapter was found").says("--device cpu");
}

fn every_subcommand_has_help_and_the_command_a_version() {
    let help = tilewright(&["--help"], 0);
    for command in ["train", "lr-find", "eval", "predict", "check", "verify", "devices", "models", "summary"] {
        help.says(command);
        tilewright(&[command, "--help"], 0).says("Usage").says("--json");
    }
    tilewright(&["--version"], 0).says(env!("CARGO_PKG_VERSION"));
}

fn a_command_has_the_options_of_a_device_only_if_it_uses_them() {
    let has = |command: &[&str], option: &str| tilewright(&[command, &["--help"]].concat(), 0).stdout.contains(option);
    for command in ["train", "lr-find", "sweep", "landscape", "eval", "predict", "profile", "check", "verify", "bench"]
    {
        for option in ["--device", "--checked", "--tuned"] {
            assert!(has(&[command], option), "{command} {option}");
        }
    }
    assert!(has(&["bench", "step"], "--tuned"));
    for command in ["summary", "tune"] {
        let found = ["--device", "--checked", "--tuned <"].map(|option| has(&[command], option));
        assert_eq!(found, [true, false, false], "{command}");
    }
    for command in ["models", "devices", "docs", "import", "export"] {
        for option in ["--device", "--checked", "--tuned"] {
            assert!(!has(&[command], option), "{command} {option}");
        }
    }
    tilewright(&["models", "--device", "cpu"], 2).says("--device");
}

fn an_unknown_model_or_attribute_is_refused_with_what_is_close() {
    tilewright(&["summary", "resnet81"], 2).says("error: ").says("did you mean").says("`resnet18`");
    tilewright(&["summary", "lenet5", "--set", "activatoin=relu"], 2).says("did you mean `activation`");
    tilewright(&["summary", "lenet5", "--set", "activation"], 2).says("activation");
}

fn an_unknown_device_is_refused_with_those_there_are() {
    let folder = tempfile::tempdir().unwrap();
    write_case(folder.path(), "relu", &relu_case(), &[]);
    let folder = folder.path().to_str().unwrap();
    tilewright(&["verify", folder, "--device", "no such card"], 2).says("no such card").says(&adapters()[0].info.name);
    tilewright(&["verify", folder, "--device", "99"], 2).says("--device 99").says(&adapters()[0].info.name);
    tilewright(&["check", "--device", "cpu"], 2).says("--device cpu");
    // The index and a part of the name, in any case, are the same adapter.
    let part = adapters()[0].info.name.split_whitespace().next().unwrap().to_uppercase();
    for device in ["0", "gpu", "auto", &part] {
        let ended = tilewright(&["check", "--op", "slice", "--precision", "f32", "--device", device], 0);
        ended.says("3 passed, 0 failed, 0 unsupported");
    }
}

fn f16_is_refused_where_f32_is_asked_for_too() {
    tilewright(&["train", "--precision", "half"], 2).says("--precision").says("f32 or f16");
    tilewright(&["check", "--op", "linear", "--precision", "f32", "--emulate"], 2).says("f32");
}

fn f16_runs_without_matrix_units_and_what_lacks_is_told() {
    let missing = adapters()[0].matrix_units.as_ref().unwrap_err().clone();
    let ended = tilewright(&["check", "--op", "slice", "--precision", "f16"], 0);
    ended.says("3 passed, 0 failed, 0 unsupported").says(missing[0]);
}

fn json_is_the_last_line_and_the_only_one_on_standard_output() {
    let only_json = |arguments: &[&str], status: i32| {
        let ended = tilewright(arguments, status);
        assert_eq!(ended.stdout.lines().count(), 1, "{arguments:?}: {}", ended.stderr);
        ended.json()
    };
    let models = only_json(&["models", "--json"], 0);
    let lenet = models["models"].as_array().unwrap().iter().find(|model| model["name"] == "lenet5").unwrap();
    assert_eq!(lenet["parameters"], 61_706);
    assert!(lenet["flops"].as_u64().unwrap() > 800_000);

    let summary = only_json(&["--json", "summary", "lenet5", "--batch", "8"], 0);
    assert_eq!((&summary["parameters"], &summary["batch"]), (&json!(61_706), &json!(8)));
    assert!(summary["training_peak_bytes"].as_u64() > summary["inference_peak_bytes"].as_u64());

    assert!(only_json(&["devices", "--json"], 0)["devices"].is_array());
    let error = only_json(&["summary", "no_such_model", "--json"], 2);
    assert!(error["error"].as_str().unwrap().contains("no_such_model"));

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("broken.safetensors"), b"not a file").unwrap();
    let folder = folder.path().to_str().unwrap();
    let counts = only_json(&["verify", folder, "--device", "cpu", "--json"], 1);
    assert_eq!(counts, json!({ "passed": 0, "failed": 1, "unsupported": 0 }));
}

fn a_file_that_cannot_be_read_is_a_failed_case_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write_case(folder.path(), "0_good", &relu_case(), &[("in.x", &[2], &[-1.0, 2.0]), ("out", &[2], &[0.0, 2.0])]);
    let whole = fs::read(folder.path().join("0_good.safetensors")).unwrap();
    write("1_empty.safetensors", b"");
    write("2_noise.safetensors", &[0xff; 64]);
    write("3_cut.safetensors", &whole[..whole.len() - 3]);
    write("4_huge_header.safetensors", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, b'{']);
    write_case(folder.path(), "5_other_format", &json!({ "format": 2, "kind": "op", "rtol": 0, "atol": 0 }), &[]);
    write_case(folder.path(), "6_no_case", &json!("no object"), &[]);
    write("ignored.txt", b"no case");
    fs::create_dir(folder.path().join("deeper")).unwrap();
    fs::copy(folder.path().join("0_good.safetensors"), folder.path().join("deeper/good.safetensors")).unwrap();

    let ended = tilewright(&["verify", "--device", "cpu", folder.path().to_str().unwrap()], 1);
    assert_eq!(ended.stdout.lines().last(), Some("2 passed, 6 failed, 0 unsupported"), "{}", ended.stderr);
    ended.says("3_cut: the file cannot be read").says("5_other_format: the case cannot be read: its format is 2");
    assert_eq!(ended.stdout.lines().count(), 9, "one line per case: {}", ended.stderr);

    tilewright(&["verify", "/no/such/folder"], 1).says("error: ").says("/no/such/folder");
    let empty = tempfile::tempdir().unwrap();
    tilewright(&["verify", empty.path().to_str().unwrap()], 1).says("no `*.safetensors` file");
}

fn a_wrong_number_is_told_with_the_largest_error_beside_its_bound() {
    let tensors: &[(&str, &[usize], &[f32])] = &[("in.x", &[3], &[-1.0, 2.0, 4.0]), ("out", &[3], &[0.0, 2.5, 4.0])];
    let line = verdict(&relu_case(), tensors, 1);
    assert!(line.contains("`out`: element 1 is 2e0, not 2.5e0; largest error 5.000e-1, bound 4.000e-6"), "{line}");
}

fn nan_agrees_with_nothing() {
    let tensors: &[(&str, &[usize], &[f32])] = &[("in.x", &[1], &[1.0]), ("out", &[1], &[f32::NAN])];
    assert!(verdict(&relu_case(), tensors, 1).starts_with("FAILED"));
}

fn what_is_not_known_is_unsupported_and_what_is_wrong_has_failed() {
    let x: (&str, &[usize], &[f32]) = ("in.x", &[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let change = |key: &str, value: Value| {
        let mut case = relu_case();
        case[key] = value;
        case
    };
    for (case, tensors, word, part) in [
        (change("op", json!("frobnicate")), vec![x], "unsupported", "the op `frobnicate`"),
        (change("kind", json!("prophecy")), vec![x], "unsupported", "`prophecy`"),
        (change("mode", json!("maybe")), vec![x], "FAILED", "`maybe`"),
        (change("attrs", json!({ "slope": 1 })), vec![x], "FAILED", "no attribute `slope`"),
        (relu_case(), vec![], "FAILED", "no tensor `in.x`"),
        (relu_case(), vec![x, ("out", &[4], &[1.0; 4])], "FAILED", "shape [1, 1, 2, 2], not [4]"),
        (relu_case(), vec![x, ("after.mean", &[1], &[1.0])], "FAILED", "`after.mean`"),
        (change("op", json!("conv2d")), vec![x, ("param.weight", &[1], &[1.0])], "FAILED", "weight has the shape"),
        (change("op", json!("max_pool2d")), vec![x], "FAILED", "needs the attribute `kernel_size`"),
    ] {
        let line = verdict(&case, &tensors, 1);
        assert!(line.starts_with(word) && line.contains(part), "not `{word}` and `{part}`: {line}");
    }
    let pool = json!({ "kernel_size": "two" });
    let case =
        json!({ "format": 1, "kind": "op", "op": "max_pool2d", "mode": "eval", "attrs": pool, "rtol": 0, "atol": 0 });
    assert!(verdict(&case, &[x], 1).contains("`kernel_size` = \"two\""));
    let model = json!({ "format": 1, "kind": "model", "model": "resnet1", "attrs": {}, "rtol": 0, "atol": 0 });
    assert!(verdict(&model, &[], 1).starts_with("unsupported"));
}

fn check_ends_with_a_report_and_its_counts() {
    let ended = tilewright(&["check", "--op", "slice", "--json"], 0);
    ended.says("driver").says("backend");
    let counts = ended.json();
    assert_eq!((&counts["failed"], &counts["unsupported"]), (&json!(0), &json!(0)));
    assert!(counts["passed"].as_u64() > Some(0));
    tilewright(&["check", "--op", "no such op"], 2).says("conv2d");
}

fn the_graph_of_a_model_is_written_for_graphviz_and_mermaid() {
    assert!(tilewright(&["summary", "lenet5", "--dot"], 0).stdout.starts_with("digraph"));
    assert!(tilewright(&["summary", "lenet5", "--mermaid"], 0).stdout.starts_with("flowchart"));
    assert!(tilewright(&["summary", "lenet5", "--text"], 0).stdout.contains("conv1.weight"));
}

fn the_loader_is_silent_without_a_runtime_folder() {
    let mut devices = command();
    devices.arg("devices").env_remove("XDG_RUNTIME_DIR").env_remove("VK_LOADER_DEBUG");
    Ended::of(devices.output().unwrap(), 0).never_says("XDG_RUNTIME_DIR");
}

fn a_closed_pipe_is_no_crash() {
    let mut child = command().arg("models").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked"), "{stderr}");

    let folder = tempfile::tempdir().unwrap();
    let arguments = ["train", "--device", "cpu", "--data", "synthetic:1x28x28:2:4", "--epochs", "1", "--run"];
    let mut child = command()
        .args(arguments)
        .arg(folder.path().join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0), "the run goes on without a reader");
}

fn check_takes_a_changed_shader_without_a_build_and_says_what_it_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    tilewright(&["check", "--op", "scale"], 0).says("mode     trusted");
    tilewright(&["check", "--op", "scale", "--shaders", &path], 0).says("0 failed").says("mode     checked");
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders/elementwise/scale.wgsl"));
    fs::create_dir(folder.path().join("elementwise")).unwrap();
    let file = folder.path().join("elementwise/scale.wgsl");
    fs::write(&file, source.unwrap().replace("FACTOR * x[i]", "x[i]")).unwrap();
    tilewright(&["check", "--op", "scale", "--shaders", &path], 1).says("FAILED: scale").says("elementwise/scale");
    fs::write(&file, "fn main(").unwrap();
    tilewright(&["check", "--op", "scale", "--shaders", &path], 1).says("shader `elementwise/scale`");
    tilewright(&["check", "--shaders", "no/such/folder"], 2).says("the shaders in `no/such/folder`");
}

fn a_step_is_measured_with_changed_shaders_attributes_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let small = ["lenet5", "--batch", "2", "--size", "20x24", "--set", "activation=relu"];
    tilewright(&[&["bench", "step"], &small[..], &["--shaders", &path]].concat(), 0)
        .says("lenet5 activation=\"relu\" 20x24 batch 2");
    fs::create_dir(folder.path().join("activation")).unwrap();
    fs::write(folder.path().join("activation/backward.wgsl"), "fn main(").unwrap();
    for command in [&["bench", "step"][..], &["profile"]] {
        tilewright(&[command, &small[..], &["--shaders", &path]].concat(), 1).says("shader `activation/backward`");
        tilewright(&[command, &small[..], &["--shaders", "no/such/folder"]].concat(), 2).says("no/such/folder");
        tilewright(&[command, &["lenet5", "--set", "depth=3"]].concat(), 2).says("no attribute `depth`");
        tilewright(&[command, &["lenet5", "--batch", "0"]].concat(), 2).says("--batch");
    }
}
