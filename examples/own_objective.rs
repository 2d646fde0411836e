//! A loss of your own: cross-entropy, plus a share of the squared logits that keeps them small.
//!
//!     cargo run --release --example own_objective [DEVICE]

use std::error::Error;
use std::path::Path;
use tilewright::gpu::DeviceOptions;
use tilewright::graph::{Graph, GraphError, Value};
use tilewright::ops::{Add, CrossEntropy, Mul, Reshape, SumTo};
use tilewright::optim::objective::{self, Objective};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Silent, Trainer};

struct SmallLogits {
    share: f32,
}

impl Objective for SmallLogits {
    /// Its gradient is that of the ops that it is made of.
    fn attach(&self, graph: &mut Graph, logits: Value, labels: Value) -> Result<[Value; 2], GraphError> {
        let [loss, rows] = CrossEntropy::default().attach(graph, logits, labels)?;
        let count = graph.shape(logits).elements() as f32;
        let squares = graph.apply_one(Mul, &[logits, logits])?;
        let mean = graph.apply_one(SumTo { shape: [1, 1].into(), factor: self.share / count }, &[squares])?;
        let small = graph.apply_one(Reshape { shape: [1].into() }, &[mean])?;
        Ok([graph.apply_one(Add, &[loss, small])?, rows])
    }
}

pub(crate) fn run(device: &str, folder: &Path) -> Result<f64, Box<dyn Error>> {
    // From here on recipes and checkpoints have `loss = "small_logits"`.
    objective::register("small_logits", SmallLogits { share: 0.01 });
    let mut recipe = TrainConfig::for_model("lenet5_modern")?;
    recipe.loss = "small_logits".parse()?;
    (recipe.epochs, recipe.limit, recipe.lr) = (2, Some(1000), 3e-3);
    let device = Device::open(device, DeviceOptions::default())?;
    Ok(Trainer::create(recipe, &device, Some(folder))?.run(&mut Silent)?.best_accuracy)
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned());
    println!("{:.2} % of the test digits", 100.0 * run(&device, Path::new("runs/own-objective"))?);
    Ok(())
}
