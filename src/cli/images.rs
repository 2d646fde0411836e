//! Images that a command is asked about, brought to what a model takes in batches.

use super::{CliError, Global};
use std::path::{Path, PathBuf};
use tilewright::checkpoint::Header;
use tilewright::data::{images_of, load_image};
use tilewright::train::Batch;

/// Pixels of the images of a batch: those of 16 images of ImageNet's size.
const BATCH_PIXELS: usize = 16 * 224 * 224;

/// The files that are meant: images, folders of which all images are taken in the order of their names, and patterns such as
/// `photos/*.jpg`.
pub(super) fn files(paths: &[PathBuf], global: &Global) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let (images, left_out) = images_of(path)?;
            left_out.iter().for_each(|note| global.note(note));
            files.extend(images);
            continue;
        }
        match path.to_str().filter(|text| !path.exists() && text.contains(['*', '?', '['])) {
            Some(pattern) => files.extend(matching(pattern)?),
            None => files.push(path.clone()),
        }
    }
    Ok(files)
}

/// The files that a pattern means, by their names.
fn matching(pattern: &str) -> Result<Vec<PathBuf>, CliError> {
    let wrong = |reason: String| CliError::usage(format!("`{pattern}` is not a pattern of files: {reason}"));
    let found = glob::glob(pattern).map_err(|reason| wrong(reason.to_string()))?;
    let files: Vec<PathBuf> = found.flatten().filter(|path| path.is_file()).collect();
    match files.is_empty() {
        false => Ok(files),
        true => Err(CliError::usage(format!("`{pattern}` means no file: give images, folders, or another pattern"))),
    }
}

/// The shape of batches for so many images.
pub(super) fn batch_of(images: usize, header: &Header) -> Batch {
    let [channels, height, width] = header.input;
    let size = (BATCH_PIXELS / (height * width).max(1)).clamp(1, 16).min(images.max(1));
    Batch { shape: [size, channels, height, width], classes: header.classes.len() }
}

/// Images of a batch, as the model takes them: bytes, and the reason for each that has none; and the normalised numbers of all
/// those that have, with zeros in the places of those that are missing to a whole batch.
pub(super) struct Loaded {
    pub bytes: Vec<Result<Vec<u8>, String>>,
    pub numbers: Vec<f32>,
}

impl Loaded {
    pub(super) fn read(files: &[PathBuf], header: &Header, batch: Batch, max_pixels: u64) -> Loaded {
        let [size, channels, height, width] = batch.shape;
        let load = |file: &Path| load_image(file, channels, (height, width), header.preprocessing, max_pixels);
        let bytes: Vec<_> = files.iter().map(|file| load(file).map_err(|error| error.to_string())).collect();
        let mut numbers: Vec<f32> =
            bytes.iter().flatten().flat_map(|image| header.normalization.apply(image)).collect();
        if !numbers.is_empty() {
            numbers.resize(size * channels * height * width, 0.0);
        }
        Loaded { bytes, numbers }
    }
}
