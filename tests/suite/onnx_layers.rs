//! Padding and PReLU in ONNX: its operators, computed as its standard defines them, give what the ops give.

use std::collections::HashMap;
use tilewright::graph::{Graph, OnnxConstant, OnnxGraph, OnnxOperator, OnnxValue, Value};
use tilewright::ops::{PRelu, Pad2d, PadMode};
use tilewright::reference::{self, Tensors};
use tilewright::tensor::{HostTensor, TensorSpec};

/// Sizes and elements.
type Tensor = (Vec<usize>, Vec<f32>);

const X: [usize; 4] = [2, 2, 3, 4];

fn given(shape: &[usize]) -> Vec<f32> {
    (0..shape.iter().product::<usize>()).map(|index| (index as f32 * 0.7).sin()).collect()
}

#[test]
fn padding_and_prelu_are_the_same_in_the_operators_of_onnx() {
    for mode in [PadMode::Constant(1.25), PadMode::Reflect, PadMode::Replicate, PadMode::Circular] {
        for padding in [[3, 1, 0, 2], [0, 0, 2, 1], [1, 2, 0, 0]] {
            holds(&format!("{mode:?} {padding:?}"), |graph, x| graph.apply_one(Pad2d { mode, padding }, &[x]).unwrap());
        }
    }
    for slopes in [1, 2] {
        holds(&format!("{slopes} slopes"), |graph, x| {
            let slope = graph.input("slope", TensorSpec::f32([slopes])).unwrap();
            graph.apply_one(PRelu, &[x, slope]).unwrap()
        });
    }
}

fn holds(what: &str, build: impl Fn(&mut Graph, Value) -> Value) {
    let [two, three] = [2, 3].map(|batch| {
        let mut graph = Graph::new();
        let x = graph.input("images", TensorSpec::f32([batch, X[1], X[2], X[3]])).unwrap();
        let y = build(&mut graph, x);
        graph.output("y", y);
        graph
    });
    let mut onnx = OnnxGraph::new(&two, &three, "images");
    two.nodes().iter().for_each(|node| onnx.add(node).unwrap());
    let mut known: HashMap<String, Tensor> = HashMap::new();
    let mut tensors = Tensors::new();
    for tensor in two.tensors().iter().filter(|tensor| ["images", "slope"].contains(&tensor.name.as_str())) {
        let values = given(&tensor.spec.shape);
        tensors.insert(tensor.name.clone(), HostTensor::F32(values.clone()));
        known.insert(tensor.name.clone(), (tensor.spec.shape.to_vec(), values));
    }
    let mut last = (Vec::new(), Vec::new());
    for operator in &onnx.operators {
        last = apply(operator, &known, &onnx);
        known.insert(operator.output.clone(), last.clone());
    }
    let want = reference::run(&two, &tensors, &mut Tensors::new());
    let (name, y) = &two.outputs()[0];
    assert_eq!(last.0, two.shape(*y).to_vec(), "{what}: shape of {name}");
    assert_eq!(last.1, want[0].f32(), "{what}: {:?}", onnx.operators);
}

/// As <https://onnx.ai/onnx/operators> defines them, in operator set 17.
fn apply(operator: &OnnxOperator, known: &HashMap<String, Tensor>, onnx: &OnnxGraph<'_>) -> Tensor {
    let ints = |place: usize| match &onnx.constants[&operator.inputs[place]] {
        OnnxConstant::Ints(ints) => ints.clone(),
        other => panic!("{other:?}"),
    };
    let value = |place: usize| known[&operator.inputs[place]].clone();
    let attribute = |name: &str| operator.attributes.iter().find(|attribute| attribute.name == name);
    match operator.kind {
        "Identity" => value(0),
        "Pad" => {
            let mode = match attribute("mode").map(|attribute| &attribute.value) {
                Some(OnnxValue::Text(mode)) => *mode,
                other => panic!("{other:?}"),
            };
            let outside = match operator.inputs.get(2).map(|name| &onnx.constants[name]) {
                Some(OnnxConstant::Floats { elements, .. }) => elements[0],
                _ => 0.0,
            };
            pad(value(0), &ints(1), mode, outside)
        }
        "Slice" => {
            let (start, end, axis) = (ints(1)[0] as usize, ints(2)[0] as usize, ints(3)[0] as usize);
            let (sizes, elements) = value(0);
            let inner: usize = sizes[axis + 1..].iter().product();
            let rows = elements.chunks_exact(sizes[axis] * inner);
            let kept = rows.flat_map(|row| row[start * inner..end * inner].to_vec()).collect();
            let mut sizes = sizes;
            sizes[axis] = end - start;
            (sizes, kept)
        }
        "Concat" => {
            let Some(&OnnxValue::Int(axis)) = attribute("axis").map(|attribute| &attribute.value) else { panic!() };
            let axis = axis as usize;
            let parts: Vec<Tensor> = (0..operator.inputs.len()).map(value).collect();
            let mut sizes = parts[0].0.clone();
            sizes[axis] = parts.iter().map(|part| part.0[axis]).sum();
            let outer: usize = sizes[..axis].iter().product();
            let row = |part: &Tensor, at: usize| {
                let length = part.1.len() / outer;
                part.1[at * length..(at + 1) * length].to_vec()
            };
            let joined = (0..outer).flat_map(|at| parts.iter().flat_map(|part| row(part, at)).collect::<Vec<_>>());
            (sizes, joined.collect())
        }
        "Reshape" => {
            let (_, elements) = value(0);
            let sizes = ints(1).iter().map(|&size| if size < 0 { elements.len() } else { size as usize }).collect();
            (sizes, elements)
        }
        "PRelu" => {
            let ((sizes, x), (slope_sizes, slopes)) = (value(0), value(1));
            assert!(slope_sizes == [1] || slope_sizes == [sizes[1], 1, 1], "{slope_sizes:?}");
            let inner: usize = sizes[2..].iter().product();
            let slope = |index: usize| slopes[index / inner % sizes[1] % slopes.len()];
            let y = x.iter().enumerate().map(|(index, &x)| if x < 0.0 { slope(index) * x } else { x }).collect();
            (sizes, y)
        }
        other => panic!("{other} is not expected"),
    }
}

fn pad((sizes, elements): Tensor, pads: &[i64], mode: &str, outside: f32) -> Tensor {
    let rank = sizes.len();
    let padded: Vec<usize> = (0..rank).map(|d| sizes[d] + (pads[d] + pads[rank + d]) as usize).collect();
    let source = |at: &[usize]| -> Option<usize> {
        let mut index = 0;
        for d in 0..rank {
            let (from, size) = (at[d] as i64 - pads[d], sizes[d] as i64);
            let from = match mode {
                "edge" => from.clamp(0, size - 1),
                "reflect" if from < 0 => -from,
                "reflect" if from >= size => 2 * (size - 1) - from,
                _ => from,
            };
            if !(0..size).contains(&from) {
                return None;
            }
            index = index * sizes[d] + from as usize;
        }
        Some(index)
    };
    let count = padded.iter().product();
    let element = |mut rest: usize| {
        let mut at = vec![0; rank];
        for d in (0..rank).rev() {
            at[d] = rest % padded[d];
            rest /= padded[d];
        }
        source(&at).map_or(outside, |index| elements[index])
    };
    let values = (0..count).map(element).collect();
    (padded, values)
}
