//! `tilewright bench`: throughput of kernels and steps.

use super::bench_members::StepOfMembers;
use super::members::{self, Group, PATIENCE};
use super::place::Place;
use super::precision::{KERNELS, PrecisionOption};
use super::shaders::ShadersOption;
use super::{CliError, Global};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tilewright::bench::{self, Case, Measured, Peak};
use tilewright::gpu::Gpu;
use tilewright::kernel::DeviceClass;
use tilewright::recipe::Precision;
use tilewright::report::Table;

/// Measure kernels and training steps beside what the device can reach
#[derive(Args)]
pub(super) struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    /// Measure every variant of each kernel, not only the one that the rule picks
    #[arg(long, global = true, help_heading = KERNELS)]
    variants: bool,
    /// Compare with a result that `--json` wrote: what takes more than 1.1 times as long is named
    #[arg(long, global = true, value_name = "FILE", help_heading = "Output")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    precision: PrecisionOption,
    #[command(flatten)]
    shaders: ShadersOption,
    #[command(flatten)]
    pub place: Place,
}

#[derive(Subcommand, Clone)]
enum What {
    /// Matrix products
    Gemm,
    /// Convolutions, all three passes
    Conv,
    /// Pooling and elementwise kernels
    Pool,
    /// Batch normalisation
    Norm,
    /// Optimizer updates
    Optim,
    /// A whole training step
    Step(StepOfMembers),
}

/// A time that is so much longer than before is reported.
const SLOWER: f64 = 1.1;

impl Bench {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        match &self.what {
            Some(What::Step(options)) => members::run(global, PATIENCE, |group, global| {
                let devices = options.devices(group, global)?;
                match group.map_or(devices.len(), |group| group.world) {
                    1 if options.shards == 1 => self.alone(global),
                    world => self.together(global, options, &devices, group, world),
                }
            }),
            _ => self.alone(global),
        }
    }

    /// A step of several members.
    fn together(
        &self,
        global: &Global,
        options: &StepOfMembers,
        devices: &[String],
        group: Option<&Group>,
        world: usize,
    ) -> Result<(), CliError> {
        if let Some(option) = self.shaders.given().or(self.variants.then_some("--variants")) {
            return Err(CliError::usage(format!("{option} is for a step of one device that is not cut into shards")));
        }
        let before = self.compare.as_deref().map(read_result).transpose()?;
        if let Some(result) = options.run(global, self.precision.precision(), devices, group, world)? {
            before.into_iter().for_each(|before| compare(global, &before, &result));
            global.result(&result);
        }
        Ok(())
    }

    fn alone(&self, global: &Global) -> Result<(), CliError> {
        // Before the device is opened: a model that cannot be built is told at once.
        let case = match &self.what {
            Some(What::Step(members)) => Some(members.step.case(self.precision.precision())?),
            _ => None,
        };
        let gpu = self.shaders.measured(self.precision.gpu(global, self.variants)?)?;
        let before = self.compare.as_deref().map(read_result).transpose()?;
        let peak = bench::measure_peak(&gpu)?;
        global.say(format_args!("measured peak: {peak}"));
        let result = match (&self.what, &case) {
            (Some(What::Step(members)), Some(case)) => step(global, &gpu, case, members.step.batch())?,
            (what, _) => {
                let groups = match what {
                    Some(What::Gemm) => vec![bench::Group::Gemm],
                    Some(What::Conv) => vec![bench::Group::Conv],
                    Some(What::Pool) => vec![bench::Group::Pool],
                    Some(What::Norm) => vec![bench::Group::Norm],
                    Some(What::Optim) => vec![bench::Group::Optim],
                    _ => vec![
                        bench::Group::Gemm,
                        bench::Group::Conv,
                        bench::Group::Pool,
                        bench::Group::Norm,
                        bench::Group::Optim,
                    ],
                };
                self.kernels(global, &gpu, &peak, &groups)?
            }
        };
        if let Some(before) = before {
            compare(global, &before, &result);
        }
        global.result(&result);
        Ok(())
    }

    fn kernels(&self, global: &Global, gpu: &Gpu, peak: &Peak, groups: &[bench::Group]) -> Result<Value, CliError> {
        let own = gpu.profile().class;
        let variants = match self.variants {
            false => vec![("rule", gpu.clone(), self.precision.precision())],
            true => variants(gpu),
        };
        let mut table = Table::new(bench::COLUMNS);
        let mut kernels = Vec::new();
        for &group in groups {
            for Case { name, graph } in bench::cases(group, own)? {
                let half = graph.all_in_half();
                for (variant, gpu, precision) in &variants {
                    let graph = if *precision == Precision::F16 { &half } else { &graph };
                    let (cost, timing) = (bench::cost(graph), bench::measure(gpu, graph)?);
                    let measured = Measured { name: name.clone(), variant, timing, cost };
                    table.row(measured.cells(peak));
                    kernels.push(json!({
                        "name": name,
                        "variant": variant,
                        "ms": 1e3 * timing.median,
                        "gflops": measured.gflops(),
                        "gbs": measured.gbs(),
                        "share_of_peak": measured.share(peak),
                    }));
                }
            }
        }
        global.say(table.to_markdown());
        Ok(json!({ "device": gpu.info().name, "peak": peak_json(peak), "kernels": kernels }))
    }
}

/// How each variant of the kernels is called, the device that has it, and what it stores.
fn variants(gpu: &Gpu) -> Vec<(&'static str, Gpu, Precision)> {
    let workgroup = gpu.with_class(DeviceClass::Gpu);
    let mut variants = vec![
        ("plain", gpu.with_plain_kernels(), Precision::F32),
        ("workgroup", workgroup.clone(), Precision::F32),
        ("texture", gpu.with_class(DeviceClass::Cpu), Precision::F32),
    ];
    if gpu.profile().half {
        variants.push(("workgroup, f16", workgroup.without_matrix_units(), Precision::F16));
    }
    if gpu.profile().matrix_units.is_some() {
        variants.push(("matrix units, f16", workgroup, Precision::F16));
    }
    variants
}

fn step(global: &Global, gpu: &Gpu, case: &Case, batch: usize) -> Result<Value, CliError> {
    let cost = bench::cost(&case.graph);
    let timing = bench::measure(gpu, &case.graph)?;
    let images = batch as f64 / timing.median;
    global.say(format_args!(
        "{}: {:.1} images/s, {:.2} ms per step ({}), {:.1} GFLOP/s, first step after {:.0} ms, {:.1} MiB",
        case.name,
        images,
        1e3 * timing.median,
        timing.spread(),
        cost.flops as f64 / timing.median / 1e9,
        1e3 * timing.first,
        timing.peak_bytes as f64 / f64::from(1 << 20)
    ));
    Ok(json!({
        "device": gpu.info().name,
        "kernels": [{ "name": case.name, "variant": "rule", "ms": 1e3 * timing.median }],
        "images_per_second": images,
        "ms_per_step": 1e3 * timing.median,
        "first_step_ms": 1e3 * timing.first,
        "peak_bytes": timing.peak_bytes,
    }))
}

fn peak_json(peak: &Peak) -> Value {
    json!({ "gflops": peak.flops / 1e9, "gbs": peak.bytes / 1e9 })
}

/// The JSON object on the last line of a saved result.
fn read_result(path: &Path) -> Result<Value, CliError> {
    let text = tilewright::regular_file::read_to_string(path)
        .map_err(|error| CliError::failed(format!("`{}` cannot be read: {error}", path.display())))?;
    serde_json::from_str(text.trim_end().lines().last().unwrap_or_default())
        .map_err(|error| CliError::usage(format!("`{}` was not written by `bench --json`: {error}", path.display())))
}

/// Names what takes longer than in `before`.
fn compare(global: &Global, before: &Value, now: &Value) {
    let kernels = |result: &Value| result["kernels"].as_array().cloned().unwrap_or_default();
    let old = kernels(before);
    let mut slower = 0;
    for kernel in kernels(now) {
        let same = |other: &&Value| other["name"] == kernel["name"] && other["variant"] == kernel["variant"];
        let times = (old.iter().find(same).and_then(|other| other["ms"].as_f64()), kernel["ms"].as_f64());
        if let (Some(was), Some(is)) = times
            && is > SLOWER * was
        {
            slower += 1;
            let name = kernel["name"].as_str().unwrap_or_default();
            global.say(format_args!("slower: {name}: {is:.3} ms, was {was:.3} ms ({:.2} times)", is / was));
        }
    }
    global.say(format_args!("{slower} slower than before"));
}
