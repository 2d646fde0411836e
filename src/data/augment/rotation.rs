//! Rotations about the centre.

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Range, Takes};
use crate::ops::ChangeImages;

static ATTRIBUTES: [Attribute; 1] =
    [Attribute::new("degrees", Takes::Number(15.0, Range::NotNegative), "the greatest angle, to both sides")];

pub(super) static FORM: Form = Form {
    listing: Listing::new("rotation", &ATTRIBUTES, "turned about its centre, black around it"),
    stage: Stage::Bytes,
    read: |values| Ok(Change::image(Rotation { degrees: values.number("degrees") })),
};

struct Rotation {
    degrees: f64,
}

impl Augment for Rotation {
    fn changes(&self, _: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        Ok(vec![ChangeImages::Affine])
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let (sin, cos) = place.within([-self.degrees, self.degrees]).to_radians().sin_cos();
        row.copy_from_slice(&[cos, -sin, 0.0, sin, cos, 0.0].map(|number| number as f32));
    }
}
