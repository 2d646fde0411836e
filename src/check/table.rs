//! Verdicts counted by op, as a table for people.

use super::Verdict;
use crate::gpu::Gpu;
use crate::kernel::MatrixUnits;

/// How many verdicts of each op passed.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

/// Verdicts of one op's cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The op.
    pub op: &'static str,
    /// Every element agreed, twice.
    pub passed: usize,
    /// One did not, or the device failed.
    pub failed: usize,
    /// The device lacks what the case needs.
    pub unsupported: usize,
}

impl Table {
    /// Counts a verdict; gives a line on one that did not pass.
    pub fn add(&mut self, verdict: &Verdict<'_>) -> Option<String> {
        let op = verdict.case.op;
        let place = self.rows.iter().position(|row| row.op == op).unwrap_or_else(|| {
            self.rows.push(Row { op, ..Row::default() });
            self.rows.len() - 1
        });
        let row = &mut self.rows[place];
        let Err(failure) = &verdict.result else {
            row.passed += 1;
            return None;
        };
        let (count, word) = match failure.is_unsupported() {
            true => (&mut row.unsupported, "unsupported"),
            false => (&mut row.failed, "FAILED"),
        };
        *count += 1;
        Some(format!("{word}: {op}, {}, {}: {failure}", verdict.variant, verdict.case.what))
    }

    /// Ops in the order in which they came.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// How many passed, failed and are unsupported.
    pub fn totals(&self) -> [usize; 3] {
        let total = |count: fn(&Row) -> usize| self.rows.iter().map(count).sum();
        [total(|row| row.passed), total(|row| row.failed), total(|row| row.unsupported)]
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.totals()[1]
    }

    /// The device that the kernels ran on, and the table, line by line.
    pub fn lines(&self, gpu: &Gpu) -> Vec<String> {
        let info = gpu.info();
        let mut lines = vec![
            format!("device   {}, {}", info.name, info.kind),
            format!("driver   {}", info.driver),
            format!("backend  {}", info.backend),
            format!("version  tilewright {}", env!("CARGO_PKG_VERSION")),
            format!("mode     {}", if gpu.is_checked() { "checked" } else { "trusted" }),
            format!("f16      {}", half_kernels(gpu)),
            format!("{:<28}{:>8}{:>8}{:>13}", "op", "passed", "failed", "unsupported"),
        ];
        let row =
            |Row { op, passed, failed, unsupported }: &Row| format!("{op:<28}{passed:>8}{failed:>8}{unsupported:>13}");
        lines.extend(self.rows.iter().map(row));
        let [passed, failed, unsupported] = self.totals();
        lines.push(format!("{passed} passed, {failed} failed, {unsupported} unsupported"));
        lines
    }
}

/// Whether the device has kernels in f16, and why not.
pub fn half_kernels(gpu: &Gpu) -> String {
    let profile = gpu.profile();
    match profile.matrix_units {
        _ if !profile.half => "not run: no f16 in shaders".to_owned(),
        Some(MatrixUnits { edge, emulated: true, .. }) => format!("emulated matrix units of {edge}x{edge}"),
        Some(MatrixUnits { edge, .. }) => format!("matrix units of {edge}x{edge}"),
        None => format!("without matrix units: no {}", gpu.missing_for_matrix_units().join(", no ")),
    }
}
