//! Tuned kernels: the plan takes what a table names and nothing else, a table that does not hold here is refused,
//! wrong kernels get into none, and `tilewright tune` writes one that a run takes and goes on with.

use crate::common::{Ended, tilewright};
use crate::need::trials;
use proptest::prelude::*;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tilewright::check::{Tolerance, check_graph};
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu};
use tilewright::graph::{Graph, Value};
use tilewright::kernel::{Choices, Constant, DeviceClass, DeviceProfile, Kernel};
use tilewright::ops::{Conv2d, ConvGeometry, ConvKernels, ConvPass, ConvShape, Linear};
use tilewright::plan::Plan;
use tilewright::reference::random_tensors;
use tilewright::shader::Sources;
use tilewright::tensor::TensorSpec;
use tilewright::tune::{layers, measure_layer, tune};
use tilewright::tuned::{MeasuredOn, TableError, TunedLayer, TunedTable};

trials! {
    Nothing:
        a_plan_runs_the_kernels_that_the_table_names_for_exactly_this_shape,
        layers_are_counted_and_come_by_graph_and_then_by_work;
    Adapter:
        all_kernels_that_suit_a_shape_agree_with_the_reference,
        a_table_reads_back_as_it_was_written,
        what_is_no_table_or_makes_no_sense_is_refused_with_its_line,
        a_table_of_another_device_driver_or_version_is_refused_with_both_and_the_remedy,
        a_new_table_keeps_what_an_earlier_one_says_of_other_layers_and_overwrites_nobody_s_file,
        nothing_is_measured_when_the_budget_is_over,
        tune_writes_a_table_that_is_used_only_when_asked_for,
        a_batch_that_no_layer_runs_with_is_an_error_and_leaves_no_table,
        a_run_keeps_its_table_and_goes_on_with_it_to_the_same_bits;
    CpuAdapter:
        wrong_kernels_are_named_and_never_chosen_even_where_the_rule_picks_them;
}

fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| Gpu::open(&DeviceSelector::Auto, DeviceOptions::default()).unwrap())
}

const CONV: Conv2d = Conv2d { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 1 };

/// A convolution of `x` by `weight` with both gradients.
fn conv_graph(op: Conv2d, x: [usize; 4], weight: [usize; 4]) -> Graph {
    let mut graph = Graph::new();
    let inputs = [("x", x), ("weight", weight)].map(|(name, shape)| graph.input(name, TensorSpec::f32(shape)).unwrap());
    let y = graph.apply_one(op, &inputs).unwrap();
    with_gradients(graph, y, inputs)
}

fn with_gradients(mut graph: Graph, y: Value, inputs: [Value; 2]) -> Graph {
    let dy = graph.input("dy", graph.spec(y).clone()).unwrap();
    let gradients = graph.backward(&[(y, dy)], &inputs).unwrap();
    graph.output("y", y);
    for (name, value) in ["dx", "dw"].into_iter().zip(inputs) {
        graph.output(name, gradients[&value]);
    }
    graph
}

fn shapes(graph: &Graph) -> Vec<ConvShape> {
    layers(std::slice::from_ref(graph)).into_iter().map(|layer| layer.shape).collect()
}

fn profile(class: DeviceClass, table: Choices) -> DeviceProfile {
    let mut profile = DeviceProfile::webgpu_defaults(class);
    profile.tuned = Arc::new(table);
    profile
}

/// The kernels' name, as their longest dispatch's constants say.
fn named(kernel: &Kernel) -> Option<String> {
    let constant = |name: &str| match kernel.constants.iter().find(|(known, _)| *known == name)?.1 {
        Constant::U32(value) => Some(value as usize),
        Constant::I32(value) => usize::try_from(value).ok(),
        _ => None,
    };
    Some(match kernel.shader.name {
        "conv/workgroup_tile" => format!("workgroup {}x{}", constant("TILE_ROWS")?, constant("TILE_COLUMNS")?),
        "conv/texture_tile" => format!("texture {}", 4 * constant("ROW_QUADS")?),
        shader if shader.starts_with("conv/plain") => "plain".to_owned(),
        shader if shader.starts_with("conv/depthwise") => "depthwise".to_owned(),
        _ => return None,
    })
}

fn a_plan_runs_the_kernels_that_the_table_names_for_exactly_this_shape() {
    let graph = conv_graph(CONV, [8, 64, 32, 32], [64, 64, 3, 3]);
    let of_other_batch = conv_graph(CONV, [9, 64, 32, 32], [64, 64, 3, 3]);
    let kernels = |graph: &Graph, profile: &DeviceProfile| -> Vec<String> {
        let plan = Plan::new(graph, profile).unwrap();
        plan.steps.iter().filter_map(|step| named(&step.kernel)).collect()
    };
    let workgroup = |rows, columns| ConvKernels::Workgroup { rows, columns };
    let wanted = [
        (ConvKernels::Plain, "plain"),
        (ConvKernels::Texture { tile: 8 }, "texture 8"),
        (ConvKernels::Texture { tile: 16 }, "texture 16"),
        (workgroup(128, 128), "workgroup 128x128"),
        (workgroup(64, 128), "workgroup 64x128"),
        (workgroup(32, 64), "workgroup 32x64"),
        (workgroup(32, 32), "workgroup 32x32"),
    ];
    let all = shapes(&graph);
    assert_eq!(all.len(), 3);
    for class in [DeviceClass::Gpu, DeviceClass::Cpu] {
        let ruled = kernels(&graph, &profile(class, Choices::default()));
        for (choice, name) in wanted {
            let table: Choices = all.iter().map(|shape| (shape.key(), choice.to_string())).collect();
            let tuned = profile(class, table);
            assert_eq!(kernels(&graph, &tuned), [name; 3], "{class:?}");
            assert_eq!(kernels(&of_other_batch, &tuned), ruled, "{class:?}: the table is of another batch");
            let mut plain = tuned;
            plain.plain_kernels = true;
            assert_eq!(kernels(&graph, &plain), ["plain"; 3], "{class:?}: plain kernels were asked for");
        }
        // One pass alone.
        let only = all.iter().find(|shape| shape.pass == ConvPass::WeightGradient).unwrap();
        let table = Choices::from_iter([(only.key(), ConvKernels::Plain.to_string())]);
        let tuned = kernels(&graph, &profile(class, table));
        assert_eq!(tuned.iter().filter(|name| *name == "plain").count(), 1, "{class:?}: {tuned:?}");
    }
}

fn layers_are_counted_and_come_by_graph_and_then_by_work() {
    let mut twice = Graph::new();
    let mut x = twice.input("x", TensorSpec::f32([4, 8])).unwrap();
    for name in ["a", "b"] {
        let weight = twice.input(name, TensorSpec::f32([8, 8])).unwrap();
        x = twice.apply_one(Linear, &[x, weight]).unwrap();
    }
    let wide = twice.input("wide", TensorSpec::f32([100, 8])).unwrap();
    let y = twice.apply_one(Linear, &[x, wide]).unwrap();
    twice.output("y", y);
    let conv = conv_graph(CONV, [1, 2, 3, 3], [2, 2, 3, 3]);
    let found = layers(&[twice.clone(), conv, twice]);
    let names: Vec<(String, &[usize])> = found.iter().map(|layer| (layer.shape.to_string(), &layer.uses[..])).collect();
    assert_eq!(names[0], ("linear 8->100 b4 forward".to_owned(), &[1, 0, 1][..]));
    assert_eq!(names[1], ("linear 8->8 b4 forward".to_owned(), &[2, 0, 2][..]));
    assert!(names[2..].iter().all(|(name, uses)| name.starts_with("conv 3x3/1 2->2") && *uses == [0, 1, 0]));
    assert_eq!(names.len(), 5);
}

fn all_kernels_that_suit_a_shape_agree_with_the_reference() {
    let grouped = Conv2d { groups: 2, stride: [2, 1], ..CONV };
    let depthwise = Conv2d { groups: 6, ..CONV };
    let mut ran = 0;
    for (op, x, weight) in [
        (CONV, [3, 5, 9, 7], [33, 5, 3, 3]),
        (grouped, [2, 16, 10, 6], [24, 8, 3, 3]),
        (depthwise, [2, 6, 9, 12], [6, 1, 3, 3]),
        (Conv2d::default(), [70, 12, 1, 1], [40, 12, 1, 1]),
    ] {
        let graph = conv_graph(op, x, weight);
        let tensors = random_tensors(&graph, 3, 2);
        for kernels in ConvKernels::all() {
            let suits = |shape: &ConvShape| kernels.suits(gpu().profile(), shape);
            let layers: Vec<TunedLayer> =
                shapes(&graph).into_iter().filter(suits).map(|shape| entry(shape, kernels)).collect();
            if layers.is_empty() {
                continue;
            }
            let tuned = TunedTable::new(MeasuredOn::of(gpu().info()), layers).apply(gpu()).unwrap();
            check_graph(&tuned, &graph, &tensors, Tolerance::default())
                .unwrap_or_else(|error| panic!("{op:?}, {x:?}, {kernels}: {error}"));
            ran += 1;
        }
    }
    assert!(ran > 12, "only {ran} combinations ran");
}

fn entry(shape: ConvShape, kernels: ConvKernels) -> TunedLayer {
    TunedLayer { shape, kernels, ms: 1.0, rule: ConvKernels::Plain, rule_ms: 2.0 }
}

fn any_layer() -> impl Strategy<Value = TunedLayer> {
    let sizes = (1..300usize, 1..6usize, 1..40usize, 1..40usize, 1..9usize);
    let window = (prop::array::uniform2(1..4usize), prop::array::uniform2(1..4usize), prop::array::uniform2(0..3usize));
    let passes = prop::sample::select(ConvPass::ALL.to_vec());
    let kernels = prop::sample::select(ConvKernels::all());
    let milliseconds = (1..10_000_000u64).prop_map(|nanoseconds| nanoseconds as f64 / 1e6);
    (sizes, window, passes, kernels.clone(), kernels, milliseconds).prop_map(
        |((batch, groups, height, width, channels), (kernel, stride, padding), pass, kernels, rule, ms)| {
            let dilation = [1, 2];
            let size = [height + 9, width + 9];
            let out = std::array::from_fn(|axis| {
                tilewright::ops::output_size(size[axis], kernel[axis], stride[axis], padding[axis], dilation[axis])
                    .unwrap()
            });
            let (channels, filters) = (channels * groups, 2 * groups);
            let geometry =
                ConvGeometry { batch, channels, size, filters, kernel, stride, padding, dilation, groups, out };
            TunedLayer { shape: ConvShape { pass, geometry }, kernels, ms, rule, rule_ms: 2.0 * ms }
        },
    )
}

fn here() -> MeasuredOn {
    MeasuredOn {
        device: "a \"card\" \\ of tests".to_owned(),
        backend: "Vulkan".to_owned(),
        driver: "driver 1.2 (x)".to_owned(),
        ..MeasuredOn::of(gpu().info())
    }
}

proptest! {
    // Each waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(24))]
    fn a_table_reads_back_as_it_was_written(mut layers in prop::collection::vec(any_layer(), 0..8)) {
        let mut known = HashSet::new();
        layers.retain(|layer| known.insert(layer.shape));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/table.toml");
        let table = TunedTable::new(here(), layers);
        table.write(&path).unwrap();
        let read = TunedTable::read(&path).unwrap();
        prop_assert_eq!(&read.layers, &table.layers);
        prop_assert_eq!(&read.measured_on, &table.measured_on);
        prop_assert_eq!(read.kernels(), table.kernels());
    }
}

/// A table of this device with one layer, as text.
fn table_text(kernels: ConvKernels) -> String {
    let graph = conv_graph(CONV, [2, 4, 8, 8], [4, 4, 3, 3]);
    let shape = shapes(&graph).into_iter().find(|shape| shape.pass == ConvPass::Forward).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.toml");
    TunedTable::new(MeasuredOn::of(gpu().info()), vec![entry(shape, kernels)]).write(&path).unwrap();
    fs::read_to_string(path).unwrap()
}

fn what_is_no_table_or_makes_no_sense_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let refused = |text: &str| {
        fs::write(&path, text).unwrap();
        TunedTable::read(&path).unwrap_err().to_string().replace(path.to_str().unwrap(), "t.toml")
    };
    let good = table_text(ConvKernels::Plain);
    let line = |part: &str| 1 + good.lines().position(|line| line.starts_with(part)).unwrap();
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        refused(&good.replace(from, to))
    };
    let no_table = "`t.toml` is not a table of `tilewright tune`";
    assert_eq!(
        with("kernels = \"plain\"", "kernels = \"workgroup 48x48\""),
        format!(
            "{no_table}: line {}: there are no kernels `workgroup 48x48`; there are `plain`, `depthwise`, `texture 16x16`, \
             `texture 8x8`, `workgroup 128x128`, `workgroup 64x128`, `workgroup 64x64`, \
             `workgroup 32x64`, `workgroup 32x32`",
            line("kernels =")
        )
    );
    let unknown = with("batch = 2", "bach = 2");
    assert!(unknown.starts_with(&format!("{no_table}: line {}: unknown field `bach`", line("batch"))), "{unknown}");
    assert!(refused("model = \"lenet5\"\n").starts_with(&format!("{no_table}: line 1: missing field `measured_on`")));
    assert!(refused("[measured_on").starts_with(&format!("{no_table}: line 1: ")));
    let layer = format!("the table `t.toml`, line {}: layer 1", line("[[layer]]"));
    assert_eq!(with("groups = 1", "groups = 0"), format!("{layer}: batch, channels, size and groups are at least 1"));
    assert_eq!(
        with("window = [3, 3]", "window = [30, 3]"),
        format!("{layer}: a window of 30 with dilation 1 does not fit into 8 with padding 1")
    );
    assert_eq!(
        with("padding = [1, 1]", "padding = [9000000000000000000, 1]"),
        format!("{layer}: 9000000000000000000 is more than any layer has")
    );
    let second = good.split_once("[[layer]]").unwrap().1;
    let twice = refused(&format!("{good}\n[[layer]]{second}"));
    assert!(twice.ends_with("conv 3x3/1 4->4 g1 8x8 b2 forward: it is in the table twice"), "{twice}");
    let missing = TunedTable::read(&folder.path().join("none.toml")).unwrap_err();
    assert!(matches!(missing, TableError::File { .. }) && missing.to_string().contains("none.toml"), "{missing}");
}

fn a_table_of_another_device_driver_or_version_is_refused_with_both_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let own = MeasuredOn::of(gpu().info());
    let good = table_text(ConvKernels::Plain);
    let used = |text: &str| {
        fs::write(&path, text).unwrap();
        TunedTable::read(&path).and_then(|table| table.apply(gpu()))
    };
    used(&good).unwrap();
    for (what, value) in [
        ("device", &own.device),
        ("backend", &own.backend),
        ("driver", &own.driver),
        ("version", &own.version),
        ("shaders", &own.shaders),
    ] {
        let line = format!("{what} = \"{value}\"");
        assert!(good.contains(&line), "{good}");
        let error = used(&good.replace(&line, &format!("{what} = \"another\""))).err().unwrap().to_string();
        let file = path.display();
        assert_eq!(
            error,
            format!(
                "the table `{file}` was measured with the {what} `another`, but this is `{value}`: write one anew with \
                 `tilewright tune`, or leave the table out"
            )
        );
    }
    // A later version may have other fields.
    let later =
        good.replace(&format!("version = \"{}\"", own.version), "version = \"99.0.0\"").replace("batch", "images");
    assert!(used(&later).err().unwrap().to_string().contains("99.0.0"));
    let line = 1 + good.lines().position(|line| line == "[[layer]]").unwrap();
    let error = used(&table_text(ConvKernels::Depthwise)).err().unwrap().to_string();
    assert_eq!(
        error,
        format!(
            "the table `{}`, line {line}: conv 3x3/1 4->4 g1 8x8 b2 forward: this device does not run the kernels `depthwise` \
             for it",
            path.display()
        )
    );
}

fn a_new_table_keeps_what_an_earlier_one_says_of_other_layers_and_overwrites_nobody_s_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let info = gpu().info();
    let good = table_text(ConvKernels::Plain);
    assert!(TunedTable::earlier(&path, info).unwrap().is_none());
    fs::write(&path, &good).unwrap();
    let earlier = TunedTable::earlier(&path, info).unwrap().unwrap();
    let old = earlier.layers[0].shape;
    let new = old.with_batch(7);
    let of = |layers| TunedTable::new(MeasuredOn::of(info), layers);
    let both = of(vec![entry(new, ConvKernels::Plain)]).with_rest_of(&earlier, &[new]);
    assert_eq!(both.layers.iter().map(|layer| layer.shape).collect::<Vec<_>>(), [new, old]);
    assert!(of(Vec::new()).with_rest_of(&earlier, &[old]).layers.is_empty(), "the rule won this time");

    let own = MeasuredOn::of(info);
    let changed = |what: &str, value: &str| {
        fs::write(&path, good.replace(&format!("{what} = \"{value}\""), &format!("{what} = \"another\""))).unwrap();
        TunedTable::earlier(&path, info)
    };
    assert!(matches!(changed("device", &own.device), Err(TableError::Other { what: "device", .. })));
    assert!(changed("driver", &own.driver).unwrap().is_none(), "times of another driver do not hold");
    assert!(changed("version", &own.version).unwrap().is_none());
    fs::write(&path, "[package]\nname = \"mine\"\n").unwrap();
    assert!(matches!(TunedTable::earlier(&path, info), Err(TableError::Syntax { .. })));
}

/// This device with one line of a shader changed.
fn broken(shader: &str, from: &str, to: &str) -> Gpu {
    let text = tilewright::shader::SOURCES.iter().find(|(name, _)| *name == shader).unwrap().1;
    assert!(text.contains(from), "{shader} has no `{from}`");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{shader}.wgsl"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text.replace(from, to)).unwrap();
    gpu().with_shaders(Sources::with_folder(folder.path()).unwrap())
}

fn forward_shape() -> ConvShape {
    let graph = conv_graph(CONV, [4, 8, 8, 8], [16, 8, 3, 3]);
    shapes(&graph).into_iter().find(|shape| shape.pass == ConvPass::Forward).unwrap()
}

fn wrong_kernels_are_named_and_never_chosen_even_where_the_rule_picks_them() {
    let shape = forward_shape();
    let right = measure_layer(gpu(), &shape).unwrap();
    assert!(right.wrong.is_empty(), "{:?}", right.wrong);
    let rule = right.measured.unwrap().rule.kernels;
    assert!(matches!(rule, ConvKernels::Texture { .. }), "{rule}");

    let gpu = broken("conv/texture_tile", "(*sums)[p][j] = start;", "(*sums)[p][j] = start + vec4(0.001);");
    let found = measure_layer(&gpu, &shape).unwrap();
    let measured = found.measured.unwrap();
    assert!(found.wrong.iter().any(|(kernels, _)| *kernels == rule), "{:?}", found.wrong);
    assert!(found.wrong.iter().all(|(kernels, _)| matches!(kernels, ConvKernels::Texture { .. })), "{:?}", found.wrong);
    let failure = found.wrong[0].1.to_string();
    assert!(failure.contains("`y0`: element") && failure.contains("conv/texture_tile"), "{failure}");
    assert_eq!(measured.rule.kernels, rule);
    assert!(!matches!(measured.best.kernels, ConvKernels::Texture { .. }), "{:?}", measured.best);
    let table = TunedTable::of(&gpu, &[found]);
    assert_eq!(
        table.layers[0].kernels, measured.best.kernels,
        "the table has right kernels in the place of wrong ones"
    );
}

fn nothing_is_measured_when_the_budget_is_over() {
    let graph = conv_graph(CONV, [4, 8, 8, 8], [16, 8, 3, 3]);
    let all = layers(std::slice::from_ref(&graph));
    let mut begun = 0;
    assert!(tune(gpu(), &all, Duration::ZERO, |_, _| begun += 1).unwrap().is_empty());
    assert_eq!(begun, 0);
}

fn a_batch_that_no_layer_runs_with_is_an_error_and_leaves_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.toml");
    let tune = ["tune", "lenet5", "--batch", "99999999", "--out", file.to_str().unwrap()];
    tilewright(&tune, 1).says("with --batch 99999999").never_says("-0.00");
    assert!(!file.exists());
}

fn tune_writes_a_table_that_is_used_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tune/here.toml").display().to_string();
    let Ended { stdout, stderr } = tilewright(
        &["tune", "lenet5", "--set", "activation=relu", "--batch", "4", "--budget", "60", "--out", &file, "--json"],
        0,
    );
    let result: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let table = TunedTable::read(Path::new(&file)).unwrap();
    assert_eq!(result["changed"].as_u64(), Some(table.layers.len() as u64), "{result}");
    assert_eq!((&result["wrong"], &result["table"]), (&0.into(), &file.clone().into()), "{result}");
    let measured = result["measured"].as_u64().unwrap();
    assert!(measured > 0 && measured == result["layers"].as_array().unwrap().len() as u64, "{result}");
    assert!(stderr.contains("| layer") && stderr.contains("linear 84->10 b4 forward"), "{stderr}");
    assert!(stderr.contains("lenet5, batch 4: the layers that were measured take"), "{stderr}");
    tilewright(&["bench", "step", "lenet5", "--batch", "4", "--tuned", &file], 0);
    let Ended { stderr, .. } = tilewright(&["bench", "step", "lenet5", "--batch", "4", "--tuned", "none.toml"], 2);
    assert!(stderr.contains("the table `none.toml` cannot be read"), "{stderr}");
    for (arguments, word) in [
        (&["tune", "--checked"][..], "leave `--checked` and `--tuned` out"),
        (&["tune", "lenet6"], "did you mean"),
        (&["tune", "--batch", "0"], "--batch"),
        (&["train", "--device", "cpu", "--tuned", &file], "`--device cpu` has none"),
        (&["bench", "gemm", "--precision", "f16", "--tuned", &file], "`--tuned` is for kernels in f32"),
        (&["train", "--resume", "runs/x", "--tuned", &file], "leave `--tuned` out"),
    ] {
        let Ended { stderr, .. } = tilewright(arguments, 2);
        assert!(stderr.contains(word), "{arguments:?}: {stderr}");
    }
}

fn a_run_keeps_its_table_and_goes_on_with_it_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    // LeNet-5's layers at batch 10, all with plain kernels: other than the rule's, wherever the test runs.
    let config = tilewright::recipe::TrainConfig::for_model("lenet5").unwrap();
    let batch = tilewright::train::Batch { shape: [10, 1, 28, 28], classes: 3 };
    let (graph, _) = tilewright::train::training_graph(&config, batch).unwrap();
    let entries = shapes(&graph).into_iter().map(|shape| entry(shape, ConvKernels::Plain)).collect();
    TunedTable::new(MeasuredOn::of(gpu().info()), entries).write(Path::new(&path("t.toml"))).unwrap();

    let train = |run: &str, more: &[&str], status: i32| {
        let data = ["--data", "synthetic:1x28x28:3:40", "--batch", "10", "--run", run];
        tilewright(&[&["train", "lenet5"], &data[..], more].concat(), status)
    };
    train(&path("whole"), &["--epochs", "2", "--schedule", "constant", "--tuned", &path("t.toml")], 0);
    train(&path("parts"), &["--epochs", "1", "--schedule", "constant", "--tuned", &path("t.toml")], 0);
    train(&path("ruled"), &["--epochs", "2", "--schedule", "constant"], 0);
    // The run has a copy of its own.
    fs::remove_file(path("t.toml")).unwrap();
    tilewright(&["train", "--resume", &path("parts"), "--epochs", "2"], 0);
    let steps = |run: &str| fs::read_to_string(format!("{}/steps.csv", path(run))).unwrap();
    assert_eq!(steps("parts"), steps("whole"));
    let losses = |run: &str| -> Vec<f64> {
        steps(run).lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect()
    };
    for (tuned, ruled) in losses("whole").iter().zip(losses("ruled")) {
        assert!((tuned - ruled).abs() <= 1e-4 * ruled.abs().max(1.0), "{tuned} with the table, {ruled} without");
    }
    assert_eq!(losses("whole").len(), losses("ruled").len());

    let kept = format!("{}/tuned.toml", path("parts"));
    let text = fs::read_to_string(&kept).unwrap();
    let own = MeasuredOn::of(gpu().info()).driver;
    fs::write(&kept, text.replace(&own, "another driver")).unwrap();
    let Ended { stderr, .. } = tilewright(&["train", "--resume", &path("parts"), "--epochs", "3"], 2);
    assert!(stderr.contains("another driver") && stderr.contains(&own), "{stderr}");
    fs::remove_file(&kept).unwrap();
    let Ended { stderr, .. } = tilewright(&["train", "--resume", &path("parts"), "--epochs", "3"], 2);
    assert!(stderr.contains(&kept), "{stderr}");
}
