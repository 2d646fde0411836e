//! Every kernel variant on the device against the CPU reference, on the cases of `tilewright check`:
//! NaN in all memory beforehand, two runs with the same bits.

use crate::need::trials;
use std::collections::{BTreeSet, HashMap};
use tilewright::check::{Case, CheckFailure, Variant, cases, sweep};
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu};
use tilewright::graph::{Graph, Init, Op};
use tilewright::kernel::{Kernel, Launch, Operand, Shader, Unsupported, write};
use tilewright::ops::{Conv2d, Linear};
use tilewright::optim::{Averaging, GradientTransform, UpdateConfig};
use tilewright::plan::Plan;
use tilewright::reference::Tensors;
use tilewright::tensor::{HostTensor, TensorSpec};

trials! {
    Adapter:
        every_kernel_agrees_with_the_reference_in_checked_mode_within_default_limits,
        every_kernel_agrees_with_the_reference_in_trusted_mode_within_default_limits,
        weights_larger_than_a_binding_are_run_in_parts_with_the_same_result,
        an_element_that_a_kernel_leaves_unwritten_is_found;
    F16:
        every_kernel_agrees_with_the_reference_on_features_in_f16,
        the_tile_of_matrix_units_agrees_with_the_reference_with_their_functions_emulated;
    MatrixUnits:
        kernels_on_matrix_units_agree_with_the_reference;
}

/// Sweeps the cases on a device that is opened so, and gives the variants that ran.
fn sweep_all(options: DeviceOptions, cases: &[Case]) -> BTreeSet<String> {
    let gpu = Gpu::open(&DeviceSelector::Auto, options).unwrap();
    sweep_on(&gpu, &Variant::on(gpu.profile()), cases)
}

fn sweep_on(gpu: &Gpu, wanted: &[Variant], cases: &[Case]) -> BTreeSet<String> {
    let mut variants = BTreeSet::new();
    let mut failures = Vec::new();
    let [mut passed, mut unsupported] = [0; 2];
    sweep(gpu, wanted, cases, |verdict| {
        variants.insert(verdict.variant.to_string());
        let what = || format!("{}, {}, {}", verdict.case.op, verdict.variant, verdict.case.what);
        match &verdict.result {
            Ok(()) => passed += 1,
            Err(failure) if failure.is_unsupported() => {
                unsupported += 1;
                println!("unsupported: {}: {failure}", what());
            }
            Err(failure) => failures.push(format!("{}: {failure}", what())),
        }
    });
    println!("{passed} passed, {} failed, {unsupported} unsupported", failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 0);
    variants
}

fn every_kernel_agrees_with_the_reference_in_checked_mode_within_default_limits() {
    let options = DeviceOptions::default().checked(true).default_limits(true);
    let variants = sweep_all(options, &cases());
    assert_eq!(variants.len(), Variant::EXACT.len(), "only these variants ran: {variants:?}");
}

fn every_kernel_agrees_with_the_reference_in_trusted_mode_within_default_limits() {
    let options = DeviceOptions::default().default_limits(true);
    let variants = sweep_all(options, &cases());
    assert_eq!(variants.len(), Variant::EXACT.len(), "only these variants ran: {variants:?}");
}

fn every_kernel_agrees_with_the_reference_on_features_in_f16() {
    let gpu = Gpu::open(&DeviceSelector::Auto, DeviceOptions::default()).unwrap();
    let variants = sweep_on(&gpu, &Variant::HALF, &cases());
    assert_eq!(variants.len(), Variant::HALF.len(), "only these variants ran: {variants:?}");
}

fn kernels_on_matrix_units_agree_with_the_reference() {
    for checked in [true, false] {
        let options = DeviceOptions::default().checked(checked).matrix_units(true);
        let gpu = Gpu::open(&DeviceSelector::Auto, options).unwrap();
        sweep_on(&gpu, &[Variant::MatrixUnits], &cases());
    }
}

fn the_tile_of_matrix_units_agrees_with_the_reference_with_their_functions_emulated() {
    let strided = Conv2d { stride: [2, 1], padding: [1, 2], ..Conv2d::default() };
    let grouped = Conv2d { groups: 2, padding: [1, 1], ..Conv2d::default() };
    // Less and more than a tile in each direction, more than one tile, a tile of 2x2 blocks, and a reduction in
    // parts.
    let cases = [
        layer("conv2d", &[&[2, 5, 11, 7], &[17, 5, 3, 3], &[17]], strided),
        layer("conv2d", &[&[1, 24, 6, 6], &[70, 12, 3, 3]], grouped),
        layer("conv2d", &[&[1, 3, 128, 128], &[64, 3, 1, 1]], Conv2d::default()),
        layer("linear", &[&[130, 65], &[33, 65], &[33]], Linear),
        layer("linear", &[&[600, 3], &[5, 3], &[5]], Linear),
    ];
    for checked in [true, false] {
        let options = DeviceOptions::default().checked(checked).matrix_units(true);
        let gpu = Gpu::open(&DeviceSelector::Auto, options).unwrap();
        let gpu = gpu.with_emulated_matrix_units().unwrap();
        assert_eq!(sweep_on(&gpu, &[Variant::MatrixUnits], &cases).len(), 1);
    }
}

/// A layer's graph with all its gradients, of inputs and parameters of the given shapes.
fn layer(op: &'static str, shapes: &[&[usize]], build: impl Op + Clone + 'static) -> Case {
    let shapes: Vec<Vec<usize>> = shapes.iter().map(|shape| shape.to_vec()).collect();
    let what = format!("{shapes:?}");
    Case::differentiated(op, what, shapes, move |graph, x| graph.apply_one(build.clone(), x))
}

fn weights_larger_than_a_binding_are_run_in_parts_with_the_same_result() {
    let same = Conv2d { padding: [1, 1], ..Conv2d::default() };
    // Each with a limit of 64 filters; the gradient of x has 300 and 45 elements, no multiple of the
    // alignment of a binding.
    let layers = [
        (64 * 100 * 4, layer("linear", &[&[3, 100], &[200, 100], &[200]], Linear)),
        (64 * 45 * 4, layer("conv2d", &[&[1, 5, 3, 3], &[150, 5, 3, 3], &[150]], same)),
    ];
    for (limit, case) in layers {
        check_in_parts(limit, case);
    }
    // An optimizer's pack of 16,401 elements, with clipping by norm and an average.
    for rule in ["sgd:momentum=0.9", "rmsprop:centered=true,momentum=0.5", "lion"] {
        let build = move |graph: &mut Graph| {
            let weight = graph.parameter("weight", [2343, 7], Init::ONES)?;
            let gradient = graph.input("gradient", TensorSpec::f32([2343, 7]))?;
            let transform = GradientTransform { clip_grad_norm: Some(1.0), ..GradientTransform::default() };
            let averaging = Some(Averaging::Ema { decay: 0.9, warmup: false });
            let config = UpdateConfig { transform, averaging, ..UpdateConfig::new(rule.parse().unwrap()) };
            let attached = config.attach(graph, &HashMap::from([(weight, gradient)]))?;
            attached.norm.into_iter().for_each(|norm| graph.output("norm", norm));
            Ok(())
        };
        let positive: fn(&mut Tensors) = |tensors| {
            for (_, state) in tensors.iter_mut().filter(|(name, _)| name.contains("square_avg")) {
                state.f32_mut().iter_mut().for_each(|value| *value = value.abs() + 1.0);
            }
        };
        let case = Case::new("optimizer", format!("{rule} in parts"), build).prepare(positive);
        // The gradient is copied into its pack whole. Parts are multiples of 64 elements, so the limit leaves
        // a second one.
        check_in_parts(2343 * 7 * 4, case.tolerance(2e-6, 1e-7));
    }
}

/// Holds the case against the reference on a device that binds `limit` bytes at a time, and sees that
/// this makes more dispatches of it.
fn check_in_parts(limit: u64, case: Case) {
    let gpu = Gpu::open(&DeviceSelector::Auto, DeviceOptions::default()).unwrap();
    let limited = gpu.with_binding_limit(limit);
    let graph = case.graph().unwrap();
    let dispatches = |gpu: &Gpu| Plan::new(&graph, gpu.profile()).unwrap().steps.len();
    assert!(dispatches(&limited) > dispatches(&gpu), "{}, {}: it is not in parts", case.op, case.what);
    let mut ran = 0;
    sweep(&limited, &Variant::EXACT, std::slice::from_ref(&case), |verdict| {
        ran += 1;
        verdict.result.unwrap_or_else(|failure| panic!("{}, {}, {}: {failure}", case.op, verdict.variant, case.what));
    });
    assert!(ran > 0);
}

/// Writes all elements of its output but the last.
#[derive(Debug)]
struct Careless;

impl Op for Careless {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "careless"
    }

    fn infer(&self, _: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        Ok((vec![TensorSpec::f32([67])], ()))
    }

    fn reference(&self, (): &(), _: &[&HostTensor], _: &mut [HostTensor]) {}

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        static FILL: Shader = Shader::new("elementwise/fill", &[write("y")]);
        let kernel = Kernel::new(&FILL).constant("VALUE", 0.0);
        launch.linear(kernel, 66, [("y", Operand::output(0))]);
        Ok(())
    }
}

fn an_element_that_a_kernel_leaves_unwritten_is_found() {
    let gpu = Gpu::open(&DeviceSelector::Auto, DeviceOptions::default()).unwrap();
    let careless = Case::new("careless", "67 elements", |graph| {
        let y = graph.apply_one(Careless, &[])?;
        graph.output("y", y);
        Ok(())
    });
    let found = careless.check(&gpu);
    let Err(CheckFailure::Wrong { difference, .. }) = &found else { panic!("{found:?}") };
    assert!(difference.index == 66 && difference.got.is_nan(), "{difference}");
}
