//! Cutout (DeVries and Taylor 2017).

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Takes};
use crate::ops::ChangeImages;

static ATTRIBUTES: [Attribute; 1] = [Attribute::new("size", Takes::Count(8, [1, 4096]), "pixels along its sides")];

pub(super) static FORM: Form = Form {
    listing: Listing::new(
        "cutout",
        &ATTRIBUTES,
        "a square about a random pixel becomes the mean colour; what of it lies beyond the image is lost",
    ),
    stage: Stage::Normalized,
    read: |values| Ok(Change::image(Cutout { size: values.count("size") as usize })),
};

struct Cutout {
    size: usize,
}

impl Augment for Cutout {
    fn changes(&self, _: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        Ok(vec![ChangeImages::Erase])
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let half = (self.size / 2) as i64;
        let [top, left] = place.size.map(|side| place.random.below(side) as i64 - half);
        row.copy_from_slice(&[top as f32, left as f32, self.size as f32, self.size as f32]);
    }
}
