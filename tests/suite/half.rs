//! Training with features in f16: what is stored so, how the loss is scaled, and that a run goes on with the same bits.

use crate::common::tilewright;
use std::fs;
use std::path::Path;
use tempfile::tempdir;
use tilewright::graph::{Graph, Pass, Role};
use tilewright::kernel::{DeviceClass, DeviceProfile};
use tilewright::models::{self, ModelOptions};
use tilewright::plan::{MemoryReport, Plan, PlanError};
use tilewright::recipe::{Precision, TrainConfig};
use tilewright::session::{Device, Program, Session};
use tilewright::tensor::{ElementType, HostTensor, TensorSpec};
use tilewright::train::{Batch, training_graph};

fn config(model: &str, precision: Precision) -> TrainConfig {
    TrainConfig { model: model.to_owned(), precision, ..TrainConfig::default() }
}

fn graph(model: &str, batch: usize, precision: Precision) -> Graph {
    let [channels, height, width] = models::find(model).unwrap().input(&ModelOptions::new()).unwrap();
    let batch = Batch { shape: [batch, channels, height, width], classes: 10 };
    training_graph(&config(model, precision), batch).unwrap().0
}

fn with_half(class: DeviceClass) -> DeviceProfile {
    let mut profile = DeviceProfile::webgpu_defaults(class);
    (profile.half, profile.max_binding_bytes) = (true, (2 << 30) - 4);
    profile
}

#[test]
fn features_and_their_gradients_are_stored_in_f16_and_nothing_else_is() {
    for model in ["lenet5", "resnet18_cifar", "mobilenet_v2", "vit_b_16", "googlenet"] {
        let graph = graph(model, 2, Precision::F16);
        let (mut halves, mut forward, mut backward) = (0, 0, 0);
        for tensor in graph.tensors() {
            let Role::Node { node, output } = tensor.role else {
                assert_ne!(tensor.spec.element, ElementType::F16, "{model}: {}", tensor.name);
                continue;
            };
            let node = &graph.nodes()[node];
            if tensor.spec.element == ElementType::F16 {
                halves += 1;
                assert!(output == 0 && node.pass != Pass::Update, "{model}: {}", tensor.name);
                assert!(node.op.is_view() || node.op.keeps_half(), "{model}: {}", tensor.name);
            }
            // A convolution's output, and the gradient of its input, are features.
            if ["conv2d", "conv_input_gradient"].contains(&node.op.name()) {
                assert_eq!(tensor.spec.element, ElementType::F16, "{model}: {}", tensor.name);
                *if node.pass == Pass::Forward { &mut forward } else { &mut backward } += 1;
            }
        }
        assert!(halves > forward + backward && (forward > 1 || model == "vit_b_16"), "{model}: {halves}");
        for tensor in graph.tensors() {
            if let Role::Pack { members, .. } = &tensor.role {
                let is_full = |member| graph.spec(member).element == ElementType::F32;
                assert!(members.iter().all(|&member| is_full(member)), "{model}: {}", tensor.name);
            }
        }
        // What a loss reads and gives is exact, the gradient of the logits too.
        for node in graph.nodes().iter().filter(|node| node.op.name().starts_with("cross_entropy")) {
            let mut touched = node.inputs.iter().chain(&node.outputs);
            assert!(touched.all(|&value| graph.spec(value).element != ElementType::F16), "{model}: {}", node.layer);
        }
    }
}

fn memory(model: &str, precision: Precision) -> MemoryReport {
    Plan::new(&graph(model, 64, precision), &with_half(DeviceClass::Gpu)).unwrap().memory
}

#[test]
fn a_step_in_f16_has_about_half_of_the_activations() {
    for model in ["resnet18_cifar", "mobilenet_v2"] {
        let [full, half] = [Precision::F32, Precision::F16].map(|precision| memory(model, precision));
        println!("{model}: {full}; in f16 {half}");
        // Parts of sums stay in f32.
        assert!(half.slots * 100 <= full.slots * 57, "{model}: {half}, and in f32 {full}");
        assert!(half.persistent <= full.persistent + 2048, "{model}: parameters stay as they are");
    }
}

#[test]
fn a_device_without_f16_is_told_by_the_tensor_and_what_to_do() {
    let least = DeviceProfile::webgpu_defaults(DeviceClass::Gpu);
    let error = Plan::new(&graph("lenet5", 2, Precision::F16), &least).unwrap_err();
    assert!(matches!(error, PlanError::NoHalf { .. }));
    let told = error.to_string();
    assert!(told.contains("conv1") && told.contains("f16") && told.contains("f32"), "{told}");
}

/// Twice x, of which one image overflows f16 and another is lost in it.
#[test]
fn the_reference_rounds_what_is_stored_in_f16() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([5])).unwrap();
    let y = graph.apply_one(tilewright::ops::Scale { factor: 2.0 }, &[x]).unwrap();
    graph.output("y", y);
    let halved = graph.all_in_half();
    let [mut program] = Session::new(&Device::reference(), 1).prepare([&halved]).unwrap();
    let x = [1.0, 1.0 / 3.0, 40_000.0, 1e-9, -1.000_5];
    program.write(program.input("x").unwrap(), &x).unwrap();
    program.run().unwrap();
    let y = program.read(program.output("y").unwrap()).unwrap().wait().unwrap();
    // -1.0005 lies between -1.0009765625 and -1, nearer to the former.
    assert_eq!(y, HostTensor::F32(vec![2.0, 0.666_503_9, f32::INFINITY, 0.0, -2.001_953_1]));
}

/// A step of LeNet on four images of noise, the same for each step.
struct Steps {
    session: Session,
    program: Program,
    attached: tilewright::optim::Attached,
    step: u64,
}

impl Steps {
    fn new(device: &Device) -> Steps {
        let batch = Batch { shape: [4, 1, 12, 12], classes: 3 };
        let config = TrainConfig { optimizer: "adam".parse().unwrap(), ..config("lenet5", Precision::F16) };
        let (graph, attached) = training_graph(&config, batch).unwrap();
        let session = Session::new(device, 3);
        let [program] = session.prepare([&graph]).unwrap();
        Steps { session, program, attached, step: 0 }
    }

    fn step(&mut self) {
        // Bytes from 0 to 250, which are normalised to what lies between -2 and 2.
        let byte = |i: u32| i * 37 % 101 * 5 / 2;
        let images: Vec<u32> = (0..4 * 36).map(|word| (0..4).map(|at| byte(4 * word + at) << (8 * at)).sum()).collect();
        self.program.write(self.program.input("images").unwrap(), &images).unwrap();
        self.program.write(self.program.input("normalization").unwrap(), &[0.49_f32, 0.25]).unwrap();
        self.program.write(self.program.input("labels").unwrap(), &[0_u32, 1, 2, 1]).unwrap();
        if let Ok(numbers) = self.program.input("step_numbers") {
            self.program.write(numbers, &[0_u32, 0, self.step as u32, self.step as u32 % 16]).unwrap();
        }
        for (name, values) in self.attached.inputs(self.step, 1e-3) {
            self.program.write(self.program.input(name).unwrap(), &values).unwrap();
        }
        self.program.run().unwrap();
        self.step += 1;
    }

    fn number(&self, name: &str) -> f32 {
        self.session.get(name).unwrap()[0]
    }

    /// A parameter and its optimizer's state.
    fn state(&self) -> [Vec<f32>; 3] {
        ["fc3.weight", "optimizer.exp_avg.fc3.weight", "optimizer.exp_avg_sq.fc3.weight"]
            .map(|name| self.session.get(name).unwrap())
    }
}

#[test]
fn a_step_whose_gradients_overflow_changes_nothing_but_the_scale_and_is_counted() {
    let mut steps = Steps::new(&Device::reference());
    steps.step();
    assert_eq!(steps.number("loss_scale.skipped_steps"), 0.0);
    // So large that the gradients of features are no f16.
    steps.session.set("loss_scale.scale", &[2.0_f32.powi(40)]).unwrap();
    let before = steps.state();
    steps.step();
    assert_eq!(steps.state(), before);
    assert_eq!(steps.number("loss_scale.scale"), 2.0_f32.powi(39));
    assert_eq!(steps.number("loss_scale.good_steps"), 0.0);
    let mut skipped = 1;
    while steps.state() == before {
        skipped += 1;
        assert!(skipped < 40, "no step was made");
        steps.step();
    }
    assert_eq!(steps.number("loss_scale.skipped_steps"), skipped as f32 - 1.0);
    assert_eq!(steps.number("loss_scale.good_steps"), 1.0);
    assert!(steps.state().iter().flatten().all(|value| value.is_finite()));
}

#[test]
fn the_scale_grows_after_two_thousand_steps_that_were_not_skipped() {
    let mut steps = Steps::new(&Device::reference());
    steps.session.set("loss_scale.scale", &[8.0]).unwrap();
    steps.session.set("loss_scale.good_steps", &[1998.0]).unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        steps.step();
        told.push((steps.number("loss_scale.scale"), steps.number("loss_scale.good_steps")));
    }
    assert_eq!(told, [(8.0, 1999.0), (16.0, 0.0), (16.0, 1.0)]);
}

/// Skipped steps do not count: Adam's first update is that of its first step, as if there had been none before.
#[test]
fn the_first_step_after_skipped_ones_is_the_optimizers_first() {
    let [mut plain, mut late] = [(); 2].map(|()| Steps::new(&Device::reference()));
    for steps in [&mut plain, &mut late] {
        steps.session.set("loss_scale.scale", &[1024.0]).unwrap();
    }
    plain.step();
    late.session.set("loss_scale.scale", &[2.0_f32.powi(100)]).unwrap();
    late.step();
    late.step();
    late.session.set("loss_scale.scale", &[1024.0]).unwrap();
    late.step();
    assert_eq!(late.number("loss_scale.skipped_steps"), 2.0);
    assert_eq!(plain.state(), late.state());
}

const TINY: [&str; 8] =
    ["lenet5", "--device", "cpu", "--data", "synthetic:1x12x12:2:16", "--batch", "4", "--precision"];

fn train(run: &Path, extra: &[&str]) -> crate::common::Ended {
    let run = run.to_str().unwrap();
    tilewright(&[&["train"], &TINY[..], &["f16", "--run", run], extra].concat(), 0)
}

#[test]
fn skipped_steps_are_told_and_written_and_the_run_learns_after_them() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    // Gradients ten million times as large: the scale has to fall far.
    let ended = train(&run, &["--epochs", "18", "--loss", "focal:gamma=0,alpha=1e7", "--lr", "3e-3", "--json"]);
    ended.says("steps skipped so far").says("steps skipped, since gradients were not finite");
    let skipped = ended.json()["skipped_steps"].as_u64().unwrap();
    assert!((8..40).contains(&skipped), "{skipped} steps skipped");
    let table = fs::read_to_string(run.join("epochs.csv")).unwrap();
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let counts: Vec<u64> = rows.iter().map(|row| row[9].parse().unwrap()).collect();
    assert!(counts.is_sorted() && counts.last() == Some(&skipped), "{counts:?}");
    let scale: f64 = rows.last().unwrap()[10].parse().unwrap();
    assert_eq!(scale, 65_536.0 / 2.0_f64.powi(skipped as i32), "of 72 steps none doubles it");
    let loss = |row: usize| rows[row][3].parse::<f64>().unwrap();
    assert!(loss(17) < 0.9 * loss(0), "{table}");
}

#[test]
fn a_run_in_f16_that_is_gone_on_with_has_the_same_bits() {
    let folder = tempdir().unwrap();
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    // Steps are skipped before and after the pause, with batches whole and in parts.
    for (more, name) in [(&[][..], ""), (&["--micro-batch", "2"][..], "micro")] {
        let [whole, parts] = [&whole, &parts].map(|run| run.with_extension(name));
        let loss = ["--loss", "focal:gamma=0,alpha=1e7"];
        train(&whole, &[&["--epochs", "4"], &loss[..], more].concat());
        train(&parts, &[&["--epochs", "2"], &loss[..], more].concat());
        let resumed = parts.to_str().unwrap();
        tilewright(&["train", "--device", "cpu", "--resume", resumed, "--epochs", "4"], 0);
        let tensors = |run: &Path| {
            let checkpoint = tilewright::checkpoint::load_checkpoint(&run.join("checkpoint.safetensors")).unwrap();
            checkpoint.tensors
        };
        let (whole, parts) = (tensors(&whole), tensors(&parts));
        assert!(whole.contains_key("loss_scale.scale") && whole["loss_scale.skipped_steps"].1[0] > 6.0);
        assert_eq!(whole, parts, "{more:?}");
    }
}
