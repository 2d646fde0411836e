//! One image file: its header, and its pixels as colour planes.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader};

use super::convert::{image_channels, resize_image};
use super::error::{DataError, ImageSize};

/// What a file says of itself before it is decoded.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub size: ImageSize,
    /// False when the pixels are grey, with or without transparency.
    pub colour: bool,
}

/// Reads as little of the file as tells its size.
///
/// # Errors
/// A file that cannot be opened or is no JPEG or PNG.
pub(crate) fn read_header(path: &Path) -> Result<Header, DataError> {
    let decoder = decoder(path)?;
    let (width, height) = decoder.dimensions();
    let size = ImageSize { height: height as usize, width: width as usize };
    if height == 0 || width == 0 {
        return Err(undecodable(path, format!("its size is {size}")));
    }
    Ok(Header { size, colour: decoder.color_type().has_color() })
}

/// One image file as `[channels, height, width]` bytes, resized to `(height, width)`.
///
/// # Errors
/// A file that cannot be opened or is no JPEG or PNG.
pub fn load_image(path: &Path, channels: usize, (height, width): (usize, usize)) -> Result<Vec<u8>, DataError> {
    let mut image = vec![0; channels * height * width];
    decode_image(path, channels, ImageSize { height, width }, &mut image)?;
    Ok(image)
}

/// Writes `[channels, height, width]` to `out`. Transparency is dropped; a turn that EXIF asks for
/// is not made (torchvision does not make it either).
///
/// # Errors
/// As [`read_header`].
pub(crate) fn decode_image(path: &Path, channels: usize, size: ImageSize, out: &mut [u8]) -> Result<(), DataError> {
    let image = DynamicImage::from_decoder(decoder(path)?).map_err(|cause| undecodable(path, cause.to_string()))?;
    let from = ImageSize { height: image.height() as usize, width: image.width() as usize };
    let have = if image.color().has_color() { 3 } else { 1 };
    let planes = match have {
        1 => image.into_luma8().into_raw(),
        _ => {
            let pixels = image.into_rgb8().into_raw();
            let plane = |channel| pixels.iter().skip(channel).step_by(3).copied();
            (0..3).flat_map(plane).collect()
        }
    };
    resize_image(&image_channels(&planes, have, channels), from, out, size);
    Ok(())
}

fn decoder(path: &Path) -> Result<impl ImageDecoder, DataError> {
    let read_error = |cause| DataError::Read { path: path.into(), cause };
    let file = File::open(path).map_err(read_error)?;
    // By content: a PNG called .jpg is still an image.
    ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(read_error)?
        .into_decoder()
        .map_err(|cause| undecodable(path, cause.to_string()))
}

fn undecodable(path: &Path, cause: String) -> DataError {
    DataError::Undecodable { path: path.into(), cause }
}
