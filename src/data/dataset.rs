//! Images of one size with a class each.

use super::Pixels;
use super::error::{DataError, all_or_damaged};
use super::pixels::ReadImages;
use std::borrow::Cow;
use std::sync::Arc;

/// Images of one size with a class each: bytes in memory, or read when they are needed.
///
/// ```
/// use tilewright::data::Dataset;
///
/// let classes = vec!["dark".to_owned(), "bright".to_owned()];
/// let pixels = vec![0, 10, 20, 30, 200, 210, 220, 230];
/// let images = Dataset::new("two greys", [1, 2, 2], classes, pixels, vec![0, 1])?;
/// assert_eq!(images.image(1)?[..], [200, 210, 220, 230]);
/// # Ok::<(), tilewright::data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The source and the split, for people: `mnist (train)`.
    pub name: String,
    /// Colour planes an image: 1 grey, 3 red, green, blue.
    pub channels: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// The name of each class; a label indexes it.
    pub classes: Vec<String>,
    /// `[len, channels, height, width]`, 0 to 255.
    pub images: Pixels,
    /// `[len]`, each below `classes.len()`.
    pub labels: Vec<u32>,
}

impl Dataset {
    /// Images `[len, channels, height, width]` of the `shape` (channels, height, width), with a label each.
    ///
    /// # Errors
    /// When there are other numbers of bytes or labels, or a label is no class.
    pub fn new(
        name: impl Into<String>,
        shape: [usize; 3],
        classes: Vec<String>,
        images: Vec<u8>,
        labels: Vec<u32>,
    ) -> Result<Dataset, DataError> {
        let [channels, height, width] = shape;
        let images = images.into();
        Dataset { name: name.into(), channels, height, width, classes, images, labels }.checked()
    }

    /// As [`Dataset::new`], for more images than memory holds: `reader` reads them one by one, whenever they are needed.
    /// Each is read once here, which shows whether it can be.
    ///
    /// ```
    /// use tilewright::data::{DataError, Dataset};
    ///
    /// let read = |index: usize, out: &mut [u8]| -> Result<(), DataError> {
    ///     out.fill(index as u8);
    ///     Ok(())
    /// };
    /// let classes = vec!["even".to_owned(), "odd".to_owned()];
    /// let images = Dataset::streamed("greys", [1, 2, 2], classes, vec![0, 1, 0, 1], read)?;
    /// assert_eq!(images.image(3)?[..], [3, 3, 3, 3]);
    /// # Ok::<(), DataError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::new`], and where images cannot be read.
    pub fn streamed(
        name: impl Into<String>,
        shape: [usize; 3],
        classes: Vec<String>,
        labels: Vec<u32>,
        reader: impl ReadImages + 'static,
    ) -> Result<Dataset, DataError> {
        let [channels, height, width] = shape;
        let name = name.into();
        let (images, read) = Pixels::read_all(Arc::new(reader), &name, labels.len(), shape, false)?;
        all_or_damaged(read)?;
        Dataset { name, channels, height, width, classes, images, labels }.checked()
    }

    fn checked(self) -> Result<Dataset, DataError> {
        match self.check() {
            Ok(()) => Ok(self),
            Err(problem) => Err(DataError::Own { name: self.name, problem }),
        }
    }

    /// What is wrong with sizes and labels, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        let ([c, h, w], labels) = (self.shape(), self.labels.len());
        if !self.images.are_of(labels, self.image_len()) {
            let images = match self.images.held() {
                Some(bytes) => format!("{} bytes", bytes.len()),
                None => "another number of images".to_owned(),
            };
            return Err(format!("`{}` has {images}, but {labels} labels of images {c}x{h}x{w}", self.name));
        }
        match self.labels.iter().find(|label| **label as usize >= self.classes.len()) {
            None => Ok(()),
            Some(label) => Err(format!("`{}` has the label {label}, but {} classes", self.name, self.classes.len())),
        }
    }
}

impl Dataset {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True when there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Bytes an image: channels times height times width.
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Channels, height and width of an image.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }

    /// Bytes that the images have once they are decoded.
    pub fn bytes(&self) -> u64 {
        self.len() as u64 * self.image_len() as u64
    }

    /// The image at `index`, `[channels, height, width]`.
    ///
    /// # Errors
    /// When it is not in memory, and cannot be read, or is another one than it was.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn image(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        let length = self.image_len();
        match self.images.held() {
            Some(bytes) => Ok(Cow::Borrowed(&bytes[index * length..][..length])),
            None => {
                let mut image = vec![0; length];
                self.read_image(index, &mut image)?;
                Ok(Cow::Owned(image))
            }
        }
    }

    /// Fills `out` with the image at `index`, `[channels, height, width]`.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len), or `out` has another length than an image.
    pub fn read_image(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        assert_eq!(out.len(), self.image_len(), "out is one image long");
        self.images.read(index, out)
    }

    /// Mean and standard deviation (of the population) of each channel, over values divided by
    /// 255. Both are 0 for an empty data set.
    pub fn mean_std(&self) -> (Vec<f64>, Vec<f64>) {
        let plane = self.height * self.width;
        let count = (self.len() * plane).max(1) as u64;
        let moments = self.images.moments(self.shape()).into_iter().map(|[sum, square]| {
            // Sums of bytes are exact in integers, so a constant channel has a variance of 0.
            let (n, sum, square) = (u128::from(count), u128::from(sum), u128::from(square));
            let scale = count as f64 * 255.0;
            (sum as f64 / scale, ((n * square - sum * sum) as f64).sqrt() / scale)
        });
        moments.unzip()
    }

    /// The images that are wanted, by their places.
    pub(super) fn only(&self, is_wanted: impl Fn(usize) -> bool) -> Self {
        let kept: Vec<usize> = (0..self.len()).filter(|&index| is_wanted(index)).collect();
        self.at(&kept)
    }

    /// The images at these places, in this order.
    pub(super) fn at(&self, kept: &[usize]) -> Self {
        let images = self.images.only(kept, self.image_len());
        let labels = kept.iter().map(|&index| self.labels[index]).collect();
        Self { images, labels, name: self.name.clone(), classes: self.classes.clone(), ..*self }
    }

    /// How many images each class has.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.labels.iter().for_each(|&label| counts[label as usize] += 1);
        counts
    }

    /// The lines of a table of the classes and their images, where one has more than three times as many as another.
    pub(crate) fn uneven_classes(&self) -> Vec<String> {
        let counts = self.class_counts();
        let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        if most <= UNEVEN * least {
            return Vec::new();
        }
        let mut by_count: Vec<(usize, &String)> = counts.into_iter().zip(&self.classes).collect();
        by_count.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let left_out = by_count.len().saturating_sub(MOST_CLASSES);
        let shown = |place: &usize| *place < MOST_CLASSES / 2 || *place >= MOST_CLASSES / 2 + left_out || left_out == 0;
        let places: Vec<usize> = (0..by_count.len()).filter(shown).collect();
        let width = places.iter().map(|&place| by_count[place].1.chars().count()).max().unwrap_or(0);
        let digits = most.to_string().len();
        let images = self.len().max(1) as f64;
        let mut lines = vec![format!("the classes of {} are uneven, in images:", self.name)];
        for place in places {
            let (count, class) = by_count[place];
            if left_out > 0 && place == MOST_CLASSES / 2 + left_out {
                lines.push(format!("  ... {left_out} classes between these"));
            }
            lines.push(format!("  {class:width$}  {count:digits$}  {:5.1} %", 100.0 * count as f64 / images));
        }
        lines
    }

    /// With the classes `classes`, which its own are in another order: class `label` becomes `places[label]`.
    #[must_use]
    pub(crate) fn with_classes(self, classes: Vec<String>, places: &[u32]) -> Self {
        let labels = self.labels.iter().map(|&label| places[label as usize]).collect();
        Self { classes, labels, ..self }
    }

    /// At most `limit` images, as even over the classes as the data allows: the first image of
    /// each class in turn, then the second of each, and so on; a class that runs out is passed
    /// over. A smaller limit gives a prefix of a larger one. Unchanged when nothing is cut.
    #[must_use]
    pub fn truncated(self, limit: usize) -> Self {
        if limit >= self.len() {
            return self;
        }
        self.at(&round_robin(&self.labels, self.classes.len(), limit))
    }
}

/// Classes are told with their numbers of images where one has more than this times those of another.
const UNEVEN: usize = 3;
/// Classes whose numbers of images are all listed.
const MOST_CLASSES: usize = 12;

/// The indices that [`Dataset::truncated`] keeps, in its order.
pub(super) fn round_robin(labels: &[u32], classes: usize, limit: usize) -> Vec<usize> {
    let mut seen = vec![0_usize; classes];
    let mut turns: Vec<(usize, u32, usize)> = labels
        .iter()
        .enumerate()
        .map(|(index, &label)| {
            let turn = seen[label as usize];
            seen[label as usize] += 1;
            (turn, label, index)
        })
        .collect();
    turns.sort_unstable();
    turns.into_iter().take(limit).map(|(_, _, index)| index).collect()
}
