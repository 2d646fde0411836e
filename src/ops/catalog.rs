//! What docs/ops.md says of each op, beside the code that makes it true; tests/suite/documentation.rs
//! holds names and shader files against the ops themselves.

/// One row of the table of ops.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// [`Op::name`](crate::graph::Op::name).
    pub name: &'static str,
    /// Formula, or what it is.
    pub computes: &'static str,
    /// Shapes of inputs and outputs.
    pub shapes: &'static str,
    /// How its gradient is computed.
    pub gradient: &'static str,
    /// Paths under `shaders/` without the ending, of every variant; empty for views.
    pub shaders: &'static [&'static str],
    /// Floating point operations, a multiply-add counted as two.
    pub flops: &'static str,
}

impl Entry {
    /// Whether a gradient passes through the op.
    pub fn is_differentiable(&self) -> bool {
        !matches!(self.gradient, NO_GRADIENT | NO_INPUT)
    }
}

/// What [`Entry::gradient`] says of backward ops, metrics and updates.
const NO_GRADIENT: &str = "none";
/// What it says of constants.
const NO_INPUT: &str = "no input";

/// Ops of one kind, under one heading.
#[derive(Clone, Copy, Debug)]
pub struct Chapter {
    /// The heading.
    pub title: &'static str,
    /// One for each op.
    pub entries: &'static [Entry],
}

/// Files that several ops import.
pub const SHARED: &[(&str, &str)] = &[
    ("lib/grid", "index of an invocation in a one-dimensional grid that is folded into x and y"),
    ("activation/epilogue", "activation of what a kernel stores, where a plan has merged one into it"),
    ("conv/texture_pixels", "tiles of pixels of the convolutions whose operands are textures"),
    ("lib/nan", "bounds and comparisons that hold for NaN"),
    ("lib/strided", "offset of an element that is walked with up to six strides"),
    ("lib/sum", "sums whose error does not grow with the number of terms"),
];

/// Every op, chapter by chapter.
pub const CHAPTERS: &[Chapter] = &[
    Chapter { title: "Convolution and linear layers", entries: CONVOLUTION },
    Chapter { title: "Activations", entries: ACTIVATION },
    Chapter { title: "Elementwise, reductions and broadcasting", entries: ELEMENTWISE },
    Chapter { title: "Shape and layout", entries: LAYOUT },
    Chapter { title: "Pooling", entries: POOL },
    Chapter { title: "Normalisation and regularisation", entries: NORM },
    Chapter { title: "Softmax and matrix products", entries: SOFTMAX },
    Chapter { title: "Losses and metrics", entries: LOSS },
    Chapter { title: "Optimizers", entries: OPTIM },
    Chapter { title: "Measurement", entries: BENCH },
];

/// Every op.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    CHAPTERS.iter().flat_map(|chapter| chapter.entries)
}

const SAME: &str = "y has the shape of x";
const PAIR: &str = "a and b broadcast as in numpy; y has the broadcast shape";

const CONVOLUTION: &[Entry] = &[
    Entry {
        name: "conv2d",
        computes: "y[n, k] = bias[k] + sum over c and taps of w[k, c, tap] * x[n, c, ...]; stride, padding, dilation, groups",
        shapes: "x [N, C, H, W], w [K, C/groups, kh, kw], bias [K] or absent; y [N, K, OH, OW] with OH = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1",
        gradient: "conv_input_gradient, and conv_weight_gradient with the bias's; channel_sum for a bias alone",
        shaders: &[
            "conv/plain_forward",
            "conv/depthwise",
            "conv/workgroup_tile",
            "conv/cooperative_tile",
            "conv/cooperative_units",
            "conv/cooperative_emulated",
            "conv/workgroup_forward",
            "conv/texture_tile",
            "conv/texture_forward",
            "conv/pack_pixels",
            "conv/pack_weights",
        ],
        flops: "2 N K OH OW (C/groups) kh kw",
    },
    Entry {
        name: "linear",
        computes: "y = x W^T + b over the last dimension; runs as a 1x1 convolution of 1x1 images",
        shapes: "x [..., in], w [out, in], bias [out] or absent; y [..., out]",
        gradient: "conv_input_gradient, and conv_weight_gradient with the bias's; channel_sum for a bias alone",
        shaders: &[
            "conv/plain_forward",
            "conv/workgroup_tile",
            "conv/cooperative_tile",
            "conv/cooperative_units",
            "conv/cooperative_emulated",
            "conv/workgroup_forward",
            "conv/texture_tile",
            "conv/texture_forward",
            "conv/pack_pixels",
            "conv/pack_weights",
        ],
        flops: "2 rows in out",
    },
    Entry {
        name: "conv_input_gradient",
        computes: "dx[n, c, i] = sum over k and taps of w[k, c, tap] * dy[n, k, o], for the outputs o that met input i",
        shapes: "dy as y of the layer, w; dx as x of the layer",
        gradient: NO_GRADIENT,
        shaders: &[
            "conv/plain_input_gradient",
            "conv/depthwise_input_gradient",
            "conv/workgroup_tile",
            "conv/cooperative_tile",
            "conv/cooperative_units",
            "conv/cooperative_emulated",
            "conv/workgroup_input_gradient",
            "conv/texture_tile",
            "conv/texture_input_gradient",
            "conv/pack_pixels",
            "conv/pack_weights",
            "reduce/sum_parts",
        ],
        flops: "as the layer",
    },
    Entry {
        name: "conv_weight_gradient",
        computes: "dw[k, c, tap] = sum over n and outputs o of x[n, c, ...] * dy[n, k, o] and, where the bias is trained, db[k] = sum over n and o of dy[n, k, o]; parts of the sums run side by side and are added in a fixed order",
        shapes: "x and dy as of the layer; dw as w, db [K] or absent",
        gradient: NO_GRADIENT,
        shaders: &[
            "conv/plain_weight_gradient",
            "conv/depthwise_weight_gradient",
            "conv/workgroup_tile",
            "conv/cooperative_tile",
            "conv/cooperative_units",
            "conv/cooperative_emulated",
            "conv/workgroup_weight_gradient",
            "conv/texture_tile",
            "conv/texture_weight_gradient",
            "conv/pack_pixels",
            "reduce/channel_partial",
            "reduce/sum_parts",
        ],
        flops: "as the layer",
    },
    Entry {
        name: "channel_sum",
        computes: "y[c] = sum over o and i of x[o, c, i], in two stages of fixed order: a bias's gradient",
        shapes: "x of outer * C * inner elements; y [C]",
        gradient: NO_GRADIENT,
        shaders: &["reduce/channel_partial", "reduce/sum_parts"],
        flops: "elements of x",
    },
];

const ACTIVATION_SHADERS: &[&str] = &["activation/forward", "activation/functions"];

/// An activation's row: its gradient from its output, or from its input.
const fn activation(name: &'static str, computes: &'static str, gradient: &'static str) -> Entry {
    Entry { name, computes, shapes: SAME, gradient, shaders: ACTIVATION_SHADERS, flops: "elements of y" }
}

const FROM_OUTPUT: &str = "activation_backward, from y";
const FROM_INPUT: &str = "activation_backward, from x";

const ACTIVATION: &[Entry] = &[
    activation("relu", "max(x, 0)", FROM_OUTPUT),
    activation("relu6", "min(max(x, 0), 6)", FROM_OUTPUT),
    activation("leaky_relu", "x above 0, negative_slope * x below", FROM_INPUT),
    activation("elu", "x above 0, alpha * (exp(x) - 1) below", FROM_INPUT),
    activation("sigmoid", "1 / (1 + exp(-x))", FROM_OUTPUT),
    activation("tanh", "tanh(x)", FROM_OUTPUT),
    activation("silu", "x * sigmoid(x)", FROM_INPUT),
    activation("gelu", "x * Phi(x), Phi the standard normal distribution, exact", FROM_INPUT),
    activation("hardsigmoid", "clamp(x / 6 + 1/2, 0, 1)", FROM_INPUT),
    activation("hardswish", "x * clamp(x / 6 + 1/2, 0, 1)", FROM_INPUT),
    Entry {
        name: "activation_backward",
        computes: "dx = f'(x) * dy",
        shapes: "x or y of the activation, and dy, of one shape; dx likewise",
        gradient: NO_GRADIENT,
        shaders: &["activation/backward", "activation/functions"],
        flops: "2 elements of dx",
    },
];

const ELEMENTWISE: &[Entry] = &[
    Entry {
        name: "add",
        computes: "a + b",
        shapes: PAIR,
        gradient: "dy to both, by sum_to where it was broadcast",
        shaders: &["elementwise/add", "elementwise/broadcast"],
        flops: "elements of y",
    },
    Entry {
        name: "mul",
        computes: "a * b",
        shapes: PAIR,
        gradient: "mul of dy with the other factor, by sum_to where it was broadcast",
        shaders: &["elementwise/mul", "elementwise/broadcast"],
        flops: "elements of y",
    },
    Entry {
        name: "scale",
        computes: "factor * x",
        shapes: SAME,
        gradient: "scale",
        shaders: &["elementwise/scale"],
        flops: "elements of y",
    },
    Entry {
        name: "copy",
        computes: "x, in memory of its own",
        shapes: SAME,
        gradient: "dy",
        shaders: &["elementwise/copy"],
        flops: "0",
    },
    Entry {
        name: "fill",
        computes: "a tensor whose every element is one value",
        shapes: "no input; y as asked for",
        gradient: NO_INPUT,
        shaders: &["elementwise/fill"],
        flops: "0",
    },
    Entry {
        name: "broadcast_to",
        computes: "factor * x, repeated",
        shapes: "x of a shape that broadcasts to y's",
        gradient: "sum_to",
        shaders: &["layout/gather"],
        flops: "0",
    },
    Entry {
        name: "sum_to",
        computes: "factor * x, summed over the dimensions that y lacks or has as 1, in a fixed order",
        shapes: "y of a shape that broadcasts to x's",
        gradient: "broadcast_to",
        shaders: &["reduce/partial_sum", "reduce/sum_parts"],
        flops: "elements of x",
    },
];

const LAYOUT: &[Entry] = &[
    Entry {
        name: "reshape",
        computes: "the same memory under another shape; costs nothing",
        shapes: "y has as many elements as x",
        gradient: "reshape",
        shaders: &[],
        flops: "0",
    },
    Entry {
        name: "permute",
        computes: "dimension d of y is dimension order[d] of x",
        shapes: "sizes of x in another order",
        gradient: "permute by the inverse order",
        shaders: &["layout/gather"],
        flops: "0",
    },
    Entry {
        name: "slice",
        computes: "a box inside x",
        shapes: "y has the box's sizes",
        gradient: "zero_pad",
        shaders: &["layout/gather"],
        flops: "0",
    },
    Entry {
        name: "zero_pad",
        computes: "x with zeros before and after it in each dimension",
        shapes: "before[d] + size + after[d] in dimension d",
        gradient: "slice",
        shaders: &["elementwise/fill", "layout/scatter"],
        flops: "0",
    },
    Entry {
        name: "concat",
        computes: "the inputs one after another along one dimension",
        shapes: "all other sizes equal; y has the sum of the sizes there",
        gradient: "a slice an input",
        shaders: &["layout/scatter"],
        flops: "0",
    },
];

const POOL: &[Entry] = &[
    Entry {
        name: "max_pool2d",
        computes: "maximum of a window; of equal maxima the first in row-major order",
        shapes: "x [N, C, H, W]; y [N, C, OH, OW], OH = floor or ceil((H + 2 padding - dilation (k - 1) - 1) / stride) + 1; places of the maxima as u32",
        gradient: "max_pool2d_backward",
        shaders: &["pool/max_forward"],
        flops: "window elements of all outputs",
    },
    Entry {
        name: "max_pool2d_backward",
        computes: "dx[i] = sum of dy[o] over the windows o whose maximum is element i",
        shapes: "places and dy as y; dx as x",
        gradient: NO_GRADIENT,
        shaders: &["pool/max_backward", "pool/cells"],
        flops: "elements of dy",
    },
    Entry {
        name: "avg_pool2d",
        computes: "sum of a window's elements inside the image / the window's area, clipped as count_include_pad says",
        shapes: "as max_pool2d, without dilation",
        gradient: "avg_pool2d_backward",
        shaders: &["pool/average_forward", "pool/area"],
        flops: "window elements of all outputs",
    },
    Entry {
        name: "avg_pool2d_backward",
        computes: "dx[i] = sum of dy[o] / area of o over the windows o that cover element i",
        shapes: "dy as y; dx as x",
        gradient: NO_GRADIENT,
        shaders: &["pool/average_backward", "pool/area", "pool/cells"],
        flops: "window elements of all outputs",
    },
    Entry {
        name: "adaptive_avg_pool2d",
        computes: "mean over rows floor(o H / OH) .. ceil((o + 1) H / OH) - 1, columns alike; an output of 1x1 is global average pooling",
        shapes: "x [N, C, H, W]; y [N, C, OH, OW] as asked for",
        gradient: "adaptive_avg_pool2d_backward",
        shaders: &["pool/adaptive_forward", "reduce/partial_sum", "reduce/sum_parts"],
        flops: "elements of x",
    },
    Entry {
        name: "adaptive_avg_pool2d_backward",
        computes: "dx[i] = sum of dy[o] / area of o over the windows o that cover element i",
        shapes: "dy as y; dx as x",
        gradient: NO_GRADIENT,
        shaders: &["pool/adaptive_backward", "layout/gather"],
        flops: "elements of dx",
    },
];

const NORM: &[Entry] = &[
    Entry {
        name: "batch_statistics",
        computes: "mean and biased variance of each channel, by shifted sums that are merged as Chan, Golub and LeVeque do",
        shapes: "x [N, C, ...]; mean [C], variance [C]",
        gradient: "goes through batch_norm",
        shaders: &["batch_norm/partial_statistics", "batch_norm/merge_statistics"],
        flops: "4 elements of x",
    },
    Entry {
        name: "batch_norm",
        computes: "(x - mean) / sqrt(var + eps) * weight + bias, with batch or running statistics",
        shapes: "x [N, C, ...], each vector [C], weight and bias both or neither; y as x",
        gradient: "batch_norm_sums and batch_norm_input_gradient",
        shaders: &["batch_norm/normalize"],
        flops: "2 elements of x",
    },
    Entry {
        name: "batch_norm_sums",
        computes: "dweight[c] = sum of dy * normalised x, dbias[c] = sum of dy",
        shapes: "x, dy, mean, var; two of [C]",
        gradient: NO_GRADIENT,
        shaders: &["batch_norm/partial_sums", "batch_norm/merge_sums"],
        flops: "4 elements of x",
    },
    Entry {
        name: "batch_norm_input_gradient",
        computes: "weight / sqrt(var + eps) * dy, and with batch statistics less the mean of dy and the normalised x times its mean product with dy",
        shapes: "dy and var, with batch statistics x, mean and the two sums, then weight if affine; dx as dy",
        gradient: NO_GRADIENT,
        shaders: &["batch_norm/input_gradient", "batch_norm/input_gradient_running"],
        flops: "6 elements of x",
    },
    Entry {
        name: "update_running_statistics",
        computes: "running = (1 - momentum) * running + momentum * batch, the variance unbiased; in place",
        shapes: "mean, var, running_mean, running_var, each [C]",
        gradient: NO_GRADIENT,
        shaders: &["batch_norm/update_running"],
        flops: "0",
    },
    Entry {
        name: "local_response_norm",
        computes: "y[c] = x[c] / s[c]^beta, s[c] = k + alpha / size * sum of x^2 over the channels c - size / 2 .. c + (size - 1) / 2",
        shapes: "x [N, C, ...]; y and s as x",
        gradient: "local_response_norm_backward",
        shaders: &["local_response_norm/forward"],
        flops: "2 size elements of x",
    },
    Entry {
        name: "local_response_norm_backward",
        computes: "dx[c] = dy[c] / s[c]^beta - 2 alpha beta / size * x[c] * sum of dy[j] x[j] / s[j]^(beta + 1)",
        shapes: "x, s, dy of one shape; dx likewise",
        gradient: NO_GRADIENT,
        shaders: &["local_response_norm/backward_terms", "local_response_norm/backward"],
        flops: "2 size elements of x",
    },
    Entry {
        name: "dropout",
        computes: "x / (1 - p) with probability 1 - p, else 0; the bits come from seed, step, layer and element alone",
        shapes: "x and the step numbers of u32; y as x",
        gradient: "dropout of dy with the same bits",
        shaders: &["dropout/dropout"],
        flops: "0",
    },
];

const SOFTMAX: &[Entry] = &[
    Entry {
        name: "softmax",
        computes: "exp(x) / sum of exp(x) over one dimension, all x less the largest",
        shapes: SAME,
        gradient: "softmax_backward",
        shaders: &["softmax/row_sums", "softmax/forward"],
        flops: "5 elements of x",
    },
    Entry {
        name: "log_softmax",
        computes: "the logarithm of softmax",
        shapes: SAME,
        gradient: "softmax_backward",
        shaders: &["softmax/row_sums", "softmax/forward"],
        flops: "5 elements of x",
    },
    Entry {
        name: "softmax_backward",
        computes: "dx = y (dy - sum of y dy), or dy - exp(y) sum of dy for the logarithm",
        shapes: "y and dy of one shape; dx likewise",
        gradient: NO_GRADIENT,
        shaders: &["softmax/row_gradients", "softmax/backward"],
        flops: "4 elements of x",
    },
    Entry {
        name: "matmul",
        computes: "y = A B for each pair of matrices in the last two dimensions, each stored as it is or transposed",
        shapes: "a [..., M, K], b [..., K, N]; y [..., M, N]",
        gradient: "matmul: dA = dy B^T, dB = A^T dy",
        shaders: &["matmul/batched"],
        flops: "2 batch M N K",
    },
];

const LOSS_SHAPES: &str = "logits [N, C], target [N] of u32; the loss [1], the rows that count [1], and what the backward pass needs of each row";

/// A loss's row.
const fn loss(name: &'static str, computes: &'static str) -> Entry {
    Entry {
        name,
        computes,
        shapes: LOSS_SHAPES,
        gradient: "loss_backward",
        shaders: &["loss/row_loss", "loss/mean_of_rows"],
        flops: "5 elements of logits",
    }
}

const LOSS: &[Entry] = &[
    Entry {
        name: "cross_entropy",
        computes: "mean over rows of -(1 - s) log p_target - s / C * sum of log p, p = softmax(logits), s the label smoothing",
        shapes: LOSS_SHAPES,
        gradient: "cross_entropy_backward",
        shaders: &["loss/cross_entropy_rows", "loss/mean_of_rows"],
        flops: "5 elements of logits",
    },
    Entry {
        name: "cross_entropy_backward",
        computes: "(softmax(logits) - smoothed one-hot target) * upstream / rows that count",
        shapes: "logits, target, the forward pass's count and row sums, upstream [1]; dlogits as logits",
        gradient: NO_GRADIENT,
        shaders: &["loss/cross_entropy_backward"],
        flops: "5 elements of logits",
    },
    loss("focal", "mean over rows of -alpha (1 - p)^gamma log p, p the target's softmax probability"),
    loss("mse", "mean over rows and classes of (z - y)^2, y the one-hot target"),
    loss("mse_softmax", "mean over rows and classes of (softmax(z) - y)^2"),
    loss("nll", "mean over rows of -z of the target: the logits are log-probabilities"),
    Entry {
        name: "loss_backward",
        computes: "upstream / rows that count * the gradient of each row's loss",
        shapes: "logits, target, count, upstream [1], and the forward pass's row numbers where the loss goes through softmax; dlogits as logits",
        gradient: NO_GRADIENT,
        shaders: &["loss/row_loss_backward"],
        flops: "5 elements of logits",
    },
    Entry {
        name: "count_correct",
        computes: "number of rows whose target is among the k largest logits",
        shapes: "logits [N, C], target [N] of u32; y [1]",
        gradient: NO_GRADIENT,
        shaders: &["loss/correct_rows", "reduce/sum_parts"],
        flops: "0",
    },
    Entry {
        name: "record_metrics",
        computes: "writes (loss, correct, rows) of a step into one row of the history; in place",
        shapes: "three scalars, the step numbers of u32, history [steps, 3]",
        gradient: NO_GRADIENT,
        shaders: &["loss/record_metrics"],
        flops: "0",
    },
];

const OPTIM: &[Entry] = &[
    Entry {
        name: "optimizer_step",
        computes: "p := p - lr * direction(g, state) for a whole pack, by the rule of an [optimizer](settings.md#optimizers); in place",
        shapes: "packs of parameters, up to four states and gradients of one length, scalars [5], the gradients' scale [1] with norm clipping",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/step", "optimizer/transform"],
        flops: "8 elements of p",
    },
    Entry {
        name: "squared_norm",
        computes: "sum of the squares of a pack's gradients, in a fixed order",
        shapes: "packs of gradients and parameters; y [1]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/squared_norm", "optimizer/transform", "reduce/sum_parts"],
        flops: "2 elements of g",
    },
    Entry {
        name: "clip_scale",
        computes: "min(1, max_norm / (norm + 1e-6)), and the norm",
        shapes: "the squared norm [1]; two of [1]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/clip_scale"],
        flops: "0",
    },
    Entry {
        name: "trust_ratios",
        computes: "||p|| / ||d|| of each tensor of a pack, 1 where one is 0, for each block of 64 elements",
        shapes: "a pack of parameters and their directions of one length; y [length / 64]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/block_squares", "optimizer/member_squares", "optimizer/trust_ratio"],
        flops: "4 elements of p",
    },
    Entry {
        name: "unit_norm",
        computes: "a part of x as a matrix, over the larger of its Frobenius norm and eps",
        shapes: "x [length]; y [rows, columns]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/squared_norm", "optimizer/transform", "reduce/sum_parts", "optimizer/unit_norm"],
        flops: "3 elements of y",
    },
    Entry {
        name: "weighted_sum",
        computes: "a times the first input plus b times the second",
        shapes: "two inputs and y of one shape",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/weighted_sum"],
        flops: "3 elements of y",
    },
    Entry {
        name: "apply_directions",
        computes: "p := (1 - lr decay) p - lr factor d, d times its tensor's trust ratio where there are some; in place",
        shapes: "parameters and directions, as many; scalars [5], trust ratios [length / 64]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/apply"],
        flops: "0",
    },
    Entry {
        name: "average_weights",
        computes: "e := e + share * (w - e): exponential and stochastic weight averaging; in place",
        shapes: "packs e and w of one length, share [1]",
        gradient: NO_GRADIENT,
        shaders: &["optimizer/average"],
        flops: "0",
    },
];

const BENCH: &[Entry] = &[Entry {
    name: "multiply_adds",
    computes: "chains of multiply-adds that nothing but the arithmetic units limits: the peak that `bench` and `profile` measure",
    shapes: "no input; y [invocations]",
    gradient: NO_INPUT,
    shaders: &["bench/multiply_adds"],
    flops: "2 * 256 rounds elements of y",
}];
