//! Checkpoints: one safetensors file with parameters and buffers under torchvision's names, the
//! optimizer's state beside them, and everything else in the header.

mod checksums;
mod error;

pub use error::CheckpointError;

use crate::atomic_file::replace_verified;
use crate::data::{Normalization, Preprocessing};
use crate::recipe::TrainConfig;
use crate::tensor::Shape;
use checksums::Sums;
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
    /// Images of those steps whose class was told rightly.
    pub correct: f64,
    /// Images of those steps.
    pub images: f64,
    /// Highest test accuracy so far, and the steps after which it was reached; 0 for none.
    pub best_accuracy: f64,
    /// 0 for none.
    #[serde(default)]
    pub best_step: u64,
    /// The accuracy that later epochs are held against where a run ends early.
    #[serde(default)]
    pub improved_accuracy: f64,
    /// Steps after which it was reached; 0 for none.
    #[serde(default)]
    pub improved_step: u64,
    /// Of the last epoch.
    pub test_accuracy: f64,
    /// Mean cross-entropy in nats, of the last epoch; NaN where it was not finite.
    #[serde(deserialize_with = "number_or_null")]
    pub test_loss: f64,
}

/// JSON has no infinity and no NaN: they are written as null, which is read as NaN.
pub(crate) fn number_or_null<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
}

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Checksums, while it is in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sums: Option<Sums>,
    /// Version of the header: 1 or 2.
    pub format: u32,
    /// What the run was told, with every default written out.
    pub config: TrainConfig,
    /// [C, H, W] of the images.
    pub input: [usize; 3],
    /// Their names, in the order of the logits.
    pub classes: Vec<String>,
    /// What pixels are normalised by before the model sees them.
    pub normalization: Normalization,
    /// What becomes of images of another size than `input`; those of older checkpoints are stretched.
    #[serde(default)]
    pub preprocessing: Preprocessing,
    /// How far the run was.
    pub progress: Progress,
    /// The schedule's own memory, such as a plateau's.
    pub learning_rate: serde_json::Value,
    /// The weights came from elsewhere, and `config.data` is not what they were trained on.
    #[serde(default)]
    pub without_data: bool,
}

/// A checkpoint in memory.
///
/// ```no_run
/// use std::path::Path;
/// use tilewright::checkpoint::load_checkpoint;
///
/// let checkpoint = load_checkpoint(Path::new("runs/mine/checkpoint.safetensors"))?;
/// println!("{} after {} steps", checkpoint.header.config.model, checkpoint.header.progress.step);
/// for (name, (shape, _)) in &checkpoint.tensors {
///     println!("{name} {shape}");
/// }
/// # Ok::<(), tilewright::checkpoint::CheckpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What the file says besides the tensors.
    pub header: Header,
    /// Shape and elements by name.
    pub tensors: BTreeMap<String, (Shape, Vec<f32>)>,
}

/// Version of the header. Those of version 1 have no checksums.
const FORMAT: u32 = 2;
const FORMATS: std::ops::RangeInclusive<u32> = 1..=FORMAT;
const KEY: &str = "tilewright";

impl Header {
    /// The header of a run at its start, for images `[C, H, W]` of the size `input`.
    pub fn new(config: TrainConfig, input: [usize; 3], classes: Vec<String>, normalization: Normalization) -> Self {
        Header {
            sums: None,
            format: FORMAT,
            config,
            input,
            classes,
            normalization,
            preprocessing: Preprocessing::default(),
            progress: Progress::default(),
            learning_rate: serde_json::Value::Null,
            without_data: false,
        }
    }

    /// Checks that images and classes are such as a model can have.
    ///
    /// # Errors
    /// What cannot be, with its value.
    pub fn check(&self) -> Result<(), String> {
        let longest = self.preprocessing.resize.unwrap_or(1);
        if !(1..=MOST_RESIZED).contains(&longest) {
            return Err(format!("its images are resized to {longest} pixels, but at most to {MOST_RESIZED}"));
        }
        check_images(self.input, &self.classes, &self.normalization)
    }
}

/// Pixels of an image, and classes, that a model is trained on at most: what a damaged file asks for beyond is refused
/// before memory is taken for it.
const MOST_PIXELS: usize = 100_000_000;
const MOST_CLASSES: usize = 1 << 16;
const MOST_RESIZED: usize = 65_535;

/// Checks the images `[C, H, W]`, the classes and the normalisation that a file says a model is for.
///
/// # Errors
/// What cannot be, with its value.
pub(crate) fn check_images(
    input: [usize; 3],
    classes: &[String],
    Normalization { mean, std }: &Normalization,
) -> Result<(), String> {
    let [channels, height, width] = input;
    let pixels = height.checked_mul(width).filter(|&pixels| (1..=MOST_PIXELS).contains(&pixels));
    let is_image = pixels.and_then(|pixels| pixels.checked_mul(channels));
    if is_image.is_none_or(|elements| elements == 0 || elements > 4 * MOST_PIXELS) {
        return Err(format!("its images are {channels}x{height}x{width}, which no model takes"));
    }
    if classes.is_empty() || classes.len() > MOST_CLASSES {
        return Err(format!("it has {} classes, but must have 1 to {MOST_CLASSES}", classes.len()));
    }
    let is_divisor = |x: &f32| x.is_finite() && *x > 0.0;
    let suits = mean.len() == channels && std.len() == channels;
    match suits && mean.iter().all(|x| x.is_finite()) && std.iter().all(is_divisor) {
        true => Ok(()),
        false => Err(format!(
            "its normalisation has the means {mean:?} and deviations {std:?}, but must have {channels} numbers of each, \
             and deviations above 0"
        )),
    }
}

/// Writes a checkpoint in whole or not at all, with checksums, and reads it back before it takes the place of an older
/// one.
///
/// # Errors
/// When a tensor is not finite, or the file cannot be written; an older checkpoint of the name is then kept.
pub fn save_checkpoint(path: &Path, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    replace_verified(path, &checkpoint.to_bytes(path)?).map_err(CheckpointError::file(path, "written"))
}

impl Checkpoint {
    /// What [`save_checkpoint`] writes into a file.
    ///
    /// # Errors
    /// When a tensor is not finite; it is told as of the file `path`.
    pub fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, CheckpointError> {
        if let Some((tensor, value)) = self.first_not_finite() {
            return Err(CheckpointError::NotFinite { path: path.to_owned(), tensor: tensor.to_owned(), value });
        }
        serialize(self).map_err(|reason| CheckpointError::File {
            path: path.to_owned(),
            action: "written",
            reason: std::io::Error::other(reason),
        })
    }

    /// The checkpoint in the bytes of a file, which errors name as `path`.
    ///
    /// # Errors
    /// When they are damaged, or were written by something else.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
        parse(path, bytes)
    }
}

/// The bytes of a checkpoint, as a file has them.
///
/// # Errors
/// When it is too large for the format.
pub(crate) fn serialize(checkpoint: &Checkpoint) -> Result<Vec<u8>, String> {
    let sums = Sums::of(checkpoint.tensors.values().map(|(_, data)| bytemuck::cast_slice(data)));
    let header = Header { sums: Some(sums), format: FORMAT, ..checkpoint.header.clone() };
    let header = serde_json::to_string(&header).map_err(|reason| reason.to_string())?;
    // One entry only: a map of more would be written in another order each time.
    let metadata = HashMap::from([(KEY.to_owned(), header)]);
    let views = checkpoint.tensors.iter().map(|(name, (shape, data))| {
        Ok((name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(data))?))
    });
    let views: Vec<(&str, TensorView<'_>)> =
        views.collect::<Result<_, safetensors::SafeTensorError>>().map_err(|reason| reason.to_string())?;
    let mut bytes = safetensors::serialize(views, Some(metadata)).map_err(|reason| reason.to_string())?;
    checksums::seal(&mut bytes)?;
    Ok(bytes)
}

/// Reads a checkpoint.
///
/// # Errors
/// When the file is missing, damaged, or was written by something else.
pub fn load_checkpoint(path: &Path) -> Result<Checkpoint, CheckpointError> {
    parse(path, &crate::regular_file::read(path).map_err(CheckpointError::file(path, "read"))?)
}

/// The checkpoint in `bytes`, which were read from `path`.
///
/// # Errors
/// As [`load_checkpoint`].
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let not = |reason: String| CheckpointError::NotACheckpoint { path: path.to_owned(), reason };
    let damaged = |what: String| CheckpointError::Damaged { path: path.to_owned(), what };
    checksums::verify_header(bytes).map_err(damaged)?;
    let (mut header, file) = read_header(bytes).map_err(not)?;
    verify(&mut header, &file).map_err(damaged)?;
    header.check().map_err(not)?;
    let tensors = file
        .iter()
        .map(|(name, view)| match view.dtype() {
            Dtype::F32 => {
                let data = bytemuck::pod_collect_to_vec(view.data());
                Ok((name.to_owned(), (view.shape().to_vec().into(), data)))
            }
            other => Err(not(format!("`{name}` holds {other:?}, not F32"))),
        })
        .collect::<Result<_, CheckpointError>>()?;
    Ok(Checkpoint { header, tensors })
}

fn read_header(bytes: &[u8]) -> Result<(Header, SafeTensors<'_>), String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|reason| reason.to_string())?;
    let header =
        metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or_else(|| {
            "its header has no entry `tilewright`; weights of PyTorch are read by `import`".to_owned()
        })?;
    let header: Header = serde_json::from_str(header).map_err(|reason| reason.to_string())?;
    if !FORMATS.contains(&header.format) {
        return Err(format!("its format is {}, this version reads {FORMAT}", header.format));
    }
    Ok((header, SafeTensors::deserialize(bytes).map_err(|reason| reason.to_string())?))
}

/// Holds the tensors of a file against the checksums that it carries, and takes these out of the header. Gives what is damaged.
fn verify(header: &mut Header, file: &SafeTensors<'_>) -> Result<(), String> {
    let Some(sums) = header.sums.take() else {
        return if header.format == 1 { Ok(()) } else { Err("its header".to_owned()) };
    };
    let mut tensors: Vec<(&str, TensorView<'_>)> = file.iter().collect();
    tensors.sort_by_key(|(name, _)| *name);
    match sums.first_other(tensors.iter().map(|(_, view)| view.data())) {
        None => Ok(()),
        Some(place) => Err(tensors.get(place).map_or("its header".to_owned(), |(name, _)| format!("`{name}`"))),
    }
}

/// Holds the bytes of a file that may be a checkpoint against the checksums that it carries, if any. Gives what is
/// damaged.
pub(crate) fn verify_checksums(bytes: &[u8]) -> Result<(), String> {
    checksums::verify_header(bytes)?;
    match read_header(bytes) {
        Ok((mut header, file)) => verify(&mut header, &file),
        Err(_) => Ok(()),
    }
}

impl Checkpoint {
    /// The elements of a tensor of the checkpoint.
    ///
    /// # Errors
    /// When it is missing, or its shape is another than the model's.
    pub fn tensor(&self, path: &Path, name: &str, shape: &Shape) -> Result<Vec<f32>, CheckpointError> {
        self.shaped(path, name, shape).map(<[f32]>::to_vec)
    }

    /// As [`Checkpoint::tensor`], where they lie.
    pub(crate) fn shaped(&self, path: &Path, name: &str, shape: &Shape) -> Result<&[f32], CheckpointError> {
        let not = |reason: String| CheckpointError::NotACheckpoint { path: path.to_owned(), reason };
        let (held, data) = self.tensors.get(name).ok_or_else(|| not(format!("it has no tensor `{name}`")))?;
        match held == shape {
            true => Ok(data),
            false => Err(not(format!("`{name}` has the shape {held}, the model's has {shape}"))),
        }
    }

    /// The first tensor by name that holds an infinity or NaN, and the first of these.
    pub fn first_not_finite(&self) -> Option<(&str, f32)> {
        let first = |data: &[f32]| {
            // Without an early end within a block, the loop is one of vectors.
            let bad = |block: &&[f32]| block.iter().fold(false, |bad, value| bad | !value.is_finite());
            data.chunks(4096).find(bad)?.iter().copied().find(|value| !value.is_finite())
        };
        self.tensors.iter().find_map(|(name, (_, data))| Some((name.as_str(), first(data)?)))
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
    fn small() -> Checkpoint {
        let normalization = Normalization { mean: vec![0.5], std: vec![0.25] };
        let header =
            Header::new(TrainConfig::default(), [1, 28, 28], vec!["a".to_owned(), "b".to_owned()], normalization);
        let tensor = |values: &[f32]| (Shape::from(vec![values.len()]), values.to_vec());
        let tensors = [("bias", tensor(&[0.5])), ("weight", tensor(&[1.0, -2.0, 3.0]))];
        Checkpoint { header, tensors: tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into() }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let path = Path::new("checkpoint.safetensors");
        let whole = serialize(&small()).unwrap();
        assert_eq!(parse(path, &whole).unwrap(), small());
        let refused = |bytes: &[u8]| parse(path, bytes).err().map(|error| error.to_string());
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = refused(&bytes).unwrap_or_else(|| panic!("bit {bit} of {} passes unseen", whole.len() * 8));
            assert!(error.contains("checkpoint.safetensors"), "{error}");
        }
        for length in 0..whole.len() {
            assert!(refused(&whole[..length]).is_some(), "{length} bytes of {}", whole.len());
        }
        let last = whole.len() - 1;
        let told = refused(&[&whole[..last], &[whole[last] ^ 1]].concat()).unwrap();
        assert!(told.contains("is damaged") && told.contains("`weight`"), "{told}");
    }

    #[test]
    fn a_checkpoint_of_the_version_before_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let header = Header { format: 1, ..small().header };
        let metadata = HashMap::from([(KEY.to_owned(), serde_json::to_string(&header).unwrap())]);
        let data = 1.5_f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &data).unwrap();
        std::fs::write(&path, safetensors::serialize([("w", view)], Some(metadata)).unwrap()).unwrap();
        assert_eq!(load_checkpoint(&path).unwrap().tensors["w"].1, [1.5]);
    }

    #[test]
    fn what_is_not_finite_is_no_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut checkpoint = small();
            checkpoint.tensors.get_mut("weight").unwrap().1[1] = value;
            let refused = save_checkpoint(&path, &checkpoint).unwrap_err().to_string();
            assert!(refused.contains("`weight`") && refused.contains(&value.to_string()), "{refused}");
            assert!(!path.exists());
        }
    }
}
