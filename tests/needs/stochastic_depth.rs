//! Stochastic depth: which blocks have it at which rate, what it does to an image and to its gradient, and
//! that it leaves no trace in inference.

use crate::common::tilewright;
use crate::need::trials;
use serde_json::{Value as Json, json};
use tilewright::check::{Tolerance, check_graph};
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu};
use tilewright::graph::Graph;
use tilewright::models::{self, ModelOptions};
use tilewright::nn::{Mode, STEP_NUMBERS, Scope};
use tilewright::ops::Dropout;
use tilewright::reference::{self, Tensors, random_tensors};
use tilewright::tensor::{HostTensor, TensorSpec};

trials! {
    Nothing:
        residual_blocks_have_torchvisions_rates,
        inference_and_a_rate_of_0_have_no_trace_of_it,
        a_rate_outside_of_0_to_1_is_refused,
        an_image_is_kept_whole_and_scaled_or_dropped_whole_and_so_is_its_gradient,
        over_many_steps_images_are_dropped_at_the_rate_and_kept_as_they_are_in_the_mean,
        seed_step_and_block_decide_what_is_dropped_and_nothing_else,
        a_run_that_goes_on_later_draws_what_a_whole_one_draws;
    Adapter:
        device_and_reference_drop_the_same_images;
}

const IMAGES: usize = 64;
const ELEMENTS: usize = 3 * 2 * 5;
const RATE: f32 = 0.3;

fn model(name: &str, attributes: Json, mode: Mode) -> Graph {
    let options: ModelOptions = serde_json::from_value(attributes).unwrap();
    models::find(name).unwrap().graph(&options, 2, mode).unwrap_or_else(|error| panic!("{error}")).graph
}

/// Block and rate of each stochastic depth of a graph.
fn rates(graph: &Graph) -> Vec<(String, f32)> {
    let block = |layer: &str| layer.strip_prefix("features.")?.strip_suffix(".stochastic_depth").map(str::to_owned);
    let nodes = graph.nodes().iter();
    nodes.filter_map(|node| Some((block(&node.layer)?, node.op_as::<Dropout>()?.p))).collect()
}

fn assert_rates(graph: &Graph, want: impl IntoIterator<Item = (String, f64)>) {
    let (rates, want): (_, Vec<_>) = (rates(graph), want.into_iter().collect());
    let blocks = |rates: Vec<&String>| rates.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        blocks(rates.iter().map(|(block, _)| block).collect()),
        blocks(want.iter().map(|(block, _)| block).collect())
    );
    for ((block, rate), (_, want)) in rates.into_iter().zip(want) {
        assert!((f64::from(rate) - want).abs() < 1e-7, "block {block}: {rate}, not {want}");
    }
}

/// `drop` of x `[64, 3, 2, 5]` under the path `block`, with the gradient of x for a gradient of y that is given.
fn graph(path: &str) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([IMAGES, 3, 2, 5])).unwrap();
    let y = Scope::new(&mut graph, Mode::Train).scope(path).stochastic_depth("stochastic_depth", x, RATE).unwrap();
    let dy = graph.input("dy", graph.spec(y).clone()).unwrap();
    let dx = graph.backward(&[(y, dy)], &[x]).unwrap()[&x];
    graph.output("y", y);
    graph.output("dx", dx);
    graph
}

/// y and dx of that graph for random x and dy.
fn run(graph: &Graph, tensors: &mut Tensors, numbers: [u32; 4]) -> [Vec<f32>; 2] {
    tensors.insert(STEP_NUMBERS.to_owned(), HostTensor::U32(numbers.to_vec()));
    let outputs = reference::run(graph, &tensors.clone(), tensors);
    [0, 1].map(|index| outputs[index].f32().to_vec())
}

/// Whether each image is kept, told by its gradient.
fn kept(dx: &[f32]) -> Vec<bool> {
    dx.chunks(ELEMENTS).map(|image| image.iter().any(|&dx| dx != 0.0)).collect()
}

fn residual_blocks_have_torchvisions_rates() {
    // torchvision gives every block a rate; one without a shortcut does not use it.
    let b0 = ["2.1", "3.1", "4.1", "4.2", "5.1", "5.2", "6.1", "6.2", "6.3"];
    let b0 = b0.into_iter().zip([0.025, 0.05, 0.075, 0.0875, 0.1125, 0.125, 0.15, 0.1625, 0.175]);
    assert_rates(&model("efficientnet_b0", json!({}), Mode::Train), b0.map(|(block, rate)| (block.to_owned(), rate)));
    let b1 = rates(&model("efficientnet_b1", json!({}), Mode::Train));
    assert_eq!(b1[0].0, "1.1");
    assert!((b1[0].1 - 0.008_695_652).abs() < 1e-8 && (b1[15].1 - 0.191_304_35).abs() < 1e-7, "{b1:?}");

    let convnext = |depths: [usize; 4], rate: f64| {
        let blocks = (1..).step_by(2).zip(depths).flat_map(|(stage, blocks)| (0..blocks).map(move |b| (stage, b)));
        let last = depths.iter().sum::<usize>() - 1;
        let rated = blocks.enumerate().skip(1);
        rated
            .map(|(index, (stage, block))| (format!("{stage}.{block}"), rate * index as f64 / last as f64))
            .collect::<Vec<_>>()
    };
    for (name, depths, rate) in [
        ("convnext_tiny", [3, 3, 9, 3], 0.1),
        ("convnext_small", [3, 3, 27, 3], 0.4),
        ("convnext_base", [3, 3, 27, 3], 0.5),
    ] {
        assert_rates(&model(name, json!({}), Mode::Train), convnext(depths, rate));
    }
    let asked = model("convnext_tiny", json!({ "depths": [1, 1, 2, 1], "stochastic_depth": 0.9 }), Mode::Train);
    assert_rates(&asked, convnext([1, 1, 2, 1], 0.9));
    assert!(rates(&model("convnext_tiny", json!({ "depths": [1] }), Mode::Train)).is_empty(), "no depth to grow with");
}

fn inference_and_a_rate_of_0_have_no_trace_of_it() {
    for name in ["efficientnet_b0", "convnext_tiny"] {
        let text = |attributes, mode| model(name, attributes, mode).to_text();
        let without = text(json!({ "stochastic_depth": 0 }), Mode::Eval);
        assert_eq!(text(json!({}), Mode::Eval), without);
        assert_eq!(text(json!({ "stochastic_depth": 0.9 }), Mode::Eval), without);
        let eval = model(name, json!({}), Mode::Eval);
        assert!(eval.find(STEP_NUMBERS).is_none() && !eval.to_text().contains("stochastic_depth"));

        let trained = model(name, json!({ "stochastic_depth": 0, "dropout": 0 }), Mode::Train);
        assert!(trained.find(STEP_NUMBERS).is_none() && !trained.to_text().contains("stochastic_depth"));
        assert!(text(json!({}), Mode::Train).contains("stochastic_depth"));
    }
}

fn a_rate_outside_of_0_to_1_is_refused() {
    for rate in [json!(1), json!(-0.1), json!("half")] {
        let options: ModelOptions = serde_json::from_value(json!({ "stochastic_depth": rate })).unwrap();
        let error = models::find("convnext_tiny").unwrap().graph(&options, 1, Mode::Train).unwrap_err().to_string();
        let rule = format!("cannot take stochastic_depth = {rate}: it must be a number from 0 to less than 1");
        assert!(error.contains(&rule), "{error}");
    }
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([1, 1])).unwrap();
    for mode in [Mode::Train, Mode::Eval] {
        let mut scope = Scope::new(&mut graph, mode);
        let error = scope.scope("block").stochastic_depth("drop", x, 1.0).unwrap_err().to_string();
        assert!(error.contains("stochastic depth of `block.drop`") && error.contains("[0, 1)"), "{error}");
    }
}

fn an_image_is_kept_whole_and_scaled_or_dropped_whole_and_so_is_its_gradient() {
    let graph = graph("block");
    let mut tensors = random_tensors(&graph, 3, 1);
    let [y, dx] = run(&graph, &mut tensors, [1, 0, 0, 0]);
    let kept = kept(&dx);
    assert!(kept.contains(&true) && kept.contains(&false));
    let scale = (1.0 / (1.0 - f64::from(RATE))) as f32;
    for (name, got) in [("x", y), ("dy", dx)] {
        for (index, (got, from)) in got.into_iter().zip(tensors[name].f32()).enumerate() {
            let want = if kept[index / ELEMENTS] { from * scale } else { 0.0 };
            assert_eq!(got, want, "element {index} of {name}");
        }
    }
}

fn over_many_steps_images_are_dropped_at_the_rate_and_kept_as_they_are_in_the_mean() {
    let graph = graph("block");
    let mut tensors = random_tensors(&graph, 4, 1);
    const STEPS: u32 = 400;
    let mut drops = vec![0u32; IMAGES];
    let mut sums = vec![0.0f64; IMAGES * ELEMENTS];
    for step in 0..STEPS {
        let [y, dx] = run(&graph, &mut tensors, [9, 0, step, 0]);
        drops.iter_mut().zip(kept(&dx)).for_each(|(drops, kept)| *drops += u32::from(!kept));
        sums.iter_mut().zip(y).for_each(|(sum, y)| *sum += f64::from(y));
    }
    // Five deviations of a binomial: of all images together, and of each on its own.
    let deviation = |draws: f64| 5.0 * (f64::from(RATE * (1.0 - RATE)) / draws).sqrt();
    let share = f64::from(drops.iter().sum::<u32>()) / f64::from(STEPS) / IMAGES as f64;
    assert!((share - f64::from(RATE)).abs() < deviation(f64::from(STEPS) * IMAGES as f64), "{share}");
    for (image, drops) in drops.into_iter().enumerate() {
        let share = f64::from(drops) / f64::from(STEPS);
        assert!((share - f64::from(RATE)).abs() < deviation(f64::from(STEPS)), "image {image}: {share}");
    }
    let bound = deviation(f64::from(STEPS)) / f64::from(1.0 - RATE);
    for (sum, &x) in sums.iter().zip(tensors["x"].f32()) {
        let mean = sum / f64::from(STEPS);
        assert!((mean - f64::from(x)).abs() <= bound * f64::from(x.abs()), "{mean}, not {x}");
    }
}

fn seed_step_and_block_decide_what_is_dropped_and_nothing_else() {
    let drawn = |path: &str, tensors_seed: u64, numbers: [u32; 4]| {
        let graph = graph(path);
        let mut tensors = random_tensors(&graph, tensors_seed, 1);
        kept(&run(&graph, &mut tensors, numbers)[1])
    };
    let first = drawn("block", 1, [7, 0, 5, 0]);
    assert_eq!(first, drawn("block", 2, [7, 0, 5, 3]), "neither the images nor the row of the metrics");
    for (path, numbers) in [("block", [8, 0, 5, 0]), ("block", [7, 1, 5, 0]), ("block", [7, 0, 6, 0])] {
        assert_ne!(first, drawn(path, 1, numbers), "{numbers:?}");
    }
    assert_ne!(first, drawn("other", 1, [7, 0, 5, 0]));
}

fn device_and_reference_drop_the_same_images() {
    let graph = graph("block");
    let tensors = random_tensors(&graph, 2, 100);
    for checked in [true, false] {
        let gpu = Gpu::open(&DeviceSelector::Auto, DeviceOptions::default().checked(checked)).unwrap();
        check_graph(&gpu, &graph, &tensors, Tolerance { relative: 0.0, absolute: 0.0 }).unwrap();
    }
}

fn a_run_that_goes_on_later_draws_what_a_whole_one_draws() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, parted] = ["whole", "parted"].map(|name| folder.path().join(name).display().to_string());
    let train = |arguments: &[&str]| tilewright(&[&["train", "--device", "cpu"], arguments].concat(), 0);
    let small = |rate: &'static str, epochs: &'static str| {
        let mut words =
            vec!["convnext_tiny", "--data", "synthetic:3x8x8:2:12", "--batch", "4", "--schedule", "constant"];
        for attribute in ["depths=[1,2]", "channels=4", "patch_size=1", rate] {
            words.extend(["--set", attribute]);
        }
        [&words[..], &["--epochs", epochs, "--run"]].concat()
    };
    let losses = |run: &str| std::fs::read_to_string(format!("{run}/steps.csv")).unwrap();
    train(&[&small("stochastic_depth=0.5", "4")[..], &[&whole]].concat());
    train(&[&small("stochastic_depth=0.5", "2")[..], &[&parted]].concat());
    train(&["--resume", &parted, "--epochs", "4"]);
    assert_eq!(losses(&whole), losses(&parted));
    let without = folder.path().join("without").display().to_string();
    train(&[&small("stochastic_depth=0", "4")[..], &[&without]].concat());
    assert_ne!(losses(&whole), losses(&without), "the rate reaches the run");
}
