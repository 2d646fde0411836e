//! Single changes of colours, each by chance, as torchvision's `RandomGrayscale`, `RandomInvert`, `RandomPosterize` and others
//! draw them.

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Range, Takes, Values};
use crate::ops::{ChangeImages, Colour};

const fn p(default: f64) -> Attribute {
    Attribute::new("p", Takes::Number(default, Range::UpToOne), "probability")
}

static ALONE: [Attribute; 1] = [p(0.5)];
static OF_GRAYSCALE: [Attribute; 1] = [p(0.1)];
static OF_POSTERIZE: [Attribute; 2] =
    [Attribute::new("bits", Takes::Count(4, [1, 8]), "how many of the eight bits of a pixel are kept"), p(0.5)];
static OF_SOLARIZE: [Attribute; 2] = [
    Attribute::new("threshold", Takes::Number(128.0, Range::NotNegative), "from which pixels are inverted, of 255"),
    p(0.5),
];
static OF_SHARPNESS: [Attribute; 2] = [
    Attribute::new("factor", Takes::Number(2.0, Range::NotNegative), "0 blurs, 1 changes nothing, 2 sharpens"),
    p(0.5),
];

macro_rules! form {
    ($name:ident, $text:literal, $attributes:expr, $about:literal, $colour:expr, $amount:literal) => {
        pub(super) static $name: Form = Form {
            listing: Listing::new($text, $attributes, $about),
            stage: Stage::Bytes,
            read: |values| Ok(Change::image(Tone::of($colour, values, $amount))),
        };
    };
}
form!(GRAYSCALE, "grayscale", &OF_GRAYSCALE, "made grey", Colour::Grey, "");
form!(INVERT, "invert", &ALONE, "dark and light exchanged", Colour::Invert, "");
form!(POSTERIZE, "posterize", &OF_POSTERIZE, "of fewer levels", Colour::Posterize, "bits");
form!(SOLARIZE, "solarize", &OF_SOLARIZE, "its light pixels inverted", Colour::Solarize, "threshold");
form!(SHARPNESS, "sharpness", &OF_SHARPNESS, "sharper, or less sharp", Colour::Sharpness, "factor");
form!(AUTOCONTRAST, "autocontrast", &ALONE, "each channel drawn out from black to white", Colour::Autocontrast, "");
form!(EQUALIZE, "equalize", &ALONE, "each channel with all levels alike often", Colour::Equalize, "");

struct Tone {
    colour: Colour,
    amount: f64,
    p: f64,
}

impl Tone {
    fn of(colour: Colour, values: &Values, amount: &str) -> Tone {
        let amount = match colour {
            Colour::Posterize => values.count(amount) as f64,
            _ => values.number(amount),
        };
        Tone { colour, amount, p: values.number("p") }
    }
}

impl Augment for Tone {
    fn changes(&self, shape: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        coloured(shape)?;
        Ok(vec![ChangeImages::Colour])
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let colour = if place.is_likely(self.p) { self.colour } else { Colour::Same };
        row.copy_from_slice(&colour.row(self.amount));
    }
}

/// Refuses images that have other channels than grey, or red, green and blue.
pub(super) fn coloured([channels, ..]: [usize; 3]) -> Result<(), String> {
    match channels {
        1 | 3 => Ok(()),
        _ => Err(format!("left out for images of {channels} channels: it is for one or three")),
    }
}
