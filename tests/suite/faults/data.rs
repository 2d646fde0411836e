//! Images and classes: what is read, what is left out, and what is told of it.

use crate::common::{Ended, command, fixture, tilewright};
use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tilewright::data::{DataError, LoadOptions, MAX_PIXELS, Preprocessing, Source, load_image};

/// Top left, top right, bottom left and bottom right of the image that the files in `tests/data/faults/data` hold.
const COLOURS: [[u8; 3]; 4] = [[220, 40, 40], [40, 200, 60], [50, 60, 210], [128, 128, 128]];
const GREYS: [u8; 4] = [94, 136, 74, 128];

fn load(path: &Path, channels: usize) -> Result<Vec<u8>, DataError> {
    load_image(path, channels, (16, 32), Preprocessing::default(), MAX_PIXELS)
}

/// The values of each plane in the middle of the four quarters.
fn quarters(image: &[u8]) -> Vec<[u8; 4]> {
    let at = |plane: &[u8], y: usize, x: usize| plane[y * 32 + x];
    image
        .chunks_exact(16 * 32)
        .map(|plane| [(4, 4), (4, 28), (12, 4), (12, 28)].map(|(y, x)| at(plane, y, x)))
        .collect()
}

fn assert_near(name: &str, got: [u8; 4], expected: [u8; 4]) {
    let near = got.iter().zip(expected).all(|(&got, expected)| got.abs_diff(expected) <= 6);
    assert!(near, "{name}: {got:?}, not {expected:?}");
}

#[test]
fn an_image_is_upright_and_has_its_colours_whatever_its_format() {
    for name in [
        "exif3.jpg",
        "exif6.jpg",
        "exif8.jpg",
        "exif6.png",
        "exif6.webp",
        "baseline.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "lossless.webp",
        "lossy.webp",
        "plain.bmp",
        "palette.bmp",
        "palette.png",
        "alpha.png",
        "rgb16.png",
    ] {
        let planes = quarters(&load(&fixture("faults/data").join(name), 3).unwrap());
        for (channel, plane) in planes.into_iter().enumerate() {
            assert_near(name, plane, COLOURS.map(|colour| colour[channel]));
        }
    }
    for (name, expected) in [("grey.jpg", GREYS), ("grey.png", GREYS), ("grey16.png", [220, 40, 50, 128])] {
        assert_near(name, quarters(&load(&fixture("faults/data").join(name), 1).unwrap())[0], expected);
    }
}

#[test]
fn an_image_that_is_cut_off_anywhere_is_damaged_and_never_half_grey() {
    let folder = TempDir::new().unwrap();
    let cut = folder.path().join("cut");
    for name in [
        "baseline.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "cmyk.jpg",
        "exif6.jpg",
        "rgb16.png",
        "palette.png",
        "lossless.webp",
        "lossy.webp",
        "plain.bmp",
        "palette.bmp",
    ] {
        let whole = fs::read(fixture("faults/data").join(name)).unwrap();
        let original = load(&fixture("faults/data").join(name), 3).unwrap();
        for length in (0..whole.len()).step_by(5).chain([whole.len() - 2, whole.len() - 1]) {
            fs::write(&cut, &whole[..length]).unwrap();
            match load(&cut, 3) {
                Err(DataError::Undecodable { .. }) => {}
                Err(other) => panic!("{name} cut to {length} bytes: {other}"),
                // All of the pixels may be there before the last bytes.
                Ok(image) => assert!(image == original, "{name} cut to {length} of {} bytes", whole.len()),
            }
        }
        // Closed again by what mends files: the decoder sees an end, and fills with grey.
        if name.ends_with(".jpg") && name != "progressive.jpg" {
            for length in (2..whole.len() - 2).step_by(7) {
                fs::write(&cut, [&whole[..length], &[0xff, 0xd9]].concat()).unwrap();
                assert!(load(&cut, 3).is_err(), "{name} cut to {length} bytes and closed");
            }
        }
        if name.ends_with(".jpg") || name.ends_with(".png") {
            let middle = whole.len() * 2 / 3;
            fs::write(&cut, [&whole[..middle], &vec![0; whole.len() - middle]].concat()).unwrap();
            assert!(load(&cut, 3).is_err(), "{name} with zeros from byte {middle} on");
        }
    }
}

#[test]
fn a_small_file_that_says_it_is_huge_is_refused_from_its_header() {
    for name in ["huge.jpg", "huge.png", "huge.bmp", "huge.webp"] {
        let error = load(&fixture("faults/data").join(name), 3).unwrap_err();
        assert!(matches!(error, DataError::TooManyPixels { .. }), "{name}: {error}");
        assert!(error.to_string().contains("`max_pixels`"), "{error}");
    }
    let small = fixture("faults/data").join("plain.bmp");
    assert!(load_image(&small, 3, (16, 32), Preprocessing::default(), 16 * 32).is_ok());
    assert!(load_image(&small, 3, (16, 32), Preprocessing::default(), 16 * 32 - 1).is_err());
}

/// A folder of images of 12x12 in which each class has its own shade.
struct Images(TempDir);

impl Images {
    fn new() -> Images {
        Images(TempDir::new().unwrap())
    }

    /// Writes images of a shade to `path`, with `{}` for their numbers.
    fn draw(&self, path: &str, count: u8, shade: u8) -> &Self {
        for number in 0..count {
            let file = self.path(&path.replace("{}", &number.to_string()));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            image::GrayImage::from_pixel(12, 12, image::Luma([shade + number])).save(file).unwrap();
        }
        self
    }

    fn write(&self, path: &str, bytes: &[u8]) -> &Self {
        let file = self.path(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
        self
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn source(&self) -> String {
        format!("folder:{}", self.0.path().display())
    }
}

/// LeNet-5 on 12x12 images, one epoch on the reference.
fn train(data: &str, options: &[&str], status: i32) -> Ended {
    let run = TempDir::new().unwrap();
    let run = run.path().join("run");
    let arguments = ["train", "lenet5", "--device", "cpu", "--data", data, "--epochs", "1", "--batch", "4", "--json"];
    tilewright(&[&arguments[..], &["--run", run.to_str().unwrap()], options].concat(), status)
}

#[test]
fn images_of_every_ending_and_in_nested_folders_are_taken_and_the_rest_is_named_once() {
    let images = Images::new();
    images.draw("Training/dark/{}.PNG", 2, 10).draw("Training/dark/deep/er/{}.Jpg", 2, 12).draw(
        "Training/dark/b{}.bmp",
        1,
        9,
    );
    images.draw("Training/light/{}.webp", 3, 200).draw("TEST/light/in/{}.JPEG", 1, 200).draw("TEST/dark/{}.png", 1, 10);
    images.write("Training/readme.txt", b"hello").write("Training/dark/notes.txt", b"hello");
    images.write("Training/light/.DS_Store", b"hello").write("Training/dark/movie.gif", b"GIF89a");
    #[cfg(unix)]
    std::os::unix::fs::symlink(images.path("Training/dark"), images.path("Training/dark/deep/again")).unwrap();
    let splits = images.source().parse::<Source>().unwrap().load(&LoadOptions::default()).unwrap();
    assert_eq!((splits.train.labels, splits.test.labels), (vec![0, 0, 0, 0, 0, 1, 1, 1], vec![0, 1]));
    let said = train(&images.source(), &["--size", "12x12"], 0);
    said.says("left out of").says("dark/movie.gif, dark/notes.txt (no .jpg").says("readme.txt (in no class folder)");
    said.says("light/.DS_Store (hidden)");
    assert_eq!(said.stderr.matches("notes.txt").count(), 1);
    if cfg!(unix) {
        said.says("dark/deep/again (a link to a folder that holds it)");
    }
}

#[test]
fn bad_images_are_named_with_their_number_and_end_the_run() {
    let images = Images::new();
    images.draw("train/a/{}.png", 4, 10).draw("train/b/{}.png", 4, 90).draw("test/b/{}.png", 2, 90);
    let whole = fs::read(fixture("faults/data").join("baseline.jpg")).unwrap();
    images.write("train/a/cut.jpg", &whole[..whole.len() / 2]);
    train(&images.source(), &["--size", "12x12"], 1).says("a/cut.jpg cannot be decoded").says("cut off");
    for number in 0..10 {
        images.write(&format!("train/b/bad{number}.jpg"), b"no image");
    }
    train(&images.source(), &["--size", "12x12"], 1)
        .says("11 images cannot be used")
        .says("a/cut.jpg")
        .says("bad6.jpg")
        .never_says("bad7.jpg")
        .says("And 3 more");
    images.write("train/a/huge.jpg", &fs::read(fixture("faults/data").join("huge.jpg")).unwrap());
    train(&images.source(), &["--size", "12x12"], 1).says("65535x65535").says("--max-pixels");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_and_never_waited_for() {
    let images = Images::new();
    images.draw("train/a/{}.png", 2, 10).draw("train/b/{}.png", 2, 90).draw("test/b/{}.png", 2, 90);
    let pipe = |path: &str| {
        let pipe = images.path(path);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        pipe.to_str().unwrap().to_owned()
    };
    let image = pipe("train/a/pipe.png");
    train(&images.source(), &[], 1).says("pipe.png cannot be read").says("a pipe");
    let file = pipe("file");
    for arguments in [
        vec!["train", "--recipe", &file],
        vec!["train", "--init", &file, "--device", "cpu", "--data", "synthetic:1x12x12:2:8"],
        vec!["predict", &file, &image],
        vec!["eval", &file],
        vec!["import", "lenet5", &file, "--out", "/nowhere/file"],
        vec!["tune", "--tuned", &file],
    ] {
        tilewright(&arguments, if arguments[0] == "tune" { 2 } else { 1 });
    }
}

#[test]
fn data_follow_the_channels_and_the_size_that_the_model_is_asked_for() {
    let colour = "synthetic:3x12x12:2:16";
    train(colour, &["--set", "input_channels=3"], 0);
    train("synthetic:1x28x28:2:16", &["--set", "image_size=12"], 0);
    train("synthetic:4x12x12:2:16", &["--set", "input_channels=4"], 0);
    train(colour, &[], 0);
    train(colour, &["--set", "input_channels=2"], 1).says("3 channels, but 2 are wanted");
    train(colour, &["--set", "image_size=[12,14]", "--size", "12x12"], 2)
        .says("--size is 12x12, but must be 12x14, the image_size");
    train(colour, &["--set", "num_classes=10"], 2).says("num_classes is 10, but must be 2, the number of classes in");
    train(colour, &["--set", "num_classes=2"], 0);
    train(colour, &["--crop", "12"], 2).says("--crop is 12, but must be less than the height and the width");
}

/// A run on a folder with these classes, each of its own shade; its folder and its source.
fn run_on(classes: &str, options: &[&str]) -> (TempDir, Images) {
    let images = Images::new();
    for (index, class) in classes.split_whitespace().enumerate() {
        let shade = 20 + 70 * index as u8;
        images.draw(&format!("train/{class}/{{}}.png"), 8, shade).draw(
            &format!("test/{class}/{{}}.png"),
            2 + index as u8,
            shade,
        );
    }
    let run = TempDir::new().unwrap();
    let arguments =
        ["train", "lenet5", "--device", "cpu", "--data", &images.source(), "--run", run.path().to_str().unwrap()];
    tilewright(&[&arguments[..], &["--batch", "8", "--epochs", "1"], options].concat(), 0);
    (run, images)
}

#[test]
fn classes_are_matched_by_name_and_another_set_is_an_error_that_lists_the_differences() {
    let (run, images) = run_on("ant bee cow", &[]);
    let checkpoint = run.path().join("checkpoint.safetensors");
    let checkpoint = checkpoint.to_str().unwrap();
    let eval = |checkpoint: &str, data: &str, options: &[&str], status: i32| {
        let arguments = ["eval", checkpoint, "--device", "cpu", "--json", "--data", data];
        tilewright(&[&arguments[..], options].concat(), status)
    };

    // The same weights, with their classes in another order.
    let [weights, names, turned] = ["weights.safetensors", "names.txt", "turned.safetensors"]
        .map(|name| run.path().join(name).to_str().unwrap().to_owned());
    tilewright(&["export", checkpoint, &weights], 0);
    fs::write(&names, "cow\nant\nbee\n").unwrap();
    let import =
        ["import", "lenet5", &weights, "--set", "image_size=12", "--out", &turned, "--mean", "0.4", "--std", "0.2"];
    tilewright(&[&import[..], &["--classes", &names]].concat(), 0);
    let by_name = eval(&turned, &images.source(), &[], 0);
    let by_position = eval(&turned, &images.source(), &["--classes", "by-position"], 0);
    let rows = |ended: &Ended| -> Vec<Value> { ended.json()["confusion"].as_array().unwrap().clone() };
    let (by_name, by_position) = (rows(&by_name), rows(&by_position));
    // Rows are true classes in the order of the checkpoint, cow, ant, bee; the data's is ant, bee, cow.
    assert_eq!(by_name, [by_position[2].clone(), by_position[0].clone(), by_position[1].clone()]);
    assert_ne!(by_name, by_position);

    let other = Images::new();
    for class in ["bee", "cow", "dog"] {
        other.draw(&format!("train/{class}/{{}}.png"), 2, 9).draw(&format!("test/{class}/{{}}.png"), 2, 9);
    }
    let refused = eval(checkpoint, &other.source(), &[], 2);
    refused.says("lack `ant`").says("does not know `dog`").says("--classes by-position");
    eval(checkpoint, &other.source(), &["--classes", "by-position"], 0);

    // Training goes on with the classes in the data's order, or is refused.
    let go_on = |data: &str, options: &[&str], status: i32| {
        let arguments = ["train", "lenet5", "--device", "cpu", "--epochs", "1", "--lr", "1e-30", "--data", data];
        let run = TempDir::new().unwrap();
        let run = run.path().join("run");
        let ended =
            tilewright(&[&arguments[..], &["--run", run.to_str().unwrap(), "--json"], options].concat(), status);
        ended.json()
    };
    let told = |init: &str, options: &[&str]| go_on(&images.source(), &[&["--init", init], options].concat(), 0);
    // At a rate of nothing, the weights stay: what the two runs have learnt is the same.
    assert_eq!(told(&turned, &[])["test_accuracy"], eval(&turned, &images.source(), &[], 0).json()["test_accuracy"]);
    // A file that was exported names its classes, too.
    let exported = run.path().join("exported.safetensors").to_str().unwrap().to_owned();
    tilewright(&["export", &turned, &exported], 0);
    assert_eq!(told(&exported, &[])["test_accuracy"], told(&turned, &[])["test_accuracy"]);
    assert_ne!(told(&exported, &["--classes", "by-position"])["test_loss"], told(&exported, &[])["test_loss"]);
    let refused = go_on(&other.source(), &["--init", &exported, "--size", "12x12"], 2);
    assert!(refused["error"].as_str().unwrap().contains("lack `ant`"), "{refused}");
    let refused = go_on(&other.source(), &["--init", checkpoint, "--size", "12x12"], 2);
    assert!(refused["error"].as_str().unwrap().contains("lack `ant`"), "{refused}");
    go_on(&other.source(), &["--init", checkpoint, "--classes", "by-position"], 0);
    go_on(&other.source(), &["--init", checkpoint, "--head", "3"], 0);
    fs::remove_dir_all(other.path("train/dog")).unwrap();
    fs::remove_dir_all(other.path("test/dog")).unwrap();
    for options in [&[][..], &["--classes", "by-position"]] {
        eval(checkpoint, &other.source(), options, 2).says("tells 3 classes apart and the data have 2").says("`ant`");
    }

    // Labels of synthetic images are no names.
    eval(checkpoint, "synthetic:1x12x12:3:15", &[], 0).says("by position");
    eval(checkpoint, "synthetic:1x12x12:4:15", &[], 2);
}

#[test]
fn validation_images_decide_and_the_test_images_are_measured_once_at_the_end() {
    let images = Images::new();
    for (class, shade) in [("dark", 20), ("light", 180)] {
        images.draw(&format!("Train/{class}/{{}}.png"), 8, shade).draw(&format!("valid/{class}/{{}}.png"), 4, shade);
        // In the test folder the names are exchanged: what is right there is wrong for validation.
        images.draw(&format!("Test/{class}/{{}}.png"), 3, 200 - shade);
    }
    let run = TempDir::new().unwrap();
    let run = run.path().join("run");
    let run = run.to_str().unwrap();
    let arguments = ["train", "lenet5", "--device", "cpu", "--json", "--data", &images.source(), "--lr", "0.01"];
    let more = ["--batch", "4", "--run", run, "--epochs", "6"];
    let ended = tilewright(&[&arguments[..], &more].concat(), 0);
    ended.says("8 validation images").says("validation accuracy").never_says("chosen on the test images");
    let told = ended.json();
    assert_eq!(
        (&told["best_chosen_on"], told["validation_accuracy"].as_f64()),
        (&"validation".into(), Some(1.0)),
        "{told}"
    );
    assert_eq!((told["test_accuracy"].as_f64(), told["balanced_accuracy"].as_f64()), (Some(0.0), Some(0.0)), "{told}");
    let epochs = fs::read_to_string(Path::new(run).join("epochs.csv")).unwrap();
    let column = |name: &str| {
        let at = epochs.lines().next().unwrap().split(',').position(|title| title == name).unwrap();
        epochs.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(column("test_accuracy").iter().chain(&column("test_loss")).all(String::is_empty), "{epochs}");
    assert_eq!(column("validation_accuracy").last().unwrap(), "1.0", "{epochs}");
    tilewright(&["train", "--resume", run, "--device", "cpu"], 0).says("test accuracy 0.00 %");

    // With no test folder of its own, the data's validation images are the test images, and both are said.
    fs::remove_dir_all(images.path("Test")).unwrap();
    let alone = train(&images.source(), &[], 0);
    alone.says("there are no test images: those of").says("chosen on the test images");
    let held_out = train(&images.source(), &["--validation", "0.25"], 0);
    held_out.says("12 training images").says("4 validation images").says("8 test images");
    images.draw("test/dark/{}.png", 1, 20);
    train(&images.source(), &["--validation", "0.25"], 2).says("validation images of their own");
    train(&images.source(), &["--validation", "1.5"], 2).says("a share above 0 and below 1");
    images.draw("Validation/dark/{}.png", 1, 20);
    train(&images.source(), &[], 1).says("folders of the same split");
}

#[test]
fn a_sweep_is_decided_by_the_validation_images() {
    let out = TempDir::new().unwrap();
    let out = out.path().join("out");
    let arguments =
        ["sweep", "lenet5", "--device", "cpu", "--json", "--data", "synthetic:1x12x12:2:20", "--epochs", "1"];
    let options = ["--grid", "lr=1e-3,1e-2", "--validation", "0.2", "--batch", "8", "--out", out.to_str().unwrap()];
    let told = tilewright(&[&arguments[..], &options].concat(), 0).says("validation accuracy").json();
    for trial in told["trials"].as_array().unwrap() {
        assert!(trial["validation_accuracy"].is_f64() && trial["test_accuracy"].is_f64(), "{told}");
    }
}

#[test]
fn uneven_classes_are_told_with_their_numbers_and_the_balanced_accuracy() {
    let images = Images::new();
    images.draw("train/common/{}.png", 20, 20).draw("train/rare/{}.png", 2, 200);
    images.draw("test/common/{}.png", 9, 20).draw("test/rare/{}.png", 1, 200);
    let ended = train(&images.source(), &["--lr", "1e-12"], 0);
    ended
        .says("are uneven, in images:")
        .says("  common  20   90.9 %")
        .says("  rare     2    9.1 %")
        .says("balanced over the classes");
    let told = ended.json();
    let collapsed = told["test_accuracy"].as_f64().unwrap() == 0.9;
    let balanced = told["balanced_accuracy"].as_f64().unwrap();
    assert!(!collapsed || balanced == 0.5, "{told}");
    train("synthetic:1x12x12:2:20", &[], 0).never_says("uneven");
}

/// An IDX file of these sizes and this content.
fn idx(magic: u32, sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header = [magic].into_iter().chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
    header.chain(bytes.iter().copied()).collect()
}

#[test]
fn labels_that_stray_and_files_that_inflate_beyond_measure_are_refused() {
    let images = Images::new();
    let source = format!("idx:{}", images.0.path().display());
    let write = |split: &str, labels: &[u8]| {
        let count = labels.len() as u32;
        let pixels = vec![7; labels.len() * 144];
        images.write(&format!("{split}-images-idx3-ubyte"), &idx(0x803, &[count, 12, 12], &pixels));
        images.write(&format!("{split}-labels-idx1-ubyte"), &idx(0x801, &[count], labels));
    };
    write("train", &[0, 1, 2, 0, 1, 2]);
    write("t10k", &[2, 0]);
    train(&source, &[], 0);
    write("train", &[0, 1, 2, 255, 1, 2]);
    train(&source, &[], 1).says("Record 3").says("train-labels").says("the label 255").says("labels 0 to 2");
    write("train", &[0, 1, 2, 0, 1, 2]);
    write("t10k", &[2, 3]);
    train(&source, &[], 1).says("Record 1").says("t10k-labels").says("the label 3");
    // The letters of EMNIST begin at 1.
    write("train", &[1, 2, 3, 1, 2, 3]);
    train(&source, &[], 0);

    fs::remove_file(images.path("train-images-idx3-ubyte")).unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&idx(0x803, &[60_000, 300, 300], &[0; 1000])).unwrap();
    images.write("train-images-idx3-ubyte.gz", &encoder.finish().unwrap());
    train(&source, &[], 1).says("says that it holds 5400000000");
    train("mnist", &["--size", "60000x60000"], 1).says("bytes once decoded").says("--size");
}

#[cfg(unix)]
#[test]
fn class_folders_whose_names_are_not_text_are_classes_of_their_own() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    let put = |split: &str, class: &[u8], images: usize| {
        let class = folder.path().join(split).join(OsStr::from_bytes(class));
        fs::create_dir_all(&class).unwrap();
        for image in 0..images {
            fs::copy(fixture("faults/data").join("grey.png"), class.join(format!("{image}.png"))).unwrap();
        }
    };
    for (split, images) in [("train", 2), ("test", 1)] {
        put(split, b"caf\xe8", images);
        put(split, b"caf\xe9", images);
    }
    let load = || Source::folder(folder.path()).load(&LoadOptions::default());
    let splits = load().unwrap();
    assert_eq!(splits.train.classes, ["caf\\xe8", "caf\\xe9"]);
    assert_eq!((splits.train.labels, splits.test.labels), (vec![0, 0, 1, 1], vec![0, 1]));
    put("train", b"caf\\xe9", 1);
    let reason = load().unwrap_err().to_string();
    assert!(reason.contains("both name the class `caf\\xe9`"), "{reason}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_image_that_there_is_no_memory_for_is_refused_before_it_is_decoded() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tiny =
        ["train", "lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:8", "--batch", "4", "--epochs", "1"];
    tilewright(&[&tiny[..], &["--run", &path("run")]].concat(), 0);
    let image = path("large.png");
    image::GrayImage::new(9000, 9000).save(&image).unwrap();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -v 450000; exec \"$0\" \"$@\""]).arg(command().get_program());
    let ended =
        limited.args(["predict", "--device", "cpu", &path("run"), &image, &path("run/none.png")]).output().unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(1), "{told}{}", String::from_utf8_lossy(&ended.stderr));
    for part in ["large.png is 9000x9000 pixels large, takes 567000000 bytes", "none.png"] {
        assert!(told.contains(part), "{told}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_space_that_no_driver_can_do_with_is_told_before_one_is_opened() {
    let folder = TempDir::new().unwrap();
    let run = folder.path().join("run");
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -v 600000; exec \"$0\" \"$@\""]).arg(command().get_program());
    limited.args(["train", "lenet5", "--data", "synthetic:1x12x12:2:8", "--epochs", "1", "--run"]).arg(&run);
    let ended = Ended::of(limited.output().unwrap(), 1);
    ended.says("the address space of this process has").says("ulimit -v").says("--device cpu");
    assert!(!run.exists());
}

#[test]
fn folders_beside_those_of_the_splits_are_named() {
    let images = Images::new();
    images.draw("train/a/{}.png", 4, 10).draw("train/b/{}.png", 4, 200).draw("eval/a/{}.png", 1, 10);
    images.draw("holdout/a/{}.png", 1, 10).draw("extra/a/{}.png", 1, 10);
    let splits = images.source().parse::<Source>().unwrap().load(&LoadOptions::default()).unwrap();
    let note = splits.notes.iter().find(|note| note.contains("holdout")).unwrap();
    assert!(note.contains("2 in all: extra, holdout (no folder of a split"), "{note}");
    assert_eq!(splits.test.len(), 1);
}

#[test]
fn eval_does_not_read_the_images_that_it_is_not_measured_on() {
    let (run, images) = run_on("a b", &[]);
    let (run, data) = (run.path().to_str().unwrap(), images.source());
    let eval = ["eval", run, "--device", "cpu", "--json"];
    let before = tilewright(&eval, 0).json();
    images.write("train/a/0.png", b"no image any more").write("val/b/0.png", b"no image");
    let after = tilewright(&eval, 0).json();
    assert_eq!((&after["images"], &after["test_loss"]), (&before["images"], &before["test_loss"]));
    train(&data, &["--size", "12x12"], 1).says("train/a/0.png cannot be decoded");
    images.write("test/a/0.png", b"no image any more");
    tilewright(&eval, 1).says("test/a/0.png");
    let test = LoadOptions::default().only_test().size(14, 14);
    let splits = "synthetic:1x12x12:2:20".parse::<Source>().unwrap().load(&test).unwrap();
    assert_eq!((splits.train.len(), splits.test.height, splits.validation), (0, 14, None));
    assert!(!splits.test.is_empty());
}
