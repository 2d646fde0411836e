//! Cases of kind `op`: one op alone, its gradients under a given upstream gradient, and the buffers
//! it changes.

use super::attributes::Attributes;
use super::case::Case;
use super::{CaseError, Computed};
use crate::graph::{Graph, GraphError, Init, Value};
use crate::nn::{LayerNorm, Mode, Scope};
use crate::ops::{
    Activation, AdaptiveAvgPool2d, Add, AvgPool2d, BatchNormalize, BatchStatistics, Concat, Conv2d, Linear,
    LocalResponseNorm, MaxPool2d, Mul, Reshape, Softmax, UpdateRunningStatistics,
};
use crate::reference::Tensors;
use crate::session::{Device, run_once};
use crate::tensor::{HostTensor, Shape, TensorSpec};
use std::collections::BTreeMap;

pub(super) fn run(case: &Case, device: &Device) -> Result<Computed, CaseError> {
    let name = case.text("op")?;
    let mode = match case.text("mode")? {
        "train" => Mode::Train,
        "eval" => Mode::Eval,
        other => return Err(CaseError::Metadata { reason: format!("its mode is `{other}`, not `train` or `eval`") }),
    };
    let mut graph = Graph::new();
    let mut tensors = Tensors::new();
    let mut operands = BTreeMap::new();
    for name in case.names() {
        let given = case.tensor(name)?;
        let spec = TensorSpec::f32(given.shape.clone());
        let value = match name.split('.').next() {
            Some("in" | "dout") => graph.input(name, spec)?,
            Some("param") => graph.parameter(name, given.shape.clone(), Init::ZEROS)?,
            Some("buf") => graph.buffer(name, given.shape.clone(), Init::ZEROS)?,
            _ => continue,
        };
        tensors.insert(name.to_owned(), HostTensor::F32(given.f32()?));
        operands.insert(name.to_owned(), value);
    }
    let attributes = Attributes::new(name, &case.attrs);
    let mut site = Site { graph: &mut graph, operands, mode, attributes };
    let out = site.build(name)?;
    let Site { operands, attributes, .. } = site;
    attributes.finish()?;

    let mut computed = Computed::of(&["in.", "param.", "buf.", "dout"]);
    graph.output("out", out);
    if let Some(&dout) = operands.get("dout") {
        add_gradients(&mut graph, out, dout, &operands)?;
    }
    let (outputs, state) = run_once(device, &graph, &tensors)?;
    for ((name, value), output) in graph.outputs().iter().zip(&outputs) {
        computed.insert_f32(name, graph.shape(*value).clone(), output.f32());
    }
    for (name, &value) in &operands {
        if let (Some(buffer), Some(after)) = (name.strip_prefix("buf."), state.get(name)) {
            computed.insert_f32(format!("after.{buffer}"), graph.shape(value).clone(), after.f32());
        }
    }
    Ok(computed)
}

/// Names the gradient of every input and parameter as an output.
fn add_gradients(
    graph: &mut Graph,
    out: Value,
    dout: Value,
    operands: &BTreeMap<String, Value>,
) -> Result<(), CaseError> {
    if graph.shape(out) != graph.shape(dout) {
        let (got, want) = (graph.shape(out).clone(), graph.shape(dout).clone());
        return Err(CaseError::Shape { tensor: "out".to_owned(), got, want });
    }
    let wanted: Vec<(&str, Value)> = operands
        .iter()
        .filter_map(|(name, &value)| {
            let name = name.strip_prefix("in.").or_else(|| name.strip_prefix("param."))?;
            Some((name, value))
        })
        .collect();
    let values: Vec<Value> = wanted.iter().map(|&(_, value)| value).collect();
    let gradients = graph.backward(&[(out, dout)], &values)?;
    for (name, value) in wanted {
        if let Some(&gradient) = gradients.get(&value) {
            graph.output(&format!("grad.{name}"), gradient);
        }
    }
    Ok(())
}

/// Where an op is built: its operands under the names of the case's tensors, and its attributes.
struct Site<'a> {
    graph: &'a mut Graph,
    operands: BTreeMap<String, Value>,
    mode: Mode,
    attributes: Attributes<'a>,
}

impl Site<'_> {
    /// Adds the op of a case: the table from its name to the graph.
    fn build(&mut self, name: &str) -> Result<Value, CaseError> {
        match name {
            "conv2d" => self.conv2d(),
            "linear" => self.apply(Linear, &["in.x", "param.weight", "param.bias"]),
            "batch_norm2d" | "batch_norm1d" => self.batch_norm(),
            "relu" => self.apply(Activation::Relu, &["in.x"]),
            "relu6" => self.apply(Activation::Relu6, &["in.x"]),
            "leaky_relu" => {
                let negative_slope = self.attributes.number("negative_slope", Some(0.01))? as f32;
                self.apply(Activation::LeakyRelu { negative_slope }, &["in.x"])
            }
            "elu" => {
                let alpha = self.attributes.number("alpha", Some(1.0))? as f32;
                self.apply(Activation::Elu { alpha }, &["in.x"])
            }
            "silu" => self.apply(Activation::Silu, &["in.x"]),
            "sigmoid" => self.apply(Activation::Sigmoid, &["in.x"]),
            "tanh" => self.apply(Activation::Tanh, &["in.x"]),
            "gelu" => self.apply(Activation::Gelu, &["in.x"]),
            "hardsigmoid" => self.apply(Activation::HardSigmoid, &["in.x"]),
            "hardswish" => self.apply(Activation::HardSwish, &["in.x"]),
            "add" => self.apply(Add, &["in.a", "in.b"]),
            "max_pool2d" => self.max_pool2d(),
            "avg_pool2d" => self.avg_pool2d(),
            "adaptive_avg_pool2d" => {
                let output_size = self.attributes.pair("output_size", None)?;
                self.apply(AdaptiveAvgPool2d { output_size }, &["in.x"])
            }
            "global_avg_pool2d" => self.apply(AdaptiveAvgPool2d { output_size: [1, 1] }, &["in.x"]),
            "layer_norm" => self.layer_norm(),
            "local_response_norm" => {
                let norm = LocalResponseNorm {
                    size: self.attributes.count("size", None)?,
                    alpha: self.attributes.number("alpha", Some(1e-4))? as f32,
                    beta: self.attributes.number("beta", Some(0.75))? as f32,
                    k: self.attributes.number("k", Some(1.0))? as f32,
                };
                self.apply(norm, &["in.x"])
            }
            "softmax" | "log_softmax" => {
                let dim = self.dimension_of_x("dim", None)?;
                self.apply(Softmax { dim, log: name == "log_softmax" }, &["in.x"])
            }
            "mul" => self.apply(Mul, &["in.a", "in.b"]),
            "concat" => self.concat(),
            "channel_shuffle" => {
                let groups = self.attributes.count("groups", None)?;
                self.scoped(|scope, x| scope.channel_shuffle(x, groups))
            }
            "zero_pad2d" => {
                let padding = self.attributes.counts::<4>("padding", "[left, right, top, bottom]")?;
                self.scoped(|scope, x| scope.zero_pad2d(x, padding))
            }
            "flatten" => self.flatten(),
            "mean" => {
                let rank = self.rank("in.x")?;
                let dims = self.attributes.dimensions("dim", rank)?;
                let keepdim = self.attributes.flag("keepdim", false)?;
                self.scoped(|scope, x| scope.mean(x, &dims, keepdim))
            }
            "slice" => {
                let dim = self.dimension_of_x("dim", None)?;
                let range = self.attributes.count("start", None)?..self.attributes.count("end", None)?;
                self.scoped(|scope, x| scope.slice(x, dim, range))
            }
            "scaled_dot_product_attention" => {
                let [q, k, v] = [self.operand("in.q")?, self.operand("in.k")?, self.operand("in.v")?];
                Ok(Scope::new(self.graph, self.mode).scaled_dot_product_attention(q, k, v)?)
            }
            "dropout" => self.dropout(),
            _ => Err(CaseError::unsupported(format!("the op `{name}`"))),
        }
    }

    fn conv2d(&mut self) -> Result<Value, CaseError> {
        let conv = Conv2d {
            stride: self.attributes.pair("stride", Some([1, 1]))?,
            padding: self.attributes.pair("padding", Some([0, 0]))?,
            dilation: self.attributes.pair("dilation", Some([1, 1]))?,
            groups: self.attributes.count("groups", Some(1))?,
        };
        self.apply(conv, &["in.x", "param.weight", "param.bias"])
    }

    fn max_pool2d(&mut self) -> Result<Value, CaseError> {
        let kernel = self.attributes.pair("kernel_size", None)?;
        let pool = MaxPool2d {
            kernel,
            stride: self.attributes.pair("stride", Some(kernel))?,
            padding: self.attributes.pair("padding", Some([0, 0]))?,
            dilation: self.attributes.pair("dilation", Some([1, 1]))?,
            ceil_mode: self.attributes.flag("ceil_mode", false)?,
        };
        self.apply(pool, &["in.x"])
    }

    fn avg_pool2d(&mut self) -> Result<Value, CaseError> {
        let kernel = self.attributes.pair("kernel_size", None)?;
        let pool = AvgPool2d {
            kernel,
            stride: self.attributes.pair("stride", Some(kernel))?,
            padding: self.attributes.pair("padding", Some([0, 0]))?,
            ceil_mode: self.attributes.flag("ceil_mode", false)?,
            count_include_pad: self.attributes.flag("count_include_pad", true)?,
        };
        self.apply(pool, &["in.x"])
    }

    fn batch_norm(&mut self) -> Result<Value, CaseError> {
        let eps = self.attributes.number("eps", Some(1e-5))? as f32;
        let momentum = self.attributes.number("momentum", Some(0.1))? as f32;
        let x = self.operand("in.x")?;
        let batch_statistics = self.mode == Mode::Train;
        let running = (self.optional("buf.running_mean"), self.optional("buf.running_var"));
        let (mean, var) = match (batch_statistics, running) {
            (true, running) => {
                let shape = self.graph.shape(x);
                let count = shape.elements() / shape.get(1).copied().unwrap_or(1).max(1);
                if count == 1 {
                    return Err(
                        GraphError::OneValuePerChannel { layer: "in.x".to_owned(), shape: shape.clone() }.into()
                    );
                }
                let statistics = self.graph.apply(BatchStatistics, &[x])?;
                let [mean, var] = [statistics[0], statistics[1]];
                if let (Some(running_mean), Some(running_var)) = running {
                    let update = UpdateRunningStatistics { momentum, count };
                    self.graph.apply(update, &[mean, var, running_mean, running_var])?;
                }
                (mean, var)
            }
            (false, _) => (self.operand("buf.running_mean")?, self.operand("buf.running_var")?),
        };
        let affine = [self.optional("param.weight"), self.optional("param.bias")];
        let inputs: Vec<Value> = [Some(x), affine[0], affine[1], Some(mean), Some(var)].into_iter().flatten().collect();
        let op = BatchNormalize { eps, batch_statistics, affine: affine[0].is_some() };
        Ok(self.graph.apply_one(op, &inputs)?)
    }

    /// Weight and bias are multiplied and added as the case has them.
    fn layer_norm(&mut self) -> Result<Value, CaseError> {
        let shape = self.attributes.list("normalized_shape")?;
        let eps = self.attributes.number("eps", Some(1e-5))? as f32;
        let x = self.operand("in.x")?;
        if !self.graph.shape(x).ends_with(&shape) {
            let rule = format!("these are not the last dimensions of {}", self.graph.shape(x));
            return Err(GraphError::attribute("normalized_shape", format!("{shape:?}"), rule).into());
        }
        let layer = LayerNorm::last(shape.len()).eps(eps).without_affine();
        let mut y = self.scoped(|scope, x| scope.layer_norm("norm", x, layer))?;
        if let Some(weight) = self.optional("param.weight") {
            y = self.graph.apply_one(Mul, &[y, weight])?;
        }
        if let Some(bias) = self.optional("param.bias") {
            y = self.graph.apply_one(Add, &[y, bias])?;
        }
        Ok(y)
    }

    fn concat(&mut self) -> Result<Value, CaseError> {
        let inputs: Vec<Value> = (0..).map_while(|index| self.optional(&format!("in.{index}"))).collect();
        let dim = self.attributes.dimension("dim", None, self.rank("in.0")?)?;
        Ok(self.graph.apply_one(Concat { dim }, &inputs)?)
    }

    fn flatten(&mut self) -> Result<Value, CaseError> {
        let start = self.dimension_of_x("start_dim", Some(1))?;
        let x = self.operand("in.x")?;
        let (kept, joined) = self.graph.shape(x).split_at(start);
        let shape: Shape = [kept, &[joined.iter().product()]].concat().into();
        Ok(self.graph.apply_one(Reshape { shape }, &[x])?)
    }

    /// Cases hold it only where it is the identity: its bits are our own.
    fn dropout(&mut self) -> Result<Value, CaseError> {
        let p = self.attributes.number("p", Some(0.5))?;
        match self.mode == Mode::Eval || p == 0.0 {
            true => self.operand("in.x"),
            false => Err(CaseError::unsupported("dropout that drops, whose random bits are PyTorch's own,")),
        }
    }

    /// Applies `op` to the operands of those names, but for parameters that the case does not have.
    fn apply(&mut self, op: impl crate::graph::Op + 'static, operands: &[&str]) -> Result<Value, CaseError> {
        let mut inputs = Vec::with_capacity(operands.len());
        for name in operands {
            match self.optional(name) {
                Some(value) => inputs.push(value),
                None if *name == "param.bias" => {}
                None => return Err(CaseError::MissingTensor { tensor: (*name).to_owned() }),
            }
        }
        Ok(self.graph.apply_one(op, &inputs)?)
    }

    /// What `build` makes of x.
    fn scoped(
        &mut self,
        build: impl FnOnce(&mut Scope<'_>, Value) -> Result<Value, GraphError>,
    ) -> Result<Value, CaseError> {
        let x = self.operand("in.x")?;
        Ok(build(&mut Scope::new(self.graph, self.mode), x)?)
    }

    fn dimension_of_x(&mut self, attribute: &'static str, default: Option<usize>) -> Result<usize, CaseError> {
        let rank = self.rank("in.x")?;
        self.attributes.dimension(attribute, default, rank)
    }

    fn rank(&self, operand: &str) -> Result<usize, CaseError> {
        Ok(self.graph.shape(self.operand(operand)?).len())
    }

    fn operand(&self, name: &str) -> Result<Value, CaseError> {
        self.optional(name).ok_or_else(|| CaseError::MissingTensor { tensor: name.to_owned() })
    }

    fn optional(&self, name: &str) -> Option<Value> {
        self.operands.get(name).copied()
    }
}
