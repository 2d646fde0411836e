//! Data sources as a user meets them: what they load, and what they say when they cannot.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use tempfile::TempDir;
use tilewright::data::{DataError, Dataset, LoadOptions, Normalization, Source, Splits};

fn load(source: &str) -> Result<Splits, DataError> {
    load_with(source, LoadOptions::default())
}

fn load_with(source: &str, options: LoadOptions) -> Result<Splits, DataError> {
    source.parse::<Source>()?.load(&options)
}

fn in_dir(kind: &str, dir: &TempDir) -> String {
    format!("{kind}:{}", dir.path().display())
}

/// The message of an error, which must hold each of `parts`.
#[track_caller]
fn assert_says(result: Result<Splits, DataError>, parts: &[&str]) -> DataError {
    let error = result.expect_err("loading should fail");
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "'{part}' is not in: {message}");
    }
    error
}

fn per_class(dataset: &Dataset) -> Vec<usize> {
    let count = |class| dataset.labels.iter().filter(|&&label| label as usize == class).count();
    (0..dataset.classes.len()).map(count).collect()
}

// Source strings

#[test]
fn source_strings_round_trip() {
    for text in [
        "mnist",
        "idx:data/fashion",
        "cifar10:/a b/c:d",
        "cifar100:.",
        "folder:../pets",
        "csv:a b/images.csv",
        "webdataset:shards",
        "parquet:hub/mnist",
        "synthetic:3x32x16:10",
        "synthetic:1x8x8:2:64",
    ] {
        let source: Source = text.parse().unwrap();
        assert_eq!(source.to_string(), text);
        let json = serde_json::to_string(&source).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Source>(&json).unwrap(), source);
    }
    let default_count: Source = "synthetic:1x8x8:2:1000".parse().unwrap();
    assert_eq!(default_count.to_string(), "synthetic:1x8x8:2");
}

#[test]
fn a_wrong_source_string_is_wrong_usage_and_lists_the_forms() {
    for (text, problem) in [
        ("", "no kind ''"),
        ("cifar:data", "no kind 'cifar'"),
        ("idx", "idx needs a folder"),
        ("folder:", "folder needs a folder"),
        ("csv", "csv needs a file"),
        ("webdataset", "webdataset needs a folder"),
        ("parquet:", "parquet needs a folder"),
        ("mnist:data", "bundled mnist takes no folder"),
        ("synthetic", "needs a shape and classes"),
        ("synthetic:3x32:10", "needs a shape and classes"),
        ("synthetic:3x32x32:0", "CLASSES is '0'"),
        ("synthetic:3x32x-1:10", "W is '-1'"),
        ("synthetic:1x1x1:2:99999999999999999999", "COUNT is '99999999999999999999'"),
    ] {
        let error = assert_says(
            load(text),
            &[problem, "folder:DIR, csv:FILE, webdataset:DIR, parquet:DIR, synthetic:CxHxW:CLASSES[:COUNT]"],
        );
        assert!(error.is_usage(), "{text}");
    }
}

#[test]
fn options_that_cannot_work_are_wrong_usage() {
    let options = LoadOptions::default();
    for (options, part) in [
        (options.size(0, 8), "`size` is 0x8, but must be HxW"),
        (options.channels(0), "`input_channels` is 0, but must be 1 or more"),
        (options.limit(0), "`limit` is 0, but must be 1 or more"),
    ] {
        assert!(assert_says(load_with("mnist", options), &[part]).is_usage());
    }
    let two = options.channels(2);
    assert!(
        assert_says(load_with("folder:here", two), &["`input_channels` is 2", "1 (grey) or 3 (colour)"]).is_usage()
    );
}

// The bundled sample

#[test]
fn the_bundled_sample_is_balanced_and_looks_like_mnist() {
    let Splits { train, test, .. } = load("mnist").unwrap();
    for (split, name, each) in [(&train, "mnist (train)", 1000), (&test, "mnist (test)", 200)] {
        assert_eq!(split.name, name);
        assert_eq!((split.channels, split.height, split.width), (1, 28, 28));
        assert_eq!(split.classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!(per_class(split), [each; 10]);
        assert_eq!(split.images.held().unwrap().len(), split.len() * 28 * 28);
    }
    // Published for all of MNIST: 0.1307 and 0.3081.
    let (mean, std) = train.mean_std();
    assert!((mean[0] - 0.1307).abs() < 0.003 && (std[0] - 0.3081).abs() < 0.003, "{mean:?} {std:?}");
}

#[test]
fn options_limit_resize_and_colour_both_splits() {
    let options = LoadOptions::default().size(32, 16).channels(3).limit(25);
    let Splits { train, test, .. } = load_with("mnist", options).unwrap();
    for split in [&train, &test] {
        assert_eq!((split.len(), split.channels, split.height, split.width), (25, 3, 32, 16));
        assert_eq!(per_class(split), [3, 3, 3, 3, 3, 2, 2, 2, 2, 2]);
        let image = split.image(7).unwrap();
        let planes: Vec<_> = image.chunks_exact(32 * 16).collect();
        assert!(planes[0] == planes[1] && planes[1] == planes[2] && planes[0].iter().any(|&value| value > 128));
    }
}

#[test]
fn truncation_takes_classes_in_turn_and_a_smaller_limit_gives_a_prefix() {
    let labels = vec![1, 1, 1, 0, 0, 2];
    let images = vec![10, 11, 12, 13, 14, 15];
    let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
    let all = Dataset { name: "here".into(), channels: 1, height: 1, width: 1, classes, images: images.into(), labels };
    assert_eq!(all.clone().truncated(5).images.held().unwrap(), [13, 10, 15, 14, 11]);
    assert_eq!(all.clone().truncated(2).images.held().unwrap(), [13, 10]);
    assert_eq!(all.clone().truncated(6), all);
}

#[test]
fn mean_and_deviation_are_those_worked_out_by_hand() {
    let images = vec![0, 255, 51, 51, 255, 255, 51, 51];
    let classes = vec!["only".to_owned()];
    let data = Dataset {
        name: "here".into(),
        channels: 2,
        height: 1,
        width: 2,
        classes,
        images: images.into(),
        labels: vec![0, 0],
    };
    let (mean, std) = data.mean_std();
    assert!((mean[0] - 0.75).abs() < 1e-12 && (std[0] - 0.1875_f64.sqrt()).abs() < 1e-12, "{mean:?} {std:?}");
    assert!((mean[1] - 0.2).abs() < 1e-12 && std[1] == 0.0, "{mean:?} {std:?}");
    assert_eq!(Normalization::of(&data).std[1], 1.0);
}

// IDX

fn idx(magic: u32, sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let header = [magic].into_iter().chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
    header.chain(bytes.iter().copied()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Three training images and two test images of 2x3, as plain files with names that have dots.
fn idx_folder() -> TempDir {
    let dir = TempDir::new().unwrap();
    for (split, count, labels) in [("train", 3, &[2, 0, 1][..]), ("t10k", 2, &[1, 2][..])] {
        let pixels: Vec<u8> = (0..count as u8 * 6).collect();
        let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(format!("{split}-{name}")), bytes).unwrap();
        write("images.idx3-ubyte", idx(0x803, &[count, 2, 3], &pixels));
        write("labels.idx1-ubyte", idx(0x801, &[count], labels));
    }
    dir
}

#[test]
fn idx_files_load_plain_and_gzipped_under_both_spellings() {
    let plain = idx_folder();
    let gzipped = TempDir::new().unwrap();
    for entry in fs::read_dir(plain.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().replace(".idx", "-idx");
        fs::write(gzipped.path().join(name + ".gz"), gzip(&fs::read(&path).unwrap())).unwrap();
    }
    let splits = load(&in_dir("idx", &plain)).unwrap();
    assert_eq!((splits.train.len(), splits.train.height, splits.train.width), (3, 2, 3));
    assert_eq!(splits.train.image(1).unwrap()[..], [6, 7, 8, 9, 10, 11]);
    assert_eq!((splits.train.labels, splits.test.labels), (vec![2, 0, 1], vec![1, 2]));
    assert_eq!(splits.train.classes, ["0", "1", "2"]);
    assert_eq!(load(&in_dir("idx", &gzipped)).unwrap().train.images, splits.train.images);
}

#[test]
fn a_damaged_idx_file_is_named_with_what_was_expected() {
    let pixels = [0; 18];
    let truncated_gzip = {
        let noise: Vec<u8> = (0..18).collect();
        let whole = gzip(&idx(0x803, &[3, 2, 3], &noise));
        whole[..whole.len() - 12].to_vec()
    };
    let mut broken_gzip = gzip(&idx(0x803, &[3, 2, 3], &pixels));
    broken_gzip[10..].fill(0xff);
    for (file, bytes, parts) in [
        ("train-images", idx(0x803, &[3, 2, 3], &pixels[..17]), &["truncated", "expected 34 bytes", "got 33"][..]),
        ("train-images", idx(0x803, &[3, 2, 3], &[0; 99]), &["too long", "expected 34 bytes", "got 35 or more"]),
        ("train-images", vec![0, 0, 8, 3, 0], &["truncated", "expected 16 bytes", "got 5"]),
        ("train-images", Vec::new(), &["truncated", "expected 16 bytes", "got 0"]),
        ("train-images", truncated_gzip, &["truncated", "expected 34 bytes"]),
        ("train-images", broken_gzip, &["cannot be read", "ownload it again"]),
        ("train-images", idx(0x801, &[3], &[0; 3]), &["images", "0x00000803, got 0x00000801"]),
        ("train-labels", idx(0x803, &[3, 2, 3], &pixels), &["labels", "0x00000801, got 0x00000803"]),
        ("train-images", idx(0x803, &[3, 0, 3], &[]), &["impossible header", "3 images of 0x3"]),
        ("train-images", idx(0x803, &[3, u32::MAX, u32::MAX], &[]), &["impossible header", "4294967295x4294967295"]),
        ("train-images", idx(0x803, &[u32::MAX, 65535, 65535], &[0; 9]), &["truncated", "got 25"]),
        ("train-labels", idx(0x801, &[2], &[0; 2]), &["3 images", "2 labels", "same download"]),
        ("t10k-images", idx(0x803, &[2, 3, 2], &[0; 12]), &["training images", "are 2x3", "test images are 3x2"]),
    ] {
        let dir = idx_folder();
        let kind = if file.ends_with("images") { "idx3-ubyte" } else { "idx1-ubyte" };
        let name = format!("{file}.{kind}");
        fs::write(dir.path().join(&name), bytes).unwrap();
        let error = assert_says(load(&in_dir("idx", &dir)), parts);
        assert!(!error.is_usage());
        if !matches!(error, DataError::SplitSizes { .. }) {
            assert!(error.to_string().contains(&name), "{name} is not in: {error}");
        }
    }
}

#[test]
fn a_missing_idx_file_or_folder_is_told_with_the_names_looked_for() {
    let dir = idx_folder();
    fs::remove_file(dir.path().join("t10k-labels.idx1-ubyte")).unwrap();
    let looked_for =
        "t10k-labels-idx1-ubyte, t10k-labels.idx1-ubyte, t10k-labels-idx1-ubyte.gz, t10k-labels.idx1-ubyte.gz";
    let path = dir.path().display().to_string();
    assert_says(load(&in_dir("idx", &dir)), &[&path, looked_for, "Download"]);
    assert_says(load("idx:no/such"), &["no/such does not exist", "Check the path"]);
    assert_says(load("idx:~/mnist"), &["write $HOME instead"]);
}

// CIFAR

/// A record: its label bytes, then red, green and blue planes of one value each.
fn cifar_record(labels: &[u8], colour: [u8; 3]) -> Vec<u8> {
    labels.iter().copied().chain(colour.into_iter().flat_map(|value| [value; 1024])).collect()
}

fn cifar10_folder(dir: &Path) {
    for batch in 1..=5_u8 {
        let records = [cifar_record(&[batch], [batch, 100, 200]), cifar_record(&[9], [7, 8, 9])].concat();
        fs::write(dir.join(format!("data_batch_{batch}.bin")), records).unwrap();
    }
    fs::write(dir.join("test_batch.bin"), cifar_record(&[3], [1, 2, 3])).unwrap();
}

#[test]
fn cifar10_loads_from_its_folder_and_from_the_folder_above() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("cifar-10-batches-bin");
    fs::create_dir(&inner).unwrap();
    cifar10_folder(&inner);
    let Splits { train, test, .. } = load(&in_dir("cifar10", &dir)).unwrap();
    assert_eq!(train.labels, [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
    assert_eq!((train.channels, train.height, train.width), (3, 32, 32));
    assert_eq!([0, 1023, 1024, 2048, 3071].map(|at| train.image(4).unwrap()[at]), [3, 3, 100, 200, 200]);
    assert_eq!((&test.labels[..], &test.classes[3], test.classes.len()), (&[3][..], &"cat".to_owned(), 10));
    assert_eq!(load(&format!("cifar10:{}", inner.display())).unwrap().train.images, train.images);
}

#[test]
fn cifar100_takes_the_fine_label() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("train.bin"), cifar_record(&[11, 99], [1, 2, 3])).unwrap();
    fs::write(dir.path().join("test.bin"), cifar_record(&[4, 0], [1, 2, 3])).unwrap();
    let Splits { train, test, .. } = load(&in_dir("cifar100", &dir)).unwrap();
    assert_eq!((&train.labels, &test.labels, train.classes.len()), (&vec![99], &vec![0], 100));
    assert_eq!(
        (&train.classes[0][..], &train.classes[47][..], &train.classes[99][..]),
        ("apple", "maple_tree", "worm")
    );
    assert!(train.classes.is_sorted());
}

#[test]
fn a_damaged_or_missing_cifar_file_is_named() {
    let dir = TempDir::new().unwrap();
    cifar10_folder(dir.path());
    let source = in_dir("cifar10", &dir);
    fs::write(dir.path().join("data_batch_2.bin"), cifar_record(&[10], [0; 3])).unwrap();
    assert_says(load(&source), &["Record 0", "data_batch_2.bin", "label 10", "below 10"]);
    fs::write(dir.path().join("data_batch_2.bin"), [0; 3074]).unwrap();
    assert_says(load(&source), &["data_batch_2.bin", "3074 bytes", "3073 bytes each", "binary version"]);
    fs::write(dir.path().join("data_batch_2.bin"), []).unwrap();
    assert_says(load(&source), &["data_batch_2.bin", "0 bytes"]);
    fs::remove_file(dir.path().join("data_batch_2.bin")).unwrap();
    let looked_for = Path::new("cifar-10-batches-bin").join("data_batch_2.bin").display().to_string();
    assert_says(load(&source), &["missing", "data_batch_2.bin, ", &looked_for, "cifar-10-binary.tar.gz"]);
}

// Folders of images

fn write_image(dir: &TempDir, path: &str, image: &RgbImage) {
    let path = dir.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

fn flat(width: u32, height: u32, colour: [u8; 3]) -> RgbImage {
    RgbImage::from_pixel(width, height, Rgb(colour))
}

#[test]
fn a_folder_loads_png_and_jpeg_in_the_order_of_names() {
    let dir = TempDir::new().unwrap();
    let mut drawn = flat(3, 2, [10, 20, 30]);
    drawn.put_pixel(2, 1, Rgb([1, 2, 3]));
    write_image(&dir, "train/dog/b.png", &drawn);
    write_image(&dir, "train/dog/a.PNG", &flat(3, 2, [0, 0, 255]));
    write_image(&dir, "train/cat/z.jpg", &flat(3, 2, [200, 100, 50]));
    write_image(&dir, "train/cat/y.jpeg", &flat(3, 2, [50, 100, 200]));
    write_image(&dir, "test/dog/t.png", &flat(3, 2, [9, 9, 9]));
    for other in ["train/notes.txt", "train/dog/notes.txt", "train/dog/._b.png"] {
        fs::write(dir.path().join(other), "not an image").unwrap();
    }
    let Splits { train, test, .. } = load(&in_dir("folder", &dir)).unwrap();
    assert_eq!(train.classes, ["cat", "dog"]);
    assert_eq!((&train.labels, &test.labels), (&vec![0, 0, 1, 1], &vec![1]));
    assert_eq!((train.channels, train.height, train.width), (3, 2, 3));
    for (index, colour) in [(0, [50, 100, 200]), (1, [200, 100, 50])] {
        for (plane, expected) in train.image(index).unwrap().chunks(6).zip(colour) {
            assert!(plane.iter().all(|value| value.abs_diff(expected) <= 4), "{plane:?} {expected}");
        }
    }
    assert_eq!(train.image(2).unwrap()[10..14], [0, 0, 255, 255]);
    let numbered = [10, 10, 10, 10, 10, 1, 20, 20, 20, 20, 20, 2, 30, 30, 30, 30, 30, 3];
    assert_eq!(train.image(3).unwrap()[..], numbered);

    let options = LoadOptions::default().channels(1);
    let grey = load_with(&in_dir("folder", &dir), options).unwrap();
    assert_eq!((grey.train.channels, &grey.train.image(2).unwrap()[..]), (1, &[29; 6][..]));
}

#[test]
fn a_folder_of_grey_images_has_one_channel_unless_three_are_asked_for() {
    let dir = TempDir::new().unwrap();
    for path in ["train/a/1.png", "train/b/1.png", "val/a/1.png"] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(2, 2, Luma([40])).save(path).unwrap();
    }
    let Splits { train, test, .. } = load(&in_dir("folder", &dir)).unwrap();
    assert_eq!((train.channels, train.images, test.len()), (1, vec![40; 8].into(), 1));
    let options = LoadOptions::default().channels(3);
    assert_eq!(load_with(&in_dir("folder", &dir), options).unwrap().train.images.held().unwrap(), [40; 24]);
}

#[test]
fn without_a_test_folder_the_same_tenth_of_each_class_is_held_out() {
    let dir = TempDir::new().unwrap();
    for index in 0..20 {
        write_image(&dir, &format!("train/a/{index:02}.png"), &flat(1, 1, [index, 0, 0]));
        if index < 3 {
            write_image(&dir, &format!("train/b/{index}.png"), &flat(1, 1, [100 + index, 0, 0]));
        }
    }
    let Splits { train, test, .. } = load(&in_dir("folder", &dir)).unwrap();
    assert!(test.name.ends_with("(test, a tenth of train held out)"), "{}", test.name);
    assert_eq!((per_class(&train), per_class(&test)), (vec![18, 2], vec![2, 1]));
    let reds = |data: &Dataset| data.images.held().unwrap().iter().copied().step_by(3).collect::<Vec<_>>();
    assert_eq!(reds(&test), [9, 19, 102]);
    let mut all = [reds(&train), reds(&test)].concat();
    all.sort_unstable();
    assert_eq!(all, (0..20).chain(100..103).collect::<Vec<_>>());
}

#[test]
fn a_text_file_called_jpg_is_named() {
    let dir = TempDir::new().unwrap();
    write_image(&dir, "train/a/1.png", &flat(2, 2, [0; 3]));
    for (name, bytes) in [("bad.jpg", &b"this is text"[..]), ("empty.png", b"")] {
        let path = dir.path().join("train/a").join(name);
        fs::write(&path, bytes).unwrap();
        assert_says(load(&in_dir("folder", &dir)), &[name, "cannot be decoded as an image", "Remove it"]);
        fs::remove_file(path).unwrap();
    }
    // The header is whole, so this one fails only when the pixels are decoded.
    let path = dir.path().join("train/a/cut.png");
    let mut whole = Vec::new();
    flat(2, 2, [0; 3]).write_to(&mut std::io::Cursor::new(&mut whole), ImageFormat::Png).unwrap();
    fs::write(path, &whole[..45]).unwrap();
    write_image(&dir, "test/a/1.png", &flat(2, 2, [0; 3]));
    assert_says(load(&in_dir("folder", &dir)), &["cut.png", "cannot be decoded as an image"]);
}

#[test]
fn images_of_two_sizes_are_refused_until_a_size_is_given() {
    let dir = TempDir::new().unwrap();
    write_image(&dir, "train/a/1.png", &flat(4, 2, [8, 8, 9]));
    write_image(&dir, "test/a/2.png", &flat(5, 3, [8, 8, 9]));
    assert_says(load(&in_dir("folder", &dir)), &["2.png is 3x5", "1.png is 2x4", "`size = 2x4`"]);
    let options = LoadOptions::default().size(6, 7);
    let splits = load_with(&in_dir("folder", &dir), options).unwrap();
    assert_eq!((splits.test.height, splits.test.width, splits.test.image(0).unwrap()[2 * 42]), (6, 7, 9));
}

#[test]
fn a_limit_spares_files_beyond_it_from_decoding() {
    let dir = TempDir::new().unwrap();
    for class in ["a", "b"] {
        write_image(&dir, &format!("train/{class}/1.png"), &flat(1, 1, [1; 3]));
        write_image(&dir, &format!("test/{class}/1.png"), &flat(1, 1, [1; 3]));
        fs::write(dir.path().join(format!("train/{class}/2.png")), "text").unwrap();
    }
    let options = LoadOptions::default().limit(2);
    assert_eq!(load_with(&in_dir("folder", &dir), options).unwrap().train.labels, [0, 1]);
}

#[test]
fn folders_that_are_missing_empty_or_unknown_are_told() {
    let dir = TempDir::new().unwrap();
    let source = in_dir("folder", &dir);
    assert_says(load("folder:no/such"), &["no/such does not exist", "a folder train in it"]);
    assert_says(load(&source), &["train does not exist", "one folder per class"]);
    fs::create_dir(dir.path().join("train")).unwrap();
    assert_says(load(&source), &["train is empty", "Sort the images"]);
    fs::create_dir(dir.path().join("train/a")).unwrap();
    assert_says(load(&source), &["a is empty", "at least one .jpg, .jpeg, .png, .webp or .bmp file"]);
    write_image(&dir, "train/a/1.png", &flat(1, 1, [0; 3]));
    assert_says(
        load(&source),
        &["has no test images, and a tenth of its training images cannot be held out", "Bring test images"],
    );
    write_image(&dir, "test/b/1.png", &flat(1, 1, [0; 3]));
    assert_says(load(&source), &["b is a class without training images", "expected the classes a"]);
}

// Synthetic data

#[test]
fn synthetic_data_is_the_same_every_time_and_can_be_told_apart() {
    let Splits { train, test, .. } = load("synthetic:3x8x6:5:200").unwrap();
    assert_eq!((train.len(), test.len()), (200, 40));
    assert_eq!((train.channels, train.height, train.width, train.classes.len()), (3, 8, 6, 5));
    assert_eq!((per_class(&train), per_class(&test)), (vec![40; 5], vec![8; 5]));
    assert_eq!(load("synthetic:3x8x6:5:200").unwrap().train, train);
    assert_ne!(train.image(0).unwrap(), test.image(0).unwrap());
    assert_ne!(train.image(0).unwrap(), train.image(5).unwrap());

    // Learnable: the nearest class mean of the training images names every test image.
    let mean = |class: u32| -> Vec<f64> {
        let of_class = |index: &usize| train.labels[*index] == class;
        let images: Vec<_> = (0..train.len()).filter(of_class).map(|index| train.image(index).unwrap()).collect();
        let sum = |at: usize| images.iter().map(|image| f64::from(image[at])).sum::<f64>();
        (0..train.image_len()).map(|at| sum(at) / images.len() as f64).collect()
    };
    let means: Vec<_> = (0..5).map(mean).collect();
    for index in 0..test.len() {
        let distance = |mean: &Vec<f64>| -> f64 {
            let image = test.image(index).unwrap();
            image.iter().zip(mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum()
        };
        let nearest = (0..5).min_by(|&a, &b| distance(&means[a]).total_cmp(&distance(&means[b]))).unwrap();
        assert_eq!(nearest as u32, test.labels[index], "test image {index}");
    }
}

#[test]
fn synthetic_data_is_the_same_on_every_platform() {
    let train = load("synthetic:1x4x4:2").unwrap().train;
    // From a separate implementation: a cell a pixel, each with its own noise.
    let expected = [72, 196, 128, 74, 118, 147, 128, 108, 109, 117, 129, 65, 165, 197, 221, 81];
    assert_eq!(train.image(1).unwrap()[..], expected);
}

#[test]
fn synthetic_data_beyond_memory_is_refused_with_its_size() {
    let error = assert_says(load("synthetic:65535x65535x65535:2:2000000000"), &["bytes once decoded", "`limit`"]);
    assert!(!error.is_usage());
}
