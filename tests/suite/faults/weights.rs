//! Weights from elsewhere, and what travels with them. The .pth files are made by tests/data/faults/weights/make.py.

use crate::common::{command, fixture, tilewright};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tilewright::checkpoint::{Checkpoint, Header, load_checkpoint, save_checkpoint};
use tilewright::data::{Interpolation, Normalization, Preprocessing};
use tilewright::interop::Definition;
use tilewright::models::{self, Model, ModelOptions, Takes};
use tilewright::nn::Mode;
use tilewright::recipe::TrainConfig;
use tilewright::tensor::Shape;

fn weights(name: &str) -> PathBuf {
    fixture("faults/weights").join(name)
}

/// Imports LeNet-5 for 12x12 images.
fn import(file: &Path, out: &Path, more: &[&str], status: i32) -> crate::common::Ended {
    let size = "image_size=[12,12]";
    let [file, out] = [file, out].map(|path| path.to_str().unwrap());
    tilewright(&[&["import", "lenet5", file, "--set", size, "--out", out], more].concat(), status)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn every_form_that_torch_save_has_had_gives_the_same_weights() {
    let folder = folder();
    let read = |name: &str| {
        let out = folder.path().join(name);
        import(&weights(name), &out, &[], 0);
        load_checkpoint(&out).unwrap()
    };
    let plain = read("plain.pth");
    let (shape, data) = &plain.tensors["conv1.weight"];
    assert_eq!(shape, &Shape::from([6, 1, 5, 5]));
    // Transposed, and the same for each filter.
    assert_eq!(data[25..31], [0.0, 5.0, 10.0, 15.0, 20.0, 1.0].map(|x: f32| x / 16.0));
    assert!(plain.tensors["fc3.bias"].1.iter().all(|&x| x == 9.0 / 16.0));
    for name in ["legacy.pth", "oldest.pth", "several.pth", "averaged.pth", "nested.pth"] {
        assert_eq!(read(name), plain, "{name}");
    }
}

#[test]
fn of_several_weights_the_choice_is_told_and_a_key_chooses() {
    let folder = folder();
    let out = folder.path().join("out");
    let file = weights("several.pth");
    import(&file, &out, &[], 0).says("the weights under `model` are taken; `state_dict_ema` suit too").says("--key");
    import(&file, &out, &["--key", "state_dict_ema"], 0).never_says("suit too");
    assert!(load_checkpoint(&out).unwrap().tensors["fc3.bias"].1.iter().all(|&x| x == 109.0 / 16.0));
    import(&file, &out, &["--key", "ema"], 2).says("one of its keys: `model`, `state_dict_ema`");
    let nested = weights("nested.pth");
    import(&nested, &out, &["--key", "backbone"], 0);
    import(&nested, &out, &["--key", "checkpoint.weights"], 0);
    import(&nested, &out, &[], 0).says("left out, such as `loss.weight`");
}

#[test]
fn what_cannot_be_taken_is_told_in_little_memory() {
    let folder = folder();
    let out = folder.path().join("out");
    import(&weights("many.pth"), &out, &[], 1).says("1992 more");
    import(&weights("huge.pth"), &out, &[], 1)
        .says("`fc1.weight` is [1073741824, 1073741824], the model's is [120, 16]");
    import(&weights("deep.pth"), &out, &[], 1).says("none of its entries is a dict of tensors: `a`, `b`");
    import(&weights("module.pth"), &out, &[], 1).says("it holds a `torch.nn.parameter.Parameter`");
    import(&weights("nan.pth"), &out, &[], 1).says("`fc2.bias` holds NaN at element 0");
    assert!(!out.exists());
}

/// A checkpoint of LeNet-5 for 12x12 images and these classes.
fn checkpoint(folder: &Path, classes: &str) -> PathBuf {
    let [names, out] = ["classes.txt", "checkpoint.safetensors"].map(|name| folder.join(name));
    fs::write(&names, classes).unwrap();
    import(&weights("plain.pth"), &out, &["--classes", names.to_str().unwrap()], 0);
    out
}

#[test]
fn marks_of_windows_editors_are_no_part_of_the_classes() {
    let folder = folder();
    for text in [
        "cat\ndog\nfox\nowl",
        "\u{feff}cat\ndog\nfox\nowl\n",
        "cat\r\ndog\r\nfox\r\nowl\r\n\r\n",
        "cat\ndog\nfox\nowl\n\n \n",
    ] {
        let header = load_checkpoint(&checkpoint(folder.path(), text)).unwrap().header;
        assert_eq!(header.classes, ["cat", "dog", "fox", "owl"], "{text:?}");
    }
    let [names, out] = ["names.txt", "out"].map(|name| folder.path().join(name));
    for (text, reason) in [
        ("cat\ndog\ncat\nowl\n", "lines 1 and 3 of "),
        ("cat\n\nfox\nowl\n", "line 2 of "),
        ("cat\ndog\nfox\n", "--classes is 3 names, but must be 4"),
    ] {
        fs::write(&names, text).unwrap();
        let status = if text.lines().count() == 3 { 2 } else { 1 };
        import(&weights("plain.pth"), &out, &["--classes", names.to_str().unwrap()], status).says(reason);
    }
}

#[test]
fn each_image_gets_its_line_and_a_bad_one_its_reason() {
    let folder = folder();
    let checkpoint = checkpoint(folder.path(), "cat\ndog\nfox\nowl");
    let images = folder.path().join("images");
    fs::create_dir_all(images.join("more")).unwrap();
    for (name, shade) in [("a.png", 40), ("c.PNG", 90), ("more/d.png", 200)] {
        image::GrayImage::from_pixel(20, 30, image::Luma([shade]))
            .save_with_format(images.join(name), image::ImageFormat::Png)
            .unwrap();
    }
    fs::write(images.join("b.jpg"), "no image").unwrap();
    let predict = |path: &Path, more: &[&str], status| {
        let arguments = [&["predict", checkpoint.to_str().unwrap(), path.to_str().unwrap(), "--device", "cpu"], more];
        tilewright(&arguments.concat(), status)
    };
    let ended = predict(&images, &["--json"], 1);
    let predictions = ended.json()["predictions"].as_array().unwrap().clone();
    let failed: Vec<bool> = predictions.iter().map(|prediction| prediction.get("error").is_some()).collect();
    assert_eq!(failed, [false, true, false, false], "{predictions:?}");
    predict(&images, &[], 1).says("a.png: ").says("b.jpg: error: ").says("d.png: ").says("1 of 4 images");
    predict(&images.join("more"), &["--resize", "16", "--top", "1"], 0).says("d.png: ");
    predict(&images.join("more"), &["--resize", "16", "--crop-share", "0.1"], 2).says("--crop-share");
    fs::create_dir(images.join("none")).unwrap();
    predict(&images.join("none"), &[], 1).says("is empty");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_an_error_and_a_closed_pipe_is_none() {
    let folder = folder();
    let checkpoint = checkpoint(folder.path(), "cat\ndog\nfox\nowl");
    let out = folder.path().join("out.onnx");
    let export = ["export", checkpoint.to_str().unwrap(), out.to_str().unwrap()];
    let run = |arguments: &[&str], full: bool| {
        let mut command = command();
        if full {
            command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        } else {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            command.stdout(writer);
        }
        let ended = command.args(arguments).stderr(std::process::Stdio::piped()).output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).contains("standard output cannot be written"))
    };
    for arguments in
        [&["models"][..], &["models", "--json"], &["docs", "ops"], &["--help"], &["train", "--help"], &export]
    {
        assert_eq!(run(arguments, true), (Some(1), true), "{arguments:?}");
        assert_eq!(run(arguments, false), (Some(0), false), "{arguments:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_read_or_belongs_to_a_run_is_not_written_over() {
    let folder = folder();
    let of_run = checkpoint(folder.path(), "cat\ndog\nfox\nowl");
    let at = |name: &str| folder.path().join(name);
    let run = |command: &[&str], from: &Path, to: &str, status| {
        let (from, to) = (from.to_str().unwrap(), at(to));
        tilewright(&[command, &[from], &[to.to_str().unwrap()]].concat(), status)
    };
    run(&["export"], &of_run, "weights.safetensors", 0);
    let before = fs::read(at("weights.safetensors")).unwrap();
    std::os::unix::fs::symlink("weights.safetensors", at("link.safetensors")).unwrap();
    fs::hard_link(at("weights.safetensors"), at("hard.safetensors")).unwrap();
    for name in ["weights.safetensors", "link.safetensors", "hard.safetensors"] {
        import(&at("weights.safetensors"), &at(name), &[], 2).says("that is read").says("--force");
    }
    assert_eq!(fs::read(at("weights.safetensors")).unwrap(), before);
    // Exported twice over the same file, which is no run's: that is how one works.
    run(&["export"], &of_run, "weights.safetensors", 0);
    assert_eq!(fs::read(at("weights.safetensors")).unwrap(), before, "the same bytes each time");

    let mut trained = load_checkpoint(&of_run).unwrap();
    trained.header.progress.step = 12;
    save_checkpoint(&at("trained.safetensors"), &trained).unwrap();
    run(&["export"], &of_run, "trained.safetensors", 2).says("a checkpoint of a run, after 12 steps");
    fs::write(at("config.toml"), "").unwrap();
    run(&["export"], &at("trained.safetensors"), "weights.safetensors", 2).says("belongs to the run in");
    import(&weights("plain.pth"), &at("weights.safetensors"), &["--force"], 0);
}

#[test]
fn what_is_exported_comes_back_as_the_same_network() {
    let folder = folder();
    let [one, out, back] = ["one", "out.safetensors", "back"].map(|name| folder.path().join(name));
    let more = ["--set", "activation=relu", "--set", "pool=max", "--normalize", "0.25/0.5", "--resize", "14"];
    import(&weights("plain.pth"), &one, &more, 0).says("activation=relu, pool=max").says("shorter side of 14");
    let [one_text, out_text, back_text] = [&one, &out, &back].map(|path| path.to_str().unwrap());
    tilewright(&["export", one_text, out_text], 0);
    tilewright(&["import", "lenet5", out_text, "--out", back_text], 0).says("(as the file says)").says("pool=max");
    let [one, back] = [&one, &back].map(|path| load_checkpoint(path).unwrap());
    assert_eq!(Definition::of(&back.header), Definition::of(&one.header));
    assert_eq!(back.tensors, one.tensors);
    tilewright(&["import", "lenet5_modern", out_text, "--out", back_text], 2).says("it is of the model `lenet5`");
}

/// Another value than the default, if there is one that the function of the model may depend on.
fn another(takes: Takes) -> Option<serde_json::Value> {
    Some(match takes {
        Takes::Flag(flag) => (!flag).into(),
        Takes::Word(words) => (*words.get(1)?).into(),
        Takes::Count(count) => (2 * count).into(),
        Takes::Number(number) => (number + 0.125).into(),
        Takes::Share(share) => (share / 2.0).into(),
        Takes::Probability(_) => 0.25.into(),
        Takes::Counts(_) => return None,
    })
}

#[test]
fn every_attribute_of_every_model_travels() {
    let there_and_back = |model: &Model, options: ModelOptions| {
        let Ok(built) = model.graph(&options, 1, Mode::Eval) else { return false };
        let attributes = options.attributes().clone();
        let config = TrainConfig { model: model.name.to_owned(), attributes, ..TrainConfig::default() };
        let input = model.input(&options).unwrap();
        let normalization = Normalization { mean: vec![0.1; input[0]], std: vec![0.3; input[0]] };
        let classes = (0..model.num_classes).map(|class| format!("class {class}")).collect();
        let mut header = Header::new(config, input, classes, normalization);
        header.preprocessing = Preprocessing { resize: Some(7), interpolation: Interpolation::Bicubic };
        let definition = Definition::of(&header);
        let entries: HashMap<String, String> =
            definition.entries().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let read = Definition::read(&entries).unwrap().unwrap();
        assert_eq!(read, definition, "{}", model.name);
        let again = read.options(&Default::default()).num_classes(read.classes.len());
        let again = model.graph(&again, 1, Mode::Eval).unwrap();
        assert_eq!(again.graph.to_text(), built.graph.to_text(), "{}: {:?}", model.name, options.attributes());
        true
    };
    let mut changed = 0;
    for model in models::all() {
        assert!(there_and_back(model, ModelOptions::new()), "{}", model.name);
        for &(name, takes) in model.attributes {
            let options = another(takes).map(|value| ModelOptions::new().with(name, value));
            changed += usize::from(options.is_some_and(|options| there_and_back(model, options)));
        }
    }
    assert!(changed > 100, "{changed} attributes");
}

#[test]
fn a_header_that_asks_for_more_than_memory_is_refused() {
    let folder = folder();
    let whole = load_checkpoint(&checkpoint(folder.path(), "cat\ndog\nfox\nowl")).unwrap();
    let path = folder.path().join("damaged");
    let image = folder.path().join("image.png");
    image::GrayImage::new(12, 12).save(&image).unwrap();
    let refused = |change: &dyn Fn(&mut Header), reason: &str| {
        let mut header = whole.header.clone();
        change(&mut header);
        save_checkpoint(&path, &Checkpoint { header, tensors: whole.tensors.clone() }).unwrap();
        let [path, image] = [&path, &image].map(|path| path.to_str().unwrap());
        tilewright(&["predict", path, image, "--device", "cpu"], 1).says(reason);
        tilewright(&["export", path, &format!("{path}.onnx")], 1).says(reason);
    };
    for input in
        [[1, usize::MAX, 2], [1, 1 << 32, 1 << 32], [1, 65_535, 65_535], [0, 12, 12], [1, 0, 12], [usize::MAX; 3]]
    {
        refused(&|header| header.input = input, "which no model takes");
    }
    refused(&|header| header.classes.clear(), "it has 0 classes");
    refused(&|header| header.normalization.std = vec![0.0], "deviations above 0");
    refused(&|header| header.normalization.mean.clear(), "1 numbers of each");
}

#[test]
fn weights_from_elsewhere_bring_their_normalisation_in_training_too() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let pth = weights("rgb.pth");
    import(&pth, Path::new(&at("imported")), &["--set", "input_channels=3"], 0);
    let train = |init: &str, run: &str, more: &[&str]| {
        let run = at(run);
        let data = "synthetic:3x12x12:4:16";
        let arguments =
            ["train", "lenet5", "--set", "input_channels=3", "--data", data, "--batch", "8", "--epochs", "1"];
        let init = ["--device", "cpu", "--init", init, "--run", &run];
        let ended = tilewright(&[&arguments[..], &init, more].concat(), 0);
        (ended, load_checkpoint(&Path::new(&run).join("checkpoint.safetensors")).unwrap())
    };
    let (ended, direct) = train(pth.to_str().unwrap(), "direct", &[]);
    ended.says("images are normalised by mean 0.4850, 0.4560, 0.4060").says("rgb.pth");
    let (ended, imported) = train(&at("imported"), "through", &[]);
    ended.says("the weights were trained with activation=sigmoid");
    assert_eq!(direct.header.normalization, imported.header.normalization);
    assert_eq!(direct.tensors, imported.tensors);
    // A run folder stands for its last checkpoint.
    let (ended, _) = train(&at("direct"), "onwards", &[]);
    ended.says("as the weights were trained");
    let (_, given) = train(&at("direct"), "given", &["--normalize", "0.5/0.25"]);
    assert_eq!(given.header.normalization, Normalization { mean: vec![0.5; 3], std: vec![0.25; 3] });
}

#[test]
fn how_images_get_their_size_is_kept_from_training_to_prediction_and_through_a_resume() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let data = "synthetic:1x16x20:3:12";
    let run = at("run");
    let size = ["--size", "12x12", "--resize", "14", "--interpolation", "bicubic"];
    let arguments =
        ["train", "lenet5", "--data", data, "--batch", "4", "--epochs", "1", "--device", "cpu", "--run", &run];
    tilewright(&[&arguments[..], &size].concat(), 0);
    let expected = Preprocessing { resize: Some(14), interpolation: Interpolation::Bicubic };
    let header = || load_checkpoint(&Path::new(&run).join("checkpoint.safetensors")).unwrap().header;
    assert_eq!(header().preprocessing, expected);
    tilewright(&["train", "--resume", &run, "--epochs", "2", "--device", "cpu"], 0);
    assert_eq!((header().preprocessing, header().progress.step), (expected, 6));
    let eval = |more: &[&str]| {
        let ended = tilewright(&[&["eval", &run, "--device", "cpu", "--json"], more].concat(), 0);
        ended.json()["test_loss"].as_f64().unwrap()
    };
    assert_eq!(eval(&[]), eval(&["--resize", "14"]));
    assert_ne!(eval(&[]), eval(&["--crop-share", "0.6"]));
    // Started from the run, at another size: the same share of the image.
    let onwards = at("onwards");
    let arguments =
        ["train", "lenet5", "--data", data, "--batch", "4", "--epochs", "1", "--device", "cpu", "--run", &onwards];
    tilewright(&[&arguments[..], &["--size", "12x12", "--init", &run]].concat(), 0);
    let header = load_checkpoint(&Path::new(&onwards).join("checkpoint.safetensors")).unwrap().header;
    assert_eq!((header.preprocessing, header.config.resize), (expected, Some(14)));
    tilewright(&["train", "lenet5", "--data", data, "--device", "cpu", "--resize", "14"], 2).says("--size");
}
