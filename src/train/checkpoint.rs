//! Checkpoints: one safetensors file with parameters and buffers under torchvision's names, the
//! optimizer's state beside them, and everything else in the header.

use super::run_folder::write_whole;
use super::{TrainConfig, TrainError};
use crate::data::Normalization;
use crate::tensor::Shape;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// How far a run has come: with the seed, all that its random numbers depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Sums over the steps of the current epoch.
    pub loss_sum: f64,
    pub correct: f64,
    pub images: f64,
    /// Highest test accuracy so far.
    pub best_accuracy: f64,
    /// Of the last epoch.
    pub test_accuracy: f64,
    #[serde(deserialize_with = "number_or_null")]
    pub test_loss: f64,
}

/// JSON has no infinity and no NaN: they are written as null, which is read as NaN.
fn number_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub format: u32,
    pub config: TrainConfig,
    /// [C, H, W] of the images.
    pub input: [usize; 3],
    pub classes: Vec<String>,
    pub normalization: Normalization,
    pub progress: Progress,
    /// The schedule's own memory, such as a plateau's.
    pub learning_rate: serde_json::Value,
    /// The weights came from elsewhere, and `config.data` is not what they were trained on.
    #[serde(default)]
    pub without_data: bool,
}

/// A checkpoint in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    pub header: Header,
    /// Shape and elements by name.
    pub tensors: BTreeMap<String, (Shape, Vec<f32>)>,
}

/// Version of the header.
const FORMAT: u32 = 1;
const KEY: &str = "tilewright";

impl Header {
    pub fn new(config: TrainConfig, input: [usize; 3], classes: Vec<String>, normalization: Normalization) -> Self {
        Header {
            format: FORMAT,
            config,
            input,
            classes,
            normalization,
            progress: Progress::default(),
            learning_rate: serde_json::Value::Null,
            without_data: false,
        }
    }
}

/// Writes a checkpoint in whole or not at all.
///
/// # Errors
/// When the file cannot be written; an older checkpoint of the name is then kept.
pub fn save_checkpoint(path: &Path, checkpoint: &Checkpoint) -> Result<(), TrainError> {
    let failed = |reason: String| TrainError::File {
        path: path.to_owned(),
        action: "written",
        reason: std::io::Error::other(reason),
    };
    let header = serde_json::to_string(&checkpoint.header).map_err(|reason| failed(reason.to_string()))?;
    // One entry only: a map of more would be written in another order each time.
    let metadata = HashMap::from([(KEY.to_owned(), header)]);
    let views: Vec<(&str, TensorView<'_>)> = checkpoint
        .tensors
        .iter()
        .map(|(name, (shape, data))| {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(data));
            Ok((name.as_str(), view.map_err(|reason| failed(reason.to_string()))?))
        })
        .collect::<Result<_, TrainError>>()?;
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|reason| failed(reason.to_string()))?;
    write_whole(path, &bytes)
}

/// Reads a checkpoint.
///
/// # Errors
/// When the file is missing, damaged, or was written by something else.
pub fn load_checkpoint(path: &Path) -> Result<Checkpoint, TrainError> {
    let not = |reason: String| TrainError::NotACheckpoint { path: path.to_owned(), reason };
    let bytes = crate::regular_file::read(path).map_err(TrainError::file(path, "read"))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|reason| not(reason.to_string()))?;
    let header = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or_else(|| {
        not("its header has no entry `tilewright`; weights of PyTorch are read by `import`".to_owned())
    })?;
    let header: Header = serde_json::from_str(header).map_err(|reason| not(reason.to_string()))?;
    if header.format != FORMAT {
        return Err(not(format!("its format is {}, this version reads {FORMAT}", header.format)));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|reason| not(reason.to_string()))?;
    let tensors = file
        .iter()
        .map(|(name, view)| match view.dtype() {
            Dtype::F32 => {
                let data = bytemuck::pod_collect_to_vec(view.data());
                Ok((name.to_owned(), (view.shape().to_vec().into(), data)))
            }
            other => Err(not(format!("`{name}` holds {other:?}, not F32"))),
        })
        .collect::<Result<_, TrainError>>()?;
    Ok(Checkpoint { header, tensors })
}

impl Checkpoint {
    /// The elements of a tensor of the checkpoint.
    ///
    /// # Errors
    /// When it is missing, or its shape is another than the model's.
    pub fn tensor(&self, path: &Path, name: &str, shape: &Shape) -> Result<Vec<f32>, TrainError> {
        let not = |reason: String| TrainError::NotACheckpoint { path: path.to_owned(), reason };
        let (held, data) = self.tensors.get(name).ok_or_else(|| not(format!("it has no tensor `{name}`")))?;
        match held == shape {
            true => Ok(data.clone()),
            false => Err(not(format!("`{name}` has the shape {held}, the model's has {shape}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_loss_that_is_no_number_does_not_spoil_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let normalization = Normalization { mean: vec![0.5], std: vec![0.25] };
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let mut header = Header::new(TrainConfig::default(), [1, 28, 28], classes, normalization);
        header.progress = Progress { step: 3, test_loss: f64::INFINITY, ..Progress::default() };
        let tensors = BTreeMap::from([("w".to_owned(), (Shape::from(vec![2]), vec![1.0, -2.0]))]);
        save_checkpoint(&path, &Checkpoint { header, tensors: tensors.clone() }).unwrap();
        let read = load_checkpoint(&path).unwrap();
        assert_eq!((read.header.progress.step, read.tensors), (3, tensors));
        assert!(read.header.progress.test_loss.is_nan());
    }
}
