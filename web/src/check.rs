//! The check of every kernel, case by case.

use super::{Opened, told};
use std::collections::BTreeMap;
use tilewright::bench::cost;
use tilewright::check::{self, Case, Table, Variant, sweep_async};
use wasm_bindgen::prelude::*;

/// Cases, and what has become of them so far.
#[wasm_bindgen]
pub struct Checking {
    cases: Vec<Case>,
    table: Table,
    next: usize,
}

#[wasm_bindgen]
impl Checking {
    /// All cases of the ops whose name holds `part`.
    pub fn of(part: &str) -> Checking {
        let cases = check::cases().into_iter().filter(|case| case.op.contains(part)).collect();
        Checking { cases, table: Table::default(), next: 0 }
    }

    /// The cases of each op that compute least, up to `most` of them.
    pub fn sample(most: usize) -> Checking {
        let mut cases = check::cases();
        let work = |case: &Case| case.graph().map_or(0, |graph| cost(&graph).flops + cost(&graph).bytes);
        cases.sort_by_cached_key(work);
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        cases.retain(|case| {
            let count = taken.entry(case.op).or_default();
            *count += 1;
            *count <= most
        });
        Checking { cases, table: Table::default(), next: 0 }
    }

    /// How many cases there are.
    pub fn count(&self) -> usize {
        self.cases.len()
    }

    /// The op of the case that is next; none once all are done.
    pub fn next_op(&self) -> Option<String> {
        self.cases.get(self.next).map(|case| case.op.to_owned())
    }

    /// Runs the next case in all its variants: a line on each that failed or is unsupported.
    pub async fn advance(&mut self, opened: &Opened) -> Result<Vec<String>, JsError> {
        let gpu = opened.device.gpu().ok_or_else(|| told("the check needs a GPU"))?;
        let Some(case) = self.cases.get(self.next) else { return Ok(Vec::new()) };
        self.next += 1;
        let (table, mut lines) = (&mut self.table, Vec::new());
        let variants = Variant::on(gpu.profile());
        sweep_async(gpu, &variants, std::slice::from_ref(case), |verdict| lines.extend(table.add(&verdict))).await;
        Ok(lines)
    }

    /// The table of what was checked, as `tilewright check` prints it.
    pub fn table(&self, opened: &Opened) -> Result<String, JsError> {
        let gpu = opened.device.gpu().ok_or_else(|| told("the check needs a GPU"))?;
        Ok(self.table.lines(gpu).join("\n"))
    }

    /// How many verdicts failed.
    pub fn failed(&self) -> usize {
        self.table.failed()
    }
}
