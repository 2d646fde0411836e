//! An image as it is stored: a file of its own, or a part of an archive.

use super::error::DataError;
use crate::regular_file;
use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the bytes of an image are.
#[derive(Clone, Debug)]
pub(crate) enum Encoded {
    File(PathBuf),
    /// `length` bytes of an archive that is not compressed, from `at` on.
    Part {
        archive: Arc<Path>,
        name: String,
        at: u64,
        length: usize,
    },
    /// The bytes themselves, of an archive that is.
    Held {
        archive: Arc<Path>,
        name: String,
        bytes: Vec<u8>,
    },
}

impl Encoded {
    /// Where it is, for people: a member of an archive stands below it.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Encoded::File(path) => path.clone(),
            Encoded::Part { archive, name, .. } | Encoded::Held { archive, name, .. } => archive.join(name),
        }
    }

    /// Bytes of it that are in memory.
    pub(super) fn held_bytes(&self) -> u64 {
        match self {
            Encoded::File(_) | Encoded::Part { .. } => 0,
            Encoded::Held { bytes, .. } => bytes.len() as u64,
        }
    }

    /// # Errors
    /// When they cannot be read.
    pub(super) fn bytes(&self) -> Result<Cow<'_, [u8]>, DataError> {
        let read = match self {
            Encoded::File(path) => regular_file::read(path),
            Encoded::Part { archive, at, length, .. } => part(archive, *at, *length),
            Encoded::Held { bytes, .. } => return Ok(Cow::Borrowed(bytes)),
        };
        read.map(Cow::Owned).map_err(|cause| DataError::Read { path: self.path(), cause })
    }
}

fn part(archive: &Path, at: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(archive)?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).map(|()| bytes)
}
