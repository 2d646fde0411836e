//! Crops of a padded image (He et al. 2016, section 4.2), or of one that is larger than what the model sees.

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Takes, Values};
use crate::ops::{Border, ChangeImages};

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::new("padding", Takes::Count(4, [0, 4096]), "pixels around the image"),
    Attribute::new(
        "border",
        Takes::Word(&["zero", "reflect", "edge"]),
        "what they are: black, a mirror image or the edge",
    ),
];

pub(super) static FORM: Form = Form {
    listing: Listing::new(
        "crop",
        &ATTRIBUTES,
        "padded, and cut out in its old size at a random place: the image moves by at most padding; without padding, a part of \
         an image that is kept larger",
    ),
    stage: Stage::Bytes,
    read: |values| Ok(Change::image(Crop::of(values))),
};

struct Crop {
    padding: usize,
    border: Border,
}

impl Crop {
    fn of(values: &Values) -> Self {
        let border = match values.word("border") {
            "reflect" => Border::Reflect,
            "edge" => Border::Edge,
            _ => Border::Zero,
        };
        Crop { padding: values.count("padding") as usize, border }
    }
}

impl Augment for Crop {
    fn changes(&self, [_, height, width]: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        let least = height.min(width);
        match self.padding < least || self.border != Border::Reflect {
            true => Ok(vec![ChangeImages::Crop(self.border)]),
            false => Err(format!("a padding below {least}, as far as the mirror image of {height}x{width} goes")),
        }
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let padding = self.padding as i64;
        row.copy_from_slice(&[place.whole(-padding, padding), place.whole(-padding, padding), 0.0]);
    }

    fn cutting(&self, to: [usize; 2]) -> Option<Change> {
        (self.padding == 0).then(|| Change::image(CutOut(to)))
    }
}

/// A part of this height and width, at a random place.
struct CutOut([usize; 2]);

impl Augment for CutOut {
    /// Resampled to its own size, a part stays as it is.
    fn changes(&self, [_, height, width]: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        let CutOut(to @ [h, w]) = *self;
        match h <= height && w <= width {
            true => Ok(vec![ChangeImages::ResizedCrop(to)]),
            false => Err(format!("images of at least {h}x{w} to cut that out of, not {height}x{width}")),
        }
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let CutOut([h, w]) = *self;
        let [height, width] = place.size;
        let [top, left] = [place.whole(0, (height - h) as i64), place.whole(0, (width - w) as i64)];
        row.copy_from_slice(&[top, left, h as f32, w as f32]);
    }
}
