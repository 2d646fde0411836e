//! NaN, infinities and numbers at the edge.

use crate::common::{fixture, tilewright};
use crate::need::trials;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::Path;
use tilewright::gpu::DeviceOptions;
use tilewright::graph::{Graph, GraphError, Init};
use tilewright::nn::{Mode, Scope};
use tilewright::ops::CrossEntropy;
use tilewright::optim::{GradientTransform, Optimizer, UpdateConfig};
use tilewright::session::{Device, Session};
use tilewright::tensor::{HostTensor, TensorSpec};

trials! {
    Nothing:
        an_expected_infinity_or_nan_that_does_not_come_fails_its_case,
        batch_norm_of_one_value_per_channel_is_refused_in_training_alone,
        a_batch_or_part_of_one_image_that_ends_as_one_pixel_is_told_before_the_first_step,
        a_rate_of_zero_and_a_target_spread_over_all_classes_are_trained_with,
        settings_that_are_no_numbers_are_refused_by_name;
    Adapter:
        nan_passes_through_activations_and_max_pooling_on_both_devices,
        batch_norm_keeps_its_statistics_however_far_its_channels_are_from_zero,
        a_mean_of_a_million_equal_terms_is_the_term,
        cross_entropy_takes_huge_logits_and_masked_classes,
        centred_rmsprop_under_a_constant_gradient_does_not_run_away,
        rmsprop_of_tensorflow_is_that_of_its_formula_at_rates_that_change;
}

const DEVICES: [&str; 2] = ["auto", "cpu"];

/// What a run of `graph` with these inputs leaves in its outputs and buffers of these names.
fn run(device: &str, graph: &Graph, inputs: &[(&str, HostTensor)], names: &[&str]) -> Vec<Vec<f32>> {
    let session = Session::new(&Device::open(device, DeviceOptions::default()).unwrap(), 1);
    let [mut step] = session.prepare([graph]).unwrap();
    for (name, values) in inputs {
        step.write(step.input(name).unwrap(), values).unwrap();
    }
    step.run().unwrap();
    let read = |name: &&str| {
        session
            .get(name)
            .unwrap_or_else(|_| step.read(step.output(name).unwrap()).unwrap().wait().unwrap().f32().to_vec())
    };
    names.iter().map(read).collect()
}

fn within(got: f32, want: f64, bound: f64) -> bool {
    (f64::from(got) - want).abs() <= bound
}

fn nan_passes_through_activations_and_max_pooling_on_both_devices() {
    let folder = fixture("faults/numbers");
    for device in DEVICES {
        tilewright(&["verify", folder.to_str().unwrap(), "--device", device], 0).says("7 passed, 0 failed");
    }
}

/// A case of relu whose input and expected output are these.
fn relu_case(file: &Path, x: [f32; 3], out: [f32; 3]) {
    let bytes = |values: [f32; 3]| values.map(f32::to_le_bytes).concat();
    let (x, out) = (bytes(x), bytes(out));
    let view = |data| TensorView::new(Dtype::F32, vec![1, 3], data).unwrap();
    let case = r#"{"format": 1, "name": "relu", "kind": "op", "rtol": 1e-5, "atol": 1e-6, "op": "relu", "attrs": {}, "mode": "eval"}"#;
    let metadata = HashMap::from([("case".to_owned(), case.to_owned())]);
    safetensors::serialize_to_file([("in.x", view(&x)), ("out", view(&out))], Some(metadata), file).unwrap();
}

fn an_expected_infinity_or_nan_that_does_not_come_fails_its_case() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relu.safetensors");
    let arguments = ["verify", file.to_str().unwrap(), "--device", "cpu"];
    relu_case(&file, [1.0, 2.0, f32::INFINITY], [1.0, 2.0, f32::INFINITY]);
    tilewright(&arguments, 0);
    relu_case(&file, [1.0, 2.0, 3.0], [1.0, 2.0, f32::INFINITY]);
    tilewright(&arguments, 1).says("is 3e0, not inf");
    relu_case(&file, [1.5, 2.0, f32::INFINITY], [1.0, 2.0, f32::INFINITY]);
    tilewright(&arguments, 1).says("is 1.5e0, not 1e0");
    relu_case(&file, [1.0, 2.0, 3.0], [1.0, 2.0, f32::NAN]);
    tilewright(&arguments, 1).says("is 3e0, not NaN");
    relu_case(&file, [1.0, 2.0, f32::NAN], [1.0, 2.0, 3.0]);
    tilewright(&arguments, 1).says("is NaN, not 3e0");
}

fn batch_norm_keeps_its_statistics_however_far_its_channels_are_from_zero() {
    let [batch, channels, size] = [16, 3, 17];
    for mean in [1e3, 1e4, 1e6] {
        let mut graph = Graph::new();
        let x = graph.input("x", TensorSpec::f32([batch, channels, size, size])).unwrap();
        let y = Scope::new(&mut graph, Mode::Train).batch_norm("bn", x).unwrap();
        graph.output("y", y);
        let noise = Init::Normal { std: 1.0 }.values("x", 3, batch * channels * size * size);
        let values: Vec<f32> = noise.iter().map(|noise| mean as f32 + noise).collect();
        let of_channel = |c: usize| values.chunks(size * size).skip(c).step_by(channels).flatten();
        let count = (batch * size * size) as f64;
        for device in DEVICES {
            let inputs = [("x", HostTensor::F32(values.clone()))];
            let [y, running_mean, running_var] =
                run(device, &graph, &inputs, &["y", "bn.running_mean", "bn.running_var"]).try_into().unwrap();
            for c in 0..channels {
                let average = of_channel(c).map(|&x| f64::from(x)).sum::<f64>() / count;
                let squares: f64 = of_channel(c).map(|&x| (f64::from(x) - average).powi(2)).sum();
                let told = format!("{device}, around {mean}, channel {c}");
                let last_digit = mean * f64::from(f32::EPSILON);
                assert!(within(running_mean[c], 0.1 * average, 0.2 * last_digit), "{told}: {}", running_mean[c]);
                let variance = 0.9 + 0.1 * squares / (count - 1.0);
                assert!(within(running_var[c], variance, 3e-7), "{told}: {} not {variance}", running_var[c]);
                let first = (f64::from(values[c * size * size]) - average) / (squares / count + 1e-5).sqrt();
                assert!(within(y[c * size * size], first, 1e-6 + last_digit), "{told}: {}", y[c * size * size]);
            }
        }
    }
}

fn a_mean_of_a_million_equal_terms_is_the_term() {
    const TERMS: usize = 1 << 20;
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([1, TERMS])).unwrap();
    let y = Scope::new(&mut graph, Mode::Eval).mean(x, &[1], false).unwrap();
    graph.output("y", y);
    for (device, term) in DEVICES.into_iter().zip([0.1, 0.1]).chain([("auto", 1.7e-3), ("auto", f32::INFINITY)]) {
        let got = run(device, &graph, &[("x", HostTensor::F32(vec![term; TERMS]))], &["y"])[0][0];
        let agrees = got == term || within(got, f64::from(term), f64::from(term) * 2e-7);
        assert!(agrees, "{device}: {got}, not {term}");
    }
}

fn cross_entropy_takes_huge_logits_and_masked_classes() {
    let infinity = f32::INFINITY;
    let ln2 = std::f64::consts::LN_2;
    let all: [([f32; 3], f32, f64); 6] = [
        ([1e30, 1e30, -1e30], 0.0, ln2),
        ([-1e30, 1e30, 0.0], 0.0, 2e30),
        ([1.0, 1.0, -infinity], 0.0, ln2),
        ([-infinity, 1.0, 1.0], 0.0, f64::INFINITY),
        ([1.0, 1.0, -infinity], 0.1, f64::INFINITY),
        ([2.0, 2.0, 2.0], 1.0, 3f64.ln()),
    ];
    for (logits, label_smoothing, want) in all {
        let mut graph = Graph::new();
        let z = graph.input("logits", TensorSpec::f32([1, 3])).unwrap();
        let target = graph.input("target", TensorSpec::u32([1])).unwrap();
        let loss = graph.apply(CrossEntropy::smoothed(label_smoothing), &[z, target]).unwrap();
        graph.output("loss", loss[0]);
        for device in DEVICES {
            let inputs = [("logits", HostTensor::F32(logits.to_vec())), ("target", HostTensor::U32(vec![0]))];
            let got = run(device, &graph, &inputs, &["loss"])[0][0];
            let agrees = f64::from(got) == want || within(got, want, want * 1e-6);
            assert!(agrees, "{device}, {logits:?}, smoothing {label_smoothing}: {got}, not {want}");
        }
    }
}

fn centred_rmsprop_under_a_constant_gradient_does_not_run_away() {
    let optimizer: Optimizer = "rmsprop:centered=true".parse().unwrap();
    let mut graph = Graph::new();
    let parameter = graph.parameter("p", [3], Init::ZEROS).unwrap();
    let gradient = graph.input("g", TensorSpec::f32([3])).unwrap();
    let update = UpdateConfig::new(optimizer).attach(&mut graph, &HashMap::from([(parameter, gradient)])).unwrap();
    for device in DEVICES {
        let session = Session::new(&Device::open(device, DeviceOptions::default()).unwrap(), 1);
        let [mut step] = session.prepare([&graph]).unwrap();
        step.write(step.input("g").unwrap(), &[0.1, 1.0, 37.0]).unwrap();
        for index in 0..3000 {
            for (name, values) in update.inputs(index, 1e-3) {
                step.write(step.input(name).unwrap(), &values).unwrap();
            }
            step.run().unwrap();
        }
        let p = session.get("p").unwrap();
        // The rate, times the steps, times at most the gradient over the root of the last digit of its square.
        assert!(p.iter().all(|p| (-9000.0..-10.0).contains(p)), "{device}: {p:?}");
    }
}

/// timm's `RMSpropTF` with `lr_in_momentum`, written out in f64.
fn rmsprop_of_tensorflow_is_that_of_its_formula_at_rates_that_change() {
    let [alpha, eps, momentum] = [0.9, 1e-3, 0.8];
    let rates = [1e-2, 2e-2, 0.0, 5e-3, 1e-3];
    let gradient = |step: usize| [0.5 - 0.3 * step as f64, 2e-3, -40.0 + step as f64];
    let (mut p, mut square, mut sum) = ([0.25; 3], [1.0; 3], [0.0; 3]);
    for (step, &rate) in rates.iter().enumerate() {
        for (i, g) in gradient(step).into_iter().enumerate() {
            square[i] += (1.0 - alpha) * (g * g - square[i]);
            sum[i] = momentum * sum[i] + rate * g / f64::sqrt(square[i] + eps);
            // A step at rate 0 is none here.
            p[i] -= if rate > 0.0 { sum[i] } else { 0.0 };
        }
    }
    let optimizer: Optimizer = "rmsprop:tensorflow=true,alpha=0.9,eps=0.001,momentum=0.8".parse().unwrap();
    let mut graph = Graph::new();
    let parameter = graph.parameter("p", [3], Init::Constant(0.25)).unwrap();
    let input = graph.input("g", TensorSpec::f32([3])).unwrap();
    let update = UpdateConfig::new(optimizer).attach(&mut graph, &HashMap::from([(parameter, input)])).unwrap();
    for device in DEVICES {
        let session = Session::new(&Device::open(device, DeviceOptions::default()).unwrap(), 1);
        let [mut program] = session.prepare([&graph]).unwrap();
        for (step, &rate) in rates.iter().enumerate() {
            program.write(program.input("g").unwrap(), &gradient(step).map(|g| g as f32)).unwrap();
            for (name, values) in update.inputs(step as u64, rate) {
                program.write(program.input(name).unwrap(), &values).unwrap();
            }
            program.run().unwrap();
        }
        let found = session.get("p").unwrap();
        let is_near = found.iter().zip(p).all(|(&found, p)| within(found, p, 1e-6 * p.abs().max(0.1)));
        assert!(is_near, "{device}: {found:?}, not {p:?}");
    }
}

fn batch_norm_of_one_value_per_channel_is_refused_in_training_alone() {
    let build = |mode, shape: &[usize]| {
        let mut graph = Graph::new();
        let x = graph.input("x", TensorSpec::f32(shape.to_vec())).unwrap();
        Scope::new(&mut graph, mode).scope("block").batch_norm("bn", x).map(|_| ())
    };
    for shape in [&[1, 4, 1, 1][..], &[1, 4]] {
        let error = build(Mode::Train, shape).unwrap_err();
        assert!(matches!(error, GraphError::OneValuePerChannel { .. }), "{error}");
        assert!(error.to_string().starts_with("layer `block.bn`: batch norm of"), "{error}");
        build(Mode::Eval, shape).unwrap();
    }
    build(Mode::Train, &[1, 4, 1, 2]).unwrap();
    build(Mode::Train, &[2, 4]).unwrap();
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([1, 1])).unwrap();
    let layer = tilewright::nn::LayerNorm::last(1);
    Scope::new(&mut graph, Mode::Train).layer_norm("norm", x, layer).unwrap();
}

fn a_batch_or_part_of_one_image_that_ends_as_one_pixel_is_told_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let common = ["train", "mobilenet_v2", "--data", "synthetic:3x32x32:2:8", "--size", "32x32", "--device", "cpu"];
    for batch in [&["--batch", "1"][..], &["--batch", "4", "--micro-batch", "1"]] {
        let folder = ["--run", run.to_str().unwrap()];
        tilewright(&[&common, batch, &folder].concat(), 2).says("has one value per channel").says("larger batch");
    }
    assert!(!run.join("checkpoint.safetensors").exists());
}

fn a_rate_of_zero_and_a_target_spread_over_all_classes_are_trained_with() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let arguments = [
        "train",
        "lenet5",
        "--data",
        "synthetic:1x12x12:2:8",
        "--set",
        "image_size=[12,12]",
        "--epochs",
        "1",
        "--batch",
        "4",
        "--lr",
        "0",
        "--label-smoothing",
        "1",
        "--device",
        "cpu",
        "--run",
    ];
    tilewright(&[&arguments, &[run.to_str().unwrap()][..]].concat(), 0);
}

fn settings_that_are_no_numbers_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = folder.path().join("recipe.toml");
    let all = [
        ("lr = nan", "--lr is NaN"),
        ("lr = 1e39", "--lr is "),
        ("label_smoothing = nan", "--label-smoothing is NaN"),
        ("l1 = nan", "l1 is NaN"),
        ("l1 = -0.1", "l1 is -0.1"),
        ("clip_grad_norm = inf", "--clip-grad-norm is inf"),
        ("clip_grad_value = nan", "--clip-grad-value is NaN"),
        ("[optimizer]\nname = \"sgd\"\nmomentum = inf", "momentum is inf"),
        ("[optimizer]\nname = \"sgd\"\ndampening = nan", "dampening is NaN"),
        ("[optimizer]\nname = \"adam\"\nweight_decay = nan", "weight_decay is NaN"),
        ("[optimizer]\nname = \"nadam\"\nmomentum_decay = nan", "momentum_decay is NaN"),
        ("[optimizer]\nname = \"rmsprop\"\nalpha = 1.0", "alpha is 1"),
        ("[optimizer]\nname = \"adagrad\"\nlr_decay = -1.0", "lr_decay is -1"),
    ];
    for (text, told) in all {
        std::fs::write(&recipe, text).unwrap();
        tilewright(&["train", "--recipe", recipe.to_str().unwrap(), "--device", "cpu"], 2).says(told);
    }
    let transform = GradientTransform { l1: f64::NAN, ..GradientTransform::default() };
    let config = UpdateConfig { transform, ..UpdateConfig::new("sgd".parse().unwrap()) };
    let error = config.attach(&mut Graph::new(), &HashMap::new()).unwrap_err();
    assert!(error.to_string().contains("l1 = NaN"), "{error}");
}
