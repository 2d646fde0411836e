//! One process at a time writes to a folder of a run. The lock is the system's: it ends with its process, however that
//! ends, so none is ever left over.

use super::TrainError;
use crate::atomic_file::sweep_up;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// Holds a folder until it is dropped.
pub(super) struct RunLock {
    /// None where the file system has no locks.
    _file: Option<File>,
}

/// The file that is locked. It holds the number of the process that has it, or had it last.
const FILE: &str = ".lock";

impl RunLock {
    /// Takes `folder`, and removes the temporary files that killed processes have left there.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be written.
    pub(super) fn take(folder: &Path) -> Result<RunLock, TrainError> {
        let path = folder.join(FILE);
        let options = File::options().create(true).read(true).write(true).truncate(false).clone();
        let mut file = options.open(&path).map_err(TrainError::file(&path, "opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(_)) => return Ok(RunLock { _file: None }),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).ok();
                return Err(TrainError::Locked { folder: folder.to_owned(), holder: holder.trim().parse().ok() });
            }
        }
        // Only for people: who cannot be named still holds the lock.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).ok();
        sweep_up(folder);
        Ok(RunLock { _file: Some(file) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_and_free_again_when_that_one_ends() {
        let folder = tempfile::tempdir().unwrap();
        let held = RunLock::take(folder.path()).unwrap();
        let refused = RunLock::take(folder.path()).err().unwrap().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        RunLock::take(folder.path()).unwrap();
    }
}
