//! Every op's gradient rule against finite differences, on the CPU reference: the small cases of the ops' cards.

use std::collections::BTreeSet;
use tilewright::check::{self, Case, Tolerance, compare_values};
use tilewright::graph::{Graph, Value};
use tilewright::ops::card::Entry;
use tilewright::reference::{self, Tensors};
use tilewright::tensor::{ElementType, HostTensor};

/// Half of the distance between the two points of a difference. Tensors are stored as f32, so an output
/// of size 1 carries 6e-8 / STEP of noise into the difference; its own error is STEP^2 f''' / 6. Both
/// are near 1e-5 here.
const STEP: f32 = 1e-2;

/// Room for the third derivatives of the steepest op (the losses), and for sums of some hundred outputs.
const TOLERANCE: Tolerance = Tolerance { relative: 1e-3, absolute: 1e-4 };

fn slopes() -> Vec<Case> {
    check::cards().flat_map(|card| (card.slopes)()).collect()
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    check::cards().flat_map(|card| card.ops)
}

/// The gradient of sum(y * dout), dout being random, with respect to everything that the case is differentiated by,
/// element by element.
fn check(case: &Case) {
    let graph = case.graph().unwrap();
    let tensors = case.tensors(&graph);
    let place = |name: &str| graph.outputs().iter().position(|(output, _)| output == name).unwrap();
    let y = place("y");
    let outputs = run(&graph, &tensors);
    let dout = tensors["dout"].f32();
    let weighted = |tensors: &Tensors| -> f64 {
        run(&graph, tensors)[y].f32().iter().zip(dout).map(|(&y, &d)| f64::from(y) * f64::from(d)).sum()
    };
    let mut wanted = 0;
    for (output, _) in graph.outputs() {
        let Some(name) = output.strip_prefix("gradient of ") else { continue };
        let got: Vec<f64> = outputs[place(output)].f32().iter().map(|&gradient| f64::from(gradient)).collect();
        let difference = |index: usize| {
            let at = |step: f32| {
                let mut moved = tensors.clone();
                let element = &mut moved.get_mut(name).unwrap().f32_mut()[index];
                *element += step;
                (f64::from(*element), weighted(&moved))
            };
            let ((left, below), (right, above)) = (at(-STEP), at(STEP));
            (above - below) / (right - left)
        };
        let want: Vec<f64> = (0..got.len()).map(difference).collect();
        let verdict = compare_values(name, &got, &want, TOLERANCE);
        verdict.unwrap_or_else(|wrong| panic!("{} of {}: {wrong}", case.op, case.what));
        wanted += 1;
    }
    assert!(wanted > 0, "{} of {} is not differentiated", case.op, case.what);
}

fn run(graph: &Graph, tensors: &Tensors) -> Vec<HostTensor> {
    reference::run(graph, tensors, &mut tensors.clone())
}

#[test]
fn gradients_are_the_slopes() {
    slopes().iter().for_each(check);
}

#[test]
fn every_op_that_has_a_gradient_is_in_some_small_case() {
    let graphs: Vec<Graph> = slopes().iter().map(|case| case.graph().unwrap()).collect();
    let checked: BTreeSet<&str> = graphs.iter().flat_map(Graph::nodes).map(|node| node.op.name()).collect();
    let differentiable = entries().filter(|entry| entry.is_differentiable()).map(|entry| entry.name);
    let missing: Vec<&str> = differentiable.filter(|name| !checked.contains(name)).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

#[test]
fn an_op_without_a_gradient_on_its_card_refuses_to_be_differentiated() {
    let without: BTreeSet<&str> =
        entries().filter(|entry| !entry.is_differentiable()).map(|entry| entry.name).collect();
    let mut tried = BTreeSet::new();
    for case in check::cases() {
        let graph = case.graph().unwrap();
        for node in graph.nodes().iter().filter(|node| without.contains(node.op.name())) {
            let float = |value: &&Value| graph.spec(**value).element == ElementType::F32;
            let (Some(&x), Some(&y)) = (node.inputs.iter().find(float), node.outputs.iter().find(float)) else {
                continue;
            };
            let mut differentiated = graph.clone();
            let dy = differentiated.input("another dout", graph.spec(y).clone()).unwrap();
            let result = differentiated.backward(&[(y, dy)], &[x]);
            assert!(result.is_err(), "{} of {}, {}", node.op.name(), case.op, case.what);
            tried.insert(node.op.name());
        }
    }
    assert!(tried.contains("conv_input_gradient") && tried.contains("count_correct"), "only {tried:?} were tried");
}
