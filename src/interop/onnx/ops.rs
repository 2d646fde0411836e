//! Each op in ONNX's operators. What inference needs is here; what only training needs is refused.

use super::schema::AttributeProto as Attribute;
use super::writer::{Size, Writer, sizes};
use crate::graph::Node;
use crate::ops::{
    Activation, AdaptiveAvgPool2d, Add, AvgPool2d, BatchNormalize, BatchStatistics, BroadcastTo, Concat, Conv2d, Copy,
    Linear, LocalResponseNorm, MatMul, MaxPool2d, Mul, Permute, Reshape, Scale, Slice, Softmax, SumTo, ZeroPad,
};

/// Adds the nodes of `node`; `other` is the same node of the graph for three images.
pub(super) fn convert(writer: &mut Writer<'_>, node: &Node, other: &Node) -> Result<(), String> {
    let inputs: Vec<String> = node.inputs.iter().map(|&input| writer.of(input)).collect();
    if let Some(conv) = node.op_as::<Conv2d>() {
        let kernel = &writer.shape(node.inputs[1])[2..];
        let attributes = vec![
            Attribute::ints("kernel_shape", kernel.iter().copied()),
            Attribute::ints("strides", conv.stride),
            Attribute::ints("pads", [conv.padding, conv.padding].concat()),
            Attribute::ints("dilations", conv.dilation),
            Attribute::int("group", conv.groups),
        ];
        writer.give(node, "Conv", inputs, attributes);
    } else if node.op_as::<Linear>().is_some() {
        linear(writer, node, inputs);
    } else if let Some(norm) = node.op_as::<BatchNormalize>() {
        batch_norm(writer, node, inputs, norm)?;
    } else if node.op_as::<BatchStatistics>().is_some() {
        // Part of the layer normalisation that reads them.
    } else if let Some(activation) = node.op_as::<Activation>() {
        self::activation(writer, node, inputs, activation);
    } else if let Some(pool) = node.op_as::<MaxPool2d>() {
        let pads = end_padding(writer, node, pool.kernel, pool.stride, pool.padding, pool.dilation);
        let attributes = vec![
            Attribute::ints("kernel_shape", pool.kernel),
            Attribute::ints("strides", pool.stride),
            Attribute::ints("pads", [pool.padding, pads].concat()),
            Attribute::ints("dilations", pool.dilation),
        ];
        writer.give(node, "MaxPool", inputs, attributes);
    } else if let Some(pool) = node.op_as::<AvgPool2d>() {
        avg_pool(writer, node, inputs, pool)?;
    } else if let Some(pool) = node.op_as::<AdaptiveAvgPool2d>() {
        adaptive_avg_pool(writer, node, inputs, pool);
    } else if node.op_as::<Add>().is_some() {
        writer.give(node, "Add", inputs, vec![]);
    } else if node.op_as::<Mul>().is_some() {
        writer.give(node, "Mul", inputs, vec![]);
    } else if let Some(scale) = node.op_as::<Scale>() {
        let factor = writer.scalar(scale.factor);
        writer.give(node, "Mul", [inputs, vec![factor]].concat(), vec![]);
    } else if node.op_as::<Copy>().is_some() {
        writer.give(node, "Identity", inputs, vec![]);
    } else if let Some(reshape) = node.op_as::<Reshape>() {
        let three = other.op_as::<Reshape>().map_or(&reshape.shape, |other| &other.shape);
        let sizes = sizes(&reshape.shape, three)?;
        let shape = reshaped(writer, node, &sizes);
        writer.give(node, "Reshape", [inputs, vec![shape]].concat(), vec![]);
    } else if let Some(permute) = node.op_as::<Permute>() {
        writer.give(node, "Transpose", inputs, vec![Attribute::ints("perm", permute.order.iter().copied())]);
    } else if let Some(concat) = node.op_as::<Concat>() {
        writer.give(node, "Concat", inputs, vec![Attribute::int("axis", concat.dim)]);
    } else if let Some(slice) = node.op_as::<Slice>() {
        self::slice(writer, node, inputs, slice)?;
    } else if let Some(pad) = node.op_as::<ZeroPad>() {
        let pads: Vec<i64> = pad.before.iter().chain(&pad.after).map(|&zeros| zeros as i64).collect();
        let pads = writer.ints(&pads);
        writer.give(node, "Pad", [inputs, vec![pads]].concat(), vec![]);
    } else if let Some(softmax) = node.op_as::<Softmax>() {
        let op = if softmax.log { "LogSoftmax" } else { "Softmax" };
        writer.give(node, op, inputs, vec![Attribute::int("axis", softmax.dim)]);
    } else if let Some(norm) = node.op_as::<LocalResponseNorm>() {
        local_response_norm(writer, node, inputs, norm)?;
    } else if let Some(product) = node.op_as::<MatMul>() {
        matmul(writer, node, inputs, product);
    } else if let Some(broadcast) = node.op_as::<BroadcastTo>() {
        let sizes = writer.sizes(node.outputs[0])?;
        let shape = writer.shape_list(node, &sizes);
        let inputs = [inputs, vec![shape]].concat();
        scaled(writer, node, "Expand", inputs, broadcast.factor);
    } else if let Some(sum) = node.op_as::<SumTo>() {
        sum_to(writer, node, inputs, sum)?;
    } else {
        return Err("it has no counterpart there, or is only for training".to_owned());
    }
    Ok(())
}

fn linear(writer: &mut Writer<'_>, node: &Node, inputs: Vec<String>) {
    if writer.shape(node.inputs[0]).len() == 2 {
        writer.give(node, "Gemm", inputs, vec![Attribute::int("transB", 1)]);
        return;
    }
    let weight = writer.step(node, "Transpose", vec![inputs[1].clone()], vec![Attribute::ints("perm", [1, 0])]);
    let factors = vec![inputs[0].clone(), weight];
    match inputs.get(2) {
        Some(bias) => {
            let product = writer.step(node, "MatMul", factors, vec![]);
            writer.give(node, "Add", vec![product, bias.clone()], vec![]);
        }
        None => writer.give(node, "MatMul", factors, vec![]),
    }
}

/// With running statistics batch normalisation. With those of each row of a single image, which is how
/// a layer normalisation is computed here, that.
fn batch_norm(writer: &mut Writer<'_>, node: &Node, inputs: Vec<String>, norm: &BatchNormalize) -> Result<(), String> {
    let epsilon = Attribute::float("epsilon", norm.eps);
    if norm.batch_statistics {
        let [Size::Fixed(1), _, Size::Fixed(columns)] = writer.sizes(node.inputs[0])?[..] else {
            return Err("it normalises by the statistics of the batch".to_owned());
        };
        if norm.affine {
            return Err("a weight for each row of a layer normalisation has no counterpart".to_owned());
        }
        let ones = writer.floats(&format!("constant/ones[{columns}]"), &[columns], &vec![1.0; columns]);
        writer.give(
            node,
            "LayerNormalization",
            vec![inputs[0].clone(), ones],
            vec![Attribute::int("axis", 2), epsilon],
        );
        return Ok(());
    }
    let inputs = match <[String; 3]>::try_from(inputs) {
        Ok([x, mean, var]) => {
            let channels = writer.shape(node.inputs[1]).elements();
            let ones = writer.floats(&format!("constant/ones[{channels}]"), &[channels], &vec![1.0; channels]);
            let zeros = writer.floats(&format!("constant/zeros[{channels}]"), &[channels], &vec![0.0; channels]);
            vec![x, ones, zeros, mean, var]
        }
        Err(inputs) => inputs,
    };
    writer.give(node, "BatchNormalization", inputs, vec![epsilon]);
    Ok(())
}

fn activation(writer: &mut Writer<'_>, node: &Node, inputs: Vec<String>, activation: &Activation) {
    let alpha = |alpha| vec![Attribute::float("alpha", alpha)];
    let (op, attributes) = match *activation {
        Activation::Relu => ("Relu", vec![]),
        Activation::LeakyRelu { negative_slope } => ("LeakyRelu", alpha(negative_slope)),
        Activation::Elu { alpha: slope } => ("Elu", alpha(slope)),
        Activation::Sigmoid => ("Sigmoid", vec![]),
        Activation::Tanh => ("Tanh", vec![]),
        Activation::HardSigmoid => ("HardSigmoid", vec![Attribute::float("alpha", 1.0 / 6.0)]),
        Activation::HardSwish => ("HardSwish", vec![]),
        Activation::Relu6 => {
            let bounds = [writer.scalar(0.0), writer.scalar(6.0)];
            return writer.give(node, "Clip", [inputs, bounds.into()].concat(), vec![]);
        }
        Activation::Silu => {
            let gate = writer.step(node, "Sigmoid", inputs.clone(), vec![]);
            return writer.give(node, "Mul", [inputs, vec![gate]].concat(), vec![]);
        }
        // x * (1/2 + erf(x / sqrt(2)) / 2): ONNX has a Gelu since operator set 20.
        Activation::Gelu => {
            let [half, root] = [0.5, std::f32::consts::FRAC_1_SQRT_2].map(|value| writer.scalar(value));
            let scaled = writer.step(node, "Mul", vec![inputs[0].clone(), root], vec![]);
            let erf = writer.step(node, "Erf", vec![scaled], vec![]);
            let halved = writer.step(node, "Mul", vec![erf, half.clone()], vec![]);
            let share = writer.step(node, "Add", vec![halved, half], vec![]);
            return writer.give(node, "Mul", [inputs, vec![share]].concat(), vec![]);
        }
    };
    writer.give(node, op, inputs, attributes);
}

/// Padding below and to the right that gives our output's size without ONNX's `ceil_mode`, whose
/// last window runtimes have not agreed upon.
fn end_padding(
    writer: &Writer<'_>,
    node: &Node,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
) -> [usize; 2] {
    let (x, y) = (writer.shape(node.inputs[0]), writer.shape(node.outputs[0]));
    [0, 1].map(|axis| {
        let reached = (y[2 + axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1;
        padding[axis].max(reached.saturating_sub(x[2 + axis] + padding[axis]))
    })
}

fn avg_pool(writer: &mut Writer<'_>, node: &Node, inputs: Vec<String>, pool: &AvgPool2d) -> Result<(), String> {
    let pads = end_padding(writer, node, pool.kernel, pool.stride, pool.padding, [1, 1]);
    if pads != pool.padding && pool.count_include_pad {
        return Err("its last windows reach past the padding, which then counts into the mean".to_owned());
    }
    let attributes = vec![
        Attribute::ints("kernel_shape", pool.kernel),
        Attribute::ints("strides", pool.stride),
        Attribute::ints("pads", [pool.padding, pads].concat()),
        Attribute::int("count_include_pad", pool.count_include_pad.into()),
    ];
    writer.give(node, "AveragePool", inputs, attributes);
    Ok(())
}

/// One window, equal windows, or windows of different sizes as products with a matrix on each side.
fn adaptive_avg_pool(writer: &mut Writer<'_>, node: &Node, inputs: Vec<String>, pool: &AdaptiveAvgPool2d) {
    let x = writer.shape(node.inputs[0]);
    let [size, out] = [[x[2], x[3]], pool.output_size];
    if out == [1, 1] {
        return writer.give(node, "GlobalAveragePool", inputs, vec![]);
    }
    if size[0].is_multiple_of(out[0]) && size[1].is_multiple_of(out[1]) {
        let window = [size[0] / out[0], size[1] / out[1]];
        let attributes = vec![Attribute::ints("kernel_shape", window), Attribute::ints("strides", window)];
        return writer.give(node, "AveragePool", inputs, attributes);
    }
    let mut means = |axis: usize| {
        let (size, out) = (size[axis], out[axis]);
        let mut rows = vec![0.0; out * size];
        for (o, row) in rows.chunks_exact_mut(size).enumerate() {
            let window = AdaptiveAvgPool2d::window(o, out, size);
            let share = 1.0 / window.len() as f32;
            row[window].fill(share);
        }
        writer.floats(&format!("constant/means[{out},{size}]"), &[out, size], &rows)
    };
    let [rows, columns] = [means(0), means(1)];
    let columns = writer.step(node, "Transpose", vec![columns], vec![Attribute::ints("perm", [1, 0])]);
    let narrow = writer.step(node, "MatMul", vec![inputs[0].clone(), columns], vec![]);
    writer.give(node, "MatMul", vec![rows, narrow], vec![]);
}

/// A shape for Reshape, where one size may follow from the others.
fn reshaped(writer: &mut Writer<'_>, node: &Node, sizes: &[Size]) -> String {
    let unknown = sizes.iter().filter(|size| matches!(size, Size::Batch(_))).count();
    if unknown > 1 {
        return writer.shape_list(node, sizes);
    }
    let number = |size: &Size| match size {
        Size::Fixed(size) => *size as i64,
        Size::Batch(_) => -1,
    };
    writer.ints(&sizes.iter().map(number).collect::<Vec<_>>())
}

fn slice(writer: &mut Writer<'_>, node: &Node, inputs: Vec<String>, slice: &Slice) -> Result<(), String> {
    let whole = writer.sizes(node.inputs[0])?;
    let cut = |dim: &usize| writer.shape(node.inputs[0])[*dim] != slice.size[*dim];
    let dims: Vec<usize> = (0..whole.len()).filter(cut).collect();
    if dims.iter().any(|&dim| matches!(whole[dim], Size::Batch(_))) {
        return Err("it takes some of the batch's images".to_owned());
    }
    if dims.is_empty() {
        writer.give(node, "Identity", inputs, vec![]);
        return Ok(());
    }
    let mut list =
        |value: &dyn Fn(usize) -> usize| writer.ints(&dims.iter().map(|&dim| value(dim) as i64).collect::<Vec<_>>());
    let starts = list(&|dim| slice.start[dim]);
    let ends = list(&|dim| slice.start[dim] + slice.size[dim]);
    let axes = list(&|dim| dim);
    writer.give(node, "Slice", [inputs, vec![starts, ends, axes]].concat(), vec![]);
    Ok(())
}

fn local_response_norm(
    writer: &mut Writer<'_>,
    node: &Node,
    inputs: Vec<String>,
    norm: &LocalResponseNorm,
) -> Result<(), String> {
    if norm.size.is_multiple_of(2) {
        return Err(format!("its window of {} channels, an even number, lies otherwise there", norm.size));
    }
    let attributes = vec![
        Attribute::float("alpha", norm.alpha),
        Attribute::float("beta", norm.beta),
        Attribute::float("bias", norm.k),
        Attribute::int("size", norm.size),
    ];
    writer.give(node, "LRN", inputs, attributes);
    Ok(())
}

fn matmul(writer: &mut Writer<'_>, node: &Node, mut inputs: Vec<String>, product: &MatMul) {
    for (index, transposed) in [product.transpose_a, product.transpose_b].into_iter().enumerate() {
        if transposed {
            let rank = writer.shape(node.inputs[index]).len();
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(rank - 2, rank - 1);
            let input = vec![inputs[index].clone()];
            inputs[index] = writer.step(node, "Transpose", input, vec![Attribute::ints("perm", order)]);
        }
    }
    writer.give(node, "MatMul", inputs, vec![]);
}

/// A sum over the dimensions that have the size 1 in the result.
fn sum_to(writer: &mut Writer<'_>, node: &Node, inputs: Vec<String>, sum: &SumTo) -> Result<(), String> {
    let (x, y) = (writer.sizes(node.inputs[0])?, writer.sizes(node.outputs[0])?);
    if x.len() != y.len() {
        return Err("it sums leading dimensions away".to_owned());
    }
    let dims: Vec<usize> = (0..x.len()).filter(|&dim| x[dim] != y[dim]).collect();
    if dims.iter().any(|&dim| matches!(x[dim], Size::Batch(_))) {
        return Err("it sums over the batch".to_owned());
    }
    let axes = writer.ints(&dims.iter().map(|&dim| dim as i64).collect::<Vec<_>>());
    scaled(writer, node, "ReduceSum", [inputs, vec![axes]].concat(), sum.factor);
    Ok(())
}

/// `factor` times what `op` gives.
fn scaled(writer: &mut Writer<'_>, node: &Node, op: &str, inputs: Vec<String>, factor: f32) {
    if factor == 1.0 {
        return writer.give(node, op, inputs, vec![]);
    }
    let value = writer.step(node, op, inputs, vec![]);
    let factor = writer.scalar(factor);
    writer.give(node, "Mul", vec![value, factor], vec![]);
}
