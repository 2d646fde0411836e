//! IDX files, the format of MNIST and its family (Fashion-MNIST, KMNIST): a big-endian header,
//! then bytes. Gzip is recognised by content, whatever the name says.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::{DataError, ImageSize};
use super::{Dataset, Splits};

/// Magic number of labels: unsigned bytes, 1 dimension.
pub const LABELS_MAGIC: u32 = 0x0000_0801;
/// Magic number of images: unsigned bytes, 3 dimensions (count, height, width).
pub const IMAGES_MAGIC: u32 = 0x0000_0803;

const MAX_SIDE: usize = 65_535;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const REMEDY: &str = "Download the four files of the data set into this folder (gzip may stay).";

/// The images of one IDX file: grey, `[count, 1, height, width]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    pub count: usize,
    pub height: usize,
    pub width: usize,
    pub pixels: Vec<u8>,
}

/// Loads the four files of a folder. Classes are named by number, up to the largest label.
///
/// # Errors
/// A folder or file that is missing, a damaged file, or counts and sizes that do not agree.
pub(crate) fn load(dir: &Path, name: &str) -> Result<Splits, DataError> {
    super::require_folder(dir, "the four IDX files of the data set in it")?;
    let paths = |split: &str| -> Result<(PathBuf, PathBuf), DataError> {
        Ok((find(dir, &format!("{split}-images"), "idx3-ubyte")?, find(dir, &format!("{split}-labels"), "idx1-ubyte")?))
    };
    let (train_paths, test_paths) = (paths("train")?, paths("t10k")?);
    let read = |(images, labels): (PathBuf, PathBuf)| -> Result<_, DataError> {
        let pair = (read_images(&images)?, read_labels(&labels)?);
        check_counts(&pair.0, &pair.1, images, labels)?;
        Ok(pair)
    };
    splits(read(train_paths)?, read(test_paths)?, dir, name)
}

/// The sample that is compiled into the binary: 10,000 training and 2,000 test digits of MNIST,
/// 1,000 and 200 a class, cut by `examples/cut_mnist_sample.rs`.
pub(crate) fn load_bundled() -> Result<Splits, DataError> {
    macro_rules! bundled {
        ($file:literal) => {
            (&include_bytes!(concat!("mnist_sample/", $file))[..], Path::new($file))
        };
    }
    let images = |(bytes, path)| parse_images(bytes, path);
    let labels = |(bytes, path)| parse_labels(bytes, path);
    splits(
        (images(bundled!("train-images-idx3-ubyte.gz"))?, labels(bundled!("train-labels-idx1-ubyte.gz"))?),
        (images(bundled!("t10k-images-idx3-ubyte.gz"))?, labels(bundled!("t10k-labels-idx1-ubyte.gz"))?),
        Path::new("mnist"),
        "mnist",
    )
}

/// Reads a file of images.
///
/// # Errors
/// A file that cannot be read, another magic number, impossible sizes, or another length than the
/// header says.
pub fn read_images(path: &Path) -> Result<IdxImages, DataError> {
    parse_images(BufReader::new(open(path)?), path)
}

/// Reads a file of labels, `[count]`.
///
/// # Errors
/// As [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    parse_labels(BufReader::new(open(path)?), path)
}

fn parse_images(input: impl BufRead, path: &Path) -> Result<IdxImages, DataError> {
    let mut body = Body::open(input, path)?;
    let [count, height, width] = body.header(IMAGES_MAGIC, "images")?;
    let side = 1..=MAX_SIDE;
    if count == 0 || !side.contains(&height) || !side.contains(&width) {
        let got = format!("{count} images of {}", ImageSize { height, width });
        return Err(DataError::ImpossibleHeader { path: path.into(), got });
    }
    // Cannot overflow: below 2^32 * 2^16 * 2^16.
    let pixels = body.bytes(count as u64 * (height * width) as u64, 16)?;
    Ok(IdxImages { count, height, width, pixels })
}

fn parse_labels(input: impl BufRead, path: &Path) -> Result<Vec<u8>, DataError> {
    let mut body = Body::open(input, path)?;
    let [count] = body.header(LABELS_MAGIC, "labels")?;
    body.bytes(count as u64, 8)
}

/// The decompressed content of a file.
struct Body<'a> {
    input: Box<dyn Read + 'a>,
    path: &'a Path,
}

impl<'a> Body<'a> {
    fn open(mut input: impl BufRead + 'a, path: &'a Path) -> Result<Self, DataError> {
        let start = input.fill_buf().map_err(|cause| read_error(path, cause))?;
        let input: Box<dyn Read + 'a> = match start.starts_with(&GZIP_MAGIC) {
            true => Box::new(MultiGzDecoder::new(input)),
            false => Box::new(input),
        };
        Ok(Self { input, path })
    }

    /// Reads the magic number and the sizes of `N` dimensions.
    fn header<const N: usize>(&mut self, expected: u32, kind: &'static str) -> Result<[usize; N], DataError> {
        let header = self.bytes_up_to(4 + 4 * N as u64)?;
        let words: Vec<u32> =
            header.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]])).collect();
        if let Some(&got) = words.first().filter(|&&magic| magic != expected) {
            return Err(DataError::WrongMagic { path: self.path.into(), kind, expected, got });
        }
        if words.len() != N + 1 {
            return Err(self.wrong_length(4 + 4 * N as u64, header.len()));
        }
        Ok(std::array::from_fn(|dimension| words[dimension + 1] as usize))
    }

    /// Reads exactly `length` bytes to the end of the file, after a header of `header` bytes.
    fn bytes(&mut self, length: u64, header: u64) -> Result<Vec<u8>, DataError> {
        // One byte more shows whether the file goes on.
        let bytes = self.bytes_up_to(length + 1)?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(self.wrong_length(header + length, header as usize + bytes.len())),
        }
    }

    /// Grows with what is really there: a header may claim terabytes, so it is not trusted with an
    /// allocation.
    fn bytes_up_to(&mut self, most: u64) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        match self.input.by_ref().take(most).read_to_end(&mut bytes) {
            // A gzip stream that breaks off: what came before is kept, and is too short.
            Err(cause) if cause.kind() != ErrorKind::UnexpectedEof => Err(read_error(self.path, cause)),
            _ => Ok(bytes),
        }
    }

    fn wrong_length(&self, expected: u64, got: usize) -> DataError {
        DataError::WrongLength { path: self.path.into(), expected, got: got as u64 }
    }
}

fn splits(
    train: (IdxImages, Vec<u8>),
    test: (IdxImages, Vec<u8>),
    dir: &Path,
    name: &str,
) -> Result<Splits, DataError> {
    let size = |images: &IdxImages| ImageSize { height: images.height, width: images.width };
    if size(&train.0) != size(&test.0) {
        let (train, test) = (size(&train.0), size(&test.0));
        return Err(DataError::SplitSizes { path: dir.into(), train, test });
    }
    let last = train.1.iter().chain(&test.1).max().copied().unwrap_or(0);
    let dataset = |(images, labels): (IdxImages, Vec<u8>), split: &str| Dataset {
        name: format!("{name} ({split})"),
        channels: 1,
        height: images.height,
        width: images.width,
        classes: (0..=last).map(|class| class.to_string()).collect(),
        images: images.pixels,
        labels: labels.into_iter().map(u32::from).collect(),
    };
    Ok(Splits::new(dataset(train, "train"), dataset(test, "test")))
}

fn check_counts(read: &IdxImages, read_labels: &[u8], images: PathBuf, labels: PathBuf) -> Result<(), DataError> {
    let (image_count, label_count) = (read.count, read_labels.len());
    match image_count == label_count {
        true => Ok(()),
        false => Err(DataError::CountMismatch { images, labels, image_count, label_count }),
    }
}

/// `train-images-idx3-ubyte` or `train-images.idx3-ubyte`, with or without `.gz`.
fn find(dir: &Path, stem: &str, kind: &str) -> Result<PathBuf, DataError> {
    let names = ["", ".gz"].iter().flat_map(|gz| ["-", "."].map(|separator| format!("{stem}{separator}{kind}{gz}")));
    super::find_file(&[dir], names.collect(), REMEDY)
}

fn open(path: &Path) -> Result<File, DataError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(read_error(path, io::Error::from(ErrorKind::IsADirectory))),
        _ => File::open(path).map_err(|cause| read_error(path, cause)),
    }
}

fn read_error(path: &Path, cause: io::Error) -> DataError {
    DataError::Read { path: path.into(), cause }
}
