//! What a graphics driver needs of the address space: where a limit such as that of `ulimit -v` leaves too little of
//! it, drivers crash in places that do not look whether they got memory.

use super::GpuError;
use crate::memory;

/// Mesa's llvmpipe, on two cores, never gets through LeNet-5 with so many bytes or fewer.
const LEAST: u64 = 768 << 20;

/// What each thread that compiles kernels may take, in bytes: its heap, and the driver's in it.
const FOR_EACH_THREAD: u64 = 256 << 20;

/// What people should know before a device is opened, where the address space is limited.
pub fn address_space_warning() -> Option<String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let safe = LEAST + threads * FOR_EACH_THREAD;
    let left = memory::address_space().filter(|left| *left < safe)?;
    Some(format!(
        "the address space of this process has {} MiB left; a graphics driver may crash without a word below {} MiB, so \
         raise its limit (`ulimit -v`) if it does",
        left >> 20,
        safe >> 20
    ))
}

/// Refuses to open a driver that would crash.
///
/// # Errors
/// [`GpuError::AddressSpace`].
pub(super) fn require() -> Result<(), GpuError> {
    match memory::address_space() {
        Some(left) if left < LEAST => Err(GpuError::AddressSpace { left, needed: LEAST }),
        _ => Ok(()),
    }
}
