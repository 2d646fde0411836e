//! The recipes that are part of the program: what each says of itself, and that a run could begin with it.

use crate::common::tilewright;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tilewright::data::Source;
use tilewright::kernel::{DeviceClass, DeviceProfile};
use tilewright::models::{self, ModelOptions};
use tilewright::plan::Plan;
use tilewright::recipe::{Recipe, TrainConfig};
use tilewright::train::{Batch, evaluation_graph, part_graphs, training_graph};

/// Every recipe and every variant, by the name that `train --recipe` takes.
fn all() -> Vec<(String, TrainConfig)> {
    let variants = |recipe: &Recipe| {
        let names = recipe.about().unwrap().variant.into_keys();
        names.map(|variant| format!("{}:{variant}", recipe.name)).collect::<Vec<_>>()
    };
    let names = Recipe::all().iter().flat_map(|recipe| [recipe.name.to_owned()].into_iter().chain(variants(recipe)));
    names.map(|name| (name.clone(), Recipe::named(&name).unwrap_or_else(|error| panic!("{name}: {error}")))).collect()
}

/// Channels, height and width of the images that a recipe is for, and the number of their classes.
fn images(config: &TrainConfig) -> ([usize; 3], usize) {
    let word = |data: &Source| data.to_string().split(':').next().unwrap_or_default().to_owned();
    match word(&config.data).as_str() {
        "mnist" | "idx" => ([1, 28, 28], 10),
        "cifar10" => ([3, 32, 32], 10),
        "folder" => {
            let seen = config.train_size.or(config.size);
            let (height, width) = seen.expect("a recipe for files has a size");
            ([3, height, width], 1000)
        }
        other => panic!("the test does not know the images of `{other}`"),
    }
}

#[test]
fn every_file_of_a_recipe_is_part_of_the_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/recipes");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let known: BTreeSet<String> = Recipe::all().iter().map(|recipe| recipe.name.to_owned()).collect();
    assert_eq!(files, known);
}

#[test]
fn every_recipe_names_its_source_and_the_accuracy_there_and_here() {
    for recipe in Recipe::all() {
        let (about, name) = (recipe.about().unwrap(), recipe.name);
        for (what, told) in [("about", &about.about), ("source", &about.source), ("published", &about.published)] {
            assert!(!told.trim().is_empty(), "{name} has no `{what}`");
        }
        let is_number = |told: &str| told.contains(" %") && told.chars().any(|letter| letter.is_ascii_digit());
        assert!(is_number(&about.published) || about.published.starts_with("none"), "{name}: {}", about.published);
        let measured = &about.measured;
        let has_command = measured.contains("`tilewright train") && measured.contains(" on ");
        assert!(measured == "not run whole" || is_number(measured) && has_command, "{name}: {measured}");
        for (variant, of) in about.variant {
            assert!(is_number(&of.published) || of.published.starts_with("none"), "{name}:{variant}");
        }
    }
}

#[test]
fn every_recipe_is_valid_and_has_a_plan_at_its_model_and_batch() {
    let mut profile = DeviceProfile::webgpu_defaults(DeviceClass::Gpu);
    (profile.max_binding_bytes, profile.max_storage_buffers) = ((2 << 30) - 4, 16);
    all().par_iter().for_each(|(name, config)| {
        let told = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        config.validate().unwrap_or_else(|error| panic!("{}", told(&error)));
        config.schedule_of(100, 100 * config.epochs).unwrap_or_else(|error| panic!("{}", told(&error)));
        let ([channels, height, width], classes) = images(config);
        let images = config.micro_batch.unwrap_or(config.batch);
        assert_eq!(config.batch % images, 0, "{name}");
        let batch = Batch { shape: [images, channels, height, width], classes };
        let graphs = match images == config.batch {
            true => vec![training_graph(config, batch).unwrap_or_else(|error| panic!("{}", told(&error))).0],
            false => {
                let graphs = part_graphs(config, batch).unwrap_or_else(|error| panic!("{}", told(&error)));
                vec![graphs.part, graphs.update]
            }
        };
        let evaluation = evaluation_graph(config, batch).unwrap_or_else(|error| panic!("{}", told(&error)));
        for graph in graphs.iter().chain([&evaluation]) {
            let plan = Plan::new(graph, &profile).unwrap_or_else(|error| panic!("{}", told(&error)));
            assert!(!plan.steps.is_empty(), "{name}");
        }
    });
}

#[test]
fn the_recipes_for_mnist_keep_to_their_number_of_parameters() {
    for (recipe, most) in [("mnist_small", 20_000), ("fashion_mnist", 1_000_000)] {
        let config = Recipe::named(recipe).unwrap();
        let options = ModelOptions::from(config.attributes.clone()).input_channels(1).image_size(28, 28);
        let model = models::find(&config.model).unwrap();
        let built = model.graph(&options, 1, tilewright::nn::Mode::Eval).unwrap();
        assert!(built.graph.parameter_count() <= most, "{recipe}: {}", built.graph.parameter_count());
    }
}

#[test]
fn a_variant_has_its_own_settings_and_else_those_of_its_recipe() {
    let [base, best] = ["cifar_cnn_study", "cifar_cnn_study:best"].map(|name| Recipe::named(name).unwrap());
    assert_eq!((base.epochs, best.epochs, best.batch), (50, 100, base.batch));
    assert_eq!(best.optimizer.to_string(), "adam:betas=0.9+0.999,eps=1e-8,weight_decay=1e-5,amsgrad=false");
    // What the variant does not name of the model's attributes stays.
    assert_eq!((&best.attributes["dropout"], &best.attributes["activation"]), (&0.4.into(), &"leaky_relu".into()));
}

#[test]
fn a_recipe_is_listed_shown_and_taken_by_its_name() {
    let listed = tilewright(&["recipes", "--json"], 0).json();
    let names: Vec<&str> =
        listed["recipes"].as_array().unwrap().iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!(names, Recipe::all().iter().map(|recipe| recipe.name).collect::<Vec<_>>());

    // What is shown is a recipe, and means the same when it is given back as a file.
    let folder = tempfile::tempdir().unwrap();
    for name in ["mnist_m3", "resnet18_cifar_200:steps"] {
        let shown = tilewright(&["recipes", name, "--json"], 0).json();
        let again = TrainConfig::from_toml(shown["text"].as_str().unwrap()).unwrap();
        assert_eq!(TrainConfig { about: None, ..again }, Recipe::named(name).unwrap(), "{name}");
    }
    let run = folder.path().join("run");
    let options = ["--data", "synthetic:1x28x28:2:20", "--epochs", "1", "--batch", "10", "--device", "cpu"];
    let run = run.to_str().unwrap();
    tilewright(&[&["train", "--recipe", "lenet5", "--run", run][..], &options].concat(), 0);
    let config = TrainConfig::from_toml(&fs::read_to_string(folder.path().join("run/config.toml")).unwrap()).unwrap();
    assert_eq!((config.model.as_str(), config.crop, config.about), ("lenet5", 2, None));
}

#[test]
fn a_recipe_that_is_not_there_is_refused_with_what_is_close() {
    for (name, told) in [
        ("mnist_smal", "no recipe is named `mnist_smal`; did you mean `mnist_small`"),
        ("cifar_cnn_study:bst", "the recipe `cifar_cnn_study` has no variant `bst`; it has best, "),
        ("nothing.toml", "`nothing.toml` cannot be read"),
        ("resnet50_imagenet", "the example in `resnet50_imagenet`, `folder:imagenet`, is not here"),
    ] {
        let status = if name.ends_with(".toml") { 1 } else { 2 };
        let ended = tilewright(&["train", "--recipe", name, "--device", "cpu"], status);
        assert!(ended.stderr.contains(told), "{name}: {}", ended.stderr);
    }
}
