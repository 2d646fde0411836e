//! `tilewright devices`: what this machine can compute on.

use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use tilewright::gpu::{Adapter, AdapterKind, GpuError, adapters};

/// List the adapters of this machine: limits, features, and what each is used for
#[derive(Args)]
pub(super) struct Devices {}

impl Devices {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
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

fn tell(global: &Global, index: usize, adapter: &Adapter) {
    let info = &adapter.info;
    let mib = |bytes: u64| bytes >> 20;
    global.say(format_args!("{index}: {}", info.name));
    global.say(format_args!("   kind             {}, {}", info.kind, info.backend));
    global.say(format_args!("   driver           {}", info.driver));
    global.say(format_args!("   used for         {}", used_for(index, info.kind)));
    global.say(format_args!(
        "   largest tensor   {} MiB per binding, {} MiB per buffer, {} storage buffers per kernel",
        mib(adapter.max_binding_bytes),
        mib(adapter.max_buffer_bytes),
        adapter.max_storage_buffers
    ));
    global.say(format_args!(
        "   workgroups       {} invocations, {} KiB memory, {} per dimension",
        adapter.max_invocations,
        adapter.workgroup_memory >> 10,
        adapter.max_workgroups
    ));
    let [fewest, most] = adapter.subgroup_size;
    global.say(format_args!("   subgroups        {fewest} to {most}"));
    for (_, feature, purpose) in features(adapter).into_iter().filter(|(offered, ..)| *offered) {
        global.say(format_args!("   {feature:<16} {purpose}"));
    }
}

fn used_for(index: usize, kind: AdapterKind) -> String {
    let kernels = match kind {
        AdapterKind::Software => "kernels for CPU adapters (register tiles, no barriers)",
        _ => "kernels for GPUs (tiles in workgroup memory)",
    };
    match index {
        0 => format!("everything, unless `--device` says otherwise; {kernels}"),
        _ => format!("`--device {index}`; {kernels}"),
    }
}

/// Whether the adapter offers a feature, its name, and what for.
fn features(adapter: &Adapter) -> [(bool, &'static str, &'static str); 5] {
    [
        (adapter.timestamps, "timestamps", "times each kernel in `profile` and `bench`"),
        (adapter.pipeline_cache, "pipeline cache", "compiled kernels are kept for the next start"),
        (adapter.f16, "f16", "stores features in half of the memory, where `--precision f16` asks for it"),
        (adapter.subgroups, "subgroup ops", "for matrix units only"),
        (
            adapter.cooperative_matrices,
            "matrix units",
            match adapter.matrix_units {
                Ok(_) => "products of f16 with sums in f32, where `--precision f16` asks for them",
                Err(_) => "offered, but not for products of f16 with sums in f32",
            },
        ),
    ]
}

fn entry(index: usize, adapter: &Adapter) -> Value {
    let info = &adapter.info;
    let offered: Vec<&str> =
        features(adapter).into_iter().filter(|(offered, ..)| *offered).map(|(_, name, _)| name).collect();
    json!({
        "index": index,
        "name": info.name,
        "kind": info.kind.to_string(),
        "backend": info.backend,
        "driver": info.driver,
        "max_binding_bytes": adapter.max_binding_bytes,
        "max_buffer_bytes": adapter.max_buffer_bytes,
        "max_storage_buffers": adapter.max_storage_buffers,
        "max_invocations": adapter.max_invocations,
        "workgroup_memory": adapter.workgroup_memory,
        "max_workgroups": adapter.max_workgroups,
        "features": offered,
    })
}
