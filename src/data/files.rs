//! Images that are files or parts of archives: which ones, and from them the data in memory.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use super::decode::{Header, decode_image, read_header};
use super::encoded::Encoded;
use super::error::{DataError, ImageSize, all_or_damaged, listed_damage};
use super::{Dataset, HeldOut, LoadOptions, Pixels, Preprocessing, ReadImages, Splits, round_robin};
use crate::setting::BadSetting;

/// What becomes of images that cannot be read or decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damaged {
    /// They are an error that names them.
    #[default]
    Stop,
    /// They are left out, named and counted.
    Skip,
}

/// The images of one split.
pub(super) struct Files {
    name: String,
    images: Vec<Encoded>,
    labels: Vec<u32>,
}

/// The images of each split there is. All have the same classes.
pub(super) struct FileSplits {
    pub classes: Vec<String>,
    pub train: Files,
    pub validation: Option<Files>,
    /// If there are none, some of the training images become the test images.
    pub test: Option<Files>,
    pub notes: Vec<String>,
}

impl FileSplits {
    /// Decodes as many images as the limit asks for. `name` is the source as people read it.
    ///
    /// # Errors
    /// Images that are damaged or, where no size is asked for, of several sizes.
    pub(super) fn load(self, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
        let FileSplits { classes, train, mut validation, test, mut notes } = self;
        let (mut train, mut test) = match test {
            Some(test) => {
                options.held_out.expect_none(name)?;
                (train, test)
            }
            None if options.held_out == HeldOut::Tenth
                && let Some(test) = validation.take() =>
            {
                notes.push(format!(
                    "there are no test images: those of {} take their place, and none are left for validation",
                    test.name
                ));
                (train, test)
            }
            None => train.hold_out(name, classes.len(), options)?,
        };
        if let Some(limit) = options.limit {
            let splits = [Some(&mut train), validation.as_mut(), Some(&mut test)];
            splits.into_iter().flatten().for_each(|files| files.truncate(limit, classes.len()));
        }
        if options.only_test {
            validation = None;
            train = Files::new(train.name);
        }
        let encoded =
            [Some(&train), validation.as_ref(), Some(&test)].into_iter().flatten().map(Files::held_bytes).sum();
        let mut headers = |files: &mut Files| files.headers(options, &mut notes);
        let of_train = headers(&mut train)?;
        let of_validation = validation.as_mut().map(&mut headers).transpose()?.unwrap_or_default();
        let of_test = headers(&mut test)?;
        let splits = [(Some(&train), &of_train), (validation.as_ref(), &of_validation), (Some(&test), &of_test)];
        let size = match options.image_size() {
            Some(size) => size,
            None => one_size(splits.into_iter().filter_map(|(files, headers)| Some((files?, headers))))?,
        };
        let colour = [&of_train, &of_validation, &of_test].into_iter().flatten().any(|header| header.colour);
        let channels = options.channels.unwrap_or(if colour { 3 } else { 1 });
        let of_training = options.of_training();
        let shape = |options: &LoadOptions| options.shape([channels, size.height, size.width]);
        let bytes = |files: &Files, options| {
            shape(options).iter().fold(files.images.len() as u64, |n, &side| n.saturating_mul(side as u64))
        };
        let room = options.room().beside(encoded);
        let of_validation = validation.as_ref().map_or(0, |files| bytes(files, options));
        let is_held = room.held([bytes(&train, &of_training), of_validation, bytes(&test, options)]);
        let mut decode = |files: Files, is_held, options: &LoadOptions| {
            files.decode(&classes, shape(options), is_held, options, &mut notes)
        };
        let train = decode(train, is_held[0], &of_training)?;
        let validation = validation.map(|files| decode(files, is_held[1], options)).transpose()?;
        let test = decode(test, is_held[2], options)?;
        notes.extend(room.note([Some(&train), validation.as_ref(), Some(&test)]));
        Ok(Splits { train, validation, test, notes })
    }
}

impl Files {
    pub(super) fn new(name: String) -> Self {
        Self { name, images: Vec::new(), labels: Vec::new() }
    }

    pub(super) fn push(&mut self, image: Encoded, label: u32) {
        self.images.push(image);
        self.labels.push(label);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// Splits test images off.
    fn hold_out(self, name: &str, classes: usize, options: &LoadOptions) -> Result<(Self, Self), DataError> {
        let what = options.held_out.describe();
        let mut kept = Self::new(format!("{name} (train, less {what} held out)"));
        let mut held = Self::new(format!("{name} (test, {what} of train held out)"));
        let is_held = options.held_out.of(&self.labels, classes);
        for ((image, label), is_held) in self.images.into_iter().zip(self.labels).zip(is_held) {
            if is_held { held.push(image, label) } else { kept.push(image, label) }
        }
        match held.is_empty() || kept.is_empty() {
            false => Ok((kept, held)),
            true => Err(DataError::NoTest { name: name.to_owned(), what }),
        }
    }

    /// As [`Dataset::truncated`].
    fn truncate(&mut self, limit: usize, classes: usize) {
        if limit < self.images.len() {
            let kept = round_robin(&self.labels, classes, limit);
            self.images = kept.iter().map(|&index| self.images[index].clone()).collect();
            self.labels = kept.iter().map(|&index| self.labels[index]).collect();
        }
    }

    /// What each image says of itself.
    fn headers(&mut self, options: &LoadOptions, notes: &mut Vec<String>) -> Result<Vec<Header>, DataError> {
        // Collected first, so that the bad ones are told in the order of their names.
        let headers: Vec<_> = self.images.par_iter().map(|image| read_header(image, options.max_pixels)).collect();
        let (headers, is_bad) = without_damaged(&self.name, headers, options.damaged, notes)?;
        if is_bad.contains(&true) {
            let mut all = is_bad.iter();
            self.images.retain(|_| !all.next().copied().unwrap_or(false));
            let mut all = is_bad.iter();
            self.labels.retain(|_| !all.next().copied().unwrap_or(false));
        }
        Ok(headers)
    }

    /// Bytes in memory of images that are not decoded.
    fn held_bytes(&self) -> u64 {
        self.images.iter().map(Encoded::held_bytes).sum()
    }

    fn decode(
        self,
        classes: &[String],
        shape: [usize; 3],
        is_held: bool,
        options: &LoadOptions,
        notes: &mut Vec<String>,
    ) -> Result<Dataset, DataError> {
        let [channels, height, width] = shape;
        // Without a size to get, images stay as they are.
        let preprocessing = options.image_size().map(|_| options.preprocessing).unwrap_or_default();
        let images = Arc::new(Decoded {
            images: self.images,
            channels,
            size: ImageSize { height, width },
            preprocessing,
            max_pixels: options.max_pixels,
        });
        let (pixels, read) = Pixels::read_all(images.clone(), &self.name, images.images.len(), shape, is_held)?;
        let (_, is_bad) = without_damaged(&self.name, read, options.damaged, notes)?;
        let (name, labels, classes) = (self.name, self.labels, classes.to_vec());
        let dataset = Dataset { name, channels, height, width, classes, images: pixels, labels };
        match is_bad.contains(&true) {
            true => Ok(dataset.only(|index| !is_bad[index])),
            false => Ok(dataset),
        }
    }
}

/// Images as they come out of their files.
struct Decoded {
    images: Vec<Encoded>,
    channels: usize,
    size: ImageSize,
    preprocessing: Preprocessing,
    max_pixels: u64,
}

impl ReadImages for Decoded {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        decode_image(&self.images[index], self.channels, self.size, self.preprocessing, self.max_pixels, out)
    }

    fn name(&self, index: usize) -> String {
        self.images[index].path().display().to_string()
    }
}

/// The good results of the images of `name`, and which images have none.
fn without_damaged<T>(
    name: &str,
    results: Vec<Result<T, DataError>>,
    damaged: Damaged,
    notes: &mut Vec<String>,
) -> Result<(Vec<T>, Vec<bool>), DataError> {
    let is_bad: Vec<bool> = results.iter().map(Result::is_err).collect();
    let count = is_bad.iter().filter(|&&is_bad| is_bad).count();
    // Without one that is good, nothing is left to go on with.
    if damaged == Damaged::Stop || count == 0 || count == results.len() {
        return Ok((all_or_damaged(results)?, is_bad));
    }
    let (good, bad): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let bad: Vec<DataError> = bad.into_iter().filter_map(Result::err).collect();
    let of = is_bad.len();
    notes.push(format!("{count} of {of} images of {name} are damaged and left out: {}", listed_damage(&bad)));
    Ok((good.into_iter().filter_map(Result::ok).collect(), is_bad))
}

/// The size that all images share.
fn one_size<'a>(splits: impl Iterator<Item = (&'a Files, &'a Vec<Header>)>) -> Result<ImageSize, DataError> {
    let mut sizes =
        splits.flat_map(|(files, headers)| files.images.iter().zip(headers.iter().map(|header| header.size)));
    let (first, first_size) = sizes.next().expect("there is a test image");
    match sizes.find(|(_, size)| *size != first_size) {
        None => Ok(first_size),
        Some((image, size)) => {
            let [path, first]: [PathBuf; 2] = [image, first].map(Encoded::path);
            Err(DataError::ImageSizes { path, size, first, first_size })
        }
    }
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "stop",
            Self::Skip => "skip",
        })
    }
}

impl FromStr for Damaged {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "stop" => Ok(Self::Stop),
            "skip" => Ok(Self::Skip),
            _ => Err(BadSetting::new("damaged", format!("`{text}`"), "stop or skip").into()),
        }
    }
}
