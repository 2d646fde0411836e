//! Ctrl-C and its like, for commands that have something to keep before they end.

use super::CliError;
use signal_hook::consts::{SIGINT, TERM_SIGNALS};
use signal_hook::flag;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The last signal that asked the process to end; 0 for none.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// What turns true at Ctrl-C, when the terminal goes away, or when the system asks the process to end; a second time
/// ends it at once.
pub fn on_interrupt() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let last = SIGNAL.get_or_init(Arc::default);
    let listen = |signal| {
        // In this order: the first signal must not find what it set itself.
        flag::register_conditional_shutdown(signal, status_of(signal), Arc::clone(&stop))?;
        flag::register_usize(signal, Arc::clone(last), signal as usize)?;
        flag::register(signal, Arc::clone(&stop))
    };
    for signal in TERM_SIGNALS.iter().copied().chain(hangup()) {
        listen(signal).map_err(|error| CliError::failed(format!("Ctrl-C cannot be listened for: {error}")))?;
    }
    Ok(stop)
}

/// The exit status of a command that was stopped, as a shell has it: 128 and the number of the signal.
pub fn status() -> u8 {
    let signal = SIGNAL.get().map_or(0, |signal| signal.load(Ordering::Relaxed));
    let signal = if signal == 0 { SIGINT } else { signal as i32 };
    u8::try_from(status_of(signal)).unwrap_or(1)
}

fn status_of(signal: i32) -> i32 {
    128 + signal
}

/// SIGHUP, unless `nohup` has had it ignored.
#[cfg(target_os = "linux")]
fn hangup() -> Option<i32> {
    use signal_hook::consts::SIGHUP;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    // Bit 0 is signal 1.
    (ignored >> (SIGHUP - 1) & 1 == 0).then_some(SIGHUP)
}

/// Elsewhere it is not known whether it is ignored, and is left as it is.
#[cfg(not(target_os = "linux"))]
fn hangup() -> Option<i32> {
    None
}
