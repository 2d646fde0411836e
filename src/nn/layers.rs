//! Layers with parameters: names, shapes and PyTorch's default initialisation.

use super::{Mode, Scope};
use crate::graph::{GraphError, Init, Value};
use crate::ops::{self, Dropout, Fill, GroupNorm, Linear, PRelu};
use crate::random::fnv1a64;
use crate::tensor::{Shape, TensorSpec};

/// Input of a training graph, `[4]` of u32: the seed's low and high half, the step, and the row of
/// the metrics' history.
pub const STEP_NUMBERS: &str = "step_numbers";

/// A convolution layer as a model asks for it; the channels it reads come from its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    filters: usize,
    kernel: [usize; 2],
    attributes: ops::Conv2d,
    bias: bool,
    init: Option<ConvInit>,
}

/// How a convolution's weight starts, other than by PyTorch's default.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConvInit {
    /// He et al. 2015, variance 2 / fan_out (torchvision's ResNets), zero bias.
    KaimingNormalFanOut,
    /// He et al. 2015, variance 2 / fan_in, zero bias.
    KaimingNormalFanIn,
    /// As `KaimingNormalFanIn`, but uniform.
    KaimingUniformFanIn,
    /// Normal of this deviation, zero bias.
    Normal(f64),
    /// Normal of this deviation, cut at two deviations, zero bias.
    TruncatedNormal(f64),
    /// As many filters as there are channels pass one on each, the others start as PyTorch's do (`dirac_` of a part of the
    /// weight, as in Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU"), zero bias.
    Dirac,
}

impl Conv2d {
    /// `filters` filters of `kernel` x `kernel`, stride 1, no padding, with bias.
    pub fn square(filters: usize, kernel: usize) -> Self {
        Conv2d::new(filters, [kernel, kernel])
    }

    /// As [`Conv2d::square`] with a kernel of (height, width).
    pub fn new(filters: usize, kernel: [usize; 2]) -> Self {
        Conv2d { filters, kernel, attributes: ops::Conv2d::default(), bias: true, init: None }
    }

    /// Moves by `stride` pixels in both directions.
    pub fn stride(mut self, stride: usize) -> Self {
        self.attributes.stride = [stride; 2];
        self
    }

    /// With `padding` zeros on all sides.
    pub fn padding(mut self, padding: usize) -> Self {
        self.attributes.padding = [padding; 2];
        self
    }

    /// With `dilation` - 1 pixels left out between those that the kernel sees.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.attributes.dilation = [dilation; 2];
        self
    }

    /// In `groups` groups, each of which sees its share of the channels.
    pub fn groups(mut self, groups: usize) -> Self {
        self.attributes.groups = groups;
        self
    }

    /// Without a bias: for what a norm follows.
    pub fn without_bias(mut self) -> Self {
        self.bias = false;
        self
    }

    /// With a weight that starts so.
    pub fn init(mut self, init: ConvInit) -> Self {
        self.init = Some(init);
        self
    }
}

/// A batch-norm layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance.
    pub eps: f32,
    /// Share of the new batch in the running statistics.
    pub momentum: f32,
    /// Weights start at 0, so that a residual block starts as the identity (Goyal et al. 2017).
    pub zero_init: bool,
}

impl Default for BatchNorm {
    fn default() -> Self {
        BatchNorm { eps: 1e-5, momentum: 0.1, zero_init: false }
    }
}

impl Scope<'_> {
    /// The parameter `name` of this layer.
    ///
    /// # Errors
    /// When the layer has one of that name.
    pub fn parameter(&mut self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Value, GraphError> {
        let path = self.path_of(name);
        self.graph.parameter(&path, shape, init)
    }

    /// Convolution `name` of x `[N, C, H, W]`; parameters `name.weight` and `name.bias`.
    ///
    /// # Errors
    /// When the window does not fit, or the groups do not divide the channels.
    pub fn conv2d(&mut self, name: &str, x: Value, layer: Conv2d) -> Result<Value, GraphError> {
        let path = self.path_of(name);
        let groups = layer.attributes.groups;
        let channels = self.channels(x);
        if groups == 0 || !channels.is_multiple_of(groups) {
            let rule = format!("it divides the {channels} channels of layer `{path}`");
            return Err(GraphError::attribute("groups", groups, rule));
        }
        let [kh, kw] = layer.kernel;
        let shape = [layer.filters, channels / groups, kh, kw];
        let fan_in = shape[1] * kh * kw;
        // PyTorch's fan_out: it does not look at groups.
        let fan_out = layer.filters * kh * kw;
        let (weight_init, bias_init) = match layer.init {
            None => (Init::torch_default(fan_in), Init::torch_default(fan_in)),
            Some(ConvInit::KaimingNormalFanOut) => (Init::kaiming_normal(fan_out.max(1)), Init::ZEROS),
            Some(ConvInit::KaimingNormalFanIn) => (Init::kaiming_normal(fan_in), Init::ZEROS),
            Some(ConvInit::KaimingUniformFanIn) => (Init::kaiming_uniform(fan_in), Init::ZEROS),
            Some(ConvInit::Normal(std)) => (Init::Normal { std }, Init::ZEROS),
            Some(ConvInit::TruncatedNormal(std)) => (Init::TruncatedNormal { std }, Init::ZEROS),
            Some(ConvInit::Dirac) => {
                let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
                (Init::Dirac { channels: shape[1], kernel: layer.kernel, bound }, Init::ZEROS)
            }
        };
        let mut inputs = vec![x, self.graph.parameter(&format!("{path}.weight"), shape, weight_init)?];
        if layer.bias {
            inputs.push(self.graph.parameter(&format!("{path}.bias"), [layer.filters], bias_init)?);
        }
        self.apply_in(&path, layer.attributes, &inputs)
    }

    /// Linear layer `name` over the last dimension of x; parameters `name.weight` and `name.bias`,
    /// PyTorch's default initialisation.
    ///
    /// # Errors
    /// When x is a scalar.
    pub fn linear(&mut self, name: &str, x: Value, outputs: usize) -> Result<Value, GraphError> {
        let fan_in = self.shape(x).last().copied().unwrap_or(1);
        self.linear_with(name, x, outputs, Init::torch_default(fan_in), Init::torch_default(fan_in))
    }

    /// As [`Scope::linear`], without a bias: for what a norm follows.
    ///
    /// # Errors
    /// When x is a scalar.
    pub fn linear_without_bias(&mut self, name: &str, x: Value, outputs: usize) -> Result<Value, GraphError> {
        let path = self.path_of(name);
        let inputs = self.shape(x).last().copied().unwrap_or(1);
        let weight = self.graph.parameter(&format!("{path}.weight"), [outputs, inputs], Init::torch_default(inputs))?;
        self.apply_in(&path, Linear, &[x, weight])
    }

    /// As [`Scope::linear`], with the initialisation of weight and bias.
    ///
    /// # Errors
    /// When x is a scalar.
    pub fn linear_with(
        &mut self,
        name: &str,
        x: Value,
        outputs: usize,
        weight: Init,
        bias: Init,
    ) -> Result<Value, GraphError> {
        let path = self.path_of(name);
        let inputs = self.shape(x).last().copied().unwrap_or(1);
        let weight = self.graph.parameter(&format!("{path}.weight"), [outputs, inputs], weight)?;
        let bias = self.graph.parameter(&format!("{path}.bias"), [outputs], bias)?;
        self.apply_in(&path, Linear, &[x, weight, bias])
    }

    /// Batch normalisation `name` of dimension 1 with PyTorch's defaults; parameters `name.weight`
    /// and `name.bias`, buffers `name.running_mean` and `name.running_var`.
    ///
    /// # Errors
    /// When x has no channels, or one value per channel, of which a trained layer takes the variance.
    pub fn batch_norm(&mut self, name: &str, x: Value) -> Result<Value, GraphError> {
        self.batch_norm_with(name, x, BatchNorm::default())
    }

    /// As [`Scope::batch_norm`], with its constants.
    ///
    /// # Errors
    /// When x has no channels, or one value per channel, of which a trained layer takes the variance.
    pub fn batch_norm_with(&mut self, name: &str, x: Value, layer: BatchNorm) -> Result<Value, GraphError> {
        let path = self.path_of(name);
        let channels = self.channels(x);
        let weight_init = if layer.zero_init { Init::ZEROS } else { Init::ONES };
        let weight = self.graph.parameter(&format!("{path}.weight"), [channels], weight_init)?;
        let bias = self.graph.parameter(&format!("{path}.bias"), [channels], Init::ZEROS)?;
        let running_mean = self.graph.buffer(&format!("{path}.running_mean"), [channels], Init::ZEROS)?;
        let running_var = self.graph.buffer(&format!("{path}.running_var"), [channels], Init::ONES)?;
        let norm = ops::BatchNorm {
            eps: layer.eps,
            momentum: layer.momentum,
            batch_statistics: self.mode == Mode::Train && !self.graph.is_frozen(&format!("{path}.weight")),
        };
        self.graph.enter_layer(&path);
        norm.apply(self.graph, x, Some([weight, bias]), Some([running_mean, running_var]))
    }

    /// Group normalisation `name` (Wu and He 2018) of x `[N, C, ...]`: each image's channels are normalised in groups by
    /// their mean and biased variance; parameters `name.weight` (ones) and `name.bias` (zeros), `[C]`, and PyTorch's eps
    /// of 1e-5. One group normalises each image as a whole, as many as there are channels each channel.
    ///
    /// # Errors
    /// When the groups do not divide the channels.
    pub fn group_norm(&mut self, name: &str, x: Value, groups: usize) -> Result<Value, GraphError> {
        let (path, channels) = (self.path_of(name), self.channels(x));
        let weight = self.graph.parameter(&format!("{path}.weight"), [channels], Init::ONES)?;
        let bias = self.graph.parameter(&format!("{path}.bias"), [channels], Init::ZEROS)?;
        self.graph.enter_layer(&path);
        GroupNorm { groups, eps: 1e-5 }.apply(self.graph, x, Some([weight, bias]))
    }

    /// Instance normalisation `name` (Ulyanov et al. 2016) of x `[N, C, ...]`: each channel of each image is normalised by
    /// its own mean and biased variance, in training and in inference, with PyTorch's eps of 1e-5. Where it is `affine`,
    /// with parameters `name.weight` (ones) and `name.bias` (zeros), `[C]`.
    ///
    /// # Errors
    /// When x has no channels, or one value per channel of an image, of which there is no variance.
    pub fn instance_norm(&mut self, name: &str, x: Value, affine: bool) -> Result<Value, GraphError> {
        let (path, channels) = (self.path_of(name), self.channels(x));
        if self.shape(x).len() < 2 || self.shape(x).stride(1) < 2 {
            let rule = format!("layer `{path}` normalises channels of more than one value each");
            return Err(GraphError::attribute("shape", self.shape(x).clone(), rule));
        }
        let affine = match affine {
            true => Some([
                self.graph.parameter(&format!("{path}.weight"), [channels], Init::ONES)?,
                self.graph.parameter(&format!("{path}.bias"), [channels], Init::ZEROS)?,
            ]),
            false => None,
        };
        self.graph.enter_layer(&path);
        GroupNorm { groups: channels, eps: 1e-5 }.apply(self.graph, x, affine)
    }

    /// PReLU `name` (He et al. 2015) of x: its slope below 0 is the parameter `name.weight`, of one element or of one for
    /// each channel of x `[N, C, ...]`, and starts at PyTorch's 0.25.
    ///
    /// # Errors
    /// When there are `slopes` but neither one nor as many as channels.
    pub fn prelu(&mut self, name: &str, x: Value, slopes: usize) -> Result<Value, GraphError> {
        let path = self.path_of(name);
        let slope = self.graph.parameter(&format!("{path}.weight"), [slopes], Init::Constant(0.25))?;
        self.apply_in(&path, PRelu, &[x, slope])
    }

    /// Dropout of whole channels (Tompson et al. 2015) of x `[N, C, ...]`: each channel of each image is dropped with
    /// probability `p`, else divided by 1 - p; the identity in eval mode and for p = 0.
    ///
    /// # Errors
    /// When p is not in [0, 1).
    pub fn dropout2d(&mut self, name: &str, x: Value, p: f32) -> Result<Value, GraphError> {
        self.drop_together("dropout2d", name, x, p, 2)
    }

    /// Dropout with probability `p`: the identity in eval mode and for p = 0.
    ///
    /// # Errors
    /// When p is not in [0, 1).
    pub fn dropout(&mut self, name: &str, x: Value, p: f32) -> Result<Value, GraphError> {
        match self.drops("dropout", name, p)? {
            true => self.scope(name).drop_elements(x, p),
            false => Ok(x),
        }
    }

    /// Stochastic depth (Huang et al. 2016) of a residual branch x `[N, ...]`: each image's whole branch
    /// is dropped with probability `p`, else divided by 1 - p; the identity in eval mode and for p = 0.
    ///
    /// # Errors
    /// When p is not in [0, 1).
    pub fn stochastic_depth(&mut self, name: &str, x: Value, p: f32) -> Result<Value, GraphError> {
        self.drop_together("stochastic depth", name, x, p, 1)
    }

    /// x whose elements with the same place in its first `dims` dimensions are dropped together.
    fn drop_together(&mut self, kind: &str, name: &str, x: Value, p: f32, dims: usize) -> Result<Value, GraphError> {
        if !self.drops(kind, name, p)? {
            return Ok(x);
        }
        let mut scope = self.scope(name);
        let mut places = scope.shape(x).to_vec();
        places.iter_mut().skip(dims).for_each(|size| *size = 1);
        let ones = scope.apply(Fill { value: 1.0, shape: places.into() }, &[])?;
        let kept = scope.drop_elements(ones, p)?;
        scope.mul(x, kept)
    }

    /// Whether layer `name`, of this `kind`, drops anything with probability `p`.
    fn drops(&self, kind: &str, name: &str, p: f32) -> Result<bool, GraphError> {
        match (0.0..1.0).contains(&p) {
            true => Ok(self.mode == Mode::Train && p > 0.0),
            false => Err(GraphError::attribute(format!("{kind} of `{}`", self.path_of(name)), p, "it lies in [0, 1)")),
        }
    }

    /// x with each element dropped with probability `p`; the bits are those of this place, seed and step.
    fn drop_elements(&mut self, x: Value, p: f32) -> Result<Value, GraphError> {
        let numbers = match self.graph.find(STEP_NUMBERS) {
            Some(numbers) => numbers,
            None => self.graph.input(STEP_NUMBERS, TensorSpec::u32([4]))?,
        };
        let salt = fnv1a64(self.path.as_bytes()) as u32;
        self.apply(Dropout { p, salt }, &[x, numbers])
    }
}
