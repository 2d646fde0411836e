//! Crops of a padded image (He et al. 2016, section 4.2).

use super::{Augment, Draw, Form};
use crate::attribute::{Attribute, Listing, Takes, Values};
use crate::ops::{Border, ChangeImages};
use std::sync::Arc;

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::new("padding", Takes::Count(4, [1, 4096]), "pixels around the image"),
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
        "padded, and cut out in its old size at a random place: the image moves by at most padding",
    ),
    is_of_normalized: false,
    read: |values| Ok(Arc::new(Crop::of(values))),
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
    fn change(&self, size: [usize; 2]) -> Result<ChangeImages, String> {
        let least = size[0].min(size[1]);
        match self.padding < least || self.border != Border::Reflect {
            true => Ok(ChangeImages::Crop(self.border)),
            false => {
                Err(format!("a padding below {least}, as far as the mirror image of {}x{} goes", size[0], size[1]))
            }
        }
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let padding = self.padding as i64;
        row.copy_from_slice(&[place.whole(-padding, padding), place.whole(-padding, padding), 0.0]);
    }
}
