//! Training images that are kept larger than the model sees them, and tests of another size than training.

use tilewright::data::{Batches, LoadOptions, Normalization, Splits};
use tilewright::graph::Graph;
use tilewright::recipe::TrainConfig;
use tilewright::session::{Device, Session};
use tilewright::tensor::TensorSpec;
use tilewright::train::{Silent, TrainError, Trainer, read_data};

fn config(rest: &str) -> TrainConfig {
    let text = format!(
        "model = 'mnist_small'\ndata = 'synthetic:1x40x40:2:12'\nepochs = 1\nbatch = 6\nset.filters = [4, 4, 4]\n{rest}"
    );
    TrainConfig::from_toml(&text).unwrap()
}

fn data(config: &TrainConfig) -> Splits {
    read_data(config, Device::reference().activity()).unwrap()
}

#[test]
fn a_run_sees_parts_of_the_images_that_are_kept_and_is_tested_on_whole_ones() {
    let config = config(
        "size = '24x24'\nstored_size = '32x32'\ntrain_size = '16x16'\nvalidation = 0.34\n\
         augment = 'random_resized_crop,flip,cutout:size=4,cutmix'\naverage = 'swa:start=0'",
    );
    let splits = data(&config);
    let size = |images: &tilewright::data::Dataset| [images.height, images.width];
    assert_eq!(size(&splits.train), [32, 32]);
    assert_eq!(size(&splits.test), [24, 24]);
    assert_eq!(size(splits.validation.as_ref().unwrap()), [24, 24]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let outcome = Trainer::create(config, &Device::reference(), Some(&path)).unwrap().run(&mut Silent).unwrap();
    assert!(outcome.test.unwrap().loss.is_finite() && outcome.best_epoch == 1);
    let checkpoint = tilewright::checkpoint::load_checkpoint(&path.join("checkpoint.safetensors")).unwrap();
    assert_eq!(checkpoint.header.input, [1, 24, 24]);
    // A row is an image as it is and as eight epochs see it, all of the size that the model sees.
    let picture = image::open(path.join("augment.png")).unwrap();
    assert_eq!((picture.height() as f64 / picture.width() as f64).log2().round(), -1.0);
}

/// Each image of a crop without padding is one of the windows of the image that is kept.
#[test]
fn what_a_crop_without_padding_cuts_out_are_windows_of_the_image() {
    let config = config("size = '9x7'\nstored_size = '12x11'\naugment = 'crop:padding=0'");
    let splits = data(&config);
    let plain = Normalization { mean: vec![0.0], std: vec![1.0 / 255.0] };
    let changes = config.augmentations().unwrap();
    let batches = Batches::new(&splits.train, 12, &plain).unwrap().augmented(&changes).unwrap();
    let mut graph = Graph::new();
    let images = graph.input("images", TensorSpec::f32([12, 1, 12, 11])).unwrap();
    let inputs = |place: usize| format!("draws.{place}");
    let cut = changes.attach::<TrainError>(&mut graph, images, inputs, "mixture", |_, images| Ok(images)).unwrap();
    graph.output("cut", cut);
    assert_eq!(graph.shape(cut)[..], [12, 1, 9, 7]);
    let session = Session::new(&Device::reference(), 1);
    let [mut program] = session.prepare([&graph]).unwrap();
    let bytes: Vec<f32> = splits.train.images.held().unwrap().iter().map(|&byte| f32::from(byte)).collect();
    program.write(program.input("images").unwrap(), &bytes).unwrap();
    let mut corners = std::collections::BTreeSet::new();
    for epoch in 0..8 {
        let batch = Batches::new(&splits.train, 12, &plain).unwrap().augmented(&changes).unwrap().redrawn(1, epoch);
        let draws = batch.pack(0).unwrap().draws;
        program.write(program.input("draws.0").unwrap(), &draws[0]).unwrap();
        program.run().unwrap();
        let found = program.read(program.output("cut").unwrap()).unwrap().wait().unwrap();
        for (index, (cut, row)) in found.f32().chunks_exact(63).zip(draws[0].chunks_exact(4)).enumerate() {
            let [top, left] = [row[0] as usize, row[1] as usize];
            corners.insert([top, left]);
            let window = (0..63).map(|at| bytes[index * 132 + (top + at / 7) * 11 + left + at % 7]);
            assert!(cut.iter().copied().eq(window), "image {index} from {top}, {left}");
        }
    }
    assert!(corners.len() > 12 && corners.iter().all(|[top, left]| *top <= 3 && *left <= 4), "{corners:?}");
    drop(batches);
}

#[test]
fn a_model_whose_parameters_are_of_one_size_is_not_tested_on_another() {
    let mut config = config("size = '32x32'\ntrain_size = '28x28'\naugment = 'random_resized_crop'");
    (config.model, config.attributes) = ("lenet5".to_owned(), Default::default());
    let folder = tempfile::tempdir().unwrap();
    let error = Trainer::create(config, &Device::reference(), Some(&folder.path().join("run"))).err().unwrap();
    assert!(error.is_usage(), "{error}");
    let told = error.to_string();
    assert!(
        told.contains("`train_size` is 28x28, but must be 32x32, as in tests") && told.contains("lenet5"),
        "{told}"
    );
}

#[test]
fn images_in_memory_have_the_size_that_is_kept() {
    let config = config("size = '24x24'\nstored_size = '32x32'\naugment = 'random_resized_crop'");
    let splits = config.data.load(&LoadOptions::default().size(24, 24)).unwrap();
    let error = Trainer::on(splits, config, &Device::reference(), None).err().unwrap();
    assert!(error.to_string().contains("`stored_size` is 32x32, but must be 24x24"), "{error}");
}
