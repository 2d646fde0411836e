//! `tilewright tune`: measures this device's kernels and writes a table of those that beat the rule.

use super::place::DeviceOption;
use super::step::{FormOptions, MODEL};
use super::{CliError, Global};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilewright::gpu::Gpu;
use tilewright::graph::Graph;
use tilewright::models::{self, ModelOptions};
use tilewright::path_text::lossy;
use tilewright::recipe::TrainConfig;
use tilewright::report::Table;
use tilewright::train::{Batch, training_graph};
use tilewright::tune::{self, Finding, Layer, Measured};
use tilewright::tuned::{self, TableError, TunedTable};

/// Measure this device's kernels, and write a table of those that beat the rule
///
/// The layers are those of a training step. Every kernel that the device can run for one must first reproduce the plain kernel's numbers there. It gets into
/// the table if it is then clearly faster than what the written rule picks. Nothing reads the table unless a command is
/// told `--tuned FILE`.
#[derive(Args)]
pub(super) struct Tune {
    /// Names of models, from `tilewright models`; the first come first where the budget is short
    #[arg(value_name = "MODEL", default_values = ["lenet5", "cifar_cnn", "resnet18_cifar", "resnext29_cifar", "mobilenet_v2"])]
    models: Vec<String>,
    /// Images in a step, or with --micro-batch in a part of one: the table holds for exactly this batch [default: what
    /// `train` takes for the model]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), help_heading = MODEL)]
    batch: Option<u32>,
    #[command(flatten)]
    form: FormOptions,
    /// The table. One of this device that is there already keeps its entries for other layers [default:
    /// tune/DEVICE.toml]
    #[arg(long, value_name = "FILE", help_heading = TABLE)]
    out: Option<PathBuf>,
    /// Begin no further layer after so long; what is left stays with the rule
    #[arg(long, value_name = "SECONDS", default_value_t = 300, help_heading = TABLE)]
    budget: u64,
    #[command(flatten)]
    pub device: DeviceOption,
    /// Refused with the reason, so that no one looks for what is wrong.
    #[arg(long, hide = true)]
    checked: bool,
    #[arg(long, hide = true)]
    tuned: Option<PathBuf>,
}

/// Heading of the help.
const TABLE: &str = "Table";

/// Time between lines of progress when there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Tune {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        if self.checked || self.tuned.is_some() {
            return Err(CliError::usage(
                "`tune` measures trusted kernels beside the rule's: leave `--checked` and `--tuned` out",
            ));
        }
        let steps = self.models.iter().map(|model| self.step(model)).collect::<Result<Vec<_>, _>>()?;
        let (batches, graphs): (Vec<usize>, Vec<Graph>) = steps.into_iter().unzip();
        let gpu = global.gpu()?;
        let out = self.out.clone().unwrap_or_else(|| tuned::default_path(gpu.info()));
        let earlier = TunedTable::earlier(&out, gpu.info())
            .map_err(|error| CliError::usage(format!("{error}; or name another file with `--out`")))?;

        let layers = tune::layers(&graphs);
        let findings = self.measure(global, &gpu, &layers)?;
        let wrong = tell(global, &findings);
        if !findings.is_empty() && findings.iter().all(|finding| finding.measured.is_none()) {
            let batch = batches.iter().max().copied().unwrap_or_default();
            return Err(CliError::failed(format!(
                "no layer runs on this device with --batch {batch}, and there is no table to write: take a smaller one, \
                 or a smaller --size"
            )));
        }
        let mut totals = Vec::new();
        for (index, (model, batch)) in self.models.iter().zip(&batches).enumerate() {
            let uses = |finding: &Finding| {
                layers.iter().find(|layer| layer.shape == finding.shape).map_or(0, |layer| layer.uses[index])
            };
            let total = |time: fn(&Measured) -> f64| -> f64 {
                let known = findings.iter().filter_map(|finding| Some((finding.measured.as_ref()?, uses(finding))));
                known.map(|(measured, uses)| 1e3 * time(measured) * uses as f64).sum()
            };
            let (rule, best) = (total(|measured| measured.rule.seconds), total(|measured| measured.best.seconds));
            global.say(format_args!(
                "{model}, batch {batch}: the layers that were measured take {rule:.2} ms of a step by the rule, {best:.2} ms \
                 with the table ({:+.1} %)",
                if rule > 0.0 { 100.0 * (best / rule - 1.0) } else { 0.0 }
            ));
            totals.push(json!({ "model": model, "batch": batch, "rule_ms": rule, "ms": best }));
        }

        let table = TunedTable::of(&gpu, &findings);
        let changed = table.layers.len();
        let measured: Vec<_> = findings.iter().map(|finding| finding.shape).collect();
        let table = match &earlier {
            Some(earlier) => table.with_rest_of(earlier, &measured),
            None => table,
        };
        table.write(&out).map_err(failed)?;
        global.say(format_args!(
            "{changed} of {} layers take other kernels than the rule's, {} were not reached; {} has {} layers: use it with \
             `--tuned {}`",
            findings.len(),
            layers.len() - findings.len(),
            out.display(),
            table.layers.len(),
            out.display()
        ));
        global.result(&json!({
            "device": gpu.info().name, "table": lossy(&out), "measured": findings.len(), "changed": changed,
            "left": layers.len() - findings.len(), "wrong": wrong, "models": totals,
            "layers": findings.iter().filter_map(layer_json).collect::<Vec<_>>(),
        }));
        match wrong {
            0 => Ok(()),
            _ => Err(CliError::Judged),
        }
    }

    /// The batch and the graph of a training step of `model`.
    fn step(&self, model: &str) -> Result<(usize, Graph), CliError> {
        let mut config = TrainConfig::for_model(model)?;
        config.attributes.extend(self.form.attributes.iter().cloned());
        let [channels, height, width] = models::find(model)?.input(&ModelOptions::from(config.attributes.clone()))?;
        let (height, width) = self.form.size.unwrap_or((height, width));
        let batch = self.batch.map_or(config.batch, |batch| batch as usize);
        let shape = [batch, channels, height, width];
        Ok((batch, training_graph(&config, Batch { shape, classes: self.form.classes as usize })?.0))
    }

    fn measure(&self, global: &Global, gpu: &Gpu, layers: &[Layer]) -> Result<Vec<Finding>, CliError> {
        let style = ProgressStyle::with_template("[{bar:30}] {pos}/{len} {msg}");
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(layers.len() as u64));
        let bar = bar.map(|bar| bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
        let mut last_line = Instant::now();
        let findings = tune::tune(gpu, layers, Duration::from_secs(self.budget), |index, layer| match &bar {
            Some(bar) => {
                bar.set_position(index as u64);
                bar.set_message(layer.shape.to_string());
            }
            None if last_line.elapsed() >= LINE_EVERY => {
                last_line = Instant::now();
                global.note(format_args!("{index} of {} layers measured, now {}", layers.len(), layer.shape));
            }
            None => {}
        })?;
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        Ok(findings)
    }
}

/// A table that cannot be written is no wrong usage.
fn failed(error: TableError) -> CliError {
    CliError::failed(error.to_string())
}

/// Prints what was found, and gives the number of wrong kernels.
fn tell(global: &Global, findings: &[Finding]) -> usize {
    let mut table = Table::new(["layer", "rule's kernels", "ms", "fastest", "ms", "times as fast"]);
    let mut smaller = 0;
    for Finding { shape, measured, .. } in findings {
        let Some(Measured { rule, best, checked_batch }) = measured else {
            table.row([shape.to_string(), "not measured: plain kernels do not run".to_owned()]);
            continue;
        };
        smaller += usize::from(*checked_batch != shape.geometry.batch);
        let other = best.kernels != rule.kernels;
        table.row([
            shape.to_string(),
            rule.kernels.to_string(),
            format!("{:.3}", 1e3 * rule.seconds),
            if other { best.kernels.to_string() } else { "the rule's".to_owned() },
            if other { format!("{:.3}", 1e3 * best.seconds) } else { String::new() },
            if other { format!("{:.2}", rule.seconds / best.seconds) } else { String::new() },
        ]);
    }
    global.say(table.to_markdown());
    if smaller > 0 {
        global.say(format_args!(
            "{smaller} of the layers were held against the plain kernels with a smaller batch, in which those take about a \
             second; who won there was held against the rule's kernels at the full one"
        ));
    }
    for Finding { shape, wrong, .. } in findings {
        for (kernels, failure) in wrong {
            global.say(format_args!("FAILED: {shape}, kernels `{kernels}`, not taken: {failure}"));
        }
    }
    findings.iter().map(|finding| finding.wrong.len()).sum()
}

fn layer_json(finding: &Finding) -> Option<Value> {
    let Measured { rule, best, checked_batch } = finding.measured.as_ref()?;
    Some(json!({
        "layer": finding.shape.to_string(), "rule": rule.kernels.to_string(), "rule_ms": 1e3 * rule.seconds,
        "kernels": best.kernels.to_string(), "ms": 1e3 * best.seconds, "checked_batch": checked_batch,
    }))
}
