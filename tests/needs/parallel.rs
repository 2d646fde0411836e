//! Runs whose batches are cut into shards: the same bits for any number of members, and what they compute.

use crate::averages::normed;
use crate::common::tilewright;
use crate::need::trials;
use std::fs;
use std::path::Path;
use tilewright::checkpoint::{Checkpoint, load_checkpoint};
use tilewright::data::{Dataset, Splits};
use tilewright::gpu::DeviceOptions;
use tilewright::graph::{GraphError, Value};
use tilewright::models::{self, Model, Settings};
use tilewright::nn::{Conv2d, Scope};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{RunFolder, Silent, TrainError, Trainer};

trials! {
    Nothing:
        a_run_of_four_shards_ends_to_the_last_bit_alike_on_one_two_three_or_four_devices,
        shards_are_summed_to_what_a_whole_batch_gives,
        a_run_of_shards_is_resumed_on_another_number_of_devices_as_if_it_had_never_stopped,
        shards_that_share_their_batch_norms_give_what_a_whole_batch_gives,
        shards_that_share_their_batch_norms_end_to_the_last_bit_alike_on_one_two_three_or_four_devices,
        shards_that_cannot_be_are_refused_with_their_number_and_the_rule,
        a_member_that_fails_ends_the_run_with_its_rank_and_the_reason;
    Adapter:
        shards_on_adapters_end_to_the_last_bit_alike_for_lenet5_and_for_dropout_and_batch_norm,
        a_step_of_two_devices_is_measured_with_what_they_exchange,
        the_command_line_trains_on_a_device_twice_and_goes_on_alone;
}

/// Neither batch norm nor dropout: its gradients do not depend on how a batch is cut.
fn plain(net: &mut Scope, images: Value, with: &Settings) -> Result<Value, GraphError> {
    let x = net.flatten(images)?;
    let x = net.linear("first", x, 6)?;
    let x = net.relu(x)?;
    net.linear("second", x, with.num_classes)
}

/// Batch norms before and after an activation, with and without a gradient of what comes before.
fn normal(net: &mut Scope, images: Value, with: &Settings) -> Result<Value, GraphError> {
    let x = net.conv2d("first", images, Conv2d::square(4, 3))?;
    let x = net.batch_norm("norm", x)?;
    let x = net.relu(x)?;
    let x = net.flatten(x)?;
    let x = net.linear("second", x, 6)?;
    let x = net.batch_norm("again", x)?;
    net.linear("last", x, with.num_classes)
}

const MODELS: [Model; 3] = [
    Model::new("sharded_small", [1, 6, 6], 3, normed),
    Model::new("sharded_plain", [1, 6, 6], 3, plain),
    Model::new("sharded_normal", [1, 6, 6], 3, normal),
];

fn images(name: &str, count: usize) -> Dataset {
    // Of class c every fourth image, of the others the rest.
    let labels: Vec<u32> = (0..count as u32).map(|index| [0, 0, 1, 2][index as usize % 4]).collect();
    let mut noise = 12345u32;
    let mut images = Vec::new();
    for &label in &labels {
        for pixel in 0..36 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            images.push((noise >> 25) as u8 + if pixel % 3 == label { 90 } else { 0 });
        }
    }
    let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
    Dataset::new(name, [1, 6, 6], classes, images, labels).unwrap()
}

/// Five steps per epoch, of which the last has three shards, one of them short.
fn config(model: &str, shards: usize) -> TrainConfig {
    for model in MODELS {
        // The tests of one program share the names.
        let _ = models::register(model);
    }
    TrainConfig {
        model: model.into(),
        epochs: 2,
        batch: 16,
        shards: Some(shards),
        lr: 0.05,
        optimizer: "sgd:momentum=0.9".parse().unwrap(),
        ..TrainConfig::default()
    }
}

fn splits() -> Splits {
    Splits::new(images("train", 4 * 16 + 10), images("test", 37))
}

/// Everything that may go wrong with shards: mixed and changed images, weights of classes, an average, clipping.
fn rich() -> TrainConfig {
    TrainConfig {
        flip: true,
        augment: Some("crop:padding=1,mixup:alpha=0.4".parse().unwrap()),
        class_weights: Some("balanced".parse().unwrap()),
        average: Some("ema:decay=0.9".parse().unwrap()),
        clip_grad_norm: Some(0.5),
        l1: 1e-4,
        ..config("sharded_small", 4)
    }
}

/// Trains on the reference, with so many members.
fn trained(config: TrainConfig, members: usize, folder: &Path) -> Checkpoint {
    let device = Device::reference();
    let trainer = Trainer::on(splits(), config, &device, Some(folder)).unwrap();
    trainer.together_with(vec![device; members - 1]).unwrap().run(&mut Silent).unwrap();
    load_checkpoint(&RunFolder::checkpoint(folder)).unwrap()
}

pub(crate) fn expect_same_bits(one: &Checkpoint, other: &Checkpoint) {
    assert_eq!(one.tensors.keys().collect::<Vec<_>>(), other.tensors.keys().collect::<Vec<_>>());
    for (name, (_, values)) in &one.tensors {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert!(bits(values) == bits(&other.tensors[name].1), "{name} differs");
    }
    assert_eq!(one.header.progress, other.header.progress);
}

fn a_run_of_four_shards_ends_to_the_last_bit_alike_on_one_two_three_or_four_devices() {
    let folder = tempfile::tempdir().unwrap();
    let path = |members: usize| folder.path().join(members.to_string());
    let alone = trained(rich(), 1, &path(1));
    let table = |members: usize| fs::read(path(members).join("steps.csv")).unwrap();
    for members in 2..=4 {
        expect_same_bits(&trained(rich(), members, &path(members)), &alone);
        assert_eq!(table(members), table(1), "the losses of the steps");
        assert_eq!(
            fs::read(path(members).join("evaluation.json")).unwrap(),
            fs::read(path(1).join("evaluation.json")).unwrap()
        );
    }
}

fn shards_are_summed_to_what_a_whole_batch_gives() {
    let folder = tempfile::tempdir().unwrap();
    for (place, class_weights) in [None, Some("balanced".parse().unwrap())].into_iter().enumerate() {
        let of = |shards: usize| {
            let config = TrainConfig { class_weights: class_weights.clone(), ..config("sharded_plain", shards) };
            trained(config, 1, &folder.path().join(format!("{place}-{shards}")))
        };
        let (whole, cut) = (of(1), of(4));
        for (name, (_, values)) in &whole.tensors {
            for (a, b) in values.iter().zip(&cut.tensors[name].1) {
                assert!((a - b).abs() <= 2e-6 + 2e-5 * a.abs(), "{name}: {a} and {b}");
            }
        }
        assert!((whole.header.progress.test_loss - cut.header.progress.test_loss).abs() < 1e-5);
    }
}

fn shards_that_share_their_batch_norms_give_what_a_whole_batch_gives() {
    let folder = tempfile::tempdir().unwrap();
    for (place, class_weights) in [None, Some("balanced".parse().unwrap())].into_iter().enumerate() {
        let of = |shards: usize, sync_batch_norm: bool| {
            let config = TrainConfig {
                class_weights: class_weights.clone(),
                // Also of running statistics.
                average: Some("ema:decay=0.7".parse().unwrap()),
                sync_batch_norm,
                ..config("sharded_normal", shards)
            };
            trained(config, 1, &folder.path().join(format!("{place}-{shards}-{sync_batch_norm}")))
        };
        let (whole, shared, own) = (of(1, false), of(4, true), of(4, false));
        let furthest = |other: &Checkpoint| {
            let pairs = whole.tensors.iter().flat_map(|(name, (_, values))| values.iter().zip(&other.tensors[name].1));
            pairs.map(|(a, b)| (a - b).abs() / (1.0 + a.abs())).fold(0.0, f32::max)
        };
        assert!(furthest(&shared) < 2e-5, "{} from a whole batch", furthest(&shared));
        assert!(furthest(&own) > 1e-3, "with batch norms of their own they give something else");
    }
}

fn shards_that_share_their_batch_norms_end_to_the_last_bit_alike_on_one_two_three_or_four_devices() {
    let folder = tempfile::tempdir().unwrap();
    let path = |members: usize| folder.path().join(members.to_string());
    let run = |members: usize| trained(TrainConfig { sync_batch_norm: true, ..rich() }, members, &path(members));
    let alone = run(1);
    for members in 2..=4 {
        expect_same_bits(&run(members), &alone);
    }
    // Without a batch norm there is nothing to share.
    let plain = |sync_batch_norm: bool| {
        let config = TrainConfig { sync_batch_norm, ..config("sharded_plain", 4) };
        trained(config, 2, &folder.path().join(format!("plain-{sync_batch_norm}")))
    };
    expect_same_bits(&plain(true), &plain(false));
}

fn a_run_of_shards_is_resumed_on_another_number_of_devices_as_if_it_had_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let whole = trained(rich(), 2, &folder.path().join("whole"));
    let path = folder.path().join("parts");
    let device = Device::reference();
    let mut first = Trainer::on(splits(), rich(), &device, Some(&path)).unwrap();
    first = first.together_with(vec![device.clone()]).unwrap();
    first.run_to(1, &mut Silent).unwrap();
    drop(first);
    let resumed = Trainer::resume_on(splits(), &path, &device, RunFolder::config(&path).unwrap()).unwrap();
    resumed.together_with(vec![device.clone(), device]).unwrap().run(&mut Silent).unwrap();
    expect_same_bits(&load_checkpoint(&RunFolder::checkpoint(&path)).unwrap(), &whole);
}

fn shards_that_cannot_be_are_refused_with_their_number_and_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::reference();
    let refused = |name: &str, config: TrainConfig, others: usize| {
        let trainer = Trainer::on(splits(), config, &device, Some(&folder.path().join(name)));
        trainer.and_then(|trainer| trainer.together_with(vec![device.clone(); others])).err().unwrap()
    };
    let told = refused("three", config("sharded_plain", 3), 0);
    assert_eq!(told.to_string(), "`shards` is 3, but must be a divisor of the batch of 16 images");
    assert!(told.is_usage());
    let told = refused("few", config("sharded_plain", 2), 2).to_string();
    assert_eq!(told, "`shards` is 2, but must be at least 3, one for each member");
    let both = TrainConfig { micro_batch: Some(4), ..config("sharded_plain", 2) };
    assert!(refused("both", both, 0).to_string().contains("must be left out with `shards`"));
}

fn a_member_that_fails_ends_the_run_with_its_rank_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (device, data) = (Device::reference(), images("train", 32));
    let bytes: Vec<Vec<u8>> = (0..32).map(|index| data.image(index).unwrap().into_owned()).collect();
    let is_gone = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let gone = std::sync::Arc::clone(&is_gone);
    let read = move |index: usize, out: &mut [u8]| {
        // Which member reads the image is decided by its shard.
        let own = &bytes[index];
        match gone.load(std::sync::atomic::Ordering::SeqCst) && index == 5 {
            true => Err(tilewright::data::DataError::ChangedImage { image: "image 5".to_owned() }),
            false => {
                out.copy_from_slice(own);
                Ok(())
            }
        }
    };
    let train = Dataset::streamed("train", [1, 6, 6], data.classes.clone(), data.labels.clone(), read).unwrap();
    let splits = Splits::new(train, images("test", 8));
    let trainer = Trainer::on(splits, config("sharded_plain", 2), &device, Some(folder.path())).unwrap();
    is_gone.store(true, std::sync::atomic::Ordering::SeqCst);
    let told = trainer.together_with(vec![device.clone()]).unwrap().run(&mut Silent).unwrap_err();
    let text = told.to_string();
    // Its own error is told as it is, that of another by its rank.
    let of_other = matches!(told, TrainError::Parallel(_)) && text.starts_with("rank 1 of 2 has failed: ");
    assert!(text.contains("image 5 has changed") && (of_other || matches!(told, TrainError::Data(_))), "{text}");
}

fn shards_on_adapters_end_to_the_last_bit_alike_for_lenet5_and_for_dropout_and_batch_norm() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Device::open("0", DeviceOptions::default()).unwrap();
    let lenet =
        TrainConfig { data: "mnist".parse().unwrap(), limit: Some(90), flip: true, crop: 2, ..config("lenet5", 4) };
    let dropping = TrainConfig { data: "synthetic:1x6x6:3:74".parse().unwrap(), ..rich() };
    let shared = TrainConfig { sync_batch_norm: true, ..dropping.clone() };
    for (place, config) in [lenet, dropping, shared].into_iter().enumerate() {
        let run = |members: usize| {
            let path = folder.path().join(format!("{place}-{members}"));
            let trainer = Trainer::create(config.clone(), &open(), Some(&path)).unwrap();
            let others = (1..members).map(|_| open()).collect();
            trainer.together_with(others).unwrap().run(&mut Silent).unwrap();
            load_checkpoint(&RunFolder::checkpoint(&path)).unwrap()
        };
        let alone = run(1);
        for members in [2, 4] {
            expect_same_bits(&run(members), &alone);
        }
    }
}

fn a_step_of_two_devices_is_measured_with_what_they_exchange() {
    let step = ["bench", "step", "lenet5", "--batch", "4", "--devices", "0,0"];
    let ended = tilewright(&[&step[..], &["--json"]].concat(), 0);
    let told: serde_json::Value = serde_json::from_str(ended.stdout.trim_end().lines().last().unwrap()).unwrap();
    assert_eq!((&told["members"], &told["shards"]), (&2.into(), &2.into()));
    // Half of the sums to the other, and half of them back: 61,706 parameters, with room between them.
    let sent = told["sent_bytes"].as_u64().unwrap();
    assert!((4 * 61_706..4 * 63_000).contains(&sent), "{sent}");
    for share in ["exchange", "exposed_exchange"] {
        assert!((0.0..1.0).contains(&told[share].as_f64().unwrap()), "{told}");
    }
    assert!(told["efficiency"].as_f64().unwrap() > 0.0, "{told}");
    let refused = tilewright(&[&step[..], &["--shards", "3"]].concat(), 2);
    assert!(
        refused.stderr.contains("--shards is 3, but must be a divisor of the batch of 4 images"),
        "{}",
        refused.stderr
    );
    tilewright(&[&step[..], &["--variants"]].concat(), 2).says("--variants is for a step of one device");
    tilewright(&[&step[..], &["--compare", "nosuch.json"]].concat(), 1).says("`nosuch.json` cannot be read");
}

fn the_command_line_trains_on_a_device_twice_and_goes_on_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tiny = ["lenet5", "--limit", "64", "--batch", "16", "--shards", "4", "--epochs", "2", "--flip"];
    let run = |extra: &[&str]| tilewright(&[&["train"], &tiny[..], extra].concat(), 0);
    run(&["--run", &path("alone")]);
    run(&["--run", &path("twice"), "--devices", "0,0", "--max-time", "0.01s"]);
    tilewright(&["train", "--resume", &path("twice"), "--devices", "0,0,0"], 0);
    let last = |name: &str| load_checkpoint(&RunFolder::checkpoint(Path::new(&path(name)))).unwrap();
    expect_same_bits(&last("twice"), &last("alone"));
    assert_eq!(RunFolder::config(Path::new(&path("twice"))).unwrap().shards, Some(4));
    // The number of shards is the run's own.
    tilewright(&["train", "--resume", &path("twice"), "--shards", "2"], 2);
}
