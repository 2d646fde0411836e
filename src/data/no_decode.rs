//! What stands for image files in a build without the feature `image`.

use super::Preprocessing;
use super::encoded::Encoded;
use super::error::{DataError, ImageSize};
use std::path::Path;

/// Pixels beyond which an image is refused, where nothing else is asked for.
pub const MAX_PIXELS: u64 = 100_000_000;

/// What a file says of itself before it is decoded.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub size: ImageSize,
    pub colour: bool,
}

pub(crate) fn read_header(image: &Encoded, _: u64) -> Result<Header, DataError> {
    Err(without(&image.path()))
}

/// Image files are not read in this build.
///
/// # Errors
/// Always.
pub fn load_image(path: &Path, _: usize, _: (usize, usize), _: Preprocessing, _: u64) -> Result<Vec<u8>, DataError> {
    Err(without(path))
}

pub(crate) fn decode_image(
    image: &Encoded,
    _: usize,
    _: ImageSize,
    _: Preprocessing,
    _: u64,
    _: &mut [u8],
) -> Result<(), DataError> {
    Err(without(&image.path()))
}

fn without(path: &Path) -> DataError {
    let cause = "this build reads no image files: it lacks the feature `image`".to_owned();
    DataError::Undecodable { path: path.into(), cause }
}
