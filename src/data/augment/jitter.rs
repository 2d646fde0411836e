//! Colour jitter, as torchvision's `ColorJitter` draws it.

use super::{Augment, Change, Draw, Form, Stage, tone};
use crate::attribute::{Attribute, Listing, Range, Takes};
use crate::ops::{ChangeImages, Colour};

const fn factor(name: &'static str) -> Attribute {
    Attribute::new(name, Takes::Number(0.4, Range::NotNegative), "how far its factor may be from 1; 0 leaves it out")
}

static ATTRIBUTES: [Attribute; 5] = [
    factor("brightness"),
    factor("contrast"),
    factor("saturation"),
    Attribute::new("hue", Takes::Number(0.1, Range::NotNegative), "the greatest turn of the hue, at most 0.5"),
    Attribute::new("p", Takes::Number(1.0, Range::UpToOne), "probability"),
];

pub(super) static FORM: Form = Form {
    listing: Listing::new(
        "color_jitter",
        &ATTRIBUTES,
        "of another brightness, contrast, saturation and hue, in an order that is drawn",
    ),
    stage: Stage::Bytes,
    read: |values| {
        let hue = values.number("hue");
        if hue > 0.5 {
            return Err(format!("hue is {hue}, but must be at most 0.5"));
        }
        let factors = [
            (Colour::Brightness, values.number("brightness")),
            (Colour::Contrast, values.number("contrast")),
            (Colour::Saturation, values.number("saturation")),
            (Colour::Hue, hue),
        ];
        let factors = factors.into_iter().filter(|&(_, most)| most > 0.0).collect();
        Ok(Change::image(Jitter { factors, p: values.number("p") }))
    },
};

struct Jitter {
    /// What is changed, and how far at most.
    factors: Vec<(Colour, f64)>,
    p: f64,
}

impl Augment for Jitter {
    fn changes(&self, shape: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        tone::coloured(shape)?;
        Ok(vec![ChangeImages::Colour; self.factors.len()])
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let is_changed = place.is_likely(self.p);
        let mut order = self.factors.clone();
        place.random.shuffle(&mut order);
        for (row, (colour, most)) in row.chunks_exact_mut(2).zip(order) {
            let amount = match colour {
                Colour::Hue => place.within([-most, most]),
                _ => place.within([(1.0 - most).max(0.0), 1.0 + most]),
            };
            row.copy_from_slice(&if is_changed { colour } else { Colour::Same }.row(amount));
        }
    }
}
