//! From a data set to batches: in which order its images come, and what a batch of them is in floats.

use crate::setting::BadSetting;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Dataset;
use super::augment::Given;
use super::error::DataError;
use super::sampler::Sampler;
use super::{Augmentations, PackedBatch};
use std::fmt;

/// The label of a padding row: it is no class, and the loss and the metrics pass over it.
pub const IGNORED_LABEL: u32 = u32::MAX;

/// What is subtracted from each channel and what the rest is divided by, after values were divided
/// by 255. Taken from the training set and used for every other set as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// One per channel.
    pub mean: Vec<f32>,
    /// One per channel, never 0.
    pub std: Vec<f32>,
}

/// Mean and deviation of ImageNet's channels, which most published weights expect.
const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];

impl Normalization {
    /// That of ImageNet, for images of three channels.
    pub fn imagenet() -> Self {
        Self { mean: IMAGENET_MEAN.into(), std: IMAGENET_STD.into() }
    }

    /// The mean and standard deviation of the channels of a data set. A constant channel gets a
    /// standard deviation of 1, and so becomes 0 throughout.
    pub fn of(training: &Dataset) -> Self {
        let (mean, std) = training.mean_std();
        let divisor = |std: f64| if std == 0.0 { 1.0 } else { std as f32 };
        Self { mean: mean.into_iter().map(|mean| mean as f32).collect(), std: std.into_iter().map(divisor).collect() }
    }

    /// The normalised values of one image `[channels, height, width]`.
    pub fn apply(&self, image: &[u8]) -> Vec<f32> {
        let tables = self.tables();
        let plane = image.len() / tables.len().max(1);
        let planes = image.chunks_exact(plane.max(1)).zip(&tables);
        planes.flat_map(|(plane, table)| plane.iter().map(|&byte| table[usize::from(byte)])).collect()
    }

    /// Mean and deviation of each channel, `[channels, 2]`.
    pub fn numbers(&self) -> Vec<f32> {
        self.mean.iter().zip(&self.std).flat_map(|(&mean, &std)| [mean, std]).collect()
    }

    /// The normalised value of each byte, for each channel.
    fn tables(&self) -> Vec<[f32; 256]> {
        let table = |(&mean, &std): (&f32, &f32)| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std);
        self.mean.iter().zip(&self.std).map(table).collect()
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[f32]| values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(", ");
        write!(f, "mean {} and deviation {}", list(&self.mean), list(&self.std))
    }
}

/// One pass over a data set, batch by batch.
///
/// ```
/// use tilewright::data::{Batches, IGNORED_LABEL, LoadOptions, Normalization, Source};
///
/// let images = Source::mnist().load(&LoadOptions::default().limit(10))?.train;
/// let batches = Batches::new(&images, 4, &Normalization::of(&images))?.shuffled(1, 0);
/// let (mut pixels, mut labels) = (vec![0.0; 4 * images.image_len()], [0; 4]);
/// assert_eq!(batches.fill(0, &mut pixels, &mut labels)?, 4);
/// // The last batch has the two images that are left.
/// assert_eq!((batches.fill(2, &mut pixels, &mut labels)?, labels[2]), (2, IGNORED_LABEL));
/// # Ok::<(), tilewright::data::DataError>(())
/// ```
pub struct Batches<'a> {
    pub(super) dataset: &'a Dataset,
    batch_size: usize,
    pub(super) normalization: Normalization,
    tables: Vec<[f32; 256]>,
    /// The index in the data set of the image at each place of the pass.
    order: Vec<u32>,
    pub(super) augmentations: Augmentations,
    /// What each of them is given.
    pub(super) given: Vec<Given>,
    /// Whether an image may come more than once, and is then changed in another way each time.
    pub(super) repeats: bool,
    pub(super) seed: u64,
    pub(super) epoch: u64,
}

impl<'a> Batches<'a> {
    /// A pass in the order of the data set, without augmentation.
    ///
    /// # Errors
    /// A batch size of 0, or a normalization for another number of channels.
    pub fn new(dataset: &'a Dataset, batch_size: usize, normalization: &Normalization) -> Result<Self, DataError> {
        if batch_size == 0 {
            return Err(BadSetting::new("batch", 0, "at least 1").into());
        }
        let tables = normalization.tables();
        if tables.len() != dataset.channels {
            return Err(DataError::Channels {
                name: dataset.name.clone(),
                have: dataset.channels,
                want: tables.len(),
                remedy: "Ask for as many, with input_channels.",
            });
        }
        let batches = Self {
            dataset,
            batch_size,
            normalization: normalization.clone(),
            tables,
            order: Vec::new(),
            augmentations: Augmentations::default(),
            given: Vec::new(),
            repeats: false,
            seed: 0,
            epoch: 0,
        };
        Ok(batches.in_order())
    }

    /// In an order that (seed, epoch) decides, the same on every platform.
    #[must_use]
    pub fn shuffled(self, seed: u64, epoch: u64) -> Self {
        self.sampled(Sampler::Shuffle, seed, epoch)
    }

    /// Of the images that `sampler` draws, in the order that (seed, epoch) decides, the same on every platform.
    #[must_use]
    pub fn sampled(self, sampler: Sampler, seed: u64, epoch: u64) -> Self {
        let order = sampler.order(&self.dataset.labels, seed, epoch);
        Self { order, repeats: sampler == Sampler::Balanced, seed, epoch, ..self }
    }

    /// In the order of the data set. Augmentation, if any, draws from seed 0 and epoch 0.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.order.clear();
        self.order.extend(0..self.dataset.len() as u32);
        Self { repeats: false, seed: 0, epoch: 0, ..self }
    }

    /// With the changes that are drawn in that epoch, for the images as they come.
    #[must_use]
    pub fn redrawn(self, seed: u64, epoch: u64) -> Self {
        Self { seed, epoch, ..self }
    }

    /// With random changes to each image of a [packed](Batches::pack) batch.
    ///
    /// # Errors
    /// Changes that images of this size cannot be given.
    pub fn augmented(self, augmentations: &Augmentations) -> Result<Self, DataError> {
        let given = augmentations.given(self.dataset.shape())?;
        Ok(Self { augmentations: augmentations.clone(), given, ..self })
    }

    /// Rows of a batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// How many batches the pass has; the last one may be short, unless it is dropped.
    pub fn count(&self, drop_last: bool) -> usize {
        match drop_last {
            true => self.order.len() / self.batch_size,
            false => self.order.len().div_ceil(self.batch_size),
        }
    }

    /// The indices in the data set of the images of a batch; fewer than the batch size in a short
    /// last batch, none after it.
    pub fn indices(&self, batch_index: usize) -> &[u32] {
        let start = batch_index.saturating_mul(self.batch_size).min(self.order.len());
        let end = start.saturating_add(self.batch_size).min(self.order.len());
        &self.order[start..end]
    }

    /// A batch as a training step takes it: bytes, labels, and what is drawn for each image.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn pack(&self, batch_index: usize) -> Result<PackedBatch, DataError> {
        PackedBatch::of(self, batch_index)
    }

    /// Writes a batch: `images` is `[batch_size, channels, height, width]`, normalised, `labels`
    /// is `[batch_size]`. Returns how many rows are real. The rows after those, in a short last
    /// batch, are padding: images of zeros with the label [`IGNORED_LABEL`], which add nothing to
    /// the loss or to a count of hits. (They do enter the statistics of batch normalisation, so
    /// training runs a short last batch without them.)
    ///
    /// # Errors
    /// When an image cannot be read.
    ///
    /// # Panics
    /// When a buffer has another length than that.
    pub fn fill(&self, batch_index: usize, images: &mut [f32], labels: &mut [u32]) -> Result<usize, DataError> {
        let image_len = self.dataset.image_len();
        assert_eq!(images.len(), self.batch_size * image_len, "images is one batch long");
        assert_eq!(labels.len(), self.batch_size, "labels is one batch long");
        let indices = self.indices(batch_index);
        let (real, padding) = images.split_at_mut(indices.len() * image_len);
        real.par_chunks_exact_mut(image_len)
            .zip(indices)
            .try_for_each(|(row, &index)| self.write_image(index as usize, row))?;
        padding.fill(0.0);
        labels.fill(IGNORED_LABEL);
        for (label, &index) in labels.iter_mut().zip(indices) {
            *label = self.dataset.labels[index as usize];
        }
        Ok(indices.len())
    }

    fn write_image(&self, index: usize, out: &mut [f32]) -> Result<(), DataError> {
        let image = self.dataset.image(index)?;
        let plane = self.dataset.height * self.dataset.width;
        for ((from, to), table) in image.chunks_exact(plane).zip(out.chunks_exact_mut(plane)).zip(&self.tables) {
            to.iter_mut().zip(from).for_each(|(to, &byte)| *to = table[byte as usize]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Pixels;

    /// `count` images of 1x3x4 in two classes; every byte is another within an image.
    fn dataset(count: usize) -> Dataset {
        Dataset {
            name: "here".into(),
            channels: 1,
            height: 3,
            width: 4,
            classes: vec!["even".into(), "odd".into()],
            images: Pixels::Held(
                (0..count).flat_map(|image| (0..12).map(move |at| (1 + at + 20 * image) as u8)).collect(),
            ),
            labels: (0..count as u32).map(|index| index % 2).collect(),
        }
    }

    /// Turns bytes into floats of the same value.
    fn plain() -> Normalization {
        Normalization { mean: vec![0.0], std: vec![1.0 / 255.0] }
    }

    #[test]
    fn a_shuffle_is_a_permutation_that_seed_and_epoch_decide() {
        let data = dataset(100);
        let order = |seed, epoch| {
            let batches = Batches::new(&data, 100, &plain()).unwrap().shuffled(seed, epoch);
            batches.indices(0).to_vec()
        };
        let mut sorted = order(1, 0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(order(1, 0), order(1, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), order(2, 0));
        assert_ne!(order(1, 2), order(2, 1));
    }

    #[test]
    fn a_shuffle_is_the_same_on_every_platform() {
        let data = dataset(10);
        let batches = Batches::new(&data, 10, &plain()).unwrap().shuffled(1, 0);
        // From a separate implementation of splitmix64 and of the shuffle.
        assert_eq!(batches.indices(0), [1, 9, 0, 7, 4, 2, 5, 3, 8, 6]);
    }

    #[test]
    fn a_pass_visits_every_image_once_and_counts_its_batches() {
        let data = dataset(10);
        let batches = Batches::new(&data, 4, &plain()).unwrap().shuffled(3, 3);
        assert_eq!((batches.count(false), batches.count(true)), (3, 2));
        let mut visited: Vec<u32> = (0..3).flat_map(|batch| batches.indices(batch).to_vec()).collect();
        visited.sort_unstable();
        assert_eq!(visited, (0..10).collect::<Vec<_>>());
        assert_eq!(batches.in_order().indices(1), [4, 5, 6, 7]);
    }

    #[test]
    fn a_short_last_batch_is_padded_with_zeros_and_ignored_labels() {
        let data = dataset(5);
        let batches = Batches::new(&data, 3, &plain()).unwrap();
        let (mut images, mut labels) = ([9.0; 36], [9; 3]);
        assert_eq!(batches.fill(0, &mut images, &mut labels).unwrap(), 3);
        assert_eq!(labels, [0, 1, 0]);
        assert_eq!(batches.fill(1, &mut images, &mut labels).unwrap(), 2);
        assert_eq!(labels, [1, 0, IGNORED_LABEL]);
        assert_eq!(images[12].round(), 81.0);
        assert_eq!(images[24..], [0.0; 12]);
        assert_eq!(batches.fill(2, &mut images, &mut labels).unwrap(), 0);
        assert_eq!((images, labels), ([0.0; 36], [IGNORED_LABEL; 3]));
    }

    #[test]
    fn normalised_training_data_has_mean_0_and_deviation_1_and_a_constant_channel_is_0() {
        let mut data = dataset(12);
        data.height = 6;
        data.labels.truncate(6);
        let normalization = Normalization::of(&data);
        let mut values = vec![0.0; data.bytes() as usize];
        Batches::new(&data, 6, &normalization).unwrap().fill(0, &mut values, &mut [0; 6]).unwrap();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");

        data.images = vec![77; data.bytes() as usize].into();
        let normalization = Normalization::of(&data);
        assert_eq!(normalization.std, [1.0]);
        Batches::new(&data, 6, &normalization).unwrap().fill(0, &mut values, &mut [0; 6]).unwrap();
        assert!(values.iter().all(|value| value.abs() < 1e-6), "{values:?}");
    }

    #[test]
    fn a_batch_size_of_0_and_another_number_of_channels_are_refused_with_a_remedy() {
        let data = dataset(1);
        let error = Batches::new(&data, 0, &plain()).err().unwrap();
        assert_eq!(error.to_string(), "`batch` is 0, but must be at least 1");
        assert!(error.is_usage());
        let three = Normalization { mean: vec![0.0; 3], std: vec![1.0; 3] };
        let error = Batches::new(&data, 1, &three).err().unwrap();
        assert!(error.to_string().contains("have 1 channels, but 3 are wanted"), "{error}");
    }
}
