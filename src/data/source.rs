//! Where data comes from, as written on the command line: `mnist`, `cifar10:DIR`, and so on.

use crate::setting::BadSetting;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::path_text;

use super::decode::MAX_PIXELS;
use super::error::{DataError, ImageSize};
use super::room::Room;
use super::{
    Damaged, Dataset, HeldOut, MemorySize, Preprocessing, Splits, cifar, convert, csv_list, folder, idx, own,
    synthetic, webdataset,
};

/// Longest side of an image and largest number of classes that a source may ask for.
pub(super) const MAX_EXTENT: usize = 65_535;

/// Every kind of source that comes with the crate.
static ALL: &[&dyn Kind] = &[
    &idx::Bundled,
    &idx::Idx,
    &cifar::CIFAR10,
    &cifar::CIFAR100,
    &folder::Folder,
    &csv_list::CsvList,
    &webdataset::Shards,
    #[cfg(feature = "image")]
    &super::parquet::Tables,
    &synthetic::Patterns,
];

/// A kind of source: what the word before the colon means. What is not said otherwise holds for a folder of files.
pub(super) trait Kind: Sync {
    /// The word.
    fn word(&self) -> &'static str;

    /// How sources of this kind are written, and what they are.
    fn form(&self) -> (&'static str, &'static str);

    /// What stands after the colon, as it is kept; or what is wrong with it.
    fn rest(&self, given: Option<&str>) -> Result<Option<String>, String> {
        match given {
            Some(dir) if !dir.is_empty() => Ok(Some(path_text::to_text(path_text::from_text(dir)))),
            _ => Err(format!("{word} needs a folder, as in {word}:data", word = self.word())),
        }
    }

    /// Whether `rest` is a folder.
    fn is_folder(&self) -> bool {
        true
    }

    /// Whether its classes have names, and are not only numbers.
    fn has_class_names(&self) -> bool {
        true
    }

    /// Whether its images are files that are decoded: `load` then heeds the options by itself, and decodes no more than it
    /// must.
    fn heeds_options(&self) -> bool {
        false
    }

    /// Reads all splits into memory. `name` is the source as people read it.
    ///
    /// # Errors
    /// Files that are missing, damaged or of another kind.
    fn load(&self, rest: &str, name: &str, options: &LoadOptions) -> Result<Splits, DataError>;
}

fn kind(word: &str) -> Option<&'static dyn Kind> {
    ALL.iter().copied().find(|kind| kind.word() == word)
}

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
pub struct Source {
    /// The word before the colon: of a kind that comes with the crate, or of one that this program has
    /// [registered](super::register).
    word: String,
    /// What stands after it.
    rest: Option<String>,
}

/// What to make of the images while loading. The default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Height and width in pixels that every image gets.
    pub size: Option<(usize, usize)>,
    /// How it gets them.
    pub preprocessing: Preprocessing,
    /// Height and width in pixels that training images get in place of those of `size`.
    pub stored: Option<(usize, usize)>,
    /// 1 (grey) or 3 (colour). If it is not given, a folder is grey when each image taken is.
    pub channels: Option<usize>,
    /// At most this many images of each split, even over the classes.
    pub limit: Option<usize>,
    /// A file with an image of more pixels is refused before it is decoded.
    pub max_pixels: u64,
    /// Only the test images are wanted: the others are not decoded, and the splits come without them.
    pub only_test: bool,
    /// What becomes of images that cannot be decoded.
    pub damaged: Damaged,
    /// Which training images are the test images, where there are none of their own.
    pub held_out: HeldOut,
    /// What decoded images may take: of larger sets, images are read anew in each epoch. By default half of the memory
    /// that is free.
    pub memory: Option<MemorySize>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            size: None,
            preprocessing: Preprocessing::default(),
            stored: None,
            channels: None,
            limit: None,
            max_pixels: MAX_PIXELS,
            only_test: false,
            damaged: Damaged::default(),
            held_out: HeldOut::default(),
            memory: None,
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

    /// Leaves images out that cannot be decoded, or ends with an error.
    #[must_use]
    pub fn damaged(mut self, damaged: Damaged) -> LoadOptions {
        self.damaged = damaged;
        self
    }

    /// Takes these of the training images as test images, where there are none of their own.
    #[must_use]
    pub fn held_out(mut self, held_out: HeldOut) -> LoadOptions {
        self.held_out = held_out;
        self
    }

    /// Lets decoded images take so much memory.
    #[must_use]
    pub fn memory(mut self, memory: MemorySize) -> LoadOptions {
        self.memory = Some(memory);
        self
    }

    /// Wants the test images alone.
    #[must_use]
    pub fn only_test(mut self) -> LoadOptions {
        self.only_test = true;
        self
    }
}

impl Source {
    /// `mnist`: the sample in the program.
    pub fn mnist() -> Source {
        Source { word: idx::Bundled.word().to_owned(), rest: None }
    }

    /// `folder:DIR`: files of images.
    pub fn folder(dir: impl Into<PathBuf>) -> Source {
        Source { word: folder::Folder.word().to_owned(), rest: Some(path_text::to_text(dir.into())) }
    }

    /// How the sources that come with the crate are written, and what they are.
    pub fn forms() -> impl Iterator<Item = (&'static str, &'static str)> {
        ALL.iter().map(|kind| kind.form())
    }

    /// Reads all splits: into memory where they fit, else once, to be read again when they are needed.
    ///
    /// # Errors
    /// See [`DataError`]: options that cannot work, or files that are missing, damaged or of
    /// another kind.
    pub fn load(&self, options: &LoadOptions) -> Result<Splits, DataError> {
        options.check()?;
        let rest = self.rest.as_deref().unwrap_or_default();
        let kind = kind(&self.word);
        if kind.is_none_or(|kind| !kind.heeds_options()) {
            options.held_out.expect_none(&self.to_string())?;
        }
        let splits = match kind {
            Some(kind) if kind.heeds_options() => {
                if let Some(channels) = options.channels.filter(|channels| ![1, 3].contains(channels)) {
                    let expected = "1 (grey) or 3 (colour) for image files";
                    return Err(BadSetting::new("input_channels", channels, expected).into());
                }
                return kind.load(rest, &self.to_string(), options);
            }
            Some(kind) => kind.load(rest, &self.to_string(), options)?,
            None => own::load(&self.word, rest, options)?,
        };
        let (train, validation) = match options.only_test {
            true => (splits.train.truncated(0), None),
            false => (splits.train, splits.validation),
        };
        let sets = [Some(train), validation, Some(splits.test)];
        let sets = sets.map(|set| set.map(|set| set.truncated(options.limit.unwrap_or(usize::MAX))));
        let room = options.room();
        let held = sets.iter().flatten().filter_map(|set| set.images.held()).map(|bytes| bytes.len() as u64).sum();
        room.expect_held(&self.to_string(), held)?;
        let options = [options.of_training(), *options, *options];
        let is_held =
            room.held([0, 1, 2].map(|split| sets[split].as_ref().map_or(0, |set| options[split].bytes_of(set))));
        let mut of_split = options.iter().zip(is_held);
        let mut applied = sets.into_iter().map(|set| {
            let (options, is_held) = of_split.next()?;
            Some(convert::converted(set?, options, is_held))
        });
        let mut next = || applied.next().flatten().transpose();
        let (Some(train), validation, Some(test)) = (next()?, next()?, next()?) else {
            unreachable!("there are training and test images, if not many")
        };
        let mut notes = splits.notes;
        notes.extend(room.note([Some(&train), validation.as_ref(), Some(&test)]));
        Ok(Splits { train, validation, test, notes })
    }

    /// Whether its classes have names: labels of IDX files and of synthetic images are numbers.
    pub fn has_class_names(&self) -> bool {
        kind(&self.word).is_none_or(Kind::has_class_names)
    }

    /// The folder that the images lie in, if they do.
    pub fn directory(&self) -> Option<PathBuf> {
        kind(&self.word).filter(|kind| kind.is_folder())?;
        self.rest.as_deref().map(path_text::from_text)
    }

    /// As it is written, with `rest`.
    fn written(&self, rest: Option<String>) -> String {
        rest.map_or_else(|| self.word.clone(), |rest| format!("{}:{rest}", self.word))
    }
}

impl LoadOptions {
    /// The size to resize to.
    pub(crate) fn image_size(&self) -> Option<ImageSize> {
        self.size.map(|(height, width)| ImageSize { height, width })
    }

    /// Those of training images alone.
    pub(super) fn of_training(&self) -> LoadOptions {
        let Some(stored) = self.stored else { return *self };
        // The shorter side fills what is kept.
        let resize = self.preprocessing.resize.map(|_| stored.0.max(stored.1));
        LoadOptions { size: Some(stored), preprocessing: Preprocessing { resize, ..self.preprocessing }, ..*self }
    }

    fn check(&self) -> Result<(), DataError> {
        let option = |name, value: String, rule: &str| Err(BadSetting::new(name, value, rule).into());
        let side = 1..=MAX_EXTENT;
        let refused =
            |size: Option<ImageSize>| size.filter(|size| [size.height, size.width].iter().any(|x| !side.contains(x)));
        let rule = "HxW with sides of 1 to 65535 pixels";
        if let Some(size) = refused(self.of_training().image_size().filter(|_| self.stored.is_some())) {
            return option("stored_size", size.to_string(), rule);
        }
        match (refused(self.image_size()), self.channels, self.limit) {
            (Some(size), ..) => option("size", size.to_string(), rule),
            (_, Some(0), _) => option("input_channels", 0.to_string(), "1 or more"),
            (.., Some(0)) => option("limit", 0.to_string(), "1 or more"),
            _ => Ok(()),
        }
    }

    /// What decoded images may take.
    pub(super) fn room(&self) -> Room {
        Room::of(self)
    }

    /// The shape (channels, height, width) that images of the shape `from` get.
    pub(super) fn shape(&self, [channels, height, width]: [usize; 3]) -> [usize; 3] {
        let (height, width) = self.size.unwrap_or((height, width));
        [self.channels.unwrap_or(channels), height, width]
    }

    /// Bytes of a data set in that shape.
    fn bytes_of(&self, dataset: &Dataset) -> u64 {
        self.shape(dataset.shape()).iter().fold(dataset.len() as u64, |bytes, &side| bytes.saturating_mul(side as u64))
    }
}

/// For people: a path that is no text is told as one.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.directory().map(|dir| path_text::lossy(&dir)).or_else(|| self.rest.clone());
        f.write_str(&self.written(rest))
    }
}

impl FromStr for Source {
    type Err = DataError;

    fn from_str(given: &str) -> Result<Self, DataError> {
        let (word, rest) = match given.split_once(':') {
            Some((word, rest)) => (word, Some(rest)),
            None => (given, None),
        };
        let kept = match kind(word) {
            Some(kind) => kind.rest(rest),
            None if own::is_registered(word) => Ok(rest.map(str::to_owned)),
            None => Err(format!("there is no kind '{word}'")),
        };
        let kept = kept.map_err(|problem| DataError::Syntax { given: given.to_owned(), problem })?;
        Ok(Source { word: word.to_owned(), rest: kept })
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
        source.written(source.rest.clone())
    }
}
