//! `tilewright profile`: one training step, kernel by kernel.

use super::place::Place;
use super::precision::PrecisionOption;
use super::shaders::ShadersOption;
use super::step::StepOptions;
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tilewright::atomic_file::replace_file;
use tilewright::bench::{self, KernelTime, Peak};
use tilewright::graph::Cost;
use tilewright::report::Table;

/// Time one training step kernel by kernel, and name its largest waste
#[derive(Args)]
pub(super) struct Profile {
    #[command(flatten)]
    step: StepOptions,
    /// Rows of the table of kernels
    #[arg(long, default_value_t = 20)]
    top: usize,
    /// Write a trace that Perfetto and chrome://tracing show
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    precision: PrecisionOption,
    #[command(flatten)]
    shaders: ShadersOption,
    #[command(flatten)]
    pub place: Place,
}

impl Profile {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let case = self.step.case(self.precision.precision())?;
        let gpu = self.shaders.measured(self.precision.gpu(global, false)?)?;
        let peak = bench::measure_peak(&gpu)?;
        let profile = bench::profile_step(&gpu, &case.graph)?;
        let total: f64 = profile.kernels.iter().map(|kernel| kernel.seconds).sum();

        let mut sorted: Vec<&KernelTime> = profile.kernels.iter().collect();
        sorted.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let mut table = Table::new(["kernel", "layer", "pass", "ms", "time", "GFLOP/s", "GB/s", "of roofline"]);
        for kernel in sorted.iter().take(self.top) {
            table.row([
                kernel.shader.to_owned(),
                kernel.layer.clone(),
                format!("{:?}", kernel.pass),
                format!("{:.3}", 1e3 * kernel.seconds),
                percent(kernel.seconds / total),
                rate(kernel.cost.flops, kernel.seconds),
                rate(kernel.cost.bytes, kernel.seconds),
                roofline(&peak, &kernel.cost, kernel.seconds),
            ]);
        }
        global.say(table.to_markdown());
        global.say(grouped("pass", &profile.kernels, &peak, total, |kernel| format!("{:?}", kernel.pass)));
        global.say(grouped("op", &profile.kernels, &peak, total, |kernel| kernel.op.to_owned()));
        global.say(grouped("kernel", &profile.kernels, &peak, total, |kernel| kernel.shader.to_owned()));
        global.say(format_args!(
            "{}: {} kernels, {:.2} ms on the device ({}); host: {:.2} ms to encode and submit, {:.2} ms to wait",
            case.name,
            profile.kernels.len(),
            1e3 * total,
            if profile.by_device { "its own clock" } else { "one submit a kernel" },
            1e3 * profile.encode,
            1e3 * profile.wait
        ));
        if let Some((name, waste)) = largest_waste(&profile.kernels, &peak) {
            global.say(format_args!(
                "largest waste: {name} spends {:.2} ms ({} of the step) above what this device could reach",
                1e3 * waste,
                percent(waste / total)
            ));
        }
        if let Some(path) = &self.trace {
            replace_file(path, trace(&profile.kernels).to_string().as_bytes())
                .map_err(|error| CliError::failed(format!("`{}` cannot be written: {error}", path.display())))?;
        }
        let kernels: Vec<_> = sorted
            .iter()
            .map(|kernel| {
                json!({
                    "name": kernel.shader, "layer": kernel.layer, "op": kernel.op, "ms": 1e3 * kernel.seconds,
                    "flops": kernel.cost.flops, "bytes": kernel.cost.bytes,
                })
            })
            .collect();
        global.result(&json!({
            "device": gpu.info().name, "ms_per_step": 1e3 * total, "encode_ms": 1e3 * profile.encode,
            "wait_ms": 1e3 * profile.wait, "kernels": kernels,
        }));
        Ok(())
    }
}

/// Time and rates of the kernels that `key` puts together.
fn grouped(
    title: &str,
    kernels: &[KernelTime],
    peak: &Peak,
    total: f64,
    key: impl Fn(&KernelTime) -> String,
) -> String {
    let mut groups: BTreeMap<String, (f64, Cost, usize)> = BTreeMap::new();
    for kernel in kernels {
        let (seconds, cost, count) = groups.entry(key(kernel)).or_default();
        *seconds += kernel.seconds;
        cost.flops += kernel.cost.flops;
        cost.bytes += kernel.cost.bytes;
        *count += 1;
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|a, b| b.1.0.total_cmp(&a.1.0));
    let mut table = Table::new([title, "kernels", "ms", "time", "GFLOP/s", "GB/s", "of roofline"]);
    for (name, (seconds, cost, count)) in groups {
        table.row([
            name,
            count.to_string(),
            format!("{:.3}", 1e3 * seconds),
            percent(seconds / total),
            rate(cost.flops, seconds),
            rate(cost.bytes, seconds),
            roofline(peak, &cost, seconds),
        ]);
    }
    table.to_markdown()
}

/// The shader that loses most time against the roofline, and how much, in seconds.
fn largest_waste(kernels: &[KernelTime], peak: &Peak) -> Option<(&'static str, f64)> {
    let mut waste: BTreeMap<&'static str, f64> = BTreeMap::new();
    for kernel in kernels {
        *waste.entry(kernel.shader).or_default() += kernel.seconds - peak.bound(&kernel.cost);
    }
    waste.into_iter().max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Chrome's trace format: one row a pass.
fn trace(kernels: &[KernelTime]) -> serde_json::Value {
    let events: Vec<_> = kernels
        .iter()
        .map(|kernel| {
            json!({
                "name": kernel.shader, "cat": kernel.op, "ph": "X", "pid": 1, "tid": format!("{:?}", kernel.pass),
                "ts": 1e6 * kernel.start, "dur": 1e6 * kernel.seconds, "args": { "layer": kernel.layer },
            })
        })
        .collect();
    json!({ "traceEvents": events, "displayTimeUnit": "ms" })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn rate(amount: u64, seconds: f64) -> String {
    match amount {
        0 => String::new(),
        amount => format!("{:.2}", amount as f64 / seconds / 1e9),
    }
}

fn roofline(peak: &Peak, cost: &Cost, seconds: f64) -> String {
    match cost.bytes {
        0 => String::new(),
        _ => percent(peak.bound(cost) / seconds),
    }
}
