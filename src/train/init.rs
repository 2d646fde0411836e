//! Weights that a run starts from, and which of them it leaves as they are.

use super::graphs::{evaluation_graph, options};
use super::{Batch, RunFolder, TrainError};
use crate::data::{Asked, ImageSize, Normalization, Normalize, Preprocessing};
use crate::graph::{Graph, Value};
use crate::interop::{InteropError, WeightsFile, expected_images, head_of, told_attributes};
use crate::models::{self, Model, ModelOptions};
use crate::recipe::TrainConfig;
use crate::session::Session;
use crate::setting::{BadSetting, Setting};
use crate::tensor::Shape;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The tensors that start fresh: with `--head`, those that the number of classes shapes.
pub(super) fn fresh(config: &TrainConfig, batch: Batch) -> Result<BTreeSet<String>, TrainError> {
    match config.head {
        None => Ok(BTreeSet::new()),
        Some(_) => Ok(head_of(models::find(&config.model)?, &options(config, batch))?),
    }
}

/// Checks that `--head` is the data's number of classes, and that each `--freeze` means a parameter
/// but something is left to train.
///
/// # Errors
/// The first setting that cannot be used.
pub(super) fn check(config: &TrainConfig, graph: &Graph, batch: Batch) -> Result<(), TrainError> {
    if let Some(head) = config.head.filter(|&head| head != batch.classes) {
        let rule = format!("{}, the number of classes in {}", batch.classes, config.data);
        return Err(BadSetting::new("head", head.to_string(), rule).into());
    }
    let names = || graph.parameters().map(|value| graph.tensor(value).name.as_str());
    if let Some(pattern) =
        config.freeze.iter().find(|pattern| !names().any(|name| crate::graph::is_meant(pattern, name)))
    {
        let rule = format!("a layer or parameter of {}, such as `{}`", config.model, names().next().unwrap_or("fc"));
        return Err(BadSetting::new("freeze", format!("`{pattern}`"), rule).into());
    }
    match config.freeze.is_empty() || graph.trainable().next().is_some() {
        true => Ok(()),
        false => {
            let rule = format!(
                "such that a parameter is left to train; {} leaves the last layer",
                Setting("head").to("CLASSES")
            );
            Err(BadSetting::new("freeze", config.freeze.join(", "), rule).into())
        }
    }
}

/// Checks that the model has the same parameters for images of the size that it is trained on in `graph`, and for those that it
/// is `tested` on.
///
/// # Errors
/// The size that it is trained on, where it has others.
pub(super) fn expect_one_model(config: &TrainConfig, graph: &Graph, tested: Batch) -> Result<(), TrainError> {
    let Some((height, width)) = config.train_size else { return Ok(()) };
    let evaluated = evaluation_graph(config, tested)?;
    let is_another = |&value: &Value| {
        let (name, shape) = (&evaluated.tensor(value).name, evaluated.shape(value));
        graph.find(name).is_none_or(|trained| graph.shape(trained) != shape)
    };
    match evaluated.parameters().find(is_another) {
        None => Ok(()),
        Some(parameter) => {
            let [_, _, tested_height, tested_width] = tested.shape;
            let rule = format!(
                "{tested_height}x{tested_width}, as in tests: for each size, `{}` of {} has a shape of its own",
                evaluated.tensor(parameter).name,
                config.model
            );
            Err(BadSetting::new("train_size", ImageSize { height, width }, rule).into())
        }
    }
}

/// The file that `--init` means: a run folder's last checkpoint, else the file itself.
pub(super) fn weights_file(path: &Path) -> PathBuf {
    if path.is_dir() { RunFolder::checkpoint(path) } else { path.to_owned() }
}

/// How images become those of the configuration's size: as it says, else as the weights of `--init` expect, else
/// stretched. Without a size, images stay as they are.
///
/// # Errors
/// When the weights cannot be read, or what is asked for cannot be.
pub(super) fn preprocessing(config: &TrainConfig) -> Result<Preprocessing, TrainError> {
    let model = models::find(&config.model)?;
    let Some(size) = config.load_options(model)?.size else {
        return match (config.resize, config.crop_share) {
            (None, None) => Ok(Preprocessing::default()),
            _ => {
                let rule = format!(
                    "given with {} and {}: it is the size that is cut out",
                    Setting("resize"),
                    Setting("crop_share")
                );
                Err(BadSetting::new("size", "not given".to_owned(), rule).into())
            }
        };
    };
    let expected = match (&config.init, &config.run) {
        // The configuration of a run that has begun says all of it, and the weights may be gone.
        (Some(init), None) => {
            let options = ModelOptions::from(config.attributes.clone());
            let channels = model.input(&options)?[0];
            expected((model, &options), &weights_file(init), [channels, size.0, size.1])?.1
        }
        _ => Preprocessing::default(),
    };
    let asked = Asked { resize: config.resize, crop_share: config.crop_share, interpolation: config.interpolation };
    Ok(expected.asked(asked, size)?)
}

/// The normalisation and the preprocessing that the weights in `file` expect of the images `input`, `[C, H, W]`.
fn expected(
    (model, options): (&Model, &ModelOptions),
    file: &Path,
    input: [usize; 3],
) -> Result<(Normalization, Preprocessing, &'static str), TrainError> {
    let (normalization, preprocessing) = expected_images(model, options, input, file);
    let of_elsewhere = if input[0] == 3 { "as weights from elsewhere expect" } else { "no more than division by 255" };
    Ok(match WeightsFile::definition_in(file)? {
        Some(own) => {
            let [_, height, width] = own.input;
            let preprocessing = own.preprocessing.scaled((height, width), (input[1], input[2]));
            // Another number of channels is told when the weights do not fit.
            match own.normalization.mean.len() == input[0] {
                true => (own.normalization, preprocessing, "as the weights were trained"),
                false => (normalization, preprocessing, of_elsewhere),
            }
        }
        None => (normalization, preprocessing, of_elsewhere),
    })
}

/// What holds of images and weights in a run that begins.
pub(super) struct Start {
    pub normalization: Normalization,
    /// Sentences for people.
    pub notes: Vec<String>,
}

/// Sets parameters and running statistics to those of `--init`, except the fresh ones, and says how images are
/// normalised: as asked, else as the weights expect, else by the `data`'s own mean and deviation.
///
/// # Errors
/// When the file cannot be read, or does not suit the model.
pub(super) fn initialise(
    session: &Session,
    config: &TrainConfig,
    tensors: &[(String, Shape)],
    batch: Batch,
    data: &Normalization,
) -> Result<Start, TrainError> {
    let [_, channels, height, width] = batch.shape;
    let Some(path) = &config.init else {
        let asked = config.normalize.clone().unwrap_or(Normalize::Data);
        let normalization = asked.of(channels)?.unwrap_or_else(|| data.clone());
        let notes = vec![format!("images are normalised by {normalization} ({asked})")];
        return Ok(Start { normalization, notes });
    };
    let path = &weights_file(path);
    let model = models::find(&config.model)?;
    let options = options(config, batch).input_channels(channels).image_size(height, width);
    let file = WeightsFile::open(path)?;
    let fresh = fresh(config, batch)?;
    let weights = match file.weights(model, &options, &fresh, config.init_key.as_deref()) {
        Ok(weights) => weights,
        Err(InteropError::Misfit { path, model: name, misfit }) => {
            let head = head_of(model, &options)?;
            let only_head = misfit.missing.is_empty()
                && misfit.unexpected.is_empty()
                && misfit.misshaped.iter().all(|(name, ..)| head.contains(name));
            let error = InteropError::Misfit { path, model: name, misfit };
            return Err(match only_head {
                true => TrainError::OtherHead { reason: error, classes: batch.classes },
                false => error.into(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    for (name, _) in tensors {
        if let Some((_, data)) = weights.tensors.get(name) {
            session.set(name, data)?;
        }
    }
    let mut notes = weights.notes;
    let (expected, _, why) = expected((model, &options), path, [channels, height, width])?;
    let asked = config.normalize.as_ref().map(|asked| Ok::<_, TrainError>((asked, asked.of(channels)?))).transpose()?;
    let (normalization, why) = match asked {
        None => (expected, why.to_owned()),
        Some((asked, given)) => (given.unwrap_or_else(|| data.clone()), format!("{asked}, as asked for")),
    };
    notes.push(format!("images are normalised by {normalization}: {why} (`{}`)", path.display()));
    if let Some(own) = file.definition() {
        let [theirs, ours] = [&own.attributes, options.attributes()]
            .map(|attributes| told_attributes(model, &ModelOptions::from(attributes.clone())));
        if own.model == model.name && theirs != ours {
            notes.push(format!("the weights were trained with {theirs}; this run has {ours}"));
        }
    }
    Ok(Start { normalization, notes })
}

/// What a run builds its model with that `import` and `summary` would not, as a recipe may: a sentence for people.
pub(super) fn other_attributes(config: &TrainConfig) -> Result<Option<String>, TrainError> {
    let model = models::find(&config.model)?;
    let defaults = model.own_values(&Default::default());
    let own = model.own_values(&config.attributes);
    let changed = own.iter().zip(&defaults).filter(|((_, own), (_, default))| own != default);
    let told: Vec<String> =
        changed.map(|((name, own), (_, default))| format!("{name}={own} where the default is {default}")).collect();
    Ok((!told.is_empty()).then(|| format!("{} is built with {}", model.name, told.join(", "))))
}
