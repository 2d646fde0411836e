//! The pixels of a data set: bytes in memory, or images that are read when a batch takes them.

use super::error::DataError;
use super::{allocate, room};
use crc32c::{crc32c, crc32c_combine};
use rayon::prelude::*;
use std::fmt;
use std::sync::Arc;

/// Where the pixels of images are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// In memory, `[len, channels, height, width]`, 0 to 255.
    Held(Vec<u8>),
    /// Read anew whenever they are needed.
    Streamed(Stream),
}

/// What reads one image at a time, from several threads. A function `|index, out| ...` is one.
pub trait ReadImages: Send + Sync {
    /// Fills `out` with image `index`, `[channels, height, width]`: the same bytes every time.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError>;

    /// What people know the image by, such as its path.
    fn name(&self, index: usize) -> String {
        format!("image {index}")
    }
}

impl<F: Fn(usize, &mut [u8]) -> Result<(), DataError> + Send + Sync> ReadImages for F {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        self(index, out)
    }
}

/// Images that are read when they are needed, and have all been read once: what is known of them since is held against
/// each later reading.
#[derive(Clone)]
pub struct Stream {
    reader: Arc<dyn ReadImages>,
    images: Vec<Seen>,
}

/// Whether an image could be read.
type Read = Result<(), DataError>;

/// What the first reading of an image came to.
#[derive(Clone, Debug)]
struct Seen {
    /// Where the reader has it.
    place: u32,
    checksum: u32,
    /// Of each channel, the sum of its values and of their squares.
    moments: Box<[[u64; 2]]>,
}

impl Stream {
    /// Reads each of `count` images of the `shape` (channels, height, width) once.
    fn of(reader: Arc<dyn ReadImages>, count: usize, [channels, height, width]: [usize; 3]) -> (Stream, Vec<Read>) {
        let see = |image: &mut Vec<u8>, place: usize| {
            let read = reader.read(place, image);
            let moments = image.chunks_exact((height * width).max(1)).map(moments).collect();
            (Seen { place: place as u32, checksum: crc32c(image), moments }, read)
        };
        let each = (0..count).into_par_iter().map_init(|| vec![0; channels * height * width], see);
        let (images, read) = each.unzip();
        (Stream { reader, images }, read)
    }

    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        let seen = &self.images[index];
        self.reader.read(seen.place as usize, out)?;
        match crc32c(out) == seen.checksum {
            true => Ok(()),
            false => Err(DataError::ChangedImage { image: self.reader.name(seen.place as usize) }),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("images", &self.images.len()).finish_non_exhaustive()
    }
}

/// Streams are equal whose images had the same checksums.
impl PartialEq for Stream {
    fn eq(&self, other: &Stream) -> bool {
        let checksums = |stream: &Stream| stream.images.iter().map(|image| image.checksum).collect::<Vec<_>>();
        checksums(self) == checksums(other)
    }
}

impl Eq for Stream {}

impl From<Vec<u8>> for Pixels {
    fn from(bytes: Vec<u8>) -> Pixels {
        Pixels::Held(bytes)
    }
}

impl Pixels {
    /// `count` images of the `shape` (channels, height, width), all of which are read once, and whether each could be.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub(super) fn read_all(
        reader: Arc<dyn ReadImages>,
        name: &str,
        count: usize,
        shape: [usize; 3],
        is_held: bool,
    ) -> Result<(Pixels, Vec<Read>), DataError> {
        if !is_held {
            room::expect_streamable(name, count, shape)?;
            let (stream, read) = Stream::of(reader, count, shape);
            return Ok((Pixels::Streamed(stream), read));
        }
        let image_len: usize = shape.iter().product();
        let mut bytes = allocate(count as u128 * image_len as u128, name)?;
        let each = bytes.par_chunks_exact_mut(image_len.max(1)).enumerate();
        let read = each.map(|(index, out)| reader.read(index, out)).collect();
        Ok((Pixels::Held(bytes), read))
    }

    /// The bytes of all images, where they are in memory.
    pub fn held(&self) -> Option<&[u8]> {
        match self {
            Pixels::Held(bytes) => Some(bytes),
            Pixels::Streamed(_) => None,
        }
    }

    /// As many bytes as images of `image_len` bytes have.
    pub(super) fn are_of(&self, images: usize, image_len: usize) -> bool {
        match self {
            Pixels::Held(bytes) => images.checked_mul(image_len) == Some(bytes.len()),
            Pixels::Streamed(stream) => stream.images.len() == images,
        }
    }

    /// Fills `out`, which is as long as an image, with the image at `index`.
    pub(super) fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        match self {
            Pixels::Held(bytes) => {
                out.copy_from_slice(&bytes[index * out.len()..][..out.len()]);
                Ok(())
            }
            Pixels::Streamed(stream) => stream.read(index, out),
        }
    }

    /// The images at these places.
    pub(super) fn only(&self, kept: &[usize], image_len: usize) -> Pixels {
        match self {
            Pixels::Held(bytes) => {
                let mut images = Vec::with_capacity(kept.len() * image_len);
                kept.iter().for_each(|&index| images.extend_from_slice(&bytes[index * image_len..][..image_len]));
                Pixels::Held(images)
            }
            Pixels::Streamed(Stream { reader, images }) => {
                let images = kept.iter().map(|&index| images[index].clone()).collect();
                Pixels::Streamed(Stream { reader: Arc::clone(reader), images })
            }
        }
    }

    /// CRC-32C of the bytes of all images of `image_len` bytes, in their order.
    pub(crate) fn checksum(&self, image_len: usize) -> u32 {
        match self {
            Pixels::Held(bytes) => crc32c(bytes),
            Pixels::Streamed(stream) => {
                let each = stream.images.par_iter().map(|image| (image.checksum, image_len));
                each.reduce(|| (0, 0), |(a, before), (b, after)| (crc32c_combine(a, b, after), before + after)).0
            }
        }
    }

    /// Of each channel, the sum of its values and of their squares over all images.
    pub(super) fn moments(&self, [channels, height, width]: [usize; 3]) -> Vec<[u64; 2]> {
        let mut sums = vec![[0; 2]; channels];
        let mut add = |channel: usize, [sum, square]: [u64; 2]| {
            sums[channel] = [sums[channel][0] + sum, sums[channel][1] + square];
        };
        match self {
            Pixels::Held(bytes) => {
                let planes = bytes.chunks_exact((height * width).max(1)).map(moments);
                planes.enumerate().for_each(|(plane, of_plane)| add(plane % channels.max(1), of_plane));
            }
            Pixels::Streamed(stream) => {
                let all = stream.images.iter().flat_map(|image| image.moments.iter().enumerate());
                all.for_each(|(channel, &of_plane)| add(channel, of_plane));
            }
        }
        sums
    }
}

/// The sum of the values of a plane, and of their squares.
fn moments(plane: &[u8]) -> [u64; 2] {
    let add = |[sum, square]: [u64; 2], &value: &u8| [sum + u64::from(value), square + u64::from(value).pow(2)];
    plane.iter().fold([0, 0], add)
}
