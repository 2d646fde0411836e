//! What `tilewright bench` measures.

use crate::graph::{Graph, GraphError, Init, Value};
use crate::kernel::DeviceClass;
use crate::models::{self, ModelOptions};
use crate::nn::{Mode, Scope};
use crate::ops::{AvgPool2d, Conv2d, ConvGeometry, ConvInputGradient, ConvWeightGradient, Linear, MaxPool2d};
use crate::optim::{Optimizer, UpdateConfig};
use crate::recipe::{Precision, TrainConfig};
use crate::tensor::TensorSpec;
use crate::train::{Batch, TrainError, training_graph};
use std::collections::HashMap;

/// A kind of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Products of square matrices, as a linear layer has them.
    Gemm,
    /// Convolutions: forward, and the gradients by input and weight.
    Conv,
    /// Pooling and ReLU, with their gradients.
    Pool,
    /// Batch norm, with its gradients.
    Norm,
    /// Updates by SGD and by Adam.
    Optim,
}

/// A graph to be timed.
pub struct Case {
    /// Sizes and pass, as the table shows them.
    pub name: String,
    /// What is run and timed.
    pub graph: Graph,
}

/// The cases of a group, of sizes that suit the class of device.
///
/// # Errors
/// Never for the sizes listed here; the builder says so.
pub fn cases(group: Group, class: DeviceClass) -> Result<Vec<Case>, GraphError> {
    match group {
        Group::Gemm => gemm(class),
        Group::Conv => conv(class),
        Group::Pool => pool(class),
        Group::Norm => norm(class),
        Group::Optim => optim(class),
    }
}

/// One training step of a model: what is made of images, forward, loss, backward, update. Images are of the model's own size,
/// or of `size`, (height, width).
///
/// # Errors
/// When there is no such model, or it does not take its attributes or the size.
pub fn step_case(config: &TrainConfig, classes: usize, size: Option<(usize, usize)>) -> Result<Case, TrainError> {
    let TrainConfig { model, batch, attributes, precision, .. } = config;
    let [channels, height, width] = models::find(model)?.input(&ModelOptions::from(attributes.clone()))?;
    let (height, width) = size.unwrap_or((height, width));
    let mut name = model.clone();
    name.extend(attributes.iter().map(|(attribute, value)| format!(" {attribute}={value}")));
    name.extend(size.map(|(height, width)| format!(" {height}x{width}")));
    name.extend(config.augment.as_ref().map(|changes| format!(" {changes}")));
    name.extend((*precision != Precision::F32).then(|| format!(" {precision}")));
    let (graph, _) = training_graph(config, Batch { shape: [*batch, channels, height, width], classes })?;
    Ok(Case { name: format!("{name} batch {batch}"), graph })
}

fn gemm(class: DeviceClass) -> Result<Vec<Case>, GraphError> {
    let sizes: &[usize] = match class {
        DeviceClass::Gpu => &[512, 1024, 2048, 4096],
        DeviceClass::Cpu => &[256, 512, 1024],
    };
    sizes
        .iter()
        .map(|&size| {
            let mut graph = Graph::new();
            let x = graph.input("x", TensorSpec::f32([size, size]))?;
            let weight = graph.input("weight", TensorSpec::f32([size, size]))?;
            let y = graph.apply_one(Linear, &[x, weight])?;
            graph.output("y", y);
            Ok(Case { name: format!("gemm {size}x{size}x{size}"), graph })
        })
        .collect()
}

/// [batch, channels, filters, image, kernel, stride, groups] of layers of the usual networks.
const CONVOLUTIONS: [[usize; 7]; 9] = [
    [32, 64, 64, 32, 3, 1, 1],
    [32, 128, 128, 16, 3, 1, 1],
    [32, 256, 256, 8, 3, 1, 1],
    [32, 512, 512, 4, 3, 1, 1],
    [32, 64, 128, 32, 3, 2, 1],
    [32, 64, 256, 32, 1, 1, 1],
    [32, 3, 64, 32, 3, 1, 1],
    [32, 128, 128, 32, 3, 1, 32],
    [32, 96, 96, 32, 3, 1, 96],
];

fn conv(class: DeviceClass) -> Result<Vec<Case>, GraphError> {
    let batch_factor = if class == DeviceClass::Gpu { 4 } else { 1 };
    let mut all = Vec::new();
    for [batch, channels, filters, size, kernel, stride, groups] in CONVOLUTIONS {
        let batch = batch * batch_factor;
        let op = Conv2d { stride: [stride; 2], padding: [kernel / 2; 2], groups, ..Conv2d::default() };
        let out = (size + 2 * (kernel / 2) - kernel) / stride + 1;
        let geometry = ConvGeometry {
            batch,
            channels,
            size: [size; 2],
            filters,
            kernel: [kernel; 2],
            stride: op.stride,
            padding: op.padding,
            dilation: op.dilation,
            groups,
            out: [out; 2],
        };
        let x = TensorSpec::f32([batch, channels, size, size]);
        let weight = TensorSpec::f32([filters, channels / groups, kernel, kernel]);
        let dy = TensorSpec::f32([batch, filters, out, out]);
        let name = format!("conv {kernel}x{kernel}/{stride} {channels}->{filters} g{groups} {size}x{size} b{batch}");
        all.push(binary(format!("{name} forward"), &x, &weight, |graph, inputs| graph.apply_one(op, inputs))?);
        let shape = x.shape.clone();
        all.push(binary(format!("{name} input gradient"), &dy, &weight, move |graph, inputs| {
            graph.apply_one(ConvInputGradient { geometry, shape }, inputs)
        })?);
        let shape = weight.shape.clone();
        all.push(binary(format!("{name} weight gradient"), &x, &dy, move |graph, inputs| {
            graph.apply_one(ConvWeightGradient { geometry, shape, bias: false }, inputs)
        })?);
    }
    Ok(all)
}

fn pool(class: DeviceClass) -> Result<Vec<Case>, GraphError> {
    let batch = if class == DeviceClass::Gpu { 128 } else { 32 };
    let spec = TensorSpec::f32([batch, 64, 32, 32]);
    let [max, overlapping] = [(2, 0), (3, 1)].map(|(edge, padding)| MaxPool2d {
        kernel: [edge; 2],
        stride: [2; 2],
        padding: [padding; 2],
        dilation: [1; 2],
        ceil_mode: false,
    });
    let average =
        AvgPool2d { kernel: [2; 2], stride: [2; 2], padding: [0; 2], ceil_mode: false, count_include_pad: true };
    let mut all = Vec::new();
    let mut add = |name: &str, build: &dyn Fn(&mut Scope<'_>, Value) -> Result<Value, GraphError>| {
        all.extend(there_and_back(&format!("{name} 64x32x32 b{batch}"), &spec, build)?);
        Ok(())
    };
    add("max pool 2x2/2", &|scope, x| scope.max_pool2d(x, max))?;
    add("max pool 3x3/2", &|scope, x| scope.max_pool2d(x, overlapping))?;
    add("average pool 2x2/2", &|scope, x| scope.avg_pool2d(x, average))?;
    add("adaptive average pool to 7x7", &|scope, x| scope.adaptive_avg_pool2d(x, [7; 2]))?;
    add("global average pool", &|scope, x| scope.global_avg_pool2d(x))?;
    add("relu", &|scope, x| scope.relu(x))?;
    Ok(all)
}

fn norm(class: DeviceClass) -> Result<Vec<Case>, GraphError> {
    let batch = if class == DeviceClass::Gpu { 128 } else { 32 };
    let mut all = Vec::new();
    for (channels, size) in [(64, 32), (256, 8)] {
        let spec = TensorSpec::f32([batch, channels, size, size]);
        let name = format!("batch norm {channels}x{size}x{size} b{batch}");
        all.extend(there_and_back(&name, &spec, &|scope, x| scope.batch_norm("bn", x))?);
    }
    Ok(all)
}

/// A layer on x of this shape, forward, and forward and backward.
fn there_and_back(
    name: &str,
    spec: &TensorSpec,
    build: &dyn Fn(&mut Scope<'_>, Value) -> Result<Value, GraphError>,
) -> Result<[Case; 2], GraphError> {
    let mut graph = Graph::new();
    let x = graph.input("x", spec.clone())?;
    let y = build(&mut Scope::new(&mut graph, Mode::Train), x)?;
    graph.output("y", y);
    let forward = graph.clone();
    let dy = graph.input("dy", TensorSpec::f32(graph.shape(y).clone()))?;
    let wanted: Vec<Value> = [x].into_iter().chain(graph.parameters()).collect();
    let gradients = graph.backward(&[(y, dy)], &wanted)?;
    for (index, value) in wanted.iter().filter_map(|value| gradients.get(value)).enumerate() {
        graph.output(&format!("gradient {index}"), *value);
    }
    Ok([
        Case { name: format!("{name} forward"), graph: forward },
        Case { name: format!("{name} forward and backward"), graph },
    ])
}

fn optim(class: DeviceClass) -> Result<Vec<Case>, GraphError> {
    let elements = if class == DeviceClass::Gpu { 25 << 20 } else { 1 << 20 };
    [("sgd with momentum", "sgd:momentum=0.9"), ("adam", "adam")]
        .into_iter()
        .map(|(name, optimizer)| {
            let optimizer: Optimizer = optimizer
                .parse()
                .map_err(|reason| GraphError::attribute("optimizer", optimizer, format!("{reason}")))?;
            let mut graph = Graph::new();
            let parameter = graph.parameter("p", [elements], Init::ONES)?;
            let gradient = graph.input("g", TensorSpec::f32([elements]))?;
            let gradient = graph.apply_one(crate::ops::Copy, &[gradient])?;
            UpdateConfig::new(optimizer).attach(&mut graph, &HashMap::from([(parameter, gradient)]))?;
            Ok(Case { name: format!("{name}, {elements} parameters"), graph })
        })
        .collect()
}

/// A graph of one op on two inputs.
fn binary(
    name: String,
    a: &TensorSpec,
    b: &TensorSpec,
    build: impl FnOnce(&mut Graph, &[Value]) -> Result<Value, GraphError>,
) -> Result<Case, GraphError> {
    let mut graph = Graph::new();
    let inputs = [graph.input("a", a.clone())?, graph.input("b", b.clone())?];
    let y = build(&mut graph, &inputs)?;
    graph.output("y", y);
    Ok(Case { name, graph })
}
