//! Random erasing (Zhong et al. 2020), as torchvision's `RandomErasing` draws it.

use super::resized_crop::shares;
use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Range, Takes};
use crate::ops::ChangeImages;

static ATTRIBUTES: [Attribute; 3] = [
    Attribute::new("p", Takes::Number(0.5, Range::UpToOne), "probability"),
    Attribute::new("scale", Takes::Pair([0.02, 0.33], Range::Positive), "least and greatest share of the image's area"),
    Attribute::new("ratio", Takes::Pair([0.3, 3.3], Range::Positive), "least and greatest ratio of height to width"),
];

pub(super) static FORM: Form = Form {
    listing: Listing::new("erase", &ATTRIBUTES, "a box of random size and shape becomes the mean colour"),
    stage: Stage::Normalized,
    read: |values| {
        let [scale, ratio] = shares(values)?;
        Ok(Change::image(Erase { p: values.number("p"), scale, ratio }))
    },
};

struct Erase {
    p: f64,
    scale: [f64; 2],
    ratio: [f64; 2],
}

impl Augment for Erase {
    fn changes(&self, _: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        Ok(vec![ChangeImages::Erase])
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        row.fill(0.0);
        let [height, width] = place.size;
        // The ratio is that of height to width here.
        let ratio = [1.0 / self.ratio[1], 1.0 / self.ratio[0]];
        let is_within = |[h, w]: [usize; 2]| h < height && w < width;
        if place.is_likely(self.p)
            && let Some([h, w]) = place.sides(self.scale, ratio, is_within)
        {
            let top = place.whole(0, (height - h) as i64);
            row.copy_from_slice(&[top, place.whole(0, (width - w) as i64), h as f32, w as f32]);
        }
    }
}
