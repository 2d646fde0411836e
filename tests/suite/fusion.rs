//! Activations merged into the kernels before them: which are, which are not, and that none is lost.

use tilewright::check;
use tilewright::graph::{Graph, Init, Value};
use tilewright::kernel::{DeviceClass, DeviceProfile};
use tilewright::models::{self, ModelOptions};
use tilewright::nn::{Mode, Scope};
use tilewright::ops::{Activated, Activation, ActivationBackward, BatchNorm, Conv2d};
use tilewright::plan::Plan;
use tilewright::recipe::TrainConfig;
use tilewright::tensor::TensorSpec;
use tilewright::train::{Batch, training_graph};

const CLASSES: [DeviceClass; 2] = [DeviceClass::Gpu, DeviceClass::Cpu];

/// x, and a convolution of it.
fn convolution(graph: &mut Graph) -> (Value, Value) {
    let x = graph.input("x", TensorSpec::f32([2, 5, 9, 7])).unwrap();
    let weight = graph.input("weight", TensorSpec::f32([4, 5, 3, 3])).unwrap();
    (x, graph.apply_one(Conv2d::default(), &[x, weight]).unwrap())
}

/// Kernels of a graph that apply an activation to what they store, and kernels that do nothing else.
fn activated(graph: &Graph, class: DeviceClass) -> (usize, usize) {
    let plan = Plan::new(graph, &DeviceProfile::webgpu_defaults(class)).unwrap();
    let merged = plan.steps.iter().filter(|step| step.kernel.conditions.contains(&"activated")).count();
    let alone = plan.steps.iter().filter(|step| step.kernel.shader.name == "activation/forward").count();
    (merged, alone)
}

#[test]
fn an_activation_that_alone_reads_a_convolution_is_merged_into_it() {
    let mut graph = Graph::new();
    let (_, between) = convolution(&mut graph);
    let y = graph.apply_one(Activation::Silu, &[between]).unwrap();
    graph.output("y", y);
    for class in CLASSES {
        assert_eq!(activated(&graph, class), (1, 0), "{class:?}");
    }
    let fused = graph.fuse_activations();
    let node = fused.nodes().last().unwrap();
    assert_eq!(node.applied_as::<Activated>().unwrap().activation, Activation::Silu);
    assert_eq!((node.op.name(), &node.outputs), ("conv2d", &vec![y]));
    assert_eq!(fused.live_nodes(), [false, true], "the convolution alone is dead");
}

#[test]
fn merging_twice_is_merging_once() {
    let mut graph = Graph::new();
    let (x, between) = convolution(&mut graph);
    let y = graph.apply_one(Activation::Relu, &[between]).unwrap();
    let again = graph.apply_one(Activation::Relu, &[x]).unwrap();
    graph.output("y", y);
    graph.output("again", again);
    let once = graph.fuse_activations();
    assert_eq!(once.fuse_activations().to_text(), once.to_text());
}

#[test]
fn what_is_read_between_is_kept() {
    let mut graph = Graph::new();
    let (_, between) = convolution(&mut graph);
    let y = graph.apply_one(Activation::Relu, &[between]).unwrap();
    graph.output("y", y);
    graph.output("between", between);
    for class in CLASSES {
        assert_eq!(activated(&graph, class), (0, 1), "{class:?}");
    }
}

#[test]
fn in_training_only_activations_that_differentiate_from_their_output_are_merged() {
    let merged = |activation: Activation| {
        let mut graph = Graph::new();
        let (x, between) = convolution(&mut graph);
        let y = graph.apply_one(activation, &[between]).unwrap();
        check::add_gradients(&mut graph, y, &[x]).unwrap();
        activated(&graph, DeviceClass::Gpu)
    };
    for activation in [Activation::Relu, Activation::Relu6, Activation::Sigmoid, Activation::Tanh] {
        assert_eq!(merged(activation), (1, 0), "{activation:?}");
    }
    for activation in [Activation::Silu, Activation::Gelu, Activation::HardSwish, Activation::HardSigmoid] {
        assert_eq!(merged(activation), (0, 1), "{activation:?}");
    }
}

/// A batch norm, an activation, and their gradients; with another reader of what `read` says.
fn normalised(activation: Activation, batch_statistics: bool, read: fn(&Graph) -> Option<Value>) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([2, 5, 9, 7])).unwrap();
    let vector = |graph: &mut Graph, name: &str| graph.parameter(name, [5], Init::ONES).unwrap();
    let affine = ["weight", "bias"].map(|name| vector(&mut graph, name));
    let running = ["mean", "var"].map(|name| graph.buffer(name, [5], Init::ONES).unwrap());
    let norm = BatchNorm { eps: 1e-5, momentum: 0.1, batch_statistics };
    let between = norm.apply(&mut graph, x, Some(affine), Some(running)).unwrap();
    let y = graph.apply_one(activation, &[between]).unwrap();
    check::add_gradients(&mut graph, y, &[x, affine[0], affine[1]]).unwrap();
    if let Some(value) = read(&graph) {
        graph.output("read", value);
    }
    graph
}

/// Kernels of `graph` for the backward pass of an activation alone.
fn gradients_alone(graph: &Graph, class: DeviceClass) -> usize {
    let plan = Plan::new(graph, &DeviceProfile::webgpu_defaults(class)).unwrap();
    plan.steps.iter().filter(|step| step.kernel.shader.name == "activation/backward").count()
}

#[test]
fn the_gradients_of_a_batch_norm_go_through_the_activation_after_it() {
    for activation in [Activation::Relu, Activation::Sigmoid, Activation::Silu, Activation::Gelu] {
        for class in CLASSES {
            let graph = normalised(activation, true, |_| None);
            assert_eq!((activated(&graph, class), gradients_alone(&graph, class)), ((1, 0), 0), "{activation:?}");
            let once = graph.fuse_activations();
            assert_eq!(once.fuse_activations().to_text(), once.to_text());
        }
    }
}

#[test]
fn a_gradient_between_that_another_reads_is_computed() {
    let gradient = |graph: &Graph| {
        let backward = graph.nodes().iter().find(|node| node.op_as::<ActivationBackward>().is_some());
        backward.map(|node| node.outputs[0])
    };
    for class in CLASSES {
        assert_eq!(gradients_alone(&normalised(Activation::Silu, true, gradient), class), 1, "{class:?}");
        assert_eq!(gradients_alone(&normalised(Activation::Silu, false, |_| None), class), 1, "{class:?}");
    }
}

#[test]
fn every_merged_activation_is_in_a_kernel_of_its_node() {
    for case in check::cases() {
        let graph = case.graph().unwrap().fuse_activations();
        let live = graph.live_nodes();
        for class in CLASSES {
            let mut profile = DeviceProfile::webgpu_defaults(class);
            profile.max_binding_bytes = 1 << 30;
            let Ok(plan) = Plan::new(&graph, &profile) else { continue };
            for (index, node) in graph.nodes().iter().enumerate().filter(|(index, _)| live[*index]) {
                let Some(fused) = node.applied_as::<Activated>() else { continue };
                let function = fused.activation.function();
                let own = plan.steps.iter().filter(|step| step.node == index);
                let applied = own.filter(|step| {
                    step.kernel.conditions.contains(&"activated") && step.kernel.conditions.contains(&function)
                });
                assert_eq!(applied.count(), 1, "{}, {}, {class:?}", case.op, case.what);
            }
        }
    }
}

#[test]
fn no_relu_of_a_residual_network_has_a_kernel_of_its_own() {
    let config = TrainConfig { model: "resnet18_cifar".to_owned(), ..TrainConfig::default() };
    let (training, _) = training_graph(&config, Batch { shape: [2, 3, 32, 32], classes: 10 }).unwrap();
    // Each reads a batch norm, or a sum with the identity: 1 after the stem, 2 in each of 8 blocks.
    for class in CLASSES {
        assert_eq!(activated(&training, class), (17, 0), "{class:?}");
    }
    // Those of the sums stay, which both branches read.
    for class in CLASSES {
        assert_eq!(gradients_alone(&training, class), 8, "{class:?}");
    }
}

#[test]
fn inference_of_a_folded_network_is_convolutions_with_their_activations() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([1, 3, 64, 64])).unwrap();
    let model = models::find("efficientnet_b0").unwrap();
    let y = model.build(&mut Scope::new(&mut graph, Mode::Eval), x, &ModelOptions::new()).unwrap();
    graph.output("y", y);
    let folded = graph.fold_batch_norm().graph;
    // 16 blocks: 15 expansions, 16 depthwise, 2 in each gate; stem and head.
    assert_eq!(activated(&folded, DeviceClass::Cpu), (15 + 16 + 32 + 2, 0));
}
