//! A run that the page drives.

use super::{Opened, told};
use serde_json::{Value, json};
use std::path::Path;
use tilewright::checkpoint::Checkpoint;
use tilewright::data::{Dataset, Splits};
use tilewright::recipe::{ROWS, Row, TrainConfig};
use tilewright::train::{Resolved, Stepwise, Testing, softmax};
use wasm_bindgen::prelude::*;

/// What errors call a file of the page.
const FILE: &str = "the file";

/// Settings that the page does not have: what speaks of files of this machine, or of what a page does not do.
const NOT_HERE: [&str; 22] = [
    "average",
    "checkpoint_every",
    "class_weights",
    "classes",
    "crop_share",
    "damaged",
    "data",
    "data_memory",
    "fold",
    "head",
    "init",
    "init_key",
    "interpolation",
    "max_pixels",
    "min_delta",
    "patience",
    "resize",
    "shards",
    "size",
    "split",
    "tuned",
    "whiten",
];

/// Images to train on, with others to test on.
#[wasm_bindgen]
pub struct Images {
    splits: Splits,
}

#[wasm_bindgen]
impl Images {
    /// Of the four files of MNIST or its family, gzipped or not.
    pub fn idx(name: &str, files: Vec<js_sys::Uint8Array>) -> Result<Images, JsError> {
        let bytes: Vec<Vec<u8>> = files.iter().map(js_sys::Uint8Array::to_vec).collect();
        let slices: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let files = slices.try_into().map_err(|_| told("there must be four files"))?;
        Ok(Images { splits: Splits::from_idx(name, files).map_err(told)? })
    }

    /// Of pixels, `[images, channels, height, width]`; `is_test` says which images are for testing, one byte for each.
    pub fn own(
        name: &str,
        shape: Vec<u32>,
        classes: Vec<String>,
        pixels: Vec<u8>,
        labels: Vec<u32>,
        is_test: &[u8],
    ) -> Result<Images, JsError> {
        let shape: [usize; 3] =
            shape.iter().map(|&size| size as usize).collect::<Vec<_>>().try_into().map_err(|_| told("no shape"))?;
        let size: usize = shape.iter().product();
        let part = |test: bool, split: &str| {
            let of_part = |index: &usize| (is_test[*index] != 0) == test;
            let chosen: Vec<usize> = (0..labels.len().min(is_test.len())).filter(of_part).collect();
            let bytes = chosen.iter().flat_map(|&index| &pixels[index * size..(index + 1) * size]).copied().collect();
            let labels = chosen.iter().map(|&index| labels[index]).collect();
            Dataset::new(format!("{name} ({split})"), shape, classes.clone(), bytes, labels).map_err(told)
        };
        if pixels.len() != labels.len() * size || is_test.len() != labels.len() {
            return Err(told("there must be pixels and a part for each label"));
        }
        Ok(Images { splits: Splits::new(part(false, "train")?, part(true, "test")?) })
    }

    /// Numbers of images, their shape and classes, as JSON.
    pub fn about(&self) -> String {
        let train = &self.splits.train;
        json!({
            "name": train.name,
            "train": train.len(),
            "test": self.splits.test.len(),
            "shape": train.shape(),
            "classes": train.classes,
        })
        .to_string()
    }

    /// A test image: its bytes.
    pub fn test_image(&self, index: usize) -> Result<Vec<u8>, JsError> {
        let test = &self.splits.test;
        Ok(test.image(index % test.len().max(1)).map_err(told)?.to_vec())
    }

    /// The class of a test image.
    pub fn test_label(&self, index: usize) -> Option<u32> {
        let labels = &self.splits.test.labels;
        labels.get(index % labels.len().max(1)).copied()
    }
}

/// The settings of a model's recipe that the page has, as JSON.
#[wasm_bindgen]
pub fn settings(model: &str) -> Result<String, JsError> {
    let config = TrainConfig::for_model(model).map_err(told)?;
    let told = |row: &Row| {
        json!({
            "name": row.name,
            "value": row.get(&config).map(|value| value.to_string()),
            "kind": format!("{:?}", row.kind),
            "unit": row.unit,
            "about": Row::spelled(row.about, str::to_owned),
            "more": Row::spelled(row.more, str::to_owned),
            "listed": row.listed.map(|listed| listed()),
            "topic": format!("{:?}", row.topic),
        })
    };
    Ok(Value::from_iter(ROWS.iter().filter(|row| !NOT_HERE.contains(&row.name)).map(told)).to_string())
}

/// A model's recipe with these settings, a JSON object of texts.
fn config(model: &str, settings: &str) -> Result<TrainConfig, JsError> {
    let mut config = TrainConfig::for_model(model).map_err(told)?;
    let given: serde_json::Map<String, Value> = serde_json::from_str(settings).map_err(told)?;
    for (name, value) in &given {
        let row = Row::find(name).ok_or_else(|| told(format!("there is no setting `{name}`")))?;
        let text = value.as_str().unwrap_or_default();
        let value = row.read(text).map_err(|reason| told(format!("{name} `{text}`: {reason}")))?;
        row.set(&mut config, &value).map_err(told)?;
    }
    Ok(config)
}

/// A run on the device, a few steps at a time.
#[wasm_bindgen]
pub struct Run {
    run: Stepwise,
    testing: Option<Testing>,
}

#[wasm_bindgen]
impl Run {
    /// Begins a run of a model's recipe with these settings, a JSON object of texts; `source` is what a checkpoint says
    /// that the images are.
    pub async fn begin(
        opened: &Opened,
        images: &Images,
        model: String,
        settings: String,
        source: String,
    ) -> Result<Run, JsError> {
        let mut config = config(&model, &settings)?;
        config.data = source.parse().map_err(told)?;
        let run = Stepwise::new(images.splits.clone(), config, &opened.device).await.map_err(told)?;
        Ok(Run { run, testing: None })
    }

    /// What it trains, and for how long, as JSON.
    pub fn about(&self) -> String {
        let Resolved { batch, steps_per_epoch, total_steps, .. } = self.run.resolved();
        json!({
            "parameters": self.run.parameters(),
            "batch": batch,
            "steps_per_epoch": steps_per_epoch,
            "total_steps": total_steps,
            "step": self.run.header().progress.step,
            "is_over": self.run.is_over(),
        })
        .to_string()
    }

    /// Runs up to so many steps: step, rate, loss, accuracy and images of each, one after another.
    pub async fn steps(&mut self, most: u32) -> Result<Vec<f64>, JsError> {
        // What was found of the weights before would be mixed with what is found of those after.
        self.testing = None;
        let steps = self.run.steps(u64::from(most)).await.map_err(told)?;
        let row = |of: tilewright::train::Step| {
            [of.step as f64, of.lr, f64::from(of.loss), f64::from(of.accuracy), of.images as f64]
        };
        Ok(steps.into_iter().flat_map(row).collect())
    }

    /// Runs the model on the next `most` batches of the test images: what it is worth, as JSON, once they are through.
    pub async fn test(&mut self, most: usize) -> Result<Option<String>, JsError> {
        let testing = self.testing.get_or_insert_with(|| self.run.begin_test());
        let Some(found) = self.run.test(testing, most).await.map_err(told)? else { return Ok(None) };
        self.testing = None;
        Ok(Some(
            json!({
                "step": self.run.header().progress.step,
                "loss": found.loss,
                "accuracy": found.top1,
                "images": found.images,
                "confusion": found.confusion,
            })
            .to_string(),
        ))
    }

    /// The probability of each class, for the bytes of an image `[C, H, W]`.
    pub async fn predict(&mut self, image: Vec<u8>) -> Result<Vec<f64>, JsError> {
        Ok(softmax(&self.run.logits(&image).await.map_err(told)?))
    }

    /// The shape `[out, in, height, width]` of the filters of the model's first convolution, and their weights after it.
    pub async fn filters(&self) -> Result<Vec<f32>, JsError> {
        let is_filter =
            |(name, shape): &&(String, tilewright::tensor::Shape)| name.ends_with("weight") && shape.len() == 4;
        let Some((name, shape)) = self.run.tensors().iter().find(is_filter) else { return Ok(Vec::new()) };
        let weights = self.run.session().get_async(name).await.map_err(told)?;
        Ok(shape.iter().map(|&size| size as f32).chain(weights).collect())
    }

    /// A checkpoint, as `tilewright eval` reads it.
    pub async fn checkpoint(&self) -> Result<Vec<u8>, JsError> {
        self.run.checkpoint().await.map_err(told)?.to_bytes(Path::new(FILE)).map_err(told)
    }

    /// Takes over the weights of a checkpoint of the same model.
    pub fn take_weights(&mut self, bytes: &[u8]) -> Result<(), JsError> {
        self.testing = None;
        let file = Path::new(FILE);
        self.run.take_weights(&Checkpoint::from_bytes(file, bytes).map_err(told)?, file).map_err(told)
    }
}
