//! A model that `tilewright export` wrote for a page, and images for it.

use super::{Opened, told};
use serde_json::json;
use std::path::Path;
use tilewright::checkpoint::Header;
use tilewright::data::{MAX_PIXELS, is_cut_off};
use tilewright::interop::read_folded;
use tilewright::train::{Batch, Evaluator, softmax};
use wasm_bindgen::prelude::*;

/// What errors call the model's file.
const FILE: &str = "model.safetensors";

/// A model that is ready to be asked.
#[wasm_bindgen]
pub struct Model {
    header: Header,
    evaluator: Evaluator,
}

#[wasm_bindgen]
impl Model {
    /// Of the bytes of its file.
    pub async fn open(opened: &Opened, bytes: Vec<u8>) -> Result<Model, JsError> {
        let file = Path::new(FILE);
        let model = read_folded(file, &bytes).map_err(told)?;
        drop(bytes);
        let [channels, height, width] = model.header.input;
        let batch = Batch { shape: [1, channels, height, width], classes: model.header.classes.len() };
        let evaluator = Evaluator::of_folded(&model, file, batch, &opened.device).await.map_err(told)?;
        Ok(Model { header: model.header, evaluator })
    }

    /// What it is and what it takes, as JSON.
    pub fn about(&self) -> String {
        let Header { config, input, classes, normalization, preprocessing, .. } = &self.header;
        json!({
            "model": config.model,
            "input": input,
            "classes": classes,
            "seen": preprocessing.to_string(),
            "normalization": normalization.to_string(),
            "most_pixels": MAX_PIXELS,
        })
        .to_string()
    }

    /// Whether the bytes of an image file are a part of one, which a browser decodes all the same.
    pub fn is_cut_off(file: &[u8]) -> bool {
        is_cut_off(file)
    }

    /// What the model sees of an image: bytes `[C, H, W]`.
    pub fn seen(&self, picture: &Picture) -> Result<Vec<u8>, JsError> {
        let from = [3, picture.height, picture.width];
        self.header.preprocessing.image(&picture.planes, from, self.header.input).map_err(told)
    }

    /// The probability of each class, for what it sees.
    pub async fn predict(&mut self, seen: Vec<u8>) -> Result<Vec<f64>, JsError> {
        let logits = self.evaluator.logits_async(&seen, &self.header.normalization).await.map_err(told)?;
        match logits.iter().all(|logit| logit.is_finite()) {
            true => Ok(softmax(&logits)),
            false => Err(told("the model's numbers overflow for this image: it has no probabilities")),
        }
    }
}

/// An image that the browser has decoded, as colour planes; rows come a few at a time, since a canvas holds no large one.
#[wasm_bindgen]
pub struct Picture {
    height: usize,
    width: usize,
    planes: Vec<u8>,
    filled: usize,
}

#[wasm_bindgen]
impl Picture {
    /// A black one.
    pub fn new(width: usize, height: usize) -> Result<Picture, JsError> {
        let pixels = (width as u64).saturating_mul(height as u64);
        match (1..=MAX_PIXELS).contains(&pixels) {
            true => Ok(Picture { height, width, planes: vec![0; 3 * width * height], filled: 0 }),
            false => Err(told(format!("an image of {width}x{height} pixels is not read, but of 1 to {MAX_PIXELS}"))),
        }
    }

    /// Takes the next rows, four bytes a pixel: red, green, blue, and one that is not looked at.
    pub fn take_rows(&mut self, pixels: &[u8]) {
        let size = self.height * self.width;
        let count = (pixels.len() / 4).min(size - self.filled);
        for (channel, plane) in self.planes.chunks_exact_mut(size).enumerate() {
            let out = plane[self.filled..self.filled + count].iter_mut();
            out.zip(pixels.iter().skip(channel).step_by(4)).for_each(|(out, &byte)| *out = byte);
        }
        self.filled += count;
    }
}
