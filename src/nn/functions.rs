//! Layers without parameters, and layer normalisation.

use super::Scope;
use crate::graph::{GraphError, Init, Value};
use crate::ops::{
    AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, BatchNormalize, BatchStatistics, Concat, LocalResponseNorm,
    MatMul, MaxPool2d, Mul, Pad2d, PadMode, Permute, Reshape, Scale, Slice, Softmax, SumTo, ZeroPad,
};
use crate::tensor::Shape;
use std::ops::Range;

/// A layer-norm layer over the last `dims` dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    /// How many dimensions, counted from the last, are normalised together.
    pub dims: usize,
    /// Added to the variance.
    pub eps: f32,
    /// Whether it has a weight and a bias of the normalised shape.
    pub affine: bool,
}

impl LayerNorm {
    /// Over the last `dims` dimensions, with weight and bias, and PyTorch's eps of 1e-5.
    pub fn last(dims: usize) -> Self {
        LayerNorm { dims, eps: 1e-5, affine: true }
    }

    /// With another `eps`.
    pub fn eps(mut self, eps: f32) -> Self {
        self.eps = eps;
        self
    }

    /// Without a weight and a bias.
    pub fn without_affine(mut self) -> Self {
        self.affine = false;
        self
    }
}

impl Scope<'_> {
    /// Max pooling of x `[N, C, H, W]`.
    ///
    /// # Errors
    /// When the window does not fit.
    pub fn max_pool2d(&mut self, x: Value, pool: MaxPool2d) -> Result<Value, GraphError> {
        self.apply(pool, &[x])
    }

    /// Average pooling of x `[N, C, H, W]`.
    ///
    /// # Errors
    /// When the window does not fit.
    pub fn avg_pool2d(&mut self, x: Value, pool: AvgPool2d) -> Result<Value, GraphError> {
        self.apply(pool, &[x])
    }

    /// Average pooling of x `[N, C, H, W]` to `[N, C, height, width]`, whatever H and W are.
    ///
    /// # Errors
    /// When x is no image, or the output has no pixel.
    pub fn adaptive_avg_pool2d(&mut self, x: Value, output_size: [usize; 2]) -> Result<Value, GraphError> {
        self.apply(AdaptiveAvgPool2d { output_size }, &[x])
    }

    /// Max pooling of x `[N, C, H, W]` to `[N, C, height, width]`, whatever H and W are.
    ///
    /// # Errors
    /// When x is no image, or the output has no pixel.
    pub fn adaptive_max_pool2d(&mut self, x: Value, output_size: [usize; 2]) -> Result<Value, GraphError> {
        self.apply(AdaptiveMaxPool2d { output_size }, &[x])
    }

    /// Mean of each channel of x `[N, C, H, W]`: `[N, C, 1, 1]`.
    ///
    /// # Errors
    /// When x is no image.
    pub fn global_avg_pool2d(&mut self, x: Value) -> Result<Value, GraphError> {
        self.adaptive_avg_pool2d(x, [1, 1])
    }

    /// a * b, with broadcasting.
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value, GraphError> {
        self.apply(Mul, &[a, b])
    }

    /// factor * x.
    ///
    /// # Errors
    /// When x is not of f32.
    pub fn scale(&mut self, x: Value, factor: f32) -> Result<Value, GraphError> {
        self.apply(Scale { factor }, &[x])
    }

    /// x with its elements in the same order under another shape.
    ///
    /// # Errors
    /// When the shape has another number of elements.
    pub fn reshape(&mut self, x: Value, shape: impl Into<Shape>) -> Result<Value, GraphError> {
        self.apply(Reshape { shape: shape.into() }, &[x])
    }

    /// x with its dimensions in another order: dimension d of the result is dimension `order[d]` of x.
    ///
    /// # Errors
    /// When the order does not name each dimension of x once.
    pub fn permute(&mut self, x: Value, order: &[usize]) -> Result<Value, GraphError> {
        self.apply(Permute { order: order.to_vec() }, &[x])
    }

    /// The inputs one after another along dimension `dim`.
    ///
    /// # Errors
    /// When there is none, or two differ in another dimension.
    pub fn concat(&mut self, inputs: &[Value], dim: usize) -> Result<Value, GraphError> {
        self.apply(Concat { dim }, inputs)
    }

    /// The elements of `range` in dimension `dim`.
    ///
    /// # Errors
    /// When they are none, or pass the dimension's end.
    pub fn slice(&mut self, x: Value, dim: usize, range: Range<usize>) -> Result<Value, GraphError> {
        let slice = Slice::of(self.dimension(x, dim)?, dim, range.start, range.end);
        self.apply(slice, &[x])
    }

    /// x cut along dimension `dim` into pieces of the given sizes.
    ///
    /// # Errors
    /// When the sizes do not add up to the dimension.
    pub fn split(&mut self, x: Value, dim: usize, sizes: &[usize]) -> Result<Vec<Value>, GraphError> {
        let whole = self.dimension(x, dim)?[dim];
        if sizes.iter().sum::<usize>() != whole {
            let rule = format!("its pieces add up to the {whole} elements of dimension {dim}");
            return Err(GraphError::attribute("split", format!("{sizes:?}"), rule));
        }
        let mut end = 0;
        let piece = |&size: &usize| {
            end += size;
            self.slice(x, dim, end - size..end)
        };
        sizes.iter().map(piece).collect()
    }

    /// Channels of `groups` groups dealt out in turn: x `[N, C, ...]` as `[N, groups, C / groups, ...]`
    /// with dimensions 1 and 2 exchanged (Zhang et al. 2018).
    ///
    /// # Errors
    /// When the groups do not divide the channels.
    pub fn channel_shuffle(&mut self, x: Value, groups: usize) -> Result<Value, GraphError> {
        let shape = self.dimension(x, 1)?.clone();
        let (batch, channels) = (shape[0], shape[1]);
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(GraphError::attribute("groups", groups, format!("it divides the {channels} channels")));
        }
        let grouped = self.reshape(x, [batch, groups, channels / groups, shape.stride(1)])?;
        let shuffled = self.permute(grouped, &[0, 2, 1, 3])?;
        self.reshape(shuffled, shape)
    }

    /// Zeros around the images x `[N, C, H, W]`; `padding` is left, right, top, bottom.
    ///
    /// # Errors
    /// When x is no image.
    pub fn zero_pad2d(&mut self, x: Value, padding: [usize; 4]) -> Result<Value, GraphError> {
        self.apply(ZeroPad::around_images(padding), &[x])
    }

    /// The last two dimensions of x with a number, its mirror image, its border or its other side around them; `padding`
    /// is left, right, top, bottom.
    ///
    /// # Errors
    /// When x has fewer dimensions, or is smaller than what is mirrored or repeated.
    pub fn pad2d(&mut self, x: Value, padding: [usize; 4], mode: PadMode) -> Result<Value, GraphError> {
        self.apply(Pad2d { mode, padding }, &[x])
    }

    /// Mean over the dimensions `dims`, which stay as dimensions of size 1 when `keepdim`.
    ///
    /// # Errors
    /// When x lacks one of the dimensions.
    pub fn mean(&mut self, x: Value, dims: &[usize], keepdim: bool) -> Result<Value, GraphError> {
        let mut kept = self.shape(x).to_vec();
        for &dim in dims {
            self.dimension(x, dim)?;
            kept[dim] = 1;
        }
        let kept = Shape::from(kept);
        let count = self.shape(x).elements() / kept.elements().max(1);
        let mean = self.apply(SumTo { shape: kept.clone(), factor: 1.0 / count as f32 }, &[x])?;
        if keepdim {
            return Ok(mean);
        }
        let rest = (0..kept.len()).filter(|dim| !dims.contains(dim)).map(|dim| kept[dim]);
        self.reshape(mean, rest.collect::<Vec<_>>())
    }

    /// exp(x) / sum of exp(x) over dimension `dim`.
    ///
    /// # Errors
    /// When x has no such dimension.
    pub fn softmax(&mut self, x: Value, dim: usize) -> Result<Value, GraphError> {
        self.apply(Softmax { dim, log: false }, &[x])
    }

    /// Logarithm of [`Scope::softmax`].
    ///
    /// # Errors
    /// When x has no such dimension.
    pub fn log_softmax(&mut self, x: Value, dim: usize) -> Result<Value, GraphError> {
        self.apply(Softmax { dim, log: true }, &[x])
    }

    /// Local response normalisation across the channels of x `[N, C, ...]`.
    ///
    /// # Errors
    /// When x has no channels, or the size is 0.
    pub fn local_response_norm(&mut self, x: Value, norm: LocalResponseNorm) -> Result<Value, GraphError> {
        self.apply(norm, &[x])
    }

    /// Layer normalisation `name` (Ba et al. 2016): (x - mean) / sqrt(var + eps) * weight + bias, with
    /// the mean and the biased variance of the last dimensions; parameters `name.weight` (ones) and
    /// `name.bias` (zeros) of their shape.
    ///
    /// # Errors
    /// When x has fewer dimensions.
    pub fn layer_norm(&mut self, name: &str, x: Value, layer: LayerNorm) -> Result<Value, GraphError> {
        let path = self.path_of(name);
        let shape = self.shape(x).clone();
        let Some(outer) = shape.len().checked_sub(layer.dims) else {
            let rule = format!("layer `{path}` normalises a tensor of shape {shape}");
            return Err(GraphError::attribute("dims", layer.dims, rule));
        };
        let mut scope = self.scope(name);
        let normal = scope.normalize(x, outer, layer.eps)?;
        if !layer.affine {
            return Ok(normal);
        }
        let weight = scope.graph.parameter(&format!("{path}.weight"), &shape[outer..], Init::ONES)?;
        let bias = scope.graph.parameter(&format!("{path}.bias"), &shape[outer..], Init::ZEROS)?;
        let scaled = scope.mul(normal, weight)?;
        scope.add(scaled, bias)
    }

    /// (x - mean) / sqrt(var + eps) over the dimensions from `outer` on: what batch normalisation does
    /// to a batch of one image, whose channels are the rows.
    fn normalize(&mut self, x: Value, outer: usize, eps: f32) -> Result<Value, GraphError> {
        let shape = self.shape(x).clone();
        let rows = shape[..outer].iter().product();
        let image = self.reshape(x, [1, rows, shape[outer..].iter().product()])?;
        let statistics = self.graph.apply(BatchStatistics, &[image])?;
        let normalize = BatchNormalize { eps, batch_statistics: true, affine: false };
        let normal = self.apply(normalize, &[image, statistics[0], statistics[1]])?;
        self.reshape(normal, shape)
    }

    /// A B for each pair of matrices in the last two dimensions, stored as `product` says.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn matmul(&mut self, a: Value, b: Value, product: MatMul) -> Result<Value, GraphError> {
        self.apply(product, &[a, b])
    }

    /// softmax(q k^T / sqrt(d)) v (Vaswani et al. 2017), without a mask; q, k and v `[N, heads, T, d]`.
    ///
    /// # Errors
    /// When the sizes do not fit.
    pub fn scaled_dot_product_attention(&mut self, q: Value, k: Value, v: Value) -> Result<Value, GraphError> {
        let depth = self.shape(q).last().copied().unwrap_or(1);
        let scores = self.matmul(q, k, MatMul { transpose_a: false, transpose_b: true })?;
        let scores = self.scale(scores, 1.0 / (depth as f32).sqrt())?;
        let weights = self.softmax(scores, self.shape(scores).len() - 1)?;
        self.matmul(weights, v, MatMul::default())
    }

    /// The shape of x, which has a dimension `dim`.
    fn dimension(&self, x: Value, dim: usize) -> Result<&Shape, GraphError> {
        let shape = self.graph.shape(x);
        match dim < shape.len() {
            true => Ok(shape),
            false => Err(GraphError::attribute("dim", dim, format!("a tensor of shape {shape} has no such dimension"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::nn::Mode;
    use crate::reference::{self, Tensors};
    use crate::tensor::{HostTensor, TensorSpec};

    /// What `build` makes of x = 0, 1, 2, ... in a tensor of that shape.
    fn run(shape: &[usize], build: impl Fn(&mut Scope<'_>, Value) -> Value) -> Vec<f32> {
        let mut graph = Graph::new();
        let x = graph.input("x", TensorSpec::f32(shape)).unwrap();
        let y = build(&mut Scope::new(&mut graph, Mode::Train), x);
        graph.output("y", y);
        let counting = (0..graph.shape(x).elements()).map(|i| i as f32).collect();
        let inputs = Tensors::from([("x".to_owned(), HostTensor::F32(counting))]);
        reference::run(&graph, &inputs, &mut Tensors::new())[0].f32().to_vec()
    }

    #[test]
    fn a_shuffle_deals_the_channels_of_each_group_in_turn() {
        let y = run(&[1, 6, 1, 1], |scope, x| scope.channel_shuffle(x, 2).unwrap());
        assert_eq!(y, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn padding_is_left_right_top_bottom() {
        let y = run(&[1, 1, 1, 2], |scope, x| scope.zero_pad2d(x, [1, 0, 0, 1]).unwrap());
        assert_eq!(y, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_sides_of_an_image_are_mirrored_repeated_or_those_beyond() {
        let pad = |mode| run(&[1, 3], |scope, x| scope.pad2d(x, [2, 2, 0, 0], mode).unwrap());
        assert_eq!(pad(PadMode::Reflect), [2.0, 1.0, 0.0, 1.0, 2.0, 1.0, 0.0]);
        assert_eq!(pad(PadMode::Replicate), [0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(pad(PadMode::Circular), [1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0]);
        assert_eq!(pad(PadMode::Constant(9.0)), [9.0, 9.0, 0.0, 1.0, 2.0, 9.0, 9.0]);
    }

    #[test]
    fn padding_slopes_and_channels_that_do_not_fit_are_refused_with_the_rule() {
        let refused = |shape: &[usize], build: &dyn Fn(&mut Scope<'_>, Value) -> Result<Value, GraphError>| {
            let mut graph = Graph::new();
            let x = graph.input("x", TensorSpec::f32(shape)).unwrap();
            build(&mut Scope::new(&mut graph, Mode::Train), x).unwrap_err().to_string()
        };
        let pad = |mode, padding| move |scope: &mut Scope<'_>, x| scope.pad2d(x, padding, mode);
        let told = refused(&[1, 1, 4, 3], &pad(PadMode::Reflect, [0, 3, 0, 0]));
        assert!(told.contains("a reflect padding of 3 is not less than what it mirrors, 3"), "{told}");
        let told = refused(&[1, 1, 4, 3], &pad(PadMode::Circular, [0, 0, 5, 0]));
        assert!(told.contains("a circular padding of 5 is not at most what it repeats, 4"), "{told}");
        let told = refused(&[4], &pad(PadMode::Replicate, [1, 0, 0, 0]));
        assert!(told.contains("the last two dimensions"), "{told}");
        let told = refused(&[2, 3, 4], &|scope, x| scope.prelu("act", x, 4));
        assert!(told.contains("its slope is [1], or [C]"), "{told}");
        let told = refused(&[2, 3, 1, 1], &|scope, x| scope.instance_norm("norm", x, true));
        assert!(told.contains("layer `norm` normalises channels of more than one value"), "{told}");
        let told = refused(&[2, 3, 4, 4], &|scope, x| scope.dropout2d("drop", x, 1.0));
        assert!(told.contains("dropout2d of `drop`"), "{told}");
    }

    #[test]
    fn channels_are_dropped_as_a_whole() {
        let mut graph = Graph::new();
        let x = graph.input("x", TensorSpec::f32([8, 16, 3, 5])).unwrap();
        let y = Scope::new(&mut graph, Mode::Train).dropout2d("drop", x, 0.25).unwrap();
        graph.output("y", y);
        let ones = HostTensor::F32(vec![1.0; 8 * 16 * 15]);
        let numbers = HostTensor::U32(vec![3, 0, 7, 0]);
        let inputs = Tensors::from([("x".to_owned(), ones), (crate::nn::STEP_NUMBERS.to_owned(), numbers)]);
        let outputs = reference::run(&graph, &inputs, &mut Tensors::new());
        let planes: Vec<&[f32]> = outputs[0].f32().chunks_exact(15).collect();
        assert!(planes.iter().all(|plane| plane.iter().all(|value| *value == plane[0])));
        let kept = planes.iter().filter(|plane| plane[0] == 4.0 / 3.0).count();
        let dropped = planes.iter().filter(|plane| plane[0] == 0.0).count();
        assert_eq!(kept + dropped, 128);
        assert!((16..=48).contains(&dropped), "{dropped} of 128 channels are dropped");
        let images: Vec<&[f32]> = outputs[0].f32().chunks_exact(16 * 15).collect();
        assert!(images.iter().any(|image| *image != images[0]), "all images lose the same channels");
    }

    #[test]
    fn slices_and_concatenations_keep_the_order() {
        let y = run(&[2, 3], |scope, x| {
            let pieces = scope.split(x, 1, &[1, 2]).unwrap();
            scope.concat(&[pieces[1], pieces[0]], 1).unwrap()
        });
        assert_eq!(y, [1.0, 2.0, 0.0, 4.0, 5.0, 3.0]);
    }

    #[test]
    fn a_mean_may_keep_its_dimensions() {
        assert_eq!(run(&[2, 3], |scope, x| scope.mean(x, &[1], false).unwrap()), [1.0, 4.0]);
        assert_eq!(run(&[2, 3], |scope, x| scope.mean(x, &[0], true).unwrap()), [1.5, 2.5, 3.5]);
    }

    #[test]
    fn an_even_local_response_window_reaches_one_channel_further_down() {
        let norm = LocalResponseNorm { alpha: 2.0, beta: 1.0, k: 1.0, size: 2 };
        let y = run(&[1, 3], |scope, x| scope.local_response_norm(x, norm).unwrap());
        assert_eq!(y, [0.0, 1.0 / 2.0, 2.0 / 6.0]);
    }
}
