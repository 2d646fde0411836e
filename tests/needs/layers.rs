//! Normalisation, loss and dropout on the device against the CPU reference, gradients in mid-graph.

use crate::need::trials;
use tilewright::check::{Tolerance, check_graph};
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu};
use tilewright::graph::{Graph, Init, Value};
use tilewright::nn::{Mode, Scope};
use tilewright::ops::{BatchNormalize, BatchStatistics, CountCorrect, CrossEntropy, IGNORED_TARGET, RecordMetrics};
use tilewright::reference::random_tensors;
use tilewright::tensor::{HostTensor, TensorSpec};

trials! {
    Adapter:
        batch_norm_agrees_with_the_reference_in_training_and_inference,
        batch_norm_keeps_its_digits_at_a_mean_of_a_thousand,
        cross_entropy_agrees_with_the_reference_and_ignores_padding,
        dropout_drops_the_same_elements_on_device_and_reference_and_the_share_it_is_told,
        metrics_are_recorded_in_the_row_that_is_named;
}

fn devices() -> [Gpu; 2] {
    [true, false].map(|checked| Gpu::open(&DeviceSelector::Auto, DeviceOptions::default().checked(checked)).unwrap())
}

fn add_gradients(graph: &mut Graph, y: Value, inputs: &[Value]) {
    let dout = graph.input("dout", graph.spec(y).clone()).unwrap();
    let gradients = graph.backward(&[(y, dout)], inputs).unwrap();
    graph.output("y", y);
    for (index, input) in inputs.iter().enumerate() {
        graph.output(&format!("gradient {index}"), gradients[input]);
    }
}

fn batch_norm_agrees_with_the_reference_in_training_and_inference() {
    for gpu in devices() {
        for shape in [vec![2, 1, 1, 1], vec![5, 3, 7, 11], vec![33, 17], vec![4, 64, 9, 9], vec![2, 130, 3, 1]] {
            for mode in [Mode::Train, Mode::Eval] {
                let mut graph = Graph::new();
                let x = graph.input("x", TensorSpec::f32(shape.clone())).unwrap();
                let y = Scope::new(&mut graph, mode).batch_norm("bn", x).unwrap();
                let parameters: Vec<Value> = graph.parameters().collect();
                add_gradients(&mut graph, y, &[&[x], &parameters[..]].concat());
                let mut tensors = random_tensors(&graph, 5, 2);
                for name in ["bn.running_var", "bn.weight"] {
                    tensors.get_mut(name).unwrap().f32_mut().iter_mut().for_each(|v| *v = v.abs() + 0.5);
                }
                check_graph(&gpu, &graph, &tensors, Tolerance { relative: 2e-5, absolute: 2e-6 })
                    .unwrap_or_else(|error| panic!("{shape:?} {mode:?}: {error}"));
            }
        }
    }
}

fn batch_norm_keeps_its_digits_at_a_mean_of_a_thousand() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([16, 5, 13, 13])).unwrap();
    let statistics = graph.apply(BatchStatistics, &[x]).unwrap();
    let normalize = BatchNormalize { eps: 1e-5, batch_statistics: true, affine: false };
    let y = graph.apply_one(normalize, &[x, statistics[0], statistics[1]]).unwrap();
    graph.output("mean", statistics[0]);
    graph.output("var", statistics[1]);
    graph.output("y", y);
    let mut tensors = random_tensors(&graph, 5, 2);
    let values = Init::Normal { std: 1.0 }.values("x", 3, 16 * 5 * 169);
    tensors.insert("x".to_owned(), HostTensor::F32(values.iter().map(|x| x + 1000.0).collect()));
    for gpu in devices() {
        check_graph(&gpu, &graph, &tensors, Tolerance { relative: 1e-4, absolute: 0.0 }).unwrap();
    }
}

fn cross_entropy_agrees_with_the_reference_and_ignores_padding() {
    for gpu in devices() {
        for (rows, classes, scale, label_smoothing) in
            [(1, 1, 1.0, 0.0), (7, 10, 1.0, 0.0), (65, 3, 90.0, 0.1), (33, 1000, 5.0, 0.2)]
        {
            let mut graph = Graph::new();
            let logits = graph.input("logits", TensorSpec::f32([rows, classes])).unwrap();
            let target = graph.input("target", TensorSpec::u32([rows])).unwrap();
            let loss = graph.apply(CrossEntropy::smoothed(label_smoothing), &[logits, target]).unwrap();
            graph.output("rows", loss[1]);
            for k in [1, 5] {
                let correct = graph.apply_one(CountCorrect { k }, &[logits, target]).unwrap();
                graph.output(&format!("top {k}"), correct);
            }
            add_gradients(&mut graph, loss[0], &[logits]);
            let mut tensors = random_tensors(&graph, 9, classes as u32);
            tensors.get_mut("logits").unwrap().f32_mut().iter_mut().for_each(|z| *z *= scale);
            tensors.get_mut("target").unwrap().u32_mut()[rows / 2] = IGNORED_TARGET;
            check_graph(&gpu, &graph, &tensors, Tolerance::default())
                .unwrap_or_else(|error| panic!("{rows} x {classes}: {error}"));
        }
    }
}

fn dropout_drops_the_same_elements_on_device_and_reference_and_the_share_it_is_told() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([64, 100])).unwrap();
    let y = Scope::new(&mut graph, Mode::Train).dropout("drop", x, 0.3).unwrap();
    add_gradients(&mut graph, y, &[x]);
    let mut tensors = random_tensors(&graph, 2, 100);
    tensors.insert("x".to_owned(), HostTensor::F32(vec![1.0; 6400]));
    for gpu in devices() {
        check_graph(&gpu, &graph, &tensors, Tolerance { relative: 0.0, absolute: 0.0 }).unwrap();
    }
    let kept = tilewright::reference::run(&graph, &tensors.clone(), &mut tensors)[0].clone();
    let share = kept.f32().iter().filter(|y| **y == 0.0).count() as f64 / 6400.0;
    assert!((share - 0.3).abs() < 0.03, "{share} of the elements were dropped");
}

fn metrics_are_recorded_in_the_row_that_is_named() {
    let mut graph = Graph::new();
    let scalars: Vec<Value> =
        ["loss", "correct", "rows"].map(|name| graph.input(name, TensorSpec::f32([1])).unwrap()).into();
    let numbers = graph.input("numbers", TensorSpec::u32([4])).unwrap();
    let history = graph.buffer("history", [6, 3], Init::ZEROS).unwrap();
    graph.apply(RecordMetrics { cursor: 3 }, &[&scalars[..], &[numbers, history]].concat()).unwrap();
    let tensors = random_tensors(&graph, 2, 6);
    for gpu in devices() {
        check_graph(&gpu, &graph, &tensors, Tolerance { relative: 0.0, absolute: 0.0 }).unwrap();
    }
}
