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

impl View {
    /// Writes a plane of bytes as it is seen; `size` is its height and width.
    pub(super) fn write(self, from: &[u8], to: &mut [u8], [height, width]: [usize; 2]) {
        for (y, row) in to.chunks_exact_mut(width).enumerate() {
            let from_y = y.checked_add_signed(self.top).filter(|&y| y < height);
            for (x, byte) in row.iter_mut().enumerate() {
                let x = if self.flip { width - 1 - x } else { x };
                let from_x = x.checked_add_signed(self.left).filter(|&x| x < width);
                *byte = match (from_y, from_x) {
                    (Some(y), Some(x)) => from[y * width + x],
                    // Black before normalisation, as torchvision pads.
                    _ => 0,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Normalization, PackedBatch};

    #[test]
    fn the_views_are_the_image_its_corner_crops_and_their_mirror_images() {
        let image: Vec<u8> = (1..=12).collect();
        let shown = |flip, crop| -> Vec<Vec<u8>> {
            let views = Views { flip, crop }.of(3, 4).unwrap();
            let seen = |&view: &View| {
                let mut seen = vec![9; 12];
                view.write(&image, &mut seen, [3, 4]);
                seen
            };
            views.iter().map(seen).collect()
        };
        let crops = [
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            [0, 0, 0, 0, 0, 1, 2, 3, 0, 5, 6, 7],
            [0, 0, 0, 0, 2, 3, 4, 0, 6, 7, 8, 0],
            [0, 5, 6, 7, 0, 9, 10, 11, 0, 0, 0, 0],
            [6, 7, 8, 0, 10, 11, 12, 0, 0, 0, 0, 0],
        ];
        let mirrored = crops.map(|crop| std::array::from_fn(|at| crop[at / 4 * 4 + 3 - at % 4]));
        assert_eq!(shown(false, 0), crops[..1]);
        assert_eq!(shown(true, 0), [crops[0], mirrored[0]]);
        assert_eq!(shown(false, 1), crops);
        assert_eq!(shown(true, 1), [crops, mirrored].concat());
        let refused = Views { flip: false, crop: 3 }.of(3, 4).unwrap_err();
        assert!(refused.is_usage() && refused.to_string().contains("`tta` is crop=3"), "{refused}");
    }

    #[test]
    fn a_packed_batch_is_seen_plane_by_plane() {
        let plain = Normalization { mean: vec![0.0; 2], std: vec![1.0; 2] };
        let pack = |images: &[u8]| PackedBatch::of_bytes(images, 6, &plain);
        let mirrored = View { flip: true, ..View::default() };
        let images = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
        assert_eq!(pack(&images).seen(mirrored, [2, 1, 3]), pack(&[3, 2, 1, 6, 5, 4, 13, 12, 11, 16, 15, 14]));
        assert_eq!(pack(&images).words[..2], [0x0403_0201, 0x0605]);
    }
}
