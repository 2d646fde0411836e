//! `tilewright check`: every kernel in every variant on this device, against the CPU reference.

use super::place::Place;
use super::precision::PrecisionOption;
use super::shaders::ShadersOption;
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::collections::HashSet;
use tilewright::check::{self, Case, Verdict};
use tilewright::gpu::Gpu;
use tilewright::kernel::MatrixUnits;
use tilewright::recipe::Precision;

/// Run every kernel variant on awkward shapes and hold it against the CPU reference
#[derive(Args)]
pub(super) struct Check {
    /// Only the ops whose name holds this
    #[arg(long, value_name = "PART")]
    op: Option<String>,
    #[command(flatten)]
    shaders: ShadersOption,
    #[command(flatten)]
    precision: PrecisionOption,
    /// Compute the matrix units' functions in WGSL: tries the rest of their kernels on a device with f16
    /// but without such units
    #[arg(long)]
    emulate: bool,
    #[command(flatten)]
    pub place: Place,
}

/// Verdicts of one op's cases.
#[derive(Default)]
struct Row {
    op: &'static str,
    passed: usize,
    failed: usize,
    unsupported: usize,
}

impl Check {
    fn gpu(&self, global: &Global) -> Result<Gpu, CliError> {
        match (self.precision.precision, self.emulate) {
            (Some(Precision::F32), true) => Err(CliError::usage("`--emulate` is for f16, but `--precision` says f32")),
            (_, false) => self.precision.gpu(global, true),
            (_, true) => Ok(global.gpu_with_matrix_units()?.with_emulated_matrix_units()?),
        }
    }

    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let cases: Vec<Case> = check::cases()
            .into_iter()
            .filter(|case| self.op.as_ref().is_none_or(|part| case.op.contains(part.as_str())))
            .collect();
        if let (Some(part), true) = (&self.op, cases.is_empty()) {
            let ops = op_names().join(", ");
            return Err(CliError::usage(format!("no op's name holds `{part}`, as `--op` asks; there are {ops}")));
        }
        let gpu = self.shaders.checked(self.gpu(global)?)?;
        let variants = self.precision.variants(&gpu);
        let mut rows: Vec<Row> = Vec::new();
        let mut judge = |verdict: Verdict<'_>| {
            let op = verdict.case.op;
            if !rows.iter().any(|row| row.op == op) {
                rows.push(Row { op, ..Row::default() });
            }
            let Some(row) = rows.iter_mut().find(|row| row.op == op) else { return };
            let failure = match verdict.result {
                Ok(()) => {
                    row.passed += 1;
                    return;
                }
                Err(failure) => failure,
            };
            let word = match failure.is_unsupported() {
                true => {
                    row.unsupported += 1;
                    "unsupported"
                }
                false => {
                    row.failed += 1;
                    "FAILED"
                }
            };
            global.say(format_args!("{word}: {op}, {}, {}: {failure}", verdict.variant, verdict.case.what));
        };
        for (index, case) in cases.iter().enumerate() {
            global.at_work_on(&format!("case {} of {}, {}", index + 1, cases.len(), case.op));
            check::sweep(&gpu, &variants, std::slice::from_ref(case), &mut judge);
        }

        if rows.is_empty() {
            return Err(CliError::usage("none of these cases is for f16, which `--precision` asks for"));
        }
        let info = gpu.info();
        global.say(format_args!("device   {}, {}", info.name, info.kind));
        global.say(format_args!("driver   {}", info.driver));
        global.say(format_args!("backend  {}", info.backend));
        global.say(format_args!("version  tilewright {}", env!("CARGO_PKG_VERSION")));
        global.say(format_args!("mode     {}", if gpu.is_checked() { "checked" } else { "trusted" }));
        global.say(format_args!("f16      {}", half_kernels(&gpu)));
        global.say(format_args!("{:<28}{:>8}{:>8}{:>13}", "op", "passed", "failed", "unsupported"));
        for Row { op, passed, failed, unsupported } in &rows {
            global.say(format_args!("{op:<28}{passed:>8}{failed:>8}{unsupported:>13}"));
        }
        let total = |count: fn(&Row) -> usize| rows.iter().map(count).sum::<usize>();
        let [passed, failed, unsupported] =
            [total(|row| row.passed), total(|row| row.failed), total(|row| row.unsupported)];
        global.say(format_args!("{passed} passed, {failed} failed, {unsupported} unsupported"));
        let ops: Vec<_> = rows
            .iter()
            .map(|row| json!({ "op": row.op, "passed": row.passed, "failed": row.failed, "unsupported": row.unsupported }))
            .collect();
        global.result(&json!({
            "passed": passed,
            "failed": failed,
            "unsupported": unsupported,
            "device": info.to_string(),
            "checked": gpu.is_checked(),
            "f16": half_kernels(&gpu),
            "ops": ops,
        }));
        match failed {
            0 => Ok(()),
            _ => Err(CliError::Judged),
        }
    }
}

/// Whether the device has kernels in f16, and why not.
fn half_kernels(gpu: &Gpu) -> String {
    let profile = gpu.profile();
    match profile.matrix_units {
        _ if !profile.half => "not run: no f16 in shaders".to_owned(),
        Some(MatrixUnits { edge, emulated: true, .. }) => format!("emulated matrix units of {edge}x{edge}"),
        Some(MatrixUnits { edge, .. }) => format!("matrix units of {edge}x{edge}"),
        None => format!("without matrix units: no {}", gpu.missing_for_matrix_units().join(", no ")),
    }
}

fn op_names() -> Vec<&'static str> {
    let mut seen = HashSet::new();
    check::cases().iter().map(|case| case.op).filter(|&op| seen.insert(op)).collect()
}
