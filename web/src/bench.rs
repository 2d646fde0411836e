//! The throughput of kernels, beside what the device reaches.

use super::{Opened, told};
use tilewright::bench::{self, COLUMNS, Case, Group, Measured, Peak, cases, measure_async, measure_peak_async};
use tilewright::gpu::Gpu;
use tilewright::report::Table;
use wasm_bindgen::prelude::*;

/// Kernels to be timed, and the times of those that were.
#[wasm_bindgen]
pub struct Measuring {
    cases: Vec<Case>,
    peak: Option<Peak>,
    done: Vec<Measured>,
}

#[wasm_bindgen]
impl Measuring {
    /// The kernels of `gemm` or `conv`, of the sizes of `tilewright bench`.
    pub fn of(opened: &Opened, group: &str) -> Result<Measuring, JsError> {
        let group = match group {
            "gemm" => Group::Gemm,
            "conv" => Group::Conv,
            _ => return Err(told(format!("`{group}` is neither gemm nor conv"))),
        };
        let cases = cases(group, gpu(opened)?.profile().class).map_err(told)?;
        Ok(Measuring { cases, peak: None, done: Vec::new() })
    }

    /// How many measurements there are: the peak, and a kernel each.
    pub fn count(&self) -> usize {
        1 + self.cases.len()
    }

    /// What is measured next; nothing once all is done.
    pub fn next(&self) -> Option<String> {
        match self.peak {
            None => Some("what the device reaches".to_owned()),
            Some(_) => self.cases.get(self.done.len()).map(|case| case.name.clone()),
        }
    }

    /// Measures the next.
    pub async fn advance(&mut self, opened: &Opened) -> Result<(), JsError> {
        let gpu = gpu(opened)?;
        let Some(_) = self.peak else {
            self.peak = Some(measure_peak_async(gpu).await.map_err(told)?);
            return Ok(());
        };
        if let Some(Case { name, graph }) = self.cases.get(self.done.len()) {
            let timing = measure_async(gpu, graph).await.map_err(told)?;
            let cost = bench::cost(graph);
            self.done.push(Measured { name: name.clone(), variant: "rule", timing, cost });
        }
        Ok(())
    }

    /// What was measured so far, as `tilewright bench` prints it.
    pub fn table(&self, opened: &Opened) -> Result<String, JsError> {
        let Some(peak) = &self.peak else { return Ok("nothing was measured".to_owned()) };
        let info = gpu(opened)?.info();
        let mut table = Table::new(COLUMNS);
        self.done.iter().for_each(|measured| table.row(measured.cells(peak)));
        let version = env!("CARGO_PKG_VERSION");
        Ok(format!(
            "device   {}, {}\nversion  tilewright {version}\nmeasured peak: {peak}\n\n{}",
            info.name,
            info.kind,
            table.to_markdown()
        ))
    }
}

fn gpu(opened: &Opened) -> Result<&Gpu, JsError> {
    opened.device.gpu().ok_or_else(|| told("what is measured is a GPU"))
}
