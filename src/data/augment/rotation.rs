//! Rotations about the centre.

use super::{Augment, Change, Draw, Form, Stage, affine};
use crate::attribute::{Attribute, Listing, Range, Takes};
use crate::ops::ChangeImages;

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::new("degrees", Takes::Number(15.0, Range::NotNegative), "the greatest angle, to both sides"),
    affine::FILL,
];

pub(super) static FORM: Form = Form {
    listing: Listing::new("rotation", &ATTRIBUTES, "turned about its centre, and filled around it"),
    stage: Stage::Bytes,
    read: |values| Ok(Change::image(Rotation { degrees: values.number("degrees"), fill: affine::fill(values)? })),
};

struct Rotation {
    degrees: f64,
    fill: f64,
}

impl Augment for Rotation {
    fn changes(&self, _: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        Ok(vec![ChangeImages::Affine])
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let angle = place.within([-self.degrees, self.degrees]);
        affine::write(row, affine::inverse(-angle, [0.0; 2], 1.0, 0.0), self.fill);
    }
}
