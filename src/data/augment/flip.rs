//! Mirror images.

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Range, Takes};
use crate::ops::{Border, ChangeImages};

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::new("p", Takes::Number(0.5, Range::UpToOne), "probability"),
    Attribute::new("alternating", Takes::Flag(false), "in every second epoch, and in the first one with probability p"),
];

pub(super) static FORM: Form = Form {
    listing: Listing::new("flip", &ATTRIBUTES, "mirrored, left to right (alternating: Jordan 2024)"),
    stage: Stage::Bytes,
    read: |values| Ok(Change::image(Flip { p: values.number("p"), alternating: values.flag("alternating") })),
};

struct Flip {
    p: f64,
    alternating: bool,
}

impl Augment for Flip {
    fn changes(&self, _: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        Ok(vec![ChangeImages::Crop(Border::Zero)])
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let is_mirrored = match self.alternating {
            true => (place.of_image.uniform() < self.p) ^ (place.epoch % 2 == 1),
            false => place.is_likely(self.p),
        };
        row.copy_from_slice(&[0.0, 0.0, f32::from(u8::from(is_mirrored))]);
    }
}
