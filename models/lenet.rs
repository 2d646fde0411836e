//! LeNet-5 (LeCun et al. 1998, figure 2).

use super::Model;
use super::options::{Settings, Takes};
use crate::graph::{GraphError, Value};
use crate::nn::{Conv2d, Scope};
use crate::ops::{AvgPool2d, MaxPool2d};

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "lenet5",
        source: "LeCun et al. 1998, Gradient-based learning applied to document recognition",
        input: [1, 28, 28],
        num_classes: 10,
        attributes: &[
            ("activation", Takes::Word(&["sigmoid", "relu", "tanh"])),
            ("pool", Takes::Word(&["avg", "max"])),
            ("out_activation", Takes::Flag(false)),
        ],
        wiring: lenet5,
    },
    Model {
        name: "lenet5_modern",
        source: "LeNet-5 with ReLU and max pooling, which trains faster than sigmoids",
        input: [1, 28, 28],
        num_classes: 10,
        attributes: &[
            ("activation", Takes::Word(&["relu", "tanh", "sigmoid"])),
            ("pool", Takes::Word(&["max", "avg"])),
            ("out_activation", Takes::Flag(false)),
        ],
        wiring: lenet5,
    },
];

fn lenet5(net: &mut Scope, x: Value, with: &Settings) -> Result<Value, GraphError> {
    let act = with.activation("activation")?;
    let max = with.word("pool")? == "max";
    let pool = |net: &mut Scope, name: &str, x| match max {
        true => net.scope(name).max_pool2d(x, MaxPool2d::square(2)),
        false => net.scope(name).avg_pool2d(x, AvgPool2d::square(2)),
    };

    let y = net.conv2d("conv1", x, Conv2d::square(6, 5).padding(2))?;
    let y = net.activation(y, act)?;
    let y = pool(net, "pool1", y)?;
    let y = net.conv2d("conv2", y, Conv2d::square(16, 5))?;
    let y = net.activation(y, act)?;
    let y = pool(net, "pool2", y)?;
    let y = net.flatten(y)?;
    let y = net.linear("fc1", y, 120)?;
    let y = net.activation(y, act)?;
    let y = net.linear("fc2", y, 84)?;
    let y = net.activation(y, act)?;
    let y = net.linear("fc3", y, with.num_classes)?;
    match with.flag("out_activation")? {
        true => net.activation(y, act),
        false => Ok(y),
    }
}
