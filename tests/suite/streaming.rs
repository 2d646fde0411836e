//! Data that are not held in memory: the same images, the same numbers and the same bits as those that are.

use crate::common::tilewright;
use image::{Rgb, RgbImage};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};
use tilewright::checkpoint::load_checkpoint;
use tilewright::data::{Damaged, LoadOptions, MemorySize, Source, Splits};
use tilewright::recipe::{RunRecord, TrainConfig};
use tilewright::session::Device;
use tilewright::train::{Changes, EpochRow, Reporter, RunFolder, Silent, TrainError, Trainer};

const NOTHING: MemorySize = MemorySize(0);
const ENOUGH: MemorySize = MemorySize(1 << 30);

/// Nine training and four test images of several sizes, two thirds of one class.
fn folder() -> TempDir {
    let dir = tempdir().unwrap();
    for index in 0..13u8 {
        let split = if index < 9 { "train" } else { "test" };
        let class = if index % 3 == 0 { "rare" } else { "usual" };
        let path = dir.path().join(split).join(class).join(format!("{index}.png"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture(index).save(path).unwrap();
    }
    dir
}

fn picture(index: u8) -> RgbImage {
    let value = |x: u32, y: u32, by: u32| ((x * by + y * 7 + u32::from(index) * 29) % 256) as u8;
    RgbImage::from_fn(12 + u32::from(index), 14, |x, y| Rgb([value(x, y, 3), value(x, y, 11), value(x, y, 19)]))
}

fn source(dir: &TempDir) -> Source {
    Source::folder(dir.path())
}

fn load(source: &Source, memory: MemorySize) -> Splits {
    source.load(&LoadOptions::default().size(12, 12).damaged(Damaged::Skip).memory(memory)).unwrap()
}

fn assert_same_images(held: &Splits, streamed: &Splits) {
    assert_eq!(
        RunRecord::of(held, String::new()),
        RunRecord::of(streamed, String::new()),
        "checksums of pixels and labels"
    );
    for (held, streamed) in [(&held.train, &streamed.train), (&held.test, &streamed.test)] {
        assert!(held.images.held().is_some() && streamed.images.held().is_none());
        assert_eq!((held.len(), held.mean_std(), &held.name), (streamed.len(), streamed.mean_std(), &streamed.name));
        for index in 0..held.len() {
            assert_eq!(held.image(index).unwrap(), streamed.image(index).unwrap(), "image {index} of {}", held.name);
        }
    }
}

#[test]
fn images_that_are_streamed_are_those_that_are_held_without_the_damaged() {
    let dir = folder();
    fs::write(dir.path().join("train/usual/4.png"), "no image").unwrap();
    // A whole header before damaged pixels.
    let broken = dir.path().join("train/rare/6.png");
    let bytes = fs::read(&broken).unwrap();
    fs::write(&broken, &bytes[..bytes.len() - 40]).unwrap();
    let [held, mut streamed] = [ENOUGH, NOTHING].map(|memory| load(&source(&dir), memory));
    assert_eq!(held.train.len(), 7);
    assert_same_images(&held, &streamed);
    let told = streamed.notes.pop().unwrap();
    assert!(told.starts_with("images are read anew in each epoch, since they take more than 0 bytes"), "{told}");
    assert_eq!(held.notes, streamed.notes);
    assert_same_images(
        &Splits { train: held.train.truncated(5), ..held },
        &Splits { train: streamed.train.truncated(5), ..streamed },
    );
}

#[test]
fn images_that_are_held_as_they_are_may_be_resized_as_they_are_needed() {
    for source in ["mnist", "synthetic:1x9x9:3:40"] {
        let source: Source = source.parse().unwrap();
        let options = |memory| LoadOptions::default().size(64, 64).channels(3).limit(30).memory(MemorySize(memory));
        // More than 30 images of one plane of 28x28 for training and as many for testing, less than of three of 64x64.
        let [held, streamed] = [1 << 30, 50_000].map(|memory| source.load(&options(memory)).unwrap());
        assert_same_images(&held, &streamed);
    }
}

#[test]
fn the_splits_that_fit_together_are_held() {
    let one = 3 * 12 * 12;
    let dir = folder();
    for (images, expected) in [(13, [true, true]), (12, [false, true]), (4, [false, true]), (3, [false, false])] {
        let splits = load(&source(&dir), MemorySize(images * one));
        let held = [&splits.train, &splits.test].map(|set| set.images.held().is_some());
        assert_eq!(held, expected, "{images} images of room");
    }
}

/// Nothing of it is drawn alike in two epochs.
fn config(dir: &TempDir, memory: MemorySize) -> TrainConfig {
    TrainConfig {
        data: source(dir),
        size: Some((12, 12)),
        epochs: 3,
        batch: 4,
        lr: 0.01,
        sampler: "balanced".parse().unwrap(),
        augment: Some("crop:padding=2,flip,random_resized_crop,cutmix:alpha=1".parse().unwrap()),
        average: Some("ema:decay=0.9".parse().unwrap()),
        validation: Some(0.3),
        checkpoint_every: 1,
        data_memory: Some(memory),
        ..TrainConfig::default()
    }
}

fn create(config: TrainConfig, run: &Path) -> Trainer {
    Trainer::create(config, &Device::reference(), Some(run)).unwrap()
}

/// Every tensor and every loss, to the last bit.
fn assert_same_runs(one: &Path, other: &Path) {
    assert_eq!(fs::read(one.join("steps.csv")).unwrap(), fs::read(other.join("steps.csv")).unwrap());
    for file in [RunFolder::checkpoint, RunFolder::best] {
        let [one, other] = [one, other].map(|run| load_checkpoint(&file(run)).unwrap());
        assert_eq!(one.header.normalization, other.header.normalization);
        assert!(one.tensors == other.tensors, "the tensors of {} differ", file(Path::new("")).display());
    }
}

#[test]
fn a_streamed_run_ends_with_the_bits_of_a_held_one_whatever_it_goes_on_with() {
    let (dir, runs) = (folder(), tempdir().unwrap());
    let [held, streamed, mixed] = ["held", "streamed", "mixed"].map(|name| runs.path().join(name));
    for (run, memory) in [(&held, ENOUGH), (&streamed, NOTHING)] {
        create(config(&dir, memory), run).run(&mut Silent).unwrap();
    }
    assert_same_runs(&held, &streamed);

    // Two runs of an epoch each, and the last one within an epoch.
    create(config(&dir, NOTHING), &mixed).run_to(1, &mut Silent).unwrap();
    let mut changes = Changes::default();
    changes.data_memory = Some(ENOUGH);
    Trainer::resume(&mixed, &Device::reference(), &changes).unwrap().run_to(2, &mut Silent).unwrap();
    changes.data_memory = Some(NOTHING);
    let mut trainer = Trainer::resume(&mixed, &Device::reference(), &changes).unwrap();
    trainer.stop_at(std::time::Instant::now());
    assert!(matches!(trainer.run(&mut Silent), Err(TrainError::TimeOver { steps: 5.., .. })));
    drop(trainer);
    Trainer::resume(&mixed, &Device::reference(), &Changes::default()).unwrap().run(&mut Silent).unwrap();
    assert_same_runs(&held, &mixed);
}

/// Does something to a file after the first epoch.
struct AfterOne<F: FnMut()>(F);

impl<F: FnMut()> Reporter for AfterOne<F> {
    fn note(&mut self, _: &str) {}
    fn begin(&mut self, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64, _: f64, _: f64, _: f64) {}

    fn end_epoch(&mut self, row: &EpochRow) {
        if row.epoch == 1 {
            self.0();
        }
    }
}

#[test]
fn an_image_that_is_lost_or_replaced_during_a_run_ends_it_by_name_and_the_run_goes_on_once_it_is_back() {
    let (dir, runs) = (folder(), tempdir().unwrap());
    let without_chance = || TrainConfig { sampler: Default::default(), validation: None, ..config(&dir, NOTHING) };
    let whole = runs.path().join("whole");
    create(without_chance(), &whole).run(&mut Silent).unwrap();
    let victim = dir.path().join("train/usual/5.png");
    let image = fs::read(&victim).unwrap();
    let end = |run: &PathBuf, damage: &dyn Fn(), told: &str| {
        let mut trainer = create(without_chance(), run);
        let error = trainer.run(&mut AfterOne(damage)).unwrap_err().to_string();
        assert!(error.contains(&victim.display().to_string()) && error.contains(told), "{error}");
        drop(trainer);
        fs::write(&victim, &image).unwrap();
        assert!(load_checkpoint(&RunFolder::checkpoint(run)).unwrap().header.progress.step >= 3);
        Trainer::resume(run, &Device::reference(), &Changes::default()).unwrap().run(&mut Silent).unwrap();
        assert_same_runs(&whole, run);
    };
    end(&runs.path().join("lost"), &|| fs::remove_file(&victim).unwrap(), "cannot be read");
    end(&runs.path().join("cut"), &|| fs::write(&victim, &image[..image.len() / 2]).unwrap(), "cannot be decoded");
    end(
        &runs.path().join("replaced"),
        &|| picture(99).save(&victim).unwrap(),
        "has changed since the images were first",
    );
}

#[test]
fn a_test_is_the_same_on_images_that_are_streamed() {
    let (dir, runs) = (folder(), tempdir().unwrap());
    let run = runs.path().join("run");
    create(TrainConfig { epochs: 1, ..config(&dir, ENOUGH) }, &run).run(&mut Silent).unwrap();
    let run = run.to_str().unwrap();
    let eval = |memory: &str| {
        tilewright(
            &["eval", run, "--device", "cpu", "--json", "--tta", "flip", "--batch", "3", "--data-memory", memory],
            0,
        )
    };
    let [mut held, mut streamed] = ["1G", "0"].map(|memory| eval(memory).json());
    eval("0").says("images are read anew");
    for result in [&mut held, &mut streamed] {
        let timed = result.as_object_mut().unwrap();
        ["seconds", "images_per_second"].iter().for_each(|key| drop(timed.remove(*key).unwrap()));
    }
    assert_eq!(held, streamed);
}

#[test]
fn what_can_only_be_held_is_refused_where_it_does_not_fit() {
    let dir = tempdir().unwrap();
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut png = std::io::Cursor::new(Vec::new());
    picture(1).write_to(&mut png, image::ImageFormat::Png).unwrap();
    for index in 0..10 {
        for (ending, bytes) in [("png", &png.get_ref()[..]), ("cls", &[b'0' + index % 2][..])] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, format!("{index}.{ending}"), bytes).unwrap();
        }
    }
    let shard = dir.path().join("images.tar.gz");
    fs::write(&shard, archive.into_inner().unwrap().finish().unwrap()).unwrap();
    let source: Source = format!("webdataset:{}", shard.display()).parse().unwrap();
    let error = |memory| source.load(&LoadOptions::default().memory(memory)).unwrap_err().to_string();
    let told = error(MemorySize(1 << 10));
    assert!(told.contains("images.tar.gz is compressed") && told.contains("more than 1K"), "{told}");
    // As they are stored they fit, and are decoded when they are needed.
    let streamed = source.load(&LoadOptions::default().memory(MemorySize(11 * png.get_ref().len() as u64))).unwrap();
    assert!(streamed.train.images.held().is_none());

    let small = ["train", "--device", "cpu", "--data-memory"];
    tilewright(&[&small[..], &["1K"]].concat(), 2).says("--data-memory is 1K").says("held in memory as a whole");
    tilewright(&[&small[..], &["lots"]].concat(), 2).says("such as 512M or 1.5G");
}
