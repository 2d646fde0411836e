//! An optimizer of your own: AdaBelief (Zhuang et al. 2020), whose steps are long where the gradient is what was expected.
//!
//!     cargo run --release --example own_optimizer [DEVICE]

use std::error::Error;
use std::path::Path;
use tilewright::gpu::DeviceOptions;
use tilewright::kernel::{Kernel, Shader, write};
use tilewright::optim::{self, Attribute, Direction, Element, Range, Rule, Takes, Values, share};
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Silent, Trainer};

/// The state is what it binds: a checkpoint has `optimizer.exp_avg.NAME` and `optimizer.exp_avg_var.NAME`.
static SHADER: Shader = Shader::with_text("adabelief", WGSL, &[write("exp_avg"), write("exp_avg_var")]);

const WGSL: &str = "
import package::constants::{BETA1, REST1, BETA2, REST2, EPS};
import package::bindings::{exp_avg, exp_avg_var, scalars};

fn direction(i: u32, p: f32, g: f32) -> f32 {
    let average = BETA1 * exp_avg[i] + REST1 * g;
    let surprise = g - average;
    let variance = BETA2 * exp_avg_var[i] + REST2 * surprise * surprise + EPS;
    exp_avg[i] = average;
    exp_avg_var[i] = variance;
    return scalars[1] * average / (sqrt(scalars[2] * variance) + EPS);
}";

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::new("betas", Takes::Pair([0.9, 0.999], Range::BelowOne), "decay of average and variance"),
    Attribute::weight_decay(0.0),
];

struct AdaBelief;

const EPS: f64 = 1e-8;
impl Rule for AdaBelief {
    fn name(&self) -> &'static str {
        "adabelief"
    }
    fn about(&self) -> &'static str {
        "the averaged gradient over the deviation from it (Zhuang et al. 2020)"
    }
    fn attributes(&self) -> &'static [Attribute] {
        &ATTRIBUTES
    }
    fn kernel(&self, of: &Values, step: Kernel) -> Kernel {
        let [beta1, beta2] = of.pair("betas");
        let step = share(step.operands(&SHADER).constant("EPS", EPS as f32), ["BETA1", "REST1"], beta1);
        share(step, ["BETA2", "REST2"], beta2)
    }
    fn factors(&self, of: &Values, step: u64) -> [f64; 3] {
        let [a, b] = of.pair("betas").map(|beta| 1.0 / (1.0 - beta.powf((step + 1) as f64)));
        [a, b, 0.0]
    }
    fn reference(&self, of: &Values) -> Direction {
        let [beta1, beta2] = of.pair("betas");
        Box::new(move |state, Element { g, scalars: [_, a, b, ..], .. }| {
            state[0] = beta1 * state[0] + (1.0 - beta1) * g;
            state[1] = beta2 * state[1] + (1.0 - beta2) * (g - state[0]).powi(2) + EPS;
            a * state[0] / ((b * state[1]).sqrt() + EPS)
        })
    }
}

pub(crate) fn run(device: &str, folder: &Path) -> Result<f64, Box<dyn Error>> {
    optim::register(AdaBelief);
    let mut recipe = TrainConfig::for_model("lenet5_modern")?;
    recipe.optimizer = "adabelief:betas=0.9+0.99".parse()?;
    (recipe.epochs, recipe.limit, recipe.lr) = (2, Some(1000), 3e-3);
    let device = Device::open(device, DeviceOptions::default())?;
    Ok(Trainer::create(recipe, &device, Some(folder))?.run(&mut Silent)?.best_accuracy)
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned());
    println!("{:.2} % of the test digits", 100.0 * run(&device, Path::new("runs/own-optimizer"))?);
    Ok(())
}
