//! Images that a table or an archive lists, those that are held out of training, and those that are damaged.

use crate::common::tilewright;
use flate2::{Compression, write::GzEncoder};
use image::{ImageFormat, Rgb, RgbImage};
use std::fs;
use std::io::Cursor;
use std::path::Path;
use tempfile::{TempDir, tempdir};
use tilewright::data::{Damaged, DataError, Dataset, HeldOut, LoadOptions, Source, Splits};

/// A PNG of 2x2 pixels, all of this red.
fn png(red: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_pixel(2, 2, Rgb([red, 0, 0])).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn write(dir: &TempDir, path: &str, bytes: &[u8]) {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn load_with(source: &str, options: &LoadOptions) -> Result<Splits, DataError> {
    source.parse::<Source>().unwrap().load(options)
}

fn load(source: &str) -> Result<Splits, DataError> {
    load_with(source, &LoadOptions::default())
}

fn source(kind: &str, dir: &TempDir, within: &str) -> String {
    format!("{kind}:{}", dir.path().join(within).display())
}

#[track_caller]
fn assert_says(result: Result<Splits, DataError>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
}

/// The red of each image.
fn reds(dataset: &Dataset) -> Vec<u8> {
    (0..dataset.len()).map(|index| dataset.image(index).unwrap()[0]).collect()
}

#[test]
fn a_table_lists_files_with_their_classes_and_splits() {
    let dir = tempdir().unwrap();
    for red in 0..8 {
        write(&dir, &format!("images/{red}.png"), &png(red));
    }
    let rows = "\u{feff}File, Label, Split\nimages/0.png,dog,train\n\"images/1.png\", cat ,\nimages/2.png,dog,VAL\n\
                images/3.png,cat,test\n\nimages/4.png,dog,Training\n";
    write(&dir, "list.csv", rows.as_bytes());
    let Splits { train, validation, test, .. } = load(&source("csv", &dir, "list.csv")).unwrap();
    let validation = validation.unwrap();
    assert_eq!(train.classes, ["cat", "dog"]);
    assert_eq!((reds(&train), &train.labels), (vec![0, 1, 4], &vec![1, 0, 1]));
    assert_eq!((reds(&validation), reds(&test)), (vec![2], vec![3]));
    assert_eq!((&validation.labels, &test.labels), (&vec![1], &vec![0]));

    // Two columns, no heading; numbers in the order of their values; a tenth of each class held out.
    let rows: Vec<String> = (0..8).map(|red| format!("images/{red}.png,{}", if red < 4 { 10 } else { 9 })).collect();
    write(&dir, "plain.csv", rows.join("\r\n").as_bytes());
    let Splits { train, validation, test, .. } = load(&source("csv", &dir, "plain.csv")).unwrap();
    assert_eq!((&train.classes[..], validation), (&["9".to_owned(), "10".to_owned()][..], None));
    assert_eq!((reds(&test), &test.labels), (vec![3, 7], &vec![1, 0]));
    assert_eq!(train.len(), 6);
}

#[test]
fn a_line_that_is_none_is_told_with_its_number() {
    let dir = tempdir().unwrap();
    write(&dir, "a.png", &png(1));
    for (rows, told) in [
        ("a.png,x\na.png\n", "Line 2 of"),
        ("file,label\na.png,x\n\na.png,x,train,1\n", "Line 4 of"),
        ("a.png,x\n,x\n", "lacks its file or its label"),
        ("a.png,x\na.png,x,holdout\n", "has the split `holdout`, not train, val or test"),
        ("a.png,x\na.png,x\na.png,y,test\n", "is of the class `y`, which no training image is of; expected one of `x`"),
        ("file,label\n", "is empty: expected lines with training images"),
        ("a.png,x\nb.png,x\na.png,x,test\n", "b.png cannot be read"),
    ] {
        write(&dir, "list.csv", rows.as_bytes());
        assert_says(load(&source("csv", &dir, "list.csv")), &[told]);
    }
    assert_says(load(&source("csv", &dir, "none.csv")), &["none.csv cannot be read"]);
    write(&dir, "bytes.csv", b"a.png,\xff\n");
    assert_says(load(&source("csv", &dir, "bytes.csv")), &["bytes.csv cannot be read"]);
}

/// An archive of these members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// A shard with an image for each of these reds: `even` or `odd` is its class.
fn shard(reds: std::ops::Range<u8>) -> Vec<u8> {
    let images: Vec<(String, Vec<u8>)> = reds
        .flat_map(|red| {
            let class = if red % 2 == 0 { "even\n" } else { "odd" };
            // In whichever order they come, and in folders that have dots in their names.
            [(format!("v1.0/{red:03}.cls"), class.into()), (format!("v1.0/{red:03}.png"), png(red))]
        })
        .collect();
    let others: [(&str, &[u8]); 3] = [("v1.0/000.json", b"{}"), ("v1.0/._000.png", b"x"), ("README.txt", b"x")];
    let members = images.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
    archive(&members.chain(others).collect::<Vec<_>>())
}

#[test]
fn shards_are_read_in_the_order_of_their_names_compressed_or_not() {
    let dir = tempdir().unwrap();
    write(&dir, "digits-train-001.tar.gz", &gzip(&shard(4..8)));
    write(&dir, "digits-train-000.tar", &shard(0..4));
    write(&dir, "val/000.tgz", &gzip(&shard(8..10)));
    write(&dir, "digits-TEST-000.tar", &shard(10..13));
    write(&dir, "notes.txt", b"no shard");
    let Splits { train, validation, test, notes } = load(&source("webdataset", &dir, "")).unwrap();
    assert_eq!(train.classes, ["even", "odd"]);
    assert_eq!((reds(&train), &train.labels[..3]), ((0..8).collect(), &[0, 1, 0][..]));
    assert_eq!((reds(&validation.unwrap()), reds(&test)), (vec![8, 9], vec![10, 11, 12]));
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].ends_with(": 8 members of its archives, no image and no .cls of one"), "{notes:?}");
    let tested = load_with(&source("webdataset", &dir, ""), &LoadOptions::default().only_test()).unwrap();
    assert_eq!((tested.train.len(), tested.test), (0, test));

    // A single archive, of which a tenth is held out.
    let Splits { train, test, .. } = load(&source("webdataset", &dir, "digits-train-000.tar")).unwrap();
    assert_eq!((train.len(), test.len()), (2, 2));
}

#[test]
fn a_damaged_shard_or_an_image_without_a_class_is_named() {
    let dir = tempdir().unwrap();
    assert_says(load(&source("webdataset", &dir, "none")), &["none does not exist", "archives .tar or .tar.gz in it"]);
    assert_says(load(&source("webdataset", &dir, "")), &["is empty: expected archives .tar or .tar.gz"]);
    let whole = shard(0..4);
    for (name, bytes, told) in [
        ("cut.tar", &whole[..whole.len() / 3], "cut.tar"),
        ("cut.tar.gz", &gzip(&whole)[..200], "cut.tar.gz cannot be read"),
        ("text.tar", &b"this is text".repeat(100)[..], "text.tar cannot be read"),
        ("empty.tar", &archive(&[("a.txt", b"x")]), "expected archives with KEY.jpg and KEY.cls for training"),
        (
            "alone.tar",
            &archive(&[("a.png", &png(1)), ("b.cls", b"x")]),
            "alone.tar/a.png has no class; expected a file",
        ),
        ("blank.tar", &archive(&[("a.png", &png(1)), ("a.cls", b" ")]), "blank.tar/a.png has no class"),
    ] {
        write(&dir, name, bytes);
        assert_says(load(&source("webdataset", &dir, name)), &[told]);
    }
}

/// Files of `scripts/parquet_case.py`.
fn hub(within: &str) -> String {
    format!("parquet:{}/tests/data/hub/{within}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn tables_of_the_hub_are_read_in_the_order_of_their_names_with_its_names_of_classes() {
    let Splits { train, validation, test, notes } = load(&hub("data")).unwrap();
    assert_eq!((&train.classes[..], train.shape()), (&["even".to_owned(), "odd".to_owned()][..], [3, 2, 3]));
    assert_eq!((reds(&train), &train.labels[..3]), ((0..9).collect(), &[0, 1, 0][..]));
    assert_eq!((reds(&validation.unwrap()), reds(&test)), (vec![9, 10], vec![11, 12]));
    assert!(notes.iter().any(|note| note.ends_with("hub/data: 1 rows without an image or a label")), "{notes:?}");
    // One file, to train on, of which a part is held out.
    let Splits { train, test, .. } = load(&hub("data/train-00000-of-00002.parquet")).unwrap();
    assert_eq!((train.len(), test.len()), (3, 2));
}

#[test]
fn a_table_that_cannot_be_read_is_told_with_what_it_lacks() {
    assert_says(load(&hub("none")), &["none does not exist", "files .parquet in it"]);
    assert_says(load(&hub("zstd.parquet")), &["zstd.parquet is compressed by zstd; expected snappy"]);
    assert_says(load(&hub("unnamed.parquet")), &["has the columns `image`, `kind`; expected", "`label`"]);
    let small = LoadOptions::default().memory("100".parse().unwrap());
    assert_says(load_with(&hub("data"), &small), &["take more than 100", "Write them into a .tar"]);
    let dir = tempdir().unwrap();
    let whole = fs::read(hub("data/train-00000-of-00002.parquet").split_once(':').unwrap().1).unwrap();
    for (name, bytes) in [("cut.parquet", &whole[..whole.len() / 2]), ("text.parquet", b"this is text")] {
        write(&dir, name, bytes);
        assert_says(load(&source("parquet", &dir, name)), &[&format!("{name} cannot be read")]);
    }
    write(&dir, "hidden/.a.parquet", &whole);
    assert_says(load(&source("parquet", &dir, "hidden")), &["is empty: expected files .parquet"]);
}

/// A folder with images of two classes and no test images.
fn folder(dark: u8, light: u8) -> TempDir {
    let dir = tempdir().unwrap();
    (0..dark).for_each(|red| write(&dir, &format!("train/dark/{red:03}.png"), &png(red)));
    (0..light).for_each(|red| write(&dir, &format!("train/light/{red:03}.png"), &png(200 + red)));
    dir
}

#[test]
fn a_share_or_a_fold_of_each_class_is_held_out_for_testing() {
    let dir = folder(20, 10);
    let held = |held_out| load_with(&source("folder", &dir, ""), &LoadOptions::default().held_out(held_out)).unwrap();
    let share = held(HeldOut::Share { share: 0.2, seed: 3 });
    assert_eq!((share.test.class_counts(), share.train.class_counts()), (vec![4, 2], vec![16, 8]));
    assert!(share.test.name.ends_with("(test, a share of 0.2 of train held out)"), "{}", share.test.name);
    assert_ne!(reds(&share.test), reds(&held(HeldOut::Share { share: 0.2, seed: 4 }).test));

    let mut tested: Vec<u8> = Vec::new();
    for number in 1..=3 {
        let fold = format!("{number}/3").parse().unwrap();
        let Splits { train, test, .. } = held(HeldOut::Fold { fold, seed: 3 });
        assert_eq!((train.len(), test.len()), (20, 10));
        tested.extend(reds(&test));
    }
    tested.sort_unstable();
    assert_eq!(tested, (0..20).chain(200..210).collect::<Vec<_>>(), "each image is tested once");

    write(&dir, "test/dark/1.png", &png(1));
    let held_out = HeldOut::Share { share: 0.2, seed: 3 };
    let refused = load_with(&source("folder", &dir, ""), &LoadOptions::default().held_out(held_out));
    assert_says(refused, &["`split` is 0.2, but must be left out with folder:", "which has test images of its own"]);
    assert_says(load_with("mnist", &LoadOptions::default().held_out(held_out)), &["left out with mnist"]);
}

#[test]
fn a_run_on_a_fold_holds_validation_images_apart_and_is_evaluated_on_the_same_fold() {
    let dir = folder(20, 10);
    let run = dir.path().join("run");
    let run = run.to_str().unwrap();
    let data = source("folder", &dir, "");
    let train = ["train", "lenet5", "--device", "cpu", "--data", &data, "--size", "12x12", "--epochs", "1", "--json"];
    let fold = ["--fold", "2/5", "--validation", "0.25", "--seed", "9", "--run", run];
    let trained = tilewright(&[&train[..], &fold].concat(), 0);
    trained.says("6 validation images").says("6 test images").says("fold 2/5");
    let tested = tilewright(&["eval", run, "--device", "cpu", "--json"], 0).json();
    let best = Path::new(run).join("best.safetensors");
    let best = tilewright(&["eval", best.to_str().unwrap(), "--device", "cpu", "--json"], 0).json();
    assert_eq!(best["test_loss"], trained.json()["test_loss"], "{best} {tested}");
    tilewright(&[&train[..], &["--fold", "2/5", "--split", "0.1"]].concat(), 2).says("--split is 0.1").says("--fold");
    tilewright(&[&train[..], &["--fold", "6/5"]].concat(), 2).says("such as 2/5");
}

#[test]
fn damaged_images_are_an_error_or_are_named_and_counted() {
    let dir = folder(4, 4);
    let whole = png(9);
    write(&dir, "train/dark/bad.png", b"this is text");
    // A whole header, whose pixels are missing.
    write(&dir, "train/light/cut.png", &whole[..45]);
    write(&dir, "test/dark/1.png", &png(1));
    write(&dir, "test/light/none.png", b"");
    let data = source("folder", &dir, "");
    assert_says(load(&data), &["bad.png cannot be decoded"]);
    let Splits { train, test, notes, .. } = load_with(&data, &LoadOptions::default().damaged(Damaged::Skip)).unwrap();
    assert_eq!((reds(&train), reds(&test)), (vec![0, 1, 2, 3, 200, 201, 202, 203], vec![1]));
    assert_eq!(train.labels, [0, 0, 0, 0, 1, 1, 1, 1]);
    let told = notes.join("\n");
    for part in
        ["1 of 10 images of", "bad.png cannot", "1 of 9 images of", "cut.png cannot", "1 of 2 images of", "none.png"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    let images = ["--device", "cpu", "--size", "12x12", "--data", &data, "--epochs", "1"];
    let run = dir.path().join("run");
    let skip = ["--damaged", "skip", "--run", run.to_str().unwrap()];
    tilewright(&[&["train", "lenet5"], &images[..], &skip].concat(), 0)
        .says("damaged and left out")
        .says("8 training images");
    tilewright(&["eval", run.to_str().unwrap(), "--device", "cpu"], 0).says("damaged and left out");
    tilewright(&[&["train", "lenet5"], &images[..], &["--damaged", "drop"]].concat(), 2).says("stop or skip");

    write(&dir, "test/dark/1.png", b"");
    assert_says(load_with(&data, &LoadOptions::default().damaged(Damaged::Skip)), &["2 images cannot be used"]);
}
