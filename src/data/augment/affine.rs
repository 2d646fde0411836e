//! Rotations, shifts, sizes and shears together, as torchvision's `RandomAffine` draws and composes them.

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Range, Takes, Values};
use crate::ops::ChangeImages;

static ATTRIBUTES: [Attribute; 5] = [
    Attribute::new("degrees", Takes::Number(0.0, Range::NotNegative), "the greatest angle, to both sides"),
    Attribute::new(
        "translate",
        Takes::Pair([0.0, 0.0], Range::UpToOne),
        "the greatest shift across and down, as shares of width and height",
    ),
    Attribute::new("scale", Takes::Pair([1.0, 1.0], Range::Positive), "least and greatest factor of the size"),
    Attribute::new(
        "shear",
        Takes::Number(0.0, Range::NotNegative),
        "the greatest angle by which rows slide, below 90 degrees",
    ),
    FILL,
];

pub(super) const FILL: Attribute =
    Attribute::new("fill", Takes::Number(0.0, Range::NotNegative), "what is around it: 0 is black, 255 white");

/// The fill, which is one of a pixel.
pub(super) fn fill(values: &Values) -> Result<f64, String> {
    match values.number("fill") {
        fill if fill <= 255.0 => Ok(fill),
        fill => Err(format!("fill is {fill}, but must be at most 255")),
    }
}

pub(super) static FORM: Form = Form {
    listing: Listing::new(
        "affine",
        &ATTRIBUTES,
        "turned, moved, resized and sheared about its centre, and filled around it",
    ),
    stage: Stage::Bytes,
    read: |values| {
        let (scale, shear) = (values.pair("scale"), values.number("shear"));
        if scale[0] > scale[1] {
            return Err(format!("scale is {}+{}, but must have the smaller one first", scale[0], scale[1]));
        }
        if shear >= 90.0 {
            return Err(format!("shear is {shear}, but must be below 90"));
        }
        Ok(Change::image(Affine {
            degrees: values.number("degrees"),
            translate: values.pair("translate"),
            scale,
            shear,
            fill: fill(values)?,
        }))
    },
};

struct Affine {
    degrees: f64,
    translate: [f64; 2],
    scale: [f64; 2],
    shear: f64,
    fill: f64,
}

impl Augment for Affine {
    fn changes(&self, _: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        Ok(vec![ChangeImages::Affine])
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let angle = place.within([-self.degrees, self.degrees]);
        let [height, width] = place.size.map(|side| side as f64);
        let [most_x, most_y] = [self.translate[0] * width, self.translate[1] * height];
        let shift = [most_x, most_y].map(|most| place.within([-most, most]).round());
        let scale = place.within(self.scale);
        let shear = place.within([-self.shear, self.shear]);
        write(row, inverse(angle, shift, scale, shear), self.fill);
    }
}

/// The row of an image.
pub(super) fn write(row: &mut [f32], map: [f64; 6], fill: f64) {
    row.iter_mut().zip(map.into_iter().chain([fill])).for_each(|(to, number)| *to = number as f32);
}

/// The map from a place in the changed image to that in the old one, both from the centre. The image is sheared along its
/// rows, turned clockwise and resized about its centre, and then moved. Angles in degrees, `shift` in pixels.
pub(super) fn inverse(angle: f64, shift: [f64; 2], scale: f64, shear: f64) -> [f64; 6] {
    let (sin, cos) = angle.to_radians().sin_cos();
    let slide = shear.to_radians().tan();
    // Forward it is scale * R(angle) * [1, -slide; 0, 1], whose determinant is scale^2.
    let [a, b, c, d] = [cos, -cos * slide - sin, sin, -sin * slide + cos];
    let map = |row: [f64; 2]| [row[0] / scale, row[1] / scale, -(row[0] * shift[0] + row[1] * shift[1]) / scale];
    let [first, second] = [map([d, -b]), map([-c, a])];
    [first[0], first[1], first[2], second[0], second[1], second[2]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By torchvision 0.29's `_get_inverse_affine_matrix([0, 0], angle, shift, scale, [shear, 0])`.
    #[test]
    fn maps_are_those_of_torchvision() {
        for (angle, shift, scale, shear, expected) in [
            (0.0, [0.0, 0.0], 1.0, 0.0, [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
            (
                30.0,
                [0.0, 0.0],
                1.0,
                0.0,
                [0.8660254037844387, 0.49999999999999994, 0.0, -0.49999999999999994, 0.8660254037844387, 0.0],
            ),
            (
                -20.0,
                [3.0, -5.0],
                1.25,
                0.0,
                [
                    0.7517540966287267,
                    -0.273616114660535,
                    -3.6233428631888547,
                    0.273616114660535,
                    0.7517540966287267,
                    2.937922139162029,
                ],
            ),
            (
                12.5,
                [-2.0, 7.0],
                0.7,
                15.0,
                [
                    1.3118588390787354,
                    0.6829104865994553,
                    -2.156655728038716,
                    -0.3091994484830041,
                    1.394708581599905,
                    -10.381358968165342,
                ],
            ),
        ] {
            let found = inverse(angle, shift, scale, shear);
            let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
            assert!(found.iter().zip(&expected).all(is_near), "{found:?} is not {expected:?}");
        }
    }
}
