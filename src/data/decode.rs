//! One image: its header, and its pixels as colour planes.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::Preprocessing;
use super::convert::image_channels;
use super::encoded::Encoded;
use super::error::{DataError, ImageSize};
use super::in_flight::{self, Taken};
use super::jpeg;
use crate::memory;

/// Pixels beyond which an image is refused, where nothing else is asked for.
pub const MAX_PIXELS: u64 = 100_000_000;

/// Pixels from which on it is looked whether there is memory for them.
const LARGE: u64 = 4_000_000;

/// What decoding takes beside the pixels as they are stored, at most: the coefficients of a progressive JPEG, or the
/// pixels in 8 bits and as colour planes.
const BYTES_BESIDE: u64 = 6;

/// What a file says of itself before it is decoded.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    /// Upright, as EXIF turns it.
    pub size: ImageSize,
    /// False when the pixels are grey, with or without transparency.
    pub colour: bool,
}

/// Reads an image and what its header says, and decodes nothing.
///
/// # Errors
/// A file that cannot be opened, is no JPEG, PNG, WebP or BMP, or says that it has more than `max_pixels` pixels.
pub(crate) fn read_header(image: &Encoded, max_pixels: u64) -> Result<Header, DataError> {
    let (path, bytes) = (&image.path(), image.bytes()?);
    let mut decoder = decoder(path, &bytes, max_pixels)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = match turn(path, &mut decoder)? {
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => {
            (height, width)
        }
        _ => (width, height),
    };
    let size = ImageSize { height: height as usize, width: width as usize };
    Ok(Header { size, colour: decoder.color_type().has_color() })
}

/// One image file as `[channels, height, width]` bytes, brought to `(height, width)` by `preprocessing`.
///
/// # Errors
/// A file that cannot be opened, is no JPEG, PNG, WebP or BMP, is damaged, or says that it has more than
/// `max_pixels` pixels.
pub fn load_image(
    path: &Path,
    channels: usize,
    (height, width): (usize, usize),
    preprocessing: Preprocessing,
    max_pixels: u64,
) -> Result<Vec<u8>, DataError> {
    let mut image = vec![0; channels * height * width];
    let file = Encoded::File(path.to_owned());
    decode_image(&file, channels, ImageSize { height, width }, preprocessing, max_pixels, &mut image)?;
    Ok(image)
}

/// Writes `[channels, height, width]` to `out`: upright, as EXIF turns it, and without its transparency.
///
/// # Errors
/// As [`load_image`].
pub(crate) fn decode_image(
    image: &Encoded,
    channels: usize,
    size: ImageSize,
    preprocessing: Preprocessing,
    max_pixels: u64,
    out: &mut [u8],
) -> Result<(), DataError> {
    let (image, _taken) = upright(image, max_pixels)?;
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
    preprocessing.apply(&image_channels(&planes, have, channels), from, out, size);
    Ok(())
}

/// The whole image, and its share in those that are decoded at a time.
fn upright(image: &Encoded, max_pixels: u64) -> Result<(DynamicImage, Taken), DataError> {
    let (path, bytes) = (&image.path(), image.bytes()?);
    let mut decoder = decoder(path, &bytes, max_pixels)?;
    let orientation = turn(path, &mut decoder)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let taken = in_flight::take(pixels);
    if pixels >= LARGE {
        let bytes = decoder.total_bytes().saturating_add(pixels.saturating_mul(BYTES_BESIDE));
        expect_room(path, ImageSize { height: height as usize, width: width as usize }, bytes)?;
    }
    if bytes.starts_with(&[0xff, 0xd8]) && !jpeg::has_all_blocks(&bytes) {
        return Err(undecodable(path, "part of its image data is missing".to_owned()));
    }
    let mut image = DynamicImage::from_decoder(decoder).map_err(|cause| undecodable(path, cause.to_string()))?;
    image.apply_orientation(orientation);
    Ok((image, taken))
}

/// Refuses an image that there is no memory for: decoders do not ask, and the process would end.
fn expect_room(path: &Path, size: ImageSize, bytes: u64) -> Result<(), DataError> {
    match memory::available() {
        Some(available) if bytes > available => {
            Err(DataError::NoRoomForImage { path: path.into(), size, bytes, available })
        }
        _ => Ok(()),
    }
}

fn decoder<'a>(path: &Path, bytes: &'a [u8], max_pixels: u64) -> Result<impl ImageDecoder + 'a, DataError> {
    // By content: a PNG called .jpg is still an image.
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|cause| DataError::Read { path: path.into(), cause })?;
    // The number of pixels is limited instead.
    reader.no_limits();
    // The decoders fill what is missing with some colour.
    let is_cut_off = match reader.format() {
        Some(ImageFormat::Jpeg) => !jpeg::has_end(bytes),
        Some(ImageFormat::WebP) => !has_riff_length(bytes),
        // Their decoders tell.
        _ => false,
    };
    if is_cut_off {
        return Err(undecodable(path, "it is cut off: its end is missing".to_owned()));
    }
    let decoder = reader.into_decoder().map_err(|cause| undecodable(path, cause.to_string()))?;
    let (width, height) = decoder.dimensions();
    let size = ImageSize { height: height as usize, width: width as usize };
    match u64::from(height) * u64::from(width) {
        0 => Err(undecodable(path, format!("its size is {size}"))),
        pixels if pixels > max_pixels => {
            Err(DataError::TooManyPixels { path: path.into(), size, pixels, most: max_pixels })
        }
        _ => Ok(decoder),
    }
}

/// Whether a RIFF file, as WebP is one, is as long as it says.
fn has_riff_length(bytes: &[u8]) -> bool {
    let length = bytes.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word));
    bytes.len() as u64 >= u64::from(length) + 8
}

/// How EXIF turns the image.
fn turn(path: &Path, decoder: &mut impl ImageDecoder) -> Result<Orientation, DataError> {
    decoder.orientation().map_err(|cause| undecodable(path, cause.to_string()))
}

fn undecodable(path: &Path, cause: String) -> DataError {
    DataError::Undecodable { path: path.into(), cause }
}
