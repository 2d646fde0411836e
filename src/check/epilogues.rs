//! What kernels do besides their own: every activation in the stores of every kernel that takes one, those
//! that must not be merged, and a bias's gradient with and without the weight's.

use super::case::{ACTIVATIONS, Case, add_gradients, differentiated};
use crate::graph::{Graph, GraphError, Value};
use crate::nn::{Mode, Scope};
use crate::ops::{Activation, Add, Conv2d, Linear};
use crate::tensor::TensorSpec;

/// What stands before an activation: its row in the report, shapes of its inputs, and itself.
pub(super) type Before = (&'static str, Vec<Vec<usize>>, fn(&mut Graph, &[Value]) -> Result<Value, GraphError>);

pub(super) fn before() -> Vec<Before> {
    vec![
        ("conv2d", vec![vec![3, 6, 11, 7], vec![17, 6, 3, 3], vec![17]], |graph, x| {
            graph.apply_one(Conv2d { padding: [1, 1], ..Conv2d::default() }, x)
        }),
        ("conv2d", vec![vec![2, 1, 13, 12], vec![5, 1, 5, 5]], |graph, x| graph.apply_one(Conv2d::default(), x)),
        ("conv2d", vec![vec![2, 8, 9, 7], vec![8, 4, 3, 3], vec![8]], |graph, x| {
            graph.apply_one(Conv2d { groups: 2, stride: [2, 2], ..Conv2d::default() }, x)
        }),
        ("conv2d", vec![vec![2, 5, 9, 7], vec![5, 1, 3, 3], vec![5]], |graph, x| {
            graph.apply_one(Conv2d { groups: 5, padding: [1, 1], ..Conv2d::default() }, x)
        }),
        ("linear", vec![vec![33, 65], vec![17, 65], vec![17]], |graph, x| graph.apply_one(Linear, x)),
        ("batch_norm", vec![vec![3, 5, 7, 4]], |graph, x| Scope::new(graph, Mode::Train).batch_norm("bn", x[0])),
        ("add", vec![vec![3, 7, 11], vec![3, 7, 11]], |graph, x| graph.apply_one(Add, x)),
        ("add", vec![vec![2, 5, 4, 3], vec![5, 1, 1]], |graph, x| graph.apply_one(Add, x)),
    ]
}

/// Those whose gradient leaves what comes in as it is, or stops it: no factor that f16 would round.
const MASKS: [Activation; 2] = [Activation::Relu, Activation::Relu6];

pub(super) fn epilogues() -> Vec<Case> {
    let mut cases = Vec::new();
    for (op, shapes, build) in before() {
        for activation in ACTIVATIONS {
            cases.push(inference(op, &shapes, build, activation));
        }
        for activation in MASKS {
            let what = format!("x {:?}, then {}, differentiated", shapes[0], activation.function());
            cases.push(Case::differentiated(op, what, shapes.clone(), move |graph, x| {
                let y = build(graph, x)?;
                graph.apply_one(activation, &[y])
            }));
        }
        cases.push(shared(op, &shapes, build));
    }
    cases.extend((1..=2).map(one_gradient));
    cases.into_iter().map(|case| case.tolerance(2e-5, 2e-6)).collect()
}

/// The activation's output alone: nothing else reads what lies between.
fn inference(
    op: &'static str,
    shapes: &[Vec<usize>],
    build: fn(&mut Graph, &[Value]) -> Result<Value, GraphError>,
    activation: Activation,
) -> Case {
    let what = format!("x {:?}, then {}", shapes[0], activation.function());
    let shapes = shapes.to_vec();
    Case::new(op, what, move |graph| {
        let inputs = (0..).zip(&shapes).map(|(index, shape)| input(graph, index, shape));
        let inputs = inputs.collect::<Result<Vec<Value>, _>>()?;
        let between = build(graph, &inputs)?;
        let y = graph.apply_one(activation, &[between])?;
        graph.output("y", y);
        Ok(())
    })
}

/// What lies between has a second reader.
fn shared(
    op: &'static str,
    shapes: &[Vec<usize>],
    build: fn(&mut Graph, &[Value]) -> Result<Value, GraphError>,
) -> Case {
    let what = format!("x {:?}, then relu, and read by another", shapes[0]);
    let shapes = shapes.to_vec();
    Case::new(op, what, move |graph| {
        differentiated(graph, &shapes, |graph, x| {
            let between = build(graph, x)?;
            let y = graph.apply_one(Activation::Relu, &[between])?;
            graph.apply_one(Add, &[y, between])
        })
    })
}

/// The gradient of a convolution's weight alone, or of its bias.
fn one_gradient(wanted: usize) -> Case {
    let what = format!("x [3, 6, 11, 7], gradient of the {} alone", ["x", "weight", "bias"][wanted]);
    Case::new("conv2d", what, move |graph| {
        let inputs = [input(graph, 0, &[3, 6, 11, 7])?, input(graph, 1, &[17, 6, 3, 3])?, input(graph, 2, &[17])?];
        let y = graph.apply_one(Conv2d::default(), &inputs)?;
        add_gradients(graph, y, &[inputs[wanted]])
    })
}

fn input(graph: &mut Graph, index: usize, shape: &[usize]) -> Result<Value, GraphError> {
    graph.input(&format!("x{index}"), TensorSpec::f32(shape.to_vec()))
}
