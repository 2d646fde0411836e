//! `tilewright check`: every kernel in every variant on this device, against the CPU reference.

use super::place::Place;
use super::precision::PrecisionOption;
use super::shaders::ShadersOption;
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::collections::HashSet;
use tilewright::check::{self, Case, Table, Verdict};
use tilewright::gpu::Gpu;
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
        let mut table = Table::default();
        let mut judge = |verdict: Verdict<'_>| {
            if let Some(line) = table.add(&verdict) {
                global.say(format_args!("{line}"));
            }
        };
        for (index, case) in cases.iter().enumerate() {
            global.at_work_on(&format!("case {} of {}, {}", index + 1, cases.len(), case.op));
            check::sweep(&gpu, &variants, std::slice::from_ref(case), &mut judge);
        }

        if table.rows().is_empty() {
            return Err(CliError::usage("none of these cases is for f16, which `--precision` asks for"));
        }
        for line in table.lines(&gpu) {
            global.say(format_args!("{line}"));
        }
        let [passed, failed, unsupported] = table.totals();
        let ops: Vec<_> = table
            .rows()
            .iter()
            .map(|row| json!({ "op": row.op, "passed": row.passed, "failed": row.failed, "unsupported": row.unsupported }))
            .collect();
        global.result(&json!({
            "passed": passed,
            "failed": failed,
            "unsupported": unsupported,
            "device": gpu.info().to_string(),
            "checked": gpu.is_checked(),
            "f16": check::half_kernels(&gpu),
            "ops": ops,
        }));
        match failed {
            0 => Ok(()),
            _ => Err(CliError::Judged),
        }
    }
}

fn op_names() -> Vec<&'static str> {
    let mut seen = HashSet::new();
    check::cases().iter().map(|case| case.op).filter(|&op| seen.insert(op)).collect()
}
