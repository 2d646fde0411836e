//! What can go wrong on a device.

use super::store::OtherPack;
use crate::plan::PlanError;
use crate::setting::Setting;
use crate::shader::ShaderError;

/// Bytes of a MiB.
const MIB: u64 = 1 << 20;

/// A device that is missing, fails, or cannot do what a plan asks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum GpuError {
    #[error(
        "no GPU adapter was found: install a Vulkan driver (on Debian and Ubuntu `apt-get install mesa-vulkan-drivers \
         libvulkan1` brings a software one), or use {}", Setting("device").to("cpu")
    )]
    NoAdapter,
    #[error("no adapter matches {}; there are: {found}", Setting("device").to(wanted))]
    NoSuchAdapter { wanted: String, found: String },
    #[error(
        "`{adapter}` has no f16 in shaders, or was opened without; use {}, or another device of `tilewright devices`",
        Setting("precision").to("f32")
    )]
    NoHalf { adapter: String },
    #[error(
        "the address space of this process has {} MiB left, and a graphics driver crashes with less than {}; raise its \
         limit (`ulimit -v`), or use {}",
        left / MIB, needed / MIB, Setting("device").to("cpu")
    )]
    AddressSpace { left: u64, needed: u64 },
    #[error("the adapter `{adapter}` refused to open: {reason}")]
    Open { adapter: String, reason: String },
    #[error(
        "the device ran out of memory while {what}; use a smaller {}, {} or {}",
        Setting("batch"),
        Setting("recompute"),
        Setting("micro_batch")
    )]
    OutOfMemory { what: String },
    #[error(
        "this needs {} MiB of memory and {} MiB are free; use a smaller {} or {}, {} or {}",
        needed.div_ceil(MIB), available / MIB, Setting("size"), Setting("batch"), Setting("recompute"), Setting("micro_batch")
    )]
    TooLarge { needed: u64, available: u64 },
    #[error("the device was lost ({reason}); the run can go on from its last checkpoint with {}", Setting("resume"))]
    Lost { reason: String },
    #[error(
        "the device ran out of memory and was lost; use a smaller {}, or {}. The run can go on from its last checkpoint \
         with {}, also with {}",
        Setting("batch"),
        Setting("micro_batch"),
        Setting("resume"),
        Setting("recompute")
    )]
    LostForMemory,
    #[error("the device did not finish within {seconds} s; its driver may hang")]
    Timeout { seconds: u64 },
    #[error("the device refused a command: {reason}")]
    Refused { reason: String },
    #[error("there is no {kind} named `{name}`")]
    UnknownTensor { kind: &'static str, name: String },
    #[error("`{name}` holds {expected} bytes, not {given}")]
    WrongSize { name: String, expected: u64, given: u64 },
    #[error("a pipeline could not be compiled: {reason}")]
    Pipeline { reason: String },
    #[error(transparent)]
    OtherPack(#[from] OtherPack),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Shader(#[from] ShaderError),
}
