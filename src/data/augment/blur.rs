//! Gaussian blur, as torchvision's `GaussianBlur` draws it.

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Range, Takes};
use crate::ops::ChangeImages;

static ATTRIBUTES: [Attribute; 3] = [
    Attribute::new("kernel_size", Takes::Count(3, [1, 255]), "pixels on a side that make one, an odd number"),
    Attribute::new("sigma", Takes::Pair([0.1, 2.0], Range::Positive), "least and greatest deviation, in pixels"),
    Attribute::new("p", Takes::Number(0.5, Range::UpToOne), "probability"),
];

pub(super) static FORM: Form = Form {
    listing: Listing::new("gaussian_blur", &ATTRIBUTES, "blurred, its mirror image around it"),
    stage: Stage::Bytes,
    read: |values| {
        let (size, [low, high]) = (values.count("kernel_size") as usize, values.pair("sigma"));
        if size.is_multiple_of(2) {
            return Err(format!("kernel_size is {size}, but must be odd"));
        }
        if low > high {
            return Err(format!("sigma is {low}+{high}, but must have the smaller one first"));
        }
        Ok(Change::image(Blur { size, sigma: [low, high], p: values.number("p") }))
    },
};

struct Blur {
    size: usize,
    sigma: [f64; 2],
    p: f64,
}

impl Augment for Blur {
    fn changes(&self, [_, height, width]: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        let least = height.min(width);
        match self.size / 2 < least {
            true => Ok(vec![ChangeImages::Blur(self.size)]),
            false => Err(format!("a kernel_size of at most {}, for images of {height}x{width}", 2 * least - 1)),
        }
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let is_blurred = place.is_likely(self.p);
        let sigma = place.within(self.sigma);
        row[0] = if is_blurred { sigma as f32 } else { 0.0 };
    }
}
