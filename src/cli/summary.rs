//! `tilewright summary`: a model's layers, cost and memory, before anything is allocated.

use super::place::DeviceOption;
use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use tilewright::graph::Graph;
use tilewright::kernel::{DeviceClass, DeviceProfile};
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;
use tilewright::optim::Optimizer;
use tilewright::plan::{MemoryReport, Plan};
use tilewright::recipe::{Precision, TrainConfig, read_attribute};
use tilewright::report::Table;
use tilewright::train::{Batch, TrainError, evaluation_graph, training_graph};

/// Show a model's layers, shapes, parameters, cost and memory
#[derive(Args)]
pub(super) struct Summary {
    /// Name of the model, from `tilewright models`
    model: String,
    /// Images in a step
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
    /// An attribute of the model, such as `num_classes=100`; may be given again
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = read_attribute)]
    attributes: Vec<(String, Value)>,
    /// Optimizer whose state counts into the memory of training
    #[arg(long, default_value = "sgd:momentum=0.9")]
    optimizer: Optimizer,
    /// What training stores features and their gradients in
    #[arg(long, default_value_t, value_name = "f32|f16")]
    precision: Precision,
    /// Keep fewer activations in training, and compute the others again
    #[arg(long)]
    recompute: bool,
    /// Write the forward graph in Graphviz' language instead
    #[arg(long, conflicts_with_all = ["mermaid", "text"])]
    dot: bool,
    /// Write the forward graph as a Mermaid chart instead
    #[arg(long, conflicts_with = "text")]
    mermaid: bool,
    /// Write the forward graph line by line instead
    #[arg(long)]
    text: bool,
    #[command(flatten)]
    pub device: DeviceOption,
}

impl Summary {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let model = models::find(&self.model)?;
        let mut options = ModelOptions::new();
        for (name, value) in &self.attributes {
            options = options.with(name, value.clone());
        }
        let batch = self.batch as usize;
        let graph = model.graph(&options, batch, Mode::Eval)?.graph;
        if let Some(export) = self.export(&graph) {
            global.say(export.trim_end());
            global.result(&json!({ "model": model.name, "graph": export }));
            return Ok(());
        }
        let one = model.graph(&options, 1, Mode::Eval)?;
        let [channels, height, width] = model.input(&options)?;
        let classes = one.graph.shape(one.logits).last().copied().unwrap_or(1);
        let one = one.graph;
        global.say(format_args!("{}: {}", model.name, model.source));
        global.say(format_args!("takes {}", model.takes()));
        let mut table = Table::new(["layer", "op", "output", "parameters", "FLOPs"]);
        let layers = one.layers();
        for row in &layers {
            let output = row.output[1..].iter().map(usize::to_string).collect::<Vec<_>>().join("x");
            table.row([
                row.layer.clone(),
                row.op.to_owned(),
                output,
                row.parameters.to_string(),
                row.flops.to_string(),
            ]);
        }
        global.say(table.to_markdown().trim_end());
        global.say(format_args!("parameters      {}", one.parameter_count()));
        global.say(format_args!(
            "one image       {:.2} MFLOPs forward, {:.2} M multiply-adds in products",
            one.forward_flops() as f64 / 1e6,
            one.multiply_adds() as f64 / 1e6
        ));
        let activations = graph.activation_bytes();
        global.say(format_args!("activations     {:.1} MiB for {batch} images, each kept", mib(activations)));

        let config = TrainConfig {
            model: model.name.to_owned(),
            optimizer: self.optimizer.clone(),
            attributes: options.attributes().clone(),
            precision: self.precision,
            recompute: self.recompute,
            ..TrainConfig::default()
        };
        let shape = Batch { shape: [batch, channels, height, width], classes };
        let (profile, planned_for) = profile(global)?;
        global.say(format_args!("memory planned for {planned_for}, {batch} images per step"));
        let training = training_graph(&config, shape).map(|(graph, _)| graph);
        let inference = evaluation_graph(&config, shape);
        let training = self.plan(global, "training", training, &profile)?;
        let inference = self.plan(global, "inference", inference, &profile)?;
        let layers: Vec<Value> = layers
            .iter()
            .map(|row| {
                json!({
                    "layer": row.layer,
                    "op": row.op,
                    "output": row.output.to_vec(),
                    "parameters": row.parameters,
                    "flops": row.flops,
                })
            })
            .collect();
        global.result(&json!({
            "model": model.name,
            "parameters": one.parameter_count(),
            "flops": one.forward_flops(),
            "multiply_adds": one.multiply_adds(),
            "batch": batch,
            "activation_bytes": activations,
            "training_peak_bytes": training.map(|memory| memory.peak()),
            "inference_peak_bytes": inference.map(|memory| memory.peak()),
            "layers": layers,
        }));
        Ok(())
    }

    fn export(&self, graph: &Graph) -> Option<String> {
        match (self.dot, self.mermaid, self.text) {
            (true, ..) => Some(graph.to_dot()),
            (_, true, _) => Some(graph.to_mermaid()),
            (.., true) => Some(graph.to_text()),
            _ => None,
        }
    }

    /// The memory of a plan; tells why where such a device cannot run it.
    fn plan(
        &self,
        global: &Global,
        what: &str,
        graph: Result<Graph, TrainError>,
        profile: &DeviceProfile,
    ) -> Result<Option<MemoryReport>, CliError> {
        match Plan::new(&graph?, profile) {
            Ok(plan) => {
                global.say(format_args!("{what:<15} {}, {} dispatches", plan.memory, plan.steps.len()));
                Ok(Some(plan.memory))
            }
            Err(reason) => {
                global.say(format_args!("{what:<15} cannot be run there: {reason}"));
                Ok(None)
            }
        }
    }
}

/// The device that was asked for, as far as a plan sees it; where there is none, what every GPU has.
fn profile(global: &Global) -> Result<(DeviceProfile, String), CliError> {
    let least = || {
        let mut profile = DeviceProfile::webgpu_defaults(DeviceClass::Gpu);
        // Beyond what every device has.
        profile.half = true;
        profile
    };
    if global.on_reference() || tilewright::gpu::adapters().is_empty() {
        return Ok((least(), "a GPU with WebGPU's default limits".to_owned()));
    }
    // What the model is stands whether a device opens or not.
    let gpu = match global.gpu() {
        Err(CliError::Failed(reason)) if global.device == "auto" => {
            global.note(format_args!("note: {reason}"));
            return Ok((least(), "a GPU with WebGPU's default limits".to_owned()));
        }
        opened => opened?,
    };
    Ok((gpu.profile().clone(), gpu.info().name.clone()))
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
