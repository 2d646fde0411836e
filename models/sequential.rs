//! A list of layers one after another, numbered from 0 as torch.nn.Sequential does.

use crate::graph::{GraphError, Init, Value};
use crate::nn::{BatchNorm, Conv2d, Scope};
use crate::ops::{Activation, MaxPool2d};

/// One layer of a list. Each takes one index, with parameters or without.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer {
    Conv(Conv2d),
    BatchNorm,
    Act(Activation),
    MaxPool(MaxPool2d),
    Dropout(f32),
    Flatten,
    Linear(usize),
    /// A linear layer of normal weights of this deviation and zero bias.
    LinearNormal(usize, f64),
}

/// `y = layers[n](... layers[0](x))`, layer i under the name `i`.
pub(super) fn sequential(net: &mut Scope, mut x: Value, layers: &[Layer]) -> Result<Value, GraphError> {
    for (index, &layer) in layers.iter().enumerate() {
        let name = index.to_string();
        x = match layer {
            Layer::Conv(conv) => net.conv2d(&name, x, conv)?,
            Layer::BatchNorm => net.batch_norm_with(&name, x, BatchNorm::default())?,
            Layer::Act(function) => net.scope(name).activation(x, function)?,
            Layer::MaxPool(pool) => net.scope(name).max_pool2d(x, pool)?,
            Layer::Dropout(p) => net.dropout(&name, x, p)?,
            Layer::Flatten => net.scope(name).flatten(x)?,
            Layer::Linear(outputs) => net.linear(&name, x, outputs)?,
            Layer::LinearNormal(outputs, std) => {
                net.linear_with(&name, x, outputs, Init::Normal { std }, Init::ZEROS)?
            }
        };
    }
    Ok(x)
}

/// Convolution to `filters` channels, `kernel` x `kernel`, padded so that stride 1 keeps the size.
pub(super) fn conv(filters: usize, kernel: usize) -> Layer {
    Layer::Conv(Conv2d::square(filters, kernel).padding(kernel / 2))
}
