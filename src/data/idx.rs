//! IDX files, the format of MNIST and its family (Fashion-MNIST, KMNIST): a big-endian header,
//! then bytes. Gzip is recognised by content, whatever the name says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::error::{DataError, ImageSize};
use super::source::Kind;
use super::{Dataset, LoadOptions, Splits};
use crate::path_text;

/// Magic number of labels: unsigned bytes, 1 dimension.
pub const LABELS_MAGIC: u32 = 0x0000_0801;
/// Magic number of images: unsigned bytes, 3 dimensions (count, height, width).
pub const IMAGES_MAGIC: u32 = 0x0000_0803;

const MAX_SIDE: usize = 65_535;
/// Images and labels of a set are compressed to no less than this: MNIST to a fifth.
const MOST_INFLATED: u64 = 100;
/// Content of so many bytes is read however far it was compressed.
const MOST_UNASKED: u64 = 64 << 20;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const REMEDY: &str = "Download the four files of the data set into this folder (gzip may stay).";

/// The images of one IDX file: grey, `[count, 1, height, width]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdxImages {
    /// Number of images.
    pub count: usize,
    /// Rows of each image.
    pub height: usize,
    /// Columns of each image.
    pub width: usize,
    /// From 0 (black) to 255, row by row.
    pub pixels: Vec<u8>,
}

/// `idx:DIR`.
pub(super) struct Idx;

impl Kind for Idx {
    fn word(&self) -> &'static str {
        "idx"
    }

    fn form(&self) -> (&'static str, &'static str) {
        ("idx:DIR", "the four files of MNIST, Fashion-MNIST or KMNIST, gzipped or not")
    }

    fn has_class_names(&self) -> bool {
        false
    }

    fn load(&self, dir: &str, name: &str, _: &LoadOptions) -> Result<Splits, DataError> {
        load(&path_text::from_text(dir), name)
    }
}

/// `mnist`.
pub(super) struct Bundled;

impl Kind for Bundled {
    fn word(&self) -> &'static str {
        "mnist"
    }

    fn form(&self) -> (&'static str, &'static str) {
        ("mnist", "the sample in the program: 10,000 training and 2,000 test digits")
    }

    fn rest(&self, given: Option<&str>) -> Result<Option<String>, String> {
        match given {
            None => Ok(None),
            Some(_) => Err("the bundled mnist takes no folder; idx:DIR does".to_owned()),
        }
    }

    fn is_folder(&self) -> bool {
        false
    }

    fn load(&self, _: &str, _: &str, _: &LoadOptions) -> Result<Splits, DataError> {
        load_bundled()
    }
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
    let read = |(images, labels): &(PathBuf, PathBuf)| -> Result<_, DataError> {
        let pair = (read_images(images)?, read_labels(labels)?);
        check_counts(&pair.0, &pair.1, images.clone(), labels.clone())?;
        Ok(pair)
    };
    let (train, test) = (read(&train_paths)?, read(&test_paths)?);
    check_labels(&train.1, &train.1, &train_paths.1)?;
    check_labels(&train.1, &test.1, &test_paths.1)?;
    splits(train, test, dir, name)
}

/// The sample that is compiled into the binary: 10,000 training and 2,000 test digits of MNIST,
/// 1,000 and 200 a class, cut by `examples/cut_mnist_sample.rs`.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn load_bundled() -> Result<Splits, DataError> {
    Splits::from_idx(
        "mnist",
        [
            include_bytes!("mnist_sample/train-images-idx3-ubyte.gz"),
            include_bytes!("mnist_sample/train-labels-idx1-ubyte.gz"),
            include_bytes!("mnist_sample/t10k-images-idx3-ubyte.gz"),
            include_bytes!("mnist_sample/t10k-labels-idx1-ubyte.gz"),
        ],
    )
}

/// A page fetches them beside the program, for [`Splits::from_idx`].
#[cfg(target_family = "wasm")]
pub(crate) fn load_bundled() -> Result<Splits, DataError> {
    let problem = "in a browser its files lie beside the program, which does not hold them".to_owned();
    Err(DataError::Own { name: "mnist".to_owned(), problem })
}

impl Splits {
    /// Of the contents of the four IDX files of MNIST and its family, gzipped or not: training images and labels, then those
    /// for testing. Classes are named by number.
    ///
    /// # Errors
    /// A damaged file, or counts and sizes that do not agree.
    pub fn from_idx(name: &str, files: [&[u8]; 4]) -> Result<Splits, DataError> {
        let paths =
            ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]
                .map(Path::new);
        let read = |images: usize, labels: usize| -> Result<_, DataError> {
            let open = |file: usize| Body::open(files[file], paths[file], files[file].len() as u64);
            let pair = (parse_images(open(images)?)?, parse_labels(open(labels)?)?);
            check_counts(&pair.0, &pair.1, paths[images].to_owned(), paths[labels].to_owned())?;
            Ok(pair)
        };
        let (train, test) = (read(0, 1)?, read(2, 3)?);
        check_labels(&train.1, &train.1, paths[1])?;
        check_labels(&train.1, &test.1, paths[3])?;
        splits(train, test, Path::new(name), name)
    }
}

/// Reads a file of images.
///
/// # Errors
/// A file that cannot be read, another magic number, impossible sizes, or another length than the
/// header says.
pub fn read_images(path: &Path) -> Result<IdxImages, DataError> {
    let file = open(path)?;
    parse_images(Body::of_file(file, path)?)
}

/// Reads a file of labels, `[count]`.
///
/// # Errors
/// As [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    let file = open(path)?;
    parse_labels(Body::of_file(file, path)?)
}

fn parse_images(mut body: Body<'_>) -> Result<IdxImages, DataError> {
    let path = body.path;
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

fn parse_labels(mut body: Body<'_>) -> Result<Vec<u8>, DataError> {
    let [count] = body.header(LABELS_MAGIC, "labels")?;
    body.bytes(count as u64, 8)
}

/// The decompressed content of a file.
struct Body<'a> {
    input: Box<dyn Read + 'a>,
    path: &'a Path,
    /// Bytes of the file, where it is compressed: it may hold more.
    stored: Option<u64>,
}

impl<'a> Body<'a> {
    fn of_file(file: File, path: &'a Path) -> Result<Self, DataError> {
        let stored = file.metadata().map_err(|cause| read_error(path, cause))?.len();
        Self::open(BufReader::new(file), path, stored)
    }

    fn open(mut input: impl BufRead + 'a, path: &'a Path, stored: u64) -> Result<Self, DataError> {
        let start = input.fill_buf().map_err(|cause| read_error(path, cause))?;
        let is_gzip = start.starts_with(&GZIP_MAGIC);
        let input: Box<dyn Read + 'a> = match is_gzip {
            true => Box::new(MultiGzDecoder::new(input)),
            false => Box::new(input),
        };
        Ok(Self { input, path, stored: is_gzip.then_some(stored) })
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
        if let Some(stored) = self.stored {
            if length > MOST_UNASKED && length > stored.saturating_mul(MOST_INFLATED) {
                return Err(DataError::Inflates { path: self.path.into(), stored, bytes: length });
            }
            let available = crate::memory::available();
            if available.is_some_and(|available| length > available) {
                let name = self.path.display().to_string();
                return Err(DataError::TooLarge { name, bytes: length, available });
            }
        }
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
        images: images.pixels.into(),
        labels: labels.into_iter().map(u32::from).collect(),
    };
    Ok(Splits::new(dataset(train, "train"), dataset(test, "test")))
}

/// Holds labels against those of the training images, which declare the classes: the numbers from 0 or 1 up to the first
/// that no training image has. A label beyond makes no classes of the numbers between.
fn check_labels(train: &[u8], labels: &[u8], path: &Path) -> Result<(), DataError> {
    let mut has_images = [false; 256];
    train.iter().for_each(|&label| has_images[usize::from(label)] = true);
    // The letters of EMNIST begin at 1.
    let first = usize::from(!has_images[0]);
    let end = (first..256).find(|&label| !has_images[label]).unwrap_or(256);
    match labels.iter().position(|&label| !(first..end).contains(&usize::from(label))) {
        None => Ok(()),
        Some(index) => {
            let label = u32::from(labels[index]);
            Err(DataError::StrayLabel { path: path.into(), index, label, known: [first, end.saturating_sub(1)] })
        }
    }
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
    crate::regular_file::open(path).map_err(|cause| read_error(path, cause))
}

fn read_error(path: &Path, cause: io::Error) -> DataError {
    DataError::Read { path: path.into(), cause }
}
