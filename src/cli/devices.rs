//! `tilewright devices`: what this machine can compute on.

use super::global::kind;
use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use tilewright::gpu::{AdapterSummary, GpuError, adapters};

/// List the adapters of this machine: limits, features, and what each is used for
#[derive(Args)]
pub struct Devices {}

impl Devices {
    pub fn run(&self, global: &Global) -> Result<(), CliError> {
        let adapters = adapters();
        let entries: Vec<Value> = adapters.iter().enumerate().map(|(index, adapter)| entry(index, adapter)).collect();
        for (index, adapter) in adapters.iter().enumerate() {
            tell(global, index, adapter);
        }
        global.say("cpu: the CPU reference, plain loops: slow, and the judge of all others");
        if adapters.is_empty() {
            global.note(format_args!("note: {}", GpuError::NoAdapter));
        }
        global.result(&json!({ "devices": entries }));
        Ok(())
    }
}

fn tell(global: &Global, index: usize, adapter: &AdapterSummary) {
    let AdapterSummary { info, limits, .. } = adapter;
    let mib = |bytes: u64| bytes >> 20;
    global.say(format_args!("{index}: {}", info.name));
    global.say(format_args!("   kind             {}, {:?}", kind(info.device_type), info.backend));
    global.say(format_args!("   driver           {} {}", info.driver, info.driver_info));
    global.say(format_args!("   used for         {}", used_for(index, info.device_type)));
    global.say(format_args!(
        "   largest tensor   {} MiB a binding, {} MiB a buffer, {} storage buffers a kernel",
        mib(limits.max_storage_buffer_binding_size),
        mib(limits.max_buffer_size),
        limits.max_storage_buffers_per_shader_stage
    ));
    global.say(format_args!(
        "   workgroups       {} invocations, {} KiB memory, {} a dimension",
        limits.max_compute_invocations_per_workgroup,
        limits.max_compute_workgroup_storage_size >> 10,
        limits.max_compute_workgroups_per_dimension
    ));
    global.say(format_args!("   subgroups        {} to {}", info.subgroup_min_size, info.subgroup_max_size));
    for (_, feature, purpose) in features(adapter).into_iter().filter(|(offered, ..)| *offered) {
        global.say(format_args!("   {feature:<16} {purpose}"));
    }
}

fn used_for(index: usize, device_type: wgpu::DeviceType) -> String {
    let kernels = match device_type {
        wgpu::DeviceType::Cpu => "kernels for CPU adapters (register tiles, no barriers)",
        _ => "kernels for GPUs (tiles in workgroup memory)",
    };
    match index {
        0 => format!("everything, unless `--device` says otherwise; {kernels}"),
        _ => format!("`--device {index}`; {kernels}"),
    }
}

/// Whether the adapter offers a feature, its name, and what for.
fn features(adapter: &AdapterSummary) -> [(bool, &'static str, &'static str); 5] {
    let has = |feature| adapter.features.contains(feature);
    [
        (has(wgpu::Features::TIMESTAMP_QUERY), "timestamps", "times each kernel in `profile` and `bench`"),
        (has(wgpu::Features::PIPELINE_CACHE), "pipeline cache", "compiled kernels are kept for the next start"),
        (has(wgpu::Features::SHADER_F16), "f16", "for matrix units only"),
        (has(wgpu::Features::SUBGROUP), "subgroup ops", "for matrix units only"),
        (
            has(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
            "matrix units",
            match adapter.matrix_units {
                Ok(_) => "products of f16 with sums in f32, where `--precision f16` asks for them",
                Err(_) => "offered, but not for products of f16 with sums in f32",
            },
        ),
    ]
}

fn entry(index: usize, adapter: &AdapterSummary) -> Value {
    let AdapterSummary { info, limits, .. } = adapter;
    let offered: Vec<&str> =
        features(adapter).into_iter().filter(|(offered, ..)| *offered).map(|(_, name, _)| name).collect();
    json!({
        "index": index,
        "name": info.name,
        "kind": kind(info.device_type),
        "backend": format!("{:?}", info.backend),
        "driver": format!("{} {}", info.driver, info.driver_info).trim(),
        "max_binding_bytes": limits.max_storage_buffer_binding_size,
        "max_buffer_bytes": limits.max_buffer_size,
        "max_storage_buffers": limits.max_storage_buffers_per_shader_stage,
        "max_invocations": limits.max_compute_invocations_per_workgroup,
        "workgroup_memory": limits.max_compute_workgroup_storage_size,
        "max_workgroups": limits.max_compute_workgroups_per_dimension,
        "features": offered,
    })
}
