//! What the page of `make web` asks of tilewright: a device, a run, the check, times of kernels, cases of the conformance
//! suite, and a model of its own. Answers are JSON texts, or bytes and numbers as they are.

mod bench;
mod check;
mod model;
mod run;

use serde_json::json;
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu, GpuError};
use tilewright::session::Device;
use tilewright::verify::{Outcome, run_case_async};
use wasm_bindgen::prelude::*;

/// An error as the page shows it.
fn told(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

/// Lets a defect be read in the browser's console.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|defect| web_sys::console::error_1(&defect.to_string().into())));
}

/// The version of the library.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// The visitor's GPU, or the CPU reference.
#[wasm_bindgen]
pub struct Opened {
    device: Device,
}

#[wasm_bindgen]
impl Opened {
    /// Opens the adapter that the browser shows.
    pub async fn gpu(default_limits: bool, plain: bool) -> Result<Opened, JsError> {
        let options = DeviceOptions::default().default_limits(default_limits).plain_kernels(plain);
        match Gpu::open_async(&DeviceSelector::Auto, options).await {
            Ok(gpu) => Ok(Opened { device: gpu.into() }),
            Err(GpuError::NoAdapter) => Err(told("no adapter")),
            Err(error) => Err(told(error)),
        }
    }

    /// The plain loops that all kernels are judged by.
    pub fn reference() -> Opened {
        Opened { device: Device::reference() }
    }

    /// Its name, kind and limits, as JSON.
    pub fn about(&self) -> String {
        let Some(gpu) = self.device.gpu() else { return json!({ "name": self.device.name() }).to_string() };
        let (info, has) = (gpu.info(), gpu.adapter());
        json!({
            "name": info.name,
            "kind": info.kind.to_string(),
            "backend": info.backend,
            "driver": info.driver,
            "largest buffer": has.max_buffer_bytes,
            "largest binding": has.max_binding_bytes,
            "storage buffers": has.max_storage_buffers,
            "invocations": has.max_invocations,
            "workgroup memory": has.workgroup_memory,
            "workgroups": has.max_workgroups,
            "f16": has.f16,
        })
        .to_string()
    }

    /// Runs a case of the conformance suite, given as the bytes of its file: `passed`, or what is wrong.
    pub async fn conformance(&self, case: Vec<u8>) -> String {
        match run_case_async(&case, &self.device).await {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed(error) => format!("failed: {error}"),
            Outcome::Unsupported(error) => format!("unsupported: {error}"),
        }
    }
}
