//! What each model of the zoo runs: its plans on imagined devices, as files under tests/data/plans.
//!
//! A change of a rule shows there, model by model. `TILEWRIGHT_ACCEPT=plans cargo test --release --test suite plans` writes
//! the files anew, and fails all the same where one has changed: what is accepted is read in `git diff`, and never passes
//! unseen (docs/decisions/0016-plan-snapshots.md).

use rayon::prelude::*;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use tilewright::graph::Graph;
use tilewright::kernel::{Access, Constant, DeviceClass, DeviceProfile, Kernel, MatrixUnits};
use tilewright::models::{self, Model, ModelOptions};
use tilewright::plan::{Plan, PlannedBinding, PlannedDispatch, Region};
use tilewright::random::fnv1a64;
use tilewright::recipe::{Precision, TrainConfig};
use tilewright::train::{Batch, evaluation_graph, training_graph};

/// Images of a batch.
const BATCH: usize = 8;

/// The models whose plans on other devices than a GPU are kept too: between them they have every kind of layer that a rule
/// chooses a kernel for.
const ON_ALL_DEVICES: [&str; 4] = ["cifar_cnn", "lenet5", "mobilenet_v2", "resnet18_cifar"];

#[test]
fn the_plans_of_each_model_are_those_that_were_accepted() {
    let accepted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plans");
    let accept = std::env::var("TILEWRIGHT_ACCEPT").is_ok_and(|what| what == "plans");
    let models: Vec<&Model> = models::all().collect();
    let mut changes: Vec<String> = models.par_iter().filter_map(|model| change(model, &accepted, accept)).collect();
    let known: BTreeSet<PathBuf> = models.iter().map(|model| file(&accepted, model)).collect();
    for entry in fs::read_dir(&accepted).unwrap() {
        let path = entry.unwrap().path();
        if !known.contains(&path) {
            changes.push(format!("{} is of no model", path.display()));
            accept.then(|| fs::remove_file(&path).unwrap());
        }
    }
    let next = match accept {
        true => "the files are written: read them in `git diff tests/data/plans`",
        false => {
            "if they are meant, accept them with TILEWRIGHT_ACCEPT=plans, and read them in `git diff tests/data/plans`"
        }
    };
    assert!(changes.is_empty(), "plans have changed:\n{}\n{next}", changes.join("\n"));
}

fn file(folder: &Path, model: &Model) -> PathBuf {
    folder.join(format!("{}.txt", model.name))
}

/// The first line in which a model's plans are not those that were accepted.
fn change(model: &Model, accepted: &Path, accept: bool) -> Option<String> {
    let path = file(accepted, model);
    let (is, was) = (plans(model), fs::read_to_string(&path).unwrap_or_default());
    if is == was {
        return None;
    }
    if accept {
        fs::write(&path, &is).unwrap();
    }
    let same = is.lines().zip(was.lines()).take_while(|(is, was)| is == was).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("the end").trim().to_owned();
    Some(format!("{}, line {}: `{}` was `{}`", model.name, same + 1, line(&is), line(&was)))
}

/// All plans of a model, as its file has them.
fn plans(model: &Model) -> String {
    let input = model.input(&ModelOptions::new()).unwrap();
    let batch = Batch { shape: [BATCH, input[0], input[1], input[2]], classes: model.num_classes };
    let mut text = String::new();
    let devices = if ON_ALL_DEVICES.contains(&model.name) { 3 } else { 1 };
    for (device, profile, precision) in profiles().into_iter().take(devices) {
        let config = TrainConfig { model: model.name.to_owned(), precision, ..TrainConfig::default() };
        let (training, _) = training_graph(&config, batch).unwrap();
        let evaluation = evaluation_graph(&config, batch).unwrap();
        for (what, graph) in [("training", &training), ("evaluation", &evaluation)] {
            writeln!(text, "{what} of {BATCH} images on {device}").unwrap();
            write_plan(&mut text, graph, &profile);
        }
    }
    text
}

/// Devices with the limits of usual ones.
fn profiles() -> [(&'static str, DeviceProfile, Precision); 3] {
    let of = |class| {
        let mut profile = DeviceProfile::webgpu_defaults(class);
        (profile.max_binding_bytes, profile.max_storage_buffers) = ((2 << 30) - 4, 16);
        (profile.max_invocations, profile.workgroup_memory) = (1024, 32 << 10);
        profile.max_texture_size = 16_384;
        profile
    };
    let units = MatrixUnits { edge: 16, smallest_subgroup: 32, largest_subgroup: 32, emulated: false };
    let mut with_units = of(DeviceClass::Gpu);
    (with_units.half, with_units.matrix_units) = (true, Some(units));
    [
        ("a GPU", of(DeviceClass::Gpu), Precision::F32),
        ("a CPU adapter", of(DeviceClass::Cpu), Precision::F32),
        ("a GPU with matrix units, in f16", with_units, Precision::F16),
    ]
}

/// A layer has one line: a tag of its kernels, and for each dispatch the grid and the slots that it writes. Where a tag
/// comes first, the kernels stand below it, a line each. Layers stand below the block that they are in.
fn write_plan(text: &mut String, graph: &Graph, profile: &DeviceProfile) {
    let plan = Plan::new(graph, profile).unwrap();
    let kept = plan.regions.iter().filter(|region| !matches!(region, Region::Slot { .. })).count();
    writeln!(text, "{} dispatches, {} slots, {}", plan.steps.len(), plan.regions.len() - kept, plan.memory).unwrap();
    let mut written = HashSet::new();
    let (mut pass, mut block) = (None, "");
    for steps in plan.steps.chunk_by(|a, b| (&a.layer, a.pass) == (&b.layer, b.pass)) {
        if pass.replace(steps[0].pass) != Some(steps[0].pass) {
            writeln!(text, "{:?}", steps[0].pass).unwrap();
        }
        let path = &steps[0].layer;
        let (within, mut layer) = path.rsplit_once('.').unwrap_or(("", path));
        if path == block {
            layer = "itself";
        } else if within != block {
            writeln!(text, "{within}:").unwrap();
            block = within;
        }
        let kernels: Vec<String> = steps.iter().map(|step| kernel(&step.kernel)).collect();
        let tag = fnv1a64(kernels.join("\n").as_bytes()) >> 48;
        write!(text, " {layer} #{tag:04x}").unwrap();
        steps.iter().for_each(|step| write!(text, " {}{}", grid(step), slots(step, kept)).unwrap());
        text.push('\n');
        if written.insert(tag) {
            kernels.iter().for_each(|kernel| writeln!(text, "  {kernel}").unwrap());
        }
    }
}

/// The kernel, and what a rule chose of it. Its sizes follow from the layer's.
fn kernel(kernel: &Kernel) -> String {
    let mut text = kernel.shader.name.to_owned();
    if let Some(operands) = kernel.operands {
        write!(text, "+{}", operands.name.rsplit('/').next().unwrap()).unwrap();
    }
    if !kernel.conditions.is_empty() {
        write!(text, " {}", kernel.conditions.join(",")).unwrap();
    }
    if !kernel.halves.is_empty() {
        write!(text, " f16 {}", kernel.halves.join(",")).unwrap();
    }
    let chosen = |name: &str| match kernel.constants.iter().find(|(constant, _)| *constant == name)?.1 {
        Constant::U32(value) => Some(i64::from(value)),
        Constant::I32(value) => Some(i64::from(value)),
        _ => None,
    };
    if let (Some(rows), Some(columns), Some(depth)) =
        (chosen("TILE_ROWS"), chosen("TILE_COLUMNS"), chosen("TILE_DEPTH"))
    {
        write!(text, " {rows}x{columns}x{depth}").unwrap();
    }
    for (name, short) in [("THREAD", "thread"), ("PARTS", "parts"), ("RUN", "run")] {
        chosen(name).filter(|&value| value > 1).into_iter().for_each(|value| write!(text, " {short} {value}").unwrap());
    }
    text
}

fn grid(step: &PlannedDispatch) -> String {
    match step.workgroups {
        [x, 1, 1] => format!("{x}"),
        [x, y, 1] => format!("{x}x{y}"),
        [x, y, z] => format!("{x}x{y}x{z}"),
    }
}

fn slots(step: &PlannedDispatch, kept: usize) -> String {
    let mut text = String::new();
    for binding in &step.bindings {
        match binding {
            PlannedBinding::Buffer { region, access: Access::Write, .. } if *region >= kept => {
                write!(text, ">{}", region - kept).unwrap();
            }
            PlannedBinding::Texture { texture, access: Access::Write } => write!(text, ">t{texture}").unwrap(),
            _ => {}
        }
    }
    text
}
