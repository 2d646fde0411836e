//! Crops of a padded image (He et al. 2016, section 4.2).

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Takes, Values};
use crate::ops::{Border, ChangeImages};

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
}
