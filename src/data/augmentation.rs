//! How images are moved and mirrored: at random in training, in a few fixed ways in test-time augmentation.

use super::error::DataError;
use crate::random::SplitMix64;
use crate::setting::BadSetting;
use serde::{Deserialize, Serialize};

/// Random changes to a training image, drawn from (seed, epoch, index of the image) alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Mirrors every second image, left to right.
    pub horizontal_flip: bool,
    /// Puts a black border of so many pixels around the image and cuts the old size out at a
    /// random place: the image moves by at most so many pixels. 0 leaves it where it is.
    pub crop_padding: usize,
}

impl Augmentation {
    /// The views of test-time augmentation of images of `height` x `width`: the image, with a crop also its four
    /// crops at the corners of the border, with a flip then the mirror image of each. Averaging over five crops and
    /// their mirror images is that of Krizhevsky et al. 2012, section 4.1; theirs are cut from a larger image.
    ///
    /// # Errors
    /// A crop that leaves nothing of the image at a corner.
    pub fn views(self, height: usize, width: usize) -> Result<Vec<View>, DataError> {
        let crop = self.crop_padding;
        if crop > 0 && crop >= height.min(width) {
            let expected = "less than the height and the width of the images";
            return Err(BadSetting::new("tta", format!("crop={crop}"), expected).into());
        }
        let crop = crop as isize;
        let corners = [(0, 0), (-crop, -crop), (-crop, crop), (crop, -crop), (crop, crop)];
        let places = &corners[..if crop == 0 { 1 } else { corners.len() }];
        let flips: &[bool] = if self.horizontal_flip { &[false, true] } else { &[false] };
        Ok(flips.iter().flat_map(|&flip| places.iter().map(move |&(top, left)| View { top, left, flip })).collect())
    }

    /// The view that (seed, epoch, index of the image) decides.
    pub(super) fn draw(self, seed: u64, epoch: u64, index: usize) -> View {
        let mut random = SplitMix64::keyed(&[seed, epoch, index as u64]);
        let padding = self.crop_padding;
        // All three are always drawn, so that one setting does not change what another gives.
        let mut offset = || random.below(2 * padding + 1) as isize - padding as isize;
        let (top, left) = (offset(), offset());
        let flip = random.below(2) == 1 && self.horizontal_flip;
        View { top, left, flip }
    }
}

/// How an image is moved and mirrored; by default, not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Where the cut starts in the image, in pixels; negative in the black border.
    pub top: isize,
    /// As `top`, along the width.
    pub left: isize,
    /// The cut is mirrored, left to right.
    pub flip: bool,
}
