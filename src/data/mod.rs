//! Data sets: where they come from ([`Source`]), what they are in memory ([`Dataset`]) and how
//! they reach a training step ([`Batches`]).

mod ahead;
mod augment;
mod batches;
mod cifar;
mod classes;
mod convert;
mod csv_list;
mod dataset;
#[cfg(feature = "image")]
mod decode;
#[cfg(not(feature = "image"))]
#[path = "no_decode.rs"]
mod decode;
#[cfg_attr(not(feature = "image"), expect(dead_code, reason = "a build that decodes nothing reads no bytes"))]
mod encoded;
mod error;
mod files;
mod folder;
mod held_out;
pub mod idx;
#[cfg(feature = "image")]
mod in_flight;
mod jpeg;
mod left_out;
mod listed;
mod memory_size;
mod normalize;
mod own;
mod packed;
#[cfg(feature = "image")]
mod parquet;
mod pixels;
mod preprocessing;
mod resample;
mod room;
mod sampler;
mod shards;
mod source;
mod splits;
mod synthetic;
mod views;
mod webdataset;

use dataset::round_robin;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use ahead::Ahead;
pub use augment::{AugmentError, Augmentations, Mixture};
pub use batches::{Batches, IGNORED_LABEL, Normalization};
pub(crate) use classes::listed;
pub use classes::{ClassDifference, ClassMatching, are_numbers, match_classes};
pub use dataset::Dataset;
pub use decode::{MAX_PIXELS, load_image};
pub use error::{DataError, ImageSize};
pub use files::Damaged;
pub use folder::images_of;
pub use held_out::{Fold, HeldOut};
pub use jpeg::is_cut_off;
pub use memory_size::MemorySize;
pub use normalize::Normalize;
pub use own::{Examples, register};
pub use packed::PackedBatch;
pub use pixels::{Pixels, ReadImages, Stream};
pub use preprocessing::{Asked, Interpolation, Preprocessing};
pub use sampler::Sampler;
pub use source::{LoadOptions, Source};
pub use splits::Splits;
pub use views::{View, Views};

/// Refuses what is not a folder; `expected` says what should lie there.
fn require_folder(path: &Path, expected: &str) -> Result<(), DataError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Err(cause) if !matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(DataError::Read { path: path.into(), cause })
        }
        _ => Err(DataError::MissingFolder { path: path.into(), expected: expected.into() }),
    }
}

/// The first file there is: each name in the first folder, then each in the next.
fn find_file(folders: &[&Path], names: Vec<String>, remedy: &'static str) -> Result<PathBuf, DataError> {
    let mut candidates = folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    candidates.find(|path| path.is_file()).ok_or_else(|| {
        let inner = |folder: &&Path| folder.strip_prefix(folders[0]).map(Path::to_path_buf);
        let looked_for = folders
            .iter()
            .flat_map(|folder| {
                let inside = inner(folder).unwrap_or_default();
                names.iter().map(move |name| inside.join(name).display().to_string())
            })
            .collect();
        DataError::MissingFile { folder: folders[0].into(), looked_for, remedy }
    })
}

/// `bytes` zeros, or an error that says how much was asked for.
fn allocate(bytes: u128, name: &str) -> Result<Vec<u8>, DataError> {
    let available = crate::memory::available();
    let too_large = || {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        DataError::TooLarge { name: name.to_owned(), bytes, available }
    };
    // The system gives more than there is, and ends the process when it is used.
    if available.is_some_and(|available| bytes > u128::from(available)) {
        return Err(too_large());
    }
    let length = usize::try_from(bytes).map_err(|_| too_large())?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).map_err(|_| too_large())?;
    buffer.resize(length, 0);
    Ok(buffer)
}
