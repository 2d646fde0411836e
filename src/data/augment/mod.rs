//! Random changes to training images, as they are written, drawn and added to a graph.
//!
//! To add one, write a file here that has a [`Form`], and name it in [`FORMS`].

mod affine;
mod blur;
mod crop;
mod cutout;
mod draw;
mod erase;
mod flip;
mod jitter;
mod mix;
mod policy;
mod resized_crop;
mod rotation;
mod text;
mod tone;

pub use mix::Mixture;
pub use text::AugmentError;

use draw::Draw;

use crate::attribute::{Listing, Values, named_values};
use crate::graph::{Graph, GraphError, Value};
use crate::ops::{ChangeImages, MixImages};
use crate::random::SplitMix64;
use crate::setting::BadSetting;
use crate::tensor::TensorSpec;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is done to each training image anew in each epoch, one change after the other. Written with commas:
///
/// ```
/// use tilewright::data::Augmentations;
///
/// let all: Augmentations = "crop:padding=4,flip,cutout:size=8".parse()?;
/// assert_eq!(all.to_string(), "crop:padding=4,border=zero,flip:p=0.5,alternating=false,cutout:size=8");
/// assert!("crop:pading=4".parse::<Augmentations>().is_err());
/// # Ok::<(), tilewright::data::AugmentError>(())
/// ```
///
/// All that is random comes from (seed, epoch, index of the image, place in the list) alone: it is the same on every device,
/// and after a resume.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Augmentations(Vec<Named>);

/// A change as it is written.
#[derive(Clone)]
struct Named {
    form: &'static Form,
    values: Values,
    change: Change,
}

/// A change with its attributes.
#[derive(Clone)]
enum Change {
    /// Of each image by itself.
    Image(Arc<dyn Augment>),
    /// Of the images of a batch with each other.
    Batch(mix::Mix),
}

/// A change to each image.
trait Augment: Send + Sync {
    /// What is done to images of `shape` (channels, height, width), one after the other.
    ///
    /// # Errors
    /// Why it cannot be done to such images.
    fn changes(&self, shape: [usize; 3]) -> Result<Vec<ChangeImages>, String>;

    /// Draws an image's rows of numbers, which lie one after the other.
    fn draw(&self, place: &mut Draw, row: &mut [f32]);

    /// The same, that cuts images of height and width `to` out of larger ones; if it can.
    fn cutting(&self, to: [usize; 2]) -> Option<Change> {
        let _ = to;
        None
    }
}

/// What a change is given of each image.
pub(super) struct Given {
    /// Height and width of the image.
    pub size: [usize; 2],
    /// Numbers that are drawn, for each op that the change is made of.
    pub columns: Vec<usize>,
}

/// A change by name.
struct Form {
    listing: Listing,
    stage: Stage,
    /// The change that attributes describe, or what is wrong with them.
    read: fn(&Values) -> Result<Change, String>,
}

/// When a change is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// To pixels from 0 to 255.
    Bytes,
    /// To normalised images, where 0 is the mean of the channel.
    Normalized,
    /// To all images of a batch together.
    Batch,
}

/// Every change, in the order of the documentation.
static FORMS: &[&Form] = &[
    &crop::FORM,
    &flip::FORM,
    &resized_crop::FORM,
    &rotation::FORM,
    &affine::FORM,
    &jitter::FORM,
    &tone::GRAYSCALE,
    &blur::FORM,
    &tone::INVERT,
    &tone::POSTERIZE,
    &tone::SOLARIZE,
    &tone::SHARPNESS,
    &tone::AUTOCONTRAST,
    &tone::EQUALIZE,
    &policy::RAND_AUGMENT,
    &policy::TRIVIAL_AUGMENT,
    &erase::FORM,
    &cutout::FORM,
    &mix::MIXUP,
    &mix::CUTMIX,
];

impl Augmentations {
    /// Every change that may be named, with its attributes.
    pub fn forms() -> impl Iterator<Item = Listing> {
        FORMS.iter().map(|form| form.listing)
    }

    /// Whether images stay as they are.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a change of that name is among them.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|named| named.form.listing.name == name)
    }

    /// `others` after these.
    #[must_use]
    pub fn then(mut self, others: &Augmentations) -> Self {
        self.0.extend(others.0.iter().cloned());
        self
    }

    /// Whether images of a batch are mixed with each other.
    pub fn mixes(&self) -> bool {
        self.mixers().next().is_some()
    }

    /// The same, whose first change that can cut images of height and width `to` out of larger ones does so:
    /// `random_resized_crop`, or `crop` without padding. None where there is no such change.
    #[must_use]
    pub fn cutting(mut self, to: [usize; 2]) -> Option<Self> {
        let cutting = |named: &Named| match &named.change {
            Change::Image(change) => change.cutting(to),
            Change::Batch(_) => None,
        };
        let (named, change) = self.0.iter_mut().find_map(|named| cutting(named).map(|change| (named, change)))?;
        named.change = change;
        Some(self)
    }

    /// What each change of the list is given, of images of `shape` (channels, height, width).
    ///
    /// # Errors
    /// A change that such images cannot be given.
    pub(super) fn given(&self, [channels, mut height, mut width]: [usize; 3]) -> Result<Vec<Given>, BadSetting> {
        let given = |named: &Named| {
            let size = [height, width];
            let changes = named.on([channels, height, width])?;
            [height, width] = changes.iter().fold(size, |size, change| change.size(size));
            let columns = changes.into_iter().map(ChangeImages::columns).collect();
            Ok(Given { size, columns })
        };
        self.0.iter().map(given).collect()
    }

    /// Draws what change `place` of the list takes for the image `index` of the data.
    pub(super) fn draw(&self, place: usize, [seed, epoch, index]: [u64; 3], size: [usize; 2], row: &mut [f32]) {
        let random = SplitMix64::keyed(&[seed, epoch, index, place as u64]);
        let of_image = SplitMix64::keyed(&[seed, index, place as u64]);
        if let Change::Image(change) = &self.0[place].change {
            change.draw(&mut Draw { random, size, of_image, epoch }, row);
        }
    }

    /// Draws how batch `index` of a pass is mixed, where batches are.
    pub(super) fn draw_mixture(
        &self,
        [seed, epoch, index]: [u64; 3],
        size: [usize; 2],
        labels: &[u32],
    ) -> Option<Mixture> {
        let mixers: Vec<&mix::Mix> = self.mixers().collect();
        let random = &mut SplitMix64::keyed(&[seed, epoch, index, BATCH_KEY, BATCH_KEY]);
        let drawn = *mixers.get(random.below(mixers.len()))?;
        Some(drawn.draw(random, size, labels))
    }

    fn mixers(&self) -> impl Iterator<Item = &mix::Mix> {
        self.0.iter().filter_map(|named| match &named.change {
            Change::Batch(mix) => Some(mix),
            Change::Image(_) => None,
        })
    }

    /// Adds the changes to `images` `[N, C, H, W]` of bytes as floats, and `normalize` between those of bytes and those of
    /// normalised images. The numbers of op `k` are the input `inputs(k)`, `[N, columns]`; those of a mixture the input
    /// `mixture`, `[5]`.
    ///
    /// # Errors
    /// A change that such images cannot be given, or what `normalize` says.
    pub fn attach<E: From<GraphError> + From<BadSetting>>(
        &self,
        graph: &mut Graph,
        images: Value,
        inputs: impl Fn(usize) -> String,
        mixture: &str,
        normalize: impl FnOnce(&mut Graph, Value) -> Result<Value, E>,
    ) -> Result<Value, E> {
        let mut normalize = Some(normalize);
        let mut images = images;
        let mut place = 0;
        for named in &self.0 {
            if named.form.stage > Stage::Bytes
                && let Some(normalize) = normalize.take()
            {
                images = normalize(graph, images)?;
            }
            let [n, channels, height, width] = [0, 1, 2, 3].map(|dimension| graph.shape(images)[dimension]);
            for change in named.on([channels, height, width])? {
                let draws = graph.input(&inputs(place), TensorSpec::f32([n, change.columns()]))?;
                images = graph.apply_one(change, &[images, draws])?;
                place += 1;
            }
        }
        if let Some(normalize) = normalize {
            images = normalize(graph, images)?;
        }
        if self.mixes() {
            let mixture = graph.input(mixture, TensorSpec::f32([MixImages::NUMBERS]))?;
            images = graph.apply_one(MixImages, &[images, mixture])?;
        }
        Ok(images)
    }
}

/// In the place of an image and a place in the list, for what is drawn for a batch.
const BATCH_KEY: u64 = u64::MAX;

impl Named {
    fn on(&self, shape: [usize; 3]) -> Result<Vec<ChangeImages>, BadSetting> {
        let value = || named_values(self.form.listing.name, &self.values);
        match &self.change {
            Change::Image(change) => change.changes(shape).map_err(|rule| BadSetting::new("augment", value(), rule)),
            Change::Batch(_) => Ok(Vec::new()),
        }
    }
}

impl Change {
    fn image(change: impl Augment + 'static) -> Change {
        Change::Image(Arc::new(change))
    }
}

impl Form {
    fn read(&'static self, list: &str) -> Result<Named, String> {
        let values = Values::read(self.listing.attributes, list)?;
        let change = (self.read)(&values)?;
        Ok(Named { form: self, values, change })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, epochs: u64) -> Vec<Vec<f32>> {
        let all: Augmentations = text.parse().unwrap();
        let columns: usize = all.given([3, 8, 12]).unwrap()[0].columns.iter().sum();
        let row = |epoch| {
            let mut row = vec![f32::NAN; columns];
            all.draw(0, [1, epoch, 7], [8, 12], &mut row);
            row
        };
        (0..epochs).map(row).collect()
    }

    #[test]
    fn what_is_written_reads_back_and_lists_of_numbers_stay_with_their_attribute() {
        for form in FORMS {
            let all: Augmentations = form.listing.name.parse().unwrap();
            assert_eq!(all.to_string(), form.listing.text());
            assert_eq!(all.to_string().parse::<Augmentations>().unwrap(), all);
        }
        let all: Augmentations = "[random_resized_crop:scale=0.5,0.9,ratio=[1,2], flip ,erase:p=0.25]".parse().unwrap();
        let text = "random_resized_crop:scale=0.5+0.9,ratio=1+2,flip:p=0.5,alternating=false,\
                    erase:p=0.25,scale=0.02+0.33,ratio=0.3+3.3";
        assert_eq!(all.to_string(), text);
        assert_eq!("".parse::<Augmentations>().unwrap(), Augmentations::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (text, told) in [
            ("blurred", "known are crop, flip, "),
            ("crop:pad=4", "it has no attribute `pad`"),
            ("flip,crop,flip", "given twice"),
            ("cutout,flip", "it must come before `cutout`"),
            ("mixup,cutout", "it must come before `mixup`"),
            ("random_resized_crop:scale=0.9+0.1", "the first of scale no larger than the second"),
            ("random_resized_crop:scale=0.5+1.5", "scale at most 1"),
            ("affine:translate=2+0", "translate is [2,0]"),
            ("affine:fill=256", "fill is 256, but must be at most 255"),
            ("color_jitter:hue=0.6", "hue is 0.6, but must be at most 0.5"),
            ("gaussian_blur:kernel_size=4", "kernel_size is 4, but must be odd"),
            ("rand_augment:magnitude=31", "magnitude is 31, but must be a whole number from 0 to 30"),
        ] {
            let error = text.parse::<Augmentations>().unwrap_err();
            assert!(error.to_string().contains(told), "{text}: {error}");
        }
        let crop: Augmentations = "crop:padding=8,border=reflect".parse().unwrap();
        let error = crop.given([3, 8, 12]).err().unwrap().to_string();
        assert!(error.contains("a padding below 8"), "{error}");
        let grey: Augmentations = "grayscale".parse().unwrap();
        let error = grey.given([2, 8, 12]).err().unwrap().to_string();
        assert!(error.contains("images of 2 channels"), "{error}");
    }

    #[test]
    fn a_draw_is_one_of_seed_epoch_image_and_place_alone() {
        let all: Augmentations = "crop,rotation".parse().unwrap();
        let row = |place, keys: [u64; 3]| {
            let mut row = [0.0; 7];
            all.draw(place, keys, [32, 32], &mut row);
            row
        };
        assert_eq!(row(1, [1, 2, 3]), row(1, [1, 2, 3]));
        for keys in [[2, 2, 3], [1, 3, 3], [1, 2, 4]] {
            assert_ne!(row(1, keys), row(1, [1, 2, 3]), "{keys:?}");
        }
    }

    #[test]
    fn a_crop_moves_by_up_to_its_padding_to_every_side_and_a_flip_mirrors_half() {
        let crops = rows("crop:padding=2", 2000);
        for column in [0, 1] {
            let seen: std::collections::BTreeSet<i32> = crops.iter().map(|row| row[column] as i32).collect();
            assert_eq!(seen.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
        }
        assert!(crops.iter().all(|row| row[2] == 0.0));
        let mirrored = |text| rows(text, 1000).iter().filter(|row| row[2] == 1.0).count();
        assert!((430..570).contains(&mirrored("flip")) && mirrored("flip:p=0") == 0 && mirrored("flip:p=1") == 1000);
        let alternating: Vec<f32> = rows("flip:alternating=true", 6).iter().map(|row| row[2]).collect();
        assert!(alternating == [0.0, 1.0, 0.0, 1.0, 0.0, 1.0] || alternating == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn boxes_have_the_shares_and_ratios_that_are_asked_for_and_lie_in_the_image() {
        for row in rows("random_resized_crop:scale=0.3+0.8,ratio=0.5+2", 500) {
            let [top, left, height, width] = row[..] else { panic!("{row:?}") };
            assert!(top >= 0.0 && left >= 0.0 && top + height <= 8.0 && left + width <= 12.0, "{row:?}");
            // Sides are rounded to whole pixels.
            assert!(
                (0.2..0.95).contains(&(height * width / 96.0)) && (0.35..2.9).contains(&(width / height)),
                "{row:?}"
            );
        }
        let erased = rows("erase:p=0.25", 1000);
        let count = erased.iter().filter(|row| row[2] > 0.0).count();
        assert!((200..300).contains(&count), "{count} of 1000");
        let cut = rows("cutout:size=4", 500);
        assert!(cut.iter().all(|row| row[2..] == [4.0, 4.0] && (-2.0..=5.0).contains(&row[0])), "{cut:?}");
    }

    #[test]
    fn maps_turn_by_up_to_their_angle_and_keep_areas() {
        for row in rows("rotation:degrees=30", 200) {
            assert!(
                (row[0] * row[4] - row[1] * row[3] - 1.0).abs() < 1e-6 && row[0] >= 30f32.to_radians().cos() - 1e-6
            );
            assert_eq!([row[2], row[5]], [0.0, 0.0]);
        }
        for row in rows("affine:degrees=10,translate=0.1+0.25,scale=0.5+2,shear=5", 200) {
            let shrunk = row[0] * row[4] - row[1] * row[3];
            assert!((0.24..4.1).contains(&shrunk), "{row:?}");
        }
    }
}
