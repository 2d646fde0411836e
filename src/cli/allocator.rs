//! What happens when the system gives no more memory: a line that says so and status 1, in place of an abort.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

/// The system's memory. A request of less than [`LARGE`] bytes that is refused ends the process.
pub(crate) struct OrEnd;

/// From this size on a request may be refused and the process go on: images, tensors and files are asked for with
/// `try_reserve`, and the error names them.
const LARGE: usize = 16 << 20;

const MESSAGE: &str = "error: the system gives this process no more memory; give it more (`ulimit -v` shows its limit), or ask for less: a \
     smaller --batch or --size\n";

// SAFETY: all is done by `System`, under the same contract. `or_end` gives its block, or does not return.
unsafe impl GlobalAlloc for OrEnd {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is what `System` asks for; so below.
        or_end(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        or_end(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `alloc`.
        or_end(unsafe { System.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

fn or_end(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() && size < LARGE {
        end();
    }
    block
}

/// Ends the process, without what could ask for memory again: destructors, and the buffers and locks of `std::io`.
#[cold]
fn end() -> ! {
    static IS_TOLD: AtomicBool = AtomicBool::new(false);
    if IS_TOLD.swap(true, Ordering::Relaxed) {
        // Another thread ends the process.
        loop {
            std::thread::park();
        }
    }
    // SAFETY: the message lives for ever and is as long as is said; `_exit` may be called anywhere.
    unsafe {
        libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len());
        libc::_exit(1)
    }
}
