//! Sets of images in several archives: which there are, what each is for, and how much of them may be held.

use super::error::DataError;
use super::listed::Split;
use super::room::Room;
use super::{MemorySize, require_folder};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Files of one kind.
pub(super) struct ShardKind {
    /// Endings of their names, in lower case.
    pub endings: &'static [&'static str],
    /// What they are, for people, where there is a folder for them.
    pub wanted: &'static str,
    /// The same, where a folder has none.
    pub expected: &'static str,
}

impl ShardKind {
    /// Those in a folder and in the folders in it, in the order of their names, and what each is for by the words of its
    /// name; or the one file that `place` is, to train on.
    ///
    /// # Errors
    /// When there are none, or a folder cannot be read.
    pub(super) fn find(&self, place: &Path) -> Result<Vec<(PathBuf, Split)>, DataError> {
        if place.is_file() {
            return Ok(vec![(place.to_owned(), Split::Train)]);
        }
        require_folder(place, self.wanted)?;
        let mut paths = Vec::new();
        for path in entries(place)? {
            match path.is_dir() {
                true => paths.extend(entries(&path)?),
                false => paths.push(path),
            }
        }
        paths.retain(|path| path.is_file() && has_ending(path, self.endings));
        paths.sort();
        let split = |path: &Path| {
            let within = path.strip_prefix(place).unwrap_or(path).to_string_lossy().into_owned();
            let words = within.split(|c: char| !c.is_ascii_alphanumeric());
            words.into_iter().find_map(Split::named).unwrap_or(Split::Train)
        };
        let shards: Vec<(PathBuf, Split)> = paths.into_iter().map(|path| (path.clone(), split(&path))).collect();
        match shards.is_empty() {
            false => Ok(shards),
            true => Err(DataError::Empty {
                path: place.into(),
                expected: self.expected,
                remedy: "Name the folder that holds them.",
            }),
        }
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read_error = |cause| DataError::Read { path: folder.to_owned(), cause };
    let entries = fs::read_dir(folder).map_err(read_error)?;
    entries.map(|entry| Ok(entry.map_err(read_error)?.path())).collect()
}

/// Whether the file's name has one of these endings, in any case, and is not hidden.
pub(super) fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !name.starts_with('.') && endings.iter().any(|ending| name.ends_with(ending))
}

/// Bytes of images that have no place that they could be read from when they are needed.
pub(super) struct Store {
    bytes: AtomicU64,
    room: Room,
}

impl Store {
    pub(super) fn new(room: Room) -> Store {
        Store { bytes: AtomicU64::new(0), room }
    }

    /// What it holds at most.
    pub(super) fn size(&self) -> MemorySize {
        self.room.size()
    }

    /// Takes so many bytes more; false when there is no room for them.
    pub(super) fn takes(&self, bytes: u64) -> bool {
        self.room.is_for(self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes)
    }
}
