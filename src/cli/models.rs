//! `tilewright models`: the architectures that can be built by name.

use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;
use tilewright::report::Table;

/// List the models: parameters and cost of one image
#[derive(Args)]
pub(super) struct Models {}

impl Models {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let mut table = Table::new(["model", "image", "classes", "parameters", "MFLOPs", "M multiply-adds"]);
        let mut entries = Vec::new();
        for model in models::all() {
            let graph = model.graph(&ModelOptions::new(), 1, Mode::Eval)?.graph;
            let [channels, height, width] = model.input;
            let (parameters, flops) = (graph.parameter_count(), graph.forward_flops());
            table.row([
                model.name.to_owned(),
                format!("{channels}x{height}x{width}"),
                model.num_classes.to_string(),
                parameters.to_string(),
                format!("{:.1}", flops as f64 / 1e6),
                format!("{:.1}", graph.multiply_adds() as f64 / 1e6),
            ]);
            entries.push(json!({
                "name": model.name,
                "source": model.source,
                "parameters": parameters,
                "flops": flops,
                "multiply_adds": graph.multiply_adds(),
                "input": model.input,
                "num_classes": model.num_classes,
                "takes": model.takes(),
            }));
        }
        global.say(table.to_markdown().trim_end());
        global.say("FLOPs and multiply-adds of one image, forward; `tilewright summary MODEL` tells more");
        global.result(&json!({ "models": entries }));
        Ok(())
    }
}
