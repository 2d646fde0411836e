//! Crops of random size and shape (Szegedy et al. 2015), as torchvision's `RandomResizedCrop` draws them.

use super::{Augment, Change, Draw, Form, Stage};
use crate::attribute::{Attribute, Listing, Range, Takes, Values};
use crate::ops::ChangeImages;

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::new("scale", Takes::Pair([0.08, 1.0], Range::Positive), "least and greatest share of the image's area"),
    Attribute::new(
        "ratio",
        Takes::Pair([0.75, 4.0 / 3.0], Range::Positive),
        "least and greatest ratio of width to height",
    ),
];

pub(super) static FORM: Form = Form {
    listing: Listing::new("random_resized_crop", &ATTRIBUTES, "a part of random size and shape, resized to the whole"),
    stage: Stage::Bytes,
    read: |values| {
        let [scale, ratio] = shares(values)?;
        Ok(Change::image(ResizedCrop { scale, ratio, to: None }))
    },
};

/// The pairs `scale` and `ratio`, each in order.
pub(super) fn shares(values: &Values) -> Result<[[f64; 2]; 2], String> {
    let pair = |name| {
        let [low, high] = values.pair(name);
        match low <= high {
            true => Ok([low, high]),
            false => {
                Err(format!("{name} is {low}+{high}, but must have the first of {name} no larger than the second"))
            }
        }
    };
    let [scale, ratio] = [pair("scale")?, pair("ratio")?];
    match scale[1] <= 1.0 {
        true => Ok([scale, ratio]),
        false => Err(format!("scale is {}+{}, but must have a scale at most 1", scale[0], scale[1])),
    }
}

struct ResizedCrop {
    scale: [f64; 2],
    ratio: [f64; 2],
    /// Height and width of what comes out; else those of the image.
    to: Option<[usize; 2]>,
}

impl Augment for ResizedCrop {
    fn changes(&self, [_, height, width]: [usize; 3]) -> Result<Vec<ChangeImages>, String> {
        Ok(vec![ChangeImages::ResizedCrop(self.to.unwrap_or([height, width]))])
    }

    fn cutting(&self, to: [usize; 2]) -> Option<Change> {
        Some(Change::image(ResizedCrop { to: Some(to), ..*self }))
    }

    fn draw(&self, place: &mut Draw, row: &mut [f32]) {
        let [height, width] = place.size;
        let is_within = |[h, w]: [usize; 2]| (1..=height).contains(&h) && (1..=width).contains(&w);
        if let Some([h, w]) = place.sides(self.scale, self.ratio, is_within) {
            let top = place.whole(0, (height - h) as i64);
            row.copy_from_slice(&[top, place.whole(0, (width - w) as i64), h as f32, w as f32]);
            return;
        }
        // The largest part in the middle whose ratio is allowed.
        let ratio = (width as f64 / height as f64).clamp(self.ratio[0], self.ratio[1]);
        let h = (width as f64 / ratio).round().clamp(1.0, height as f64);
        let w = (height as f64 * ratio).round().clamp(1.0, width as f64);
        let [top, left] = [(height as f64 - h) / 2.0, (width as f64 - w) / 2.0].map(|side| side.floor());
        row.copy_from_slice(&[top, left, h, w].map(|number| number as f32));
    }
}
