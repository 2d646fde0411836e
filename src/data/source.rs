//! Where data comes from, as written on the command line: `mnist`, `cifar10:DIR`, and so on.

use crate::setting::BadSetting;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::path_text;

use super::decode::MAX_PIXELS;
use super::error::{DataError, ImageSize};
use super::synthetic::{DEFAULT_COUNT, Synthetic};
use super::{Dataset, Preprocessing, Splits, cifar, convert, folder, idx, own};

/// Longest side of an image and largest number of classes that a source may ask for.
const MAX_EXTENT: usize = 65_535;

/// A place to load a data set from. `FromStr` and `Display` are inverse; serde uses the same text.
///
/// ```
/// use tilewright::data::{LoadOptions, Source};
///
/// let source: Source = "synthetic:3x8x8:2:40".parse()?;
/// let splits = source.load(&LoadOptions::default().limit(10))?;
/// assert_eq!((splits.train.len(), splits.train.channels), (10, 3));
/// # Ok::<(), tilewright::data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Source {
    /// `mnist`: the sample in the binary, 10,000 training and 2,000 test digits of 1x28x28.
    Mnist,
    /// `idx:DIR`: the four files of MNIST, Fashion-MNIST or KMNIST, gzipped or not.
    Idx(PathBuf),
    /// `cifar10:DIR`: the binary version, in the folder or in its `cifar-10-batches-bin`.
    Cifar10(PathBuf),
    /// `cifar100:DIR`: the binary version, in the folder or in its `cifar-100-binary`; the 100
    /// fine classes.
    Cifar100(PathBuf),
    /// `folder:DIR`: `DIR/train/CLASS/**/*.jpg|jpeg|png|webp|bmp`, and the same under `DIR/test` and `DIR/val`.
    /// Without either, a tenth of each class is held out of training, always the same one.
    Folder(PathBuf),
    /// `synthetic:CxHxW:CLASSES[:COUNT]`: class-dependent patterns under noise; 1,000 training
    /// images unless COUNT says otherwise, a fifth of that for testing.
    Synthetic(Synthetic),
    /// `NAME` or `NAME:REST`: one that this program has [registered](super::register).
    Own {
        /// The word before the colon.
        name: String,
        /// What stands after it: what the source makes of it is its own.
        rest: Option<String>,
    },
}

/// What to make of the images while loading. The default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Height and width in pixels that every image gets.
    pub size: Option<(usize, usize)>,
    /// How it gets them.
    pub preprocessing: Preprocessing,
    /// 1 (grey) or 3 (colour). If it is not given, a folder is grey when each image taken is.
    pub channels: Option<usize>,
    /// At most this many images of each split, even over the classes.
    pub limit: Option<usize>,
    /// A file with an image of more pixels is refused before it is decoded.
    pub max_pixels: u64,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            size: None,
            preprocessing: Preprocessing::default(),
            channels: None,
            limit: None,
            max_pixels: MAX_PIXELS,
        }
    }
}

impl LoadOptions {
    /// Brings every image to `height` by `width` pixels.
    #[must_use]
    pub fn size(mut self, height: usize, width: usize) -> LoadOptions {
        self.size = Some((height, width));
        self
    }

    /// Reads images as grey ones (1) or in colour (3).
    #[must_use]
    pub fn channels(mut self, channels: usize) -> LoadOptions {
        self.channels = Some(channels);
        self
    }

    /// Takes at most `limit` images of each split.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> LoadOptions {
        self.limit = Some(limit);
        self
    }
}

impl Source {
    /// Reads both splits into memory.
    ///
    /// # Errors
    /// See [`DataError`]: options that cannot work, or files that are missing, damaged or of
    /// another kind.
    pub fn load(&self, options: &LoadOptions) -> Result<Splits, DataError> {
        options.check()?;
        let name = self.to_string();
        let splits = match self {
            Self::Mnist => idx::load_bundled()?,
            Self::Idx(dir) => idx::load(dir, &name)?,
            Self::Cifar10(dir) => cifar::load(&cifar::CIFAR10, dir, &name)?,
            Self::Cifar100(dir) => cifar::load(&cifar::CIFAR100, dir, &name)?,
            // Decodes no more than it must, so it heeds the options by itself.
            Self::Folder(dir) => return folder::load(dir, &name, options),
            Self::Synthetic(synthetic) => synthetic.load(&name)?,
            Self::Own { name, rest } => own::load(name, rest.as_deref().unwrap_or_default(), options)?,
        };
        let validation = splits.validation.map(|validation| options.apply(validation)).transpose()?;
        let (train, test) = (options.apply(splits.train)?, options.apply(splits.test)?);
        Ok(Splits { train, validation, test, notes: splits.notes })
    }
}

impl Source {
    /// Whether its classes have names: labels of IDX files and of synthetic images are numbers.
    pub fn has_class_names(&self) -> bool {
        !matches!(self, Self::Idx(_) | Self::Synthetic(_))
    }
}

impl Source {
    /// How sources are written, and what they are.
    pub const FORMS: [(&str, &str); 6] = [
        ("mnist", "the sample in the program: 10,000 training and 2,000 test digits"),
        ("idx:DIR", "the four files of MNIST, Fashion-MNIST or KMNIST, gzipped or not"),
        ("cifar10:DIR", "the binary version of CIFAR-10"),
        ("cifar100:DIR", "the binary version of CIFAR-100, with its 100 fine classes"),
        ("folder:DIR", "files of images, in DIR/train/CLASS, DIR/test/CLASS and DIR/val/CLASS, and in folders within"),
        (
            "synthetic:CxHxW:CLASSES[:COUNT]",
            "patterns under noise, to try a model without data: COUNT training images, 1,000 where it is not given",
        ),
    ];

    /// The folder that the images lie in, if they do.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Idx(dir) | Self::Cifar10(dir) | Self::Cifar100(dir) | Self::Folder(dir) => Some(dir),
            Self::Mnist | Self::Synthetic(_) | Self::Own { .. } => None,
        }
    }
}

impl LoadOptions {
    /// The size to resize to.
    pub(crate) fn image_size(&self) -> Option<ImageSize> {
        self.size.map(|(height, width)| ImageSize { height, width })
    }

    fn check(&self) -> Result<(), DataError> {
        let option = |name, value: String, rule: &str| Err(BadSetting::new(name, value, rule).into());
        let side = 1..=MAX_EXTENT;
        match (self.image_size(), self.channels, self.limit) {
            (Some(size), ..) if !side.contains(&size.height) || !side.contains(&size.width) => {
                option("size", size.to_string(), "HxW with sides of 1 to 65535 pixels")
            }
            (_, Some(0), _) => option("input_channels", 0.to_string(), "1 or more"),
            (.., Some(0)) => option("limit", 0.to_string(), "1 or more"),
            _ => Ok(()),
        }
    }

    fn apply(&self, mut dataset: Dataset) -> Result<Dataset, DataError> {
        if let Some(limit) = self.limit {
            dataset = dataset.truncated(limit);
        }
        if let Some(channels) = self.channels {
            dataset = convert::channels(dataset, channels)?;
        }
        match self.image_size() {
            Some(size) => convert::resize(dataset, size, self.preprocessing),
            None => Ok(dataset),
        }
    }
}

impl Source {
    /// As it is written, with the path as `text` has it.
    fn written(&self, text: impl Fn(&Path) -> String) -> String {
        match self {
            Self::Mnist => "mnist".to_owned(),
            Self::Idx(dir) => format!("idx:{}", text(dir)),
            Self::Cifar10(dir) => format!("cifar10:{}", text(dir)),
            Self::Cifar100(dir) => format!("cifar100:{}", text(dir)),
            Self::Folder(dir) => format!("folder:{}", text(dir)),
            Self::Synthetic(Synthetic { channels, height, width, classes, count }) => {
                let count = if *count == DEFAULT_COUNT { String::new() } else { format!(":{count}") };
                format!("synthetic:{channels}x{height}x{width}:{classes}{count}")
            }
            Self::Own { name, rest } => rest.iter().fold(name.clone(), |name, rest| format!("{name}:{rest}")),
        }
    }
}

/// For people: a path that is no text is told as one.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(path_text::lossy))
    }
}

impl FromStr for Source {
    type Err = DataError;

    fn from_str(given: &str) -> Result<Self, DataError> {
        let (kind, rest) = match given.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (given, None),
        };
        let dir = || match rest {
            Some(dir) if !dir.is_empty() => Ok(path_text::from_text(dir)),
            _ => Err(format!("{kind} needs a folder, as in {kind}:data")),
        };
        let source = match kind {
            "mnist" => match rest {
                None => Ok(Self::Mnist),
                Some(_) => Err("the bundled mnist takes no folder; idx:DIR does".to_owned()),
            },
            "idx" => dir().map(Self::Idx),
            "cifar10" => dir().map(Self::Cifar10),
            "cifar100" => dir().map(Self::Cifar100),
            "folder" => dir().map(Self::Folder),
            "synthetic" => parse_synthetic(rest.unwrap_or_default()).map(Self::Synthetic),
            name if own::is_registered(name) => Ok(Self::Own { name: name.to_owned(), rest: rest.map(str::to_owned) }),
            _ => Err(format!("there is no kind '{kind}'")),
        };
        source.map_err(|problem| DataError::Syntax { given: given.to_owned(), problem })
    }
}

impl TryFrom<String> for Source {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.written(|path| path_text::to_text(path))
    }
}

fn parse_synthetic(text: &str) -> Result<Synthetic, String> {
    let number = |what: &str, text: &str, most: usize| match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{what} is '{text}', but must be a whole number of 1 to {most}")),
    };
    let form = || "synthetic needs a shape and classes, as in synthetic:3x32x32:10".to_owned();
    let (shape, classes, count) = match text.split(':').collect::<Vec<_>>()[..] {
        [shape, classes] => (shape, classes, None),
        [shape, classes, count] => (shape, classes, Some(count)),
        _ => return Err(form()),
    };
    let [channels, height, width] = shape.split('x').collect::<Vec<_>>()[..] else {
        return Err(form());
    };
    Ok(Synthetic {
        channels: number("C", channels, MAX_EXTENT)?,
        height: number("H", height, MAX_EXTENT)?,
        width: number("W", width, MAX_EXTENT)?,
        classes: number("CLASSES", classes, MAX_EXTENT)?,
        count: count.map_or(Ok(DEFAULT_COUNT), |count| number("COUNT", count, 1 << 31))?,
    })
}
