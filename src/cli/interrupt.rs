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
pub(super) fn on_interrupt() -> Result<Arc<AtomicBool>, CliError> {
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
pub(super) fn status() -> u8 {
    let signal = SIGNAL.get().map_or(0, |signal| signal.load(Ordering::Relaxed));
    let signal = if signal == 0 { SIGINT } else { signal as i32 };
    u8::try_from(status_of(signal)).unwrap_or(1)
}

fn status_of(signal: i32) -> i32 {
    128 + signal
}

/// SIGHUP, unless `nohup` has had it ignored.
#[cfg(unix)]
fn hangup() -> Option<i32> {
    use signal_hook::consts::SIGHUP;
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action nothing changes, and the one that holds is written where there is room for it. Of
    // zeros it is an action too, the default one.
    let action = unsafe {
        libc::sigaction(SIGHUP, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    (action.sa_sigaction != libc::SIG_IGN).then_some(SIGHUP)
}

/// Elsewhere no terminal goes away.
#[cfg(not(unix))]
fn hangup() -> Option<i32> {
    None
}
