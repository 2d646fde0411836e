//! The fixed ways in which test-time augmentation sees an image.

use super::error::DataError;
use crate::setting::BadSetting;

/// How test images are seen: once, or in several ways whose results are averaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// The mirror image of each view too.
    pub flip: bool,
    /// Also the four crops at the corners of a black border of so many pixels; 0 for none.
    pub crop: usize,
}

impl Views {
    /// The views of images of `height` x `width`: the image, with a crop also its four
    /// crops at the corners of the border, with a flip then the mirror image of each. Averaging over five crops and
    /// their mirror images is that of Krizhevsky et al. 2012, section 4.1; theirs are cut from a larger image.
    ///
    /// # Errors
    /// A crop that leaves nothing of the image at a corner.
    pub fn of(self, height: usize, width: usize) -> Result<Vec<View>, DataError> {
        let crop = self.crop;
        if crop > 0 && crop >= height.min(width) {
            let expected = "less than the height and the width of the images";
            return Err(BadSetting::new("tta", format!("crop={crop}"), expected).into());
        }
        let crop = crop as isize;
        let corners = [(0, 0), (-crop, -crop), (-crop, crop), (crop, -crop), (crop, crop)];
        let places = &corners[..if crop == 0 { 1 } else { corners.len() }];
        let flips: &[bool] = if self.flip { &[false, true] } else { &[false] };
        Ok(flips.iter().flat_map(|&flip| places.iter().map(move |&(top, left)| View { top, left, flip })).collect())
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
