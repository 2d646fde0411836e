//! An op of your own, with a gradient and a kernel ([own_op.wgsl](own_op.wgsl)): proven on the device, then trained with.
//!
//!     cargo run --release --example own_op

use std::{error::Error, path::Path};
use tilewright::check::Case;
use tilewright::gpu::DeviceOptions;
use tilewright::graph::{Backward, Graph, GraphError, Op, Value};
use tilewright::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use tilewright::models::{self, Model, Settings};
use tilewright::nn::{Conv2d, Scope};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::tensor::{HostTensor, TensorSpec};
use tilewright::train::{Silent, Trainer};

/// y = x / (1 + |x|), and its gradient dx = dy / (1 + |x|)².
#[derive(Clone, Copy, Debug)]
struct Softsign {
    backward: bool,
}

static SOFTSIGN: Shader = Shader::with_text(
    "mine/softsign",
    include_str!("own_op.wgsl"),
    &[read("x"), read("dy").when("backward"), write("y")],
);

impl Op for Softsign {
    type Geometry = ();
    fn name(&self) -> &'static str {
        if self.backward { "softsign_backward" } else { "softsign" }
    }
    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, ()), String> {
        Ok((vec![inputs[0].clone()], ()))
    }
    fn gradient(&self, (): &(), backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let (x, Some(dy), false) = (backward.input(0), backward.upstream(), self.backward) else {
            return Err(backward.not_differentiable());
        };
        Ok(vec![Some(backward.apply_one(Softsign { backward: true }, &[x, dy])?)])
    }
    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        for (i, y) in outputs[0].f32_mut().iter_mut().enumerate() {
            let x = f64::from(inputs[0].f32()[i]);
            let numerator = if self.backward { f64::from(inputs[1].f32()[i]) / (1.0 + x.abs()) } else { x };
            *y = (numerator / (1.0 + x.abs())) as f32;
        }
    }
    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&SOFTSIGN).condition("backward", self.backward);
        let dy = self.backward.then_some(("dy", Operand::input(1)));
        let operands = [("x", Operand::input(0)), ("y", Operand::output(0))].into_iter().chain(dy);
        launch.linear(kernel, launch.output(0).elements(), operands);
        Ok(())
    }
}

fn network(net: &mut Scope, images: Value, with: &Settings) -> Result<Value, GraphError> {
    let x = net.conv2d("conv", images, Conv2d::square(16, 5).stride(3))?;
    let x = net.apply(Softsign { backward: false }, &[x])?;
    net.flatten(x).and_then(|x| net.linear("fc", x, with.num_classes))
}

pub(crate) fn run(device: &str, folder: &Path) -> Result<f64, Box<dyn Error>> {
    let device = Device::open(device, DeviceOptions::default())?;
    // Every element of y and dx against `reference`, on poisoned memory, twice.
    let softsign = |graph: &mut Graph, x: &[Value]| graph.apply_one(Softsign { backward: false }, x);
    let case = Case::differentiated("softsign", "3 x 67", vec![vec![3, 67]], softsign);
    device.gpu().map(|gpu| case.check(gpu)).transpose()?;
    models::register(Model::new("softsign_net", [1, 28, 28], 10, network))?;
    let mut recipe = TrainConfig::for_model("softsign_net")?;
    (recipe.epochs, recipe.limit, recipe.lr) = (6, Some(1000), 3e-3);
    Ok(Trainer::create(recipe, &device, Some(folder))?.run(&mut Silent)?.best_accuracy)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("{:.2} % of the test digits", 100.0 * run("auto", Path::new("runs/own-op"))?);
    Ok(())
}
