//! What can go wrong with data. Every message names the path, what was expected and what to do.

use super::MemorySize;
use crate::setting::{BadSetting, Setting};
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The forms of a data source, as told to a user who wrote something else.
pub(crate) const SOURCE_FORMS: &str = "mnist, idx:DIR, cifar10:DIR, cifar100:DIR, folder:DIR, csv:FILE, webdataset:DIR, parquet:DIR, \
                                       synthetic:CxHxW:CLASSES[:COUNT]";

/// An error of the data part. Its `Display` is the whole story, cause included; there is no
/// `source()` to print after it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum DataError {
    /// The text is no data source.
    #[error("'{given}' is not a data source: {problem}. Use one of: {SOURCE_FORMS}.")]
    Syntax { given: String, problem: String },

    /// A setting has a value that can never work.
    #[error(transparent)]
    Setting(#[from] BadSetting),

    /// A source of the program's own failed, or gave what cannot be.
    #[error("the data source `{name}` cannot be used: {problem}")]
    Own { name: String, problem: String },

    /// A folder is not there, or is not a folder.
    #[error(
        "The folder {} does not exist or is not a folder; expected {expected}. {}",
        .path.display(), folder_remedy(.path)
    )]
    MissingFolder { path: PathBuf, expected: String },

    /// A file is in none of the folders under any of its names.
    #[error(
        "A file is missing in {}: looked for {}. {remedy}",
        .folder.display(), .looked_for.join(", ")
    )]
    MissingFile { folder: PathBuf, looked_for: Vec<String>, remedy: &'static str },

    /// The operating system refused to read, or a gzip stream is damaged.
    #[error(
        "{} cannot be read ({cause}); expected a readable file or folder. {}",
        .path.display(), read_remedy(.cause)
    )]
    Read { path: PathBuf, cause: std::io::Error },

    /// An IDX file is shorter or longer than its header says (sizes after decompression).
    #[error(
        "{} is {}: expected {expected} bytes by its header, got {got}{}. Download it again.",
        .path.display(),
        if got < expected { "truncated" } else { "too long" },
        if got < expected { "" } else { " or more" }
    )]
    WrongLength { path: PathBuf, expected: u64, got: u64 },

    /// An IDX file starts with another magic number.
    #[error(
        "{} is not an IDX file of {kind}: expected the magic number {expected:#010x}, got \
         {got:#010x}. Check that the file is what its name says, or download it again.",
        .path.display()
    )]
    WrongMagic { path: PathBuf, kind: &'static str, expected: u32, got: u32 },

    /// An IDX header holds sizes that no data set has.
    #[error(
        "{} has an impossible header: expected 1 or more images of 1 to 65535 pixels a side, got \
         {got}. Download it again.",
        .path.display()
    )]
    ImpossibleHeader { path: PathBuf, got: String },

    /// There are not as many labels as images.
    #[error(
        "{} holds {image_count} images, but {} holds {label_count} labels; expected as many of \
         one as of the other. Take both files from the same download.",
        .images.display(), .labels.display()
    )]
    CountMismatch { images: PathBuf, labels: PathBuf, image_count: usize, label_count: usize },

    /// Training and test images differ in size.
    #[error(
        "The training images in {} are {train} and the test images are {test}; expected one size. \
         Take both from the same download, or resize them with {}.",
        .path.display(),
        Setting("size")
    )]
    SplitSizes { path: PathBuf, train: ImageSize, test: ImageSize },

    /// A CIFAR file is not a whole number of records.
    #[error(
        "{} is {length} bytes long; expected 1 to {most} records of {record} bytes each. Download \
         it again: the binary version is wanted, not the one for Python or Matlab.",
        .path.display()
    )]
    Records { path: PathBuf, length: u64, record: usize, most: usize },

    /// A label names no class.
    #[error(
        "Record {index} of {} has the label {label}; expected a label below {classes}. Check that \
         the file belongs to this data set, or download it again.",
        .path.display()
    )]
    Label { path: PathBuf, index: usize, label: u32, classes: usize },

    /// A label is none of those that training images have without a gap.
    #[error(
        "Record {index} of {} has the label {label}, but the training images have the labels {} to {} and none for the \
         next; expected one of these. Correct the label, or give images to the classes between.",
        .path.display(), .known[0], .known[1]
    )]
    StrayLabel { path: PathBuf, index: usize, label: u32, known: [usize; 2] },

    /// A gzipped file says that it holds far more than its size can.
    #[error(
        "{} has {stored} bytes and says that it holds {bytes}; expected at most 100 times its own size, since images are \
         compressed less. Download it again, or unpack it if it is what it should be.",
        .path.display()
    )]
    Inflates { path: PathBuf, stored: u64, bytes: u64 },

    /// The names of two class folders are the same as text.
    #[error(
        "{} and {} both name the class `{name}`; expected a name of its own for each. Rename one of the folders.",
        .one.display(), .other.display()
    )]
    SameClass { name: String, one: PathBuf, other: PathBuf },

    /// A file with the ending of an image is none that can be decoded.
    #[error(
        "{} cannot be decoded as an image ({cause}); expected a whole JPEG, PNG, WebP or BMP file. Remove it, or \
         replace it with the image that it should be.",
        .path.display()
    )]
    Undecodable { path: PathBuf, cause: String },

    /// An image is larger than any that is wanted.
    #[error(
        "{} is {size}, {pixels} pixels; expected at most {most}. Remove it, or raise {} if it is what it \
         should be.",
        .path.display(),
        Setting("max_pixels")
    )]
    TooManyPixels { path: PathBuf, size: ImageSize, pixels: u64, most: u64 },

    /// Several images cannot be used.
    #[error("{count} images cannot be used: {listed} To go on without them, use {}.", Setting("damaged").to("skip"))]
    Damaged { count: usize, listed: String },

    /// A folder has a split twice.
    #[error(
        "{} and {} are folders of the same split; expected one. Join them, or rename one of them.",
        .one.display(), .other.display()
    )]
    SeveralSplits { one: PathBuf, other: PathBuf },

    /// Images of one folder differ in size and no size was asked for.
    #[error(
        "{} is {size}, but {} is {first_size}; expected images of one size. Resize all of them \
         with {}, for example {}.",
        .path.display(), .first.display(), Setting("size"), Setting("size").to(first_size)
    )]
    ImageSizes { path: PathBuf, size: ImageSize, first: PathBuf, first_size: ImageSize },

    /// The test folder has a class that training never sees.
    #[error(
        "{} is a class without training images; expected the classes {}. Add a folder of that \
         name to the training classes, or remove this one.",
        .path.display(), .known.join(", ")
    )]
    UnknownClass { path: PathBuf, known: Vec<String> },

    /// A folder that should hold images or classes holds none.
    #[error("{} is empty: expected {expected}. {remedy}", .path.display())]
    Empty { path: PathBuf, expected: &'static str, remedy: &'static str },

    /// No test images can be held out.
    #[error(
        "{name} has no test images, and {what} of its training images cannot be held out: no class has images enough to test \
         on some and train on others. Bring test images."
    )]
    NoTest { name: String, what: String },

    /// A line of a table of images is none.
    #[error("Line {line} of {} {problem}; expected `file,label`, and a split after it or not. Correct the line.", .path.display())]
    Line { path: PathBuf, line: usize, problem: String },

    /// An image that is not trained on has a class that training never sees.
    #[error(
        "{} is of the class `{class}`, which no training image is of; expected one of {}. Correct the label, or give the \
         class training images.",
        .path.display(), super::listed(.known)
    )]
    StrayClass { path: PathBuf, class: String, known: Vec<String> },

    /// An image of an archive has no class.
    #[error("{} has no class; expected a file of its name with the ending .cls beside it.", .path.display())]
    NoClass { path: PathBuf },

    /// The channels of the data are not those asked for, and there is no conversion.
    #[error(
        "The images of {name} have {have} channels, but {want} are wanted; expected 1 or 3 on \
         both sides, which convert to each other. {remedy}"
    )]
    Channels { name: String, have: usize, want: usize, remedy: &'static str },

    /// An image is not what it was when it was read first.
    #[error(
        "{image} has changed since the images were first read; expected the same pixels throughout. Put the former image \
         back, or begin anew."
    )]
    ChangedImage { image: String },

    /// Images of a compressed archive do not fit into the memory that data may take.
    #[error(
        "{} is compressed, and its images take more than {bound} as they are stored, which is all that images may take; \
         expected that they fit, since such an archive is held in memory. Unpack it to a .tar, of which images are read \
         when they are needed, or allow more with {}.",
        .path.display(), Setting("data_memory")
    )]
    CompressedArchive { path: PathBuf, bound: MemorySize },

    /// Images of a table do not fit into the memory that data may take.
    #[error(
        "The images of {} take more than {bound} as they are stored, which is all that images may take; expected that they \
         fit, since those of a Parquet file are held in memory. Write them into a .tar, of which images are read when they are \
         needed, or allow more with {}.",
        .path.display(), Setting("data_memory")
    )]
    LargeTable { path: PathBuf, bound: MemorySize },

    /// A table is compressed in a way that is not read here.
    #[error(
        "{} is compressed by {codec}; expected snappy, which `datasets` writes, or nothing. Write the table anew.",
        .path.display()
    )]
    TableCompression { path: PathBuf, codec: String },

    /// A table has no images or no labels.
    #[error(
        "{} has the columns {}; expected one with the field `bytes`, an image as its file has it, and `label`, a number or a \
         name. Write the table anew with these.",
        .path.display(), .got.join(", ")
    )]
    Columns { path: PathBuf, got: Vec<String> },

    /// There is no memory to decode an image.
    #[error(
        "{} is {size} pixels large, takes {bytes} bytes while it is decoded, and {available} are free; expected what fits \
         into memory. Make the image smaller, or leave it out.",
        .path.display()
    )]
    NoRoomForImage { path: PathBuf, size: ImageSize, bytes: u64, available: u64 },

    /// The decoded images do not fit into memory.
    #[error(
        "The images of {name} take {bytes} bytes once decoded{}; expected what fits into memory. \
         Ask for smaller images with {}, or fewer with {}.",
        .available.map_or(String::new(), |available| format!(", and {available} are free")),
        Setting("size"), Setting("limit")
    )]
    TooLarge { name: String, bytes: u64, available: Option<u64> },
}

/// Bad images that are told by name; the others are counted.
const MOST_DAMAGED: usize = 8;

/// Every result, or the errors of those that have none: of one image its own, of several the first with their number.
pub(super) fn all_or_damaged<T>(results: Vec<Result<T, DataError>>) -> Result<Vec<T>, DataError> {
    let mut errors = Vec::new();
    let mut good = Vec::with_capacity(results.len());
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(error) => errors.push(error),
        }
    }
    match errors.len() {
        0 => Ok(good),
        1 => Err(errors.remove(0)),
        count => Err(DataError::Damaged { count, listed: listed_damage(&errors) }),
    }
}

/// The first of these errors, in words, and how many more there are.
pub(super) fn listed_damage(errors: &[DataError]) -> String {
    let mut listed: Vec<String> = errors.iter().take(MOST_DAMAGED).map(DataError::to_string).collect();
    if errors.len() > MOST_DAMAGED {
        listed.push(format!("And {} more.", errors.len() - MOST_DAMAGED));
    }
    listed.join(" ")
}

impl DataError {
    /// True when the command was written wrongly, whatever is on the disk: the syntax of a source
    /// or the value of an option. The command line then leaves with status 2.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Syntax { .. } | Self::Setting(_))
    }
}

/// Height and width in pixels; shown as `HxW`, the form that `--size` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

impl FromStr for ImageSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once('x').and_then(|(height, width)| Some((height.parse().ok()?, width.parse().ok()?)));
        let sides = sides.filter(|&(height, width)| height > 0 && width > 0);
        sides.map(|(height, width)| ImageSize { height, width }).ok_or_else(|| "write it like 32x32".to_owned())
    }
}

/// What helps where the operating system does not read a file.
fn read_remedy(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => "Check the path.",
        ErrorKind::PermissionDenied => "Check its permissions.",
        _ => "Download it again if it is damaged.",
    }
}

fn folder_remedy(path: &Path) -> &'static str {
    match path.starts_with("~") {
        true => "The shell does not expand ~ after a colon: write $HOME instead.",
        false => "Check the path; a relative one starts at the current folder.",
    }
}
