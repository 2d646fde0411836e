//! Everything that decides a training run, as it stands in a recipe or in its run folder.

mod about;
mod error;
mod image_sizes;
mod library;
mod precision;
mod row;
mod rows;
mod run_record;
mod run_steps;
mod size_text;

pub use about::{About, Variant};
pub use error::RecipeError;
pub use library::Recipe;
pub use precision::Precision;
pub use row::{Kind, Range, Row, SettingValue, Topic, read_attribute};
pub use rows::ROWS;
pub use run_record::{RunRecord, SplitRecord};
pub use run_steps::RunSteps;

use crate::data::{
    Augmentations, ClassMatching, Damaged, Fold, HeldOut, Interpolation, LoadOptions, MAX_PIXELS, MemorySize,
    Normalize, Preprocessing, Sampler, Source,
};
use crate::models::{Model, ModelOptions};
use crate::optim::schedule::{RunLength, RunSchedule, Schedule, ScheduleError};
use crate::optim::{
    ClassWeights, Exclude, GradientTransform, Groups, LossFunction, Optimizer, ParameterGroup, RunAverage,
};
use crate::setting::{BadSetting, Setting};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Settings of a run. Written to `config.toml`, read back by `--resume`.
///
/// ```
/// use tilewright::recipe::TrainConfig;
///
/// let recipe = TrainConfig::from_toml("model = 'lenet5'\nbatch = 64\nlr = 0.01")?;
/// assert_eq!((recipe.batch, recipe.epochs), (64, TrainConfig::default().epochs));
/// let wrong = TrainConfig::from_toml("bach = 64").unwrap_err();
/// assert!(wrong.contains("bach"), "{wrong}");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Name of the model.
    pub model: String,
    /// Where the images are from.
    pub data: Source,
    /// Images are resized to (height, width).
    #[serde(with = "size_text")]
    pub size: Option<(usize, usize)>,
    /// With a size: the shorter side of images is resized to so many pixels, and the centre of the size cut out.
    pub resize: Option<usize>,
    /// With a size: as `resize`, such that this share of the shorter side is seen.
    pub crop_share: Option<f64>,
    /// How images are resized; by default as the weights of `init` expect, else bilinear.
    pub interpolation: Option<Interpolation>,
    /// What images are normalised by; by default as the weights of `init` expect, else by the data's own.
    pub normalize: Option<Normalize>,
    /// At most so many images of each split.
    pub limit: Option<usize>,
    /// This share of each class is held out of the training images, for validation.
    pub validation: Option<f64>,
    /// This share of each class is held out of the training images, for testing.
    pub split: Option<f64>,
    /// One of several parts of the training images that is held out, for testing.
    pub fold: Option<Fold>,
    /// What becomes of images that cannot be decoded.
    pub damaged: Damaged,
    /// A file with an image of more pixels is refused before it is decoded.
    pub max_pixels: u64,
    /// What decoded images may take of memory: of larger sets, images are read anew in each epoch. It changes no number.
    pub data_memory: Option<MemorySize>,
    /// How often the training images are gone through.
    pub epochs: u64,
    /// The run ends after so many steps, if its epochs have more.
    pub max_steps: Option<RunSteps>,
    /// Images of a step.
    pub batch: usize,
    /// A batch is run in parts of so many images, and the gradients are averaged over them.
    pub micro_batch: Option<usize>,
    /// A batch is cut into so many parts, whose gradients are summed in an order that does not depend on who runs which.
    pub shards: Option<usize>,
    /// Batch norms of shards take the statistics of the whole batch.
    pub sync_batch_norm: bool,
    /// Fewer activations are kept, and the backward pass computes the others again.
    pub recompute: bool,
    /// The last batch of an epoch is left out where it is short, rather than run with the images it has.
    pub drop_last: bool,
    /// What initial values, order, augmentation and dropout are drawn from.
    pub seed: u64,
    /// Learning rate, which the schedule scales.
    pub lr: f64,
    /// What training makes small.
    pub loss: LossFunction,
    /// Share of the label that is spread over all classes, from 0 to 1.
    pub label_smoothing: f64,
    /// How often each class counts in the loss; all alike where there are none.
    pub class_weights: Option<ClassWeights>,
    /// Which training images an epoch takes.
    pub sampler: Sampler,
    /// What features and their gradients are stored in.
    pub precision: Precision,
    /// An average of the weights, which is evaluated and kept in their place.
    pub average: Option<RunAverage>,
    /// Steps between checkpoints besides those at the end of each epoch; 0 for none.
    pub checkpoint_every: u64,
    /// The run ends after so many epochs in a row without a better one.
    pub patience: Option<u64>,
    /// With `patience`: a better epoch has an accuracy, from 0 to 1, that is higher by more than this.
    pub min_delta: f64,
    /// At most so many steps whose gradients are not finite are skipped; 0 for none, and in f16 for however many.
    pub skip_nonfinite: u64,
    /// After each epoch, the norms of each layer's weights and of the gradients that reach them are noted.
    pub norms: bool,
    /// Training images are mirrored at random.
    pub flip: bool,
    /// Random crops from images with so many black pixels around.
    pub crop: usize,
    /// What else is done to training images at random, after `crop` and `flip`.
    pub augment: Option<Augmentations>,
    /// With a size: training images are kept at this height and width, and a change of `augment` cuts what the model sees out
    /// of them.
    #[serde(with = "size_text")]
    pub stored_size: Option<(usize, usize)>,
    /// With a size: height and width that the model sees in training, where tests are of another size.
    #[serde(with = "size_text")]
    pub train_size: Option<(usize, usize)>,
    /// All gradients are scaled so that their norm is at most this.
    pub clip_grad_norm: Option<f64>,
    /// Each gradient is limited to plus or minus this.
    pub clip_grad_value: Option<f64>,
    /// Adds l1 * sign(parameter) to each gradient.
    pub l1: f64,
    /// The loss is made large.
    pub maximize: bool,
    /// Parameters that have no weight decay: `bias`, `norm`, or patterns of names.
    pub decay_exclude: Vec<Exclude>,
    /// The rate of each layer is this times that of the layer after it.
    pub layer_decay: Option<f64>,
    /// Parameters with a rate or a weight decay of their own.
    pub group: Vec<ParameterGroup>,
    /// A file with the weights to start from: a checkpoint, or PyTorch's; or a run folder.
    #[serde(with = "crate::path_text::option")]
    pub init: Option<PathBuf>,
    /// Where the file of `init` has weights under several keys: which of them.
    pub init_key: Option<String>,
    /// The convolution of the images whose weight starts as whitening filters of the training images.
    pub whiten: Option<String>,
    /// The classifier's last layer starts fresh, for so many classes.
    pub head: Option<usize>,
    /// How the classes of the weights to start from are held against those of the data.
    pub classes: ClassMatching,
    /// Layers and parameters that stay as they start; `*` stands for any characters.
    pub freeze: Vec<String>,
    /// A table of `tilewright tune` whose kernels the run takes. The run folder keeps a copy, with which the run goes
    /// on.
    #[serde(with = "crate::path_text::option")]
    pub tuned: Option<PathBuf>,
    /// What ends, and has no length, ends with the run.
    pub schedule: RunSchedule,
    /// The rule, with its attributes.
    pub optimizer: Optimizer,
    /// The model's own attributes.
    #[serde(rename = "set")]
    pub attributes: Map<String, Value>,
    /// What a recipe says of itself; of no effect, and not written.
    #[serde(rename = "recipe", skip_serializing)]
    pub about: Option<About>,
    /// What a run noted when it began; of no effect in a recipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRecord>,
}

/// Lines of a file that an error shows have no more characters.
const LONGEST_LINE: usize = 200;

impl Default for TrainConfig {
    /// What suits most models; [`TrainConfig::for_model`] knows better for some.
    fn default() -> Self {
        TrainConfig {
            model: "lenet5".to_owned(),
            data: Source::mnist(),
            size: None,
            resize: None,
            crop_share: None,
            interpolation: None,
            normalize: None,
            limit: None,
            validation: None,
            split: None,
            fold: None,
            damaged: Damaged::default(),
            max_pixels: MAX_PIXELS,
            data_memory: None,
            epochs: 5,
            max_steps: None,
            batch: 64,
            micro_batch: None,
            shards: None,
            sync_batch_norm: false,
            recompute: false,
            drop_last: false,
            seed: 1,
            lr: 1e-3,
            loss: LossFunction::default(),
            label_smoothing: 0.0,
            class_weights: None,
            sampler: Sampler::default(),
            precision: Precision::F32,
            average: None,
            checkpoint_every: 0,
            patience: None,
            min_delta: 0.0,
            skip_nonfinite: 0,
            norms: false,
            flip: false,
            crop: 0,
            augment: None,
            stored_size: None,
            train_size: None,
            clip_grad_norm: None,
            clip_grad_value: None,
            l1: 0.0,
            maximize: false,
            decay_exclude: Vec::new(),
            layer_decay: None,
            group: Vec::new(),
            init: None,
            init_key: None,
            whiten: None,
            head: None,
            classes: ClassMatching::ByName,
            freeze: Vec::new(),
            tuned: None,
            schedule: RunSchedule::default(),
            optimizer: Optimizer::default(),
            attributes: Map::new(),
            about: None,
            run: None,
        }
    }
}

impl TrainConfig {
    /// Checks what can be checked before the data are read.
    ///
    /// # Errors
    /// The first setting that cannot be used, with what it must be.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let refuse = |setting, value: String, rule: &str| Err(BadSetting::new(setting, value, rule).into());
        for row in ROWS {
            if let Some(value) = row.refused(self) {
                return refuse(row.name, value.to_string(), row.range.rule);
            }
        }
        if self.label_smoothing > 0.0 && !self.takes_label_smoothing() {
            let rule = format!("0 with {}, which takes none", Setting("loss").to(&self.loss));
            return refuse("label_smoothing", self.label_smoothing.to_string(), &rule);
        }
        if self.maximize && self.l1 > 0.0 {
            let rule = format!("0 with {}, which turns it around", Setting("maximize"));
            return refuse("l1", self.l1.to_string(), &rule);
        }
        if self.min_delta > 0.0 && self.patience.is_none() {
            let rule = format!("0 without {}, of which it is a part", Setting("patience"));
            return refuse("min_delta", self.min_delta.to_string(), &rule);
        }
        if let (Some(split), Some(_)) = (self.split, self.fold) {
            let rule = format!("left out with {}, which is another way to say what is held out", Setting("fold"));
            return refuse("split", split.to_string(), &rule);
        }
        if self.head.is_some() && self.init.is_none() {
            return refuse(
                "init",
                "not given".to_owned(),
                &format!("a file with weights where {} is given", Setting("head")),
            );
        }
        if let (Some(layer), true) = (&self.whiten, self.init.is_some()) {
            let rule = format!("left out with {}, which has the weights of that layer", Setting("init"));
            return refuse("whiten", format!("`{layer}`"), &rule);
        }
        if self.init_key.is_some() && self.init.is_none() {
            let rule = format!("a file with weights where {} is given", Setting("init_key"));
            return refuse("init", "not given".to_owned(), &rule);
        }
        if self.precision == Precision::F16 && self.tuned.is_some() {
            let rule = format!("left out with {}: a table is for kernels in f32", Setting("precision").to("f16"));
            return refuse("tuned", "given".to_owned(), &rule);
        }
        self.augmentations()?;
        self.groups().validate()?;
        self.gradient().validate()?;
        Ok(())
    }

    /// Reads a recipe, or the `config.toml` of a run.
    ///
    /// # Errors
    /// What is wrong, with the line where it is not too long to be shown.
    pub fn from_toml(text: &str) -> Result<TrainConfig, String> {
        toml::from_str(text).map_err(|error: toml::de::Error| match error.to_string() {
            shown if shown.lines().all(|line| line.chars().count() <= LONGEST_LINE) => shown,
            _ => error.message().chars().take(LONGEST_LINE).collect(),
        })
    }

    /// As the text of a recipe, with every setting.
    ///
    /// # Errors
    /// When a value cannot be written as TOML: a number larger than 2^63.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }

    /// The built-in recipe of a model, else the defaults. The `data` of a recipe is an example.
    ///
    /// # Errors
    /// Never for the recipes of this crate, which a test reads.
    pub fn for_model(model: &str) -> Result<TrainConfig, RecipeError> {
        match Recipe::all().iter().find(|recipe| recipe.name == model) {
            Some(recipe) => recipe.config(),
            None => Ok(TrainConfig { model: model.to_owned(), ..TrainConfig::default() }),
        }
    }

    /// Whether the loss spreads a share of the target over all classes: cross-entropy does, and an
    /// [objective](crate::optim::Objective) of the program's own may.
    fn takes_label_smoothing(&self) -> bool {
        matches!(self.loss, LossFunction::CrossEntropy)
    }

    /// The schedule of a run of so many steps.
    ///
    /// # Errors
    /// When a length in epochs is more steps than can be counted.
    pub fn schedule_of(&self, steps_per_epoch: u64, total_steps: u64) -> Result<Schedule, ScheduleError> {
        self.schedule.resolve(RunLength { steps_per_epoch, total_steps, lr: self.lr })
    }

    /// What becomes of each training image, anew in each epoch: `crop`, `flip`, then what `augment` lists. A crop or a flip
    /// of the list stands in place of the other.
    ///
    /// # Errors
    /// A crop by more pixels than one may have, and sizes of training images that no change makes of each other.
    pub fn augmentations(&self) -> Result<Augmentations, BadSetting> {
        let listed = self.augment.clone().unwrap_or_default();
        let mut own = Vec::new();
        if self.crop > 0 && !listed.has("crop") {
            own.push(format!("crop:padding={}", self.crop));
        }
        if self.flip && !listed.has("flip") {
            own.push("flip".to_owned());
        }
        let own: Result<Augmentations, _> = own.join(",").parse();
        let own = own.map_err(|_| BadSetting::new("crop", self.crop, "at most 4096 pixels"))?;
        self.cutting(own.then(&listed))
    }

    /// Which training images are the test images, where the data have none of their own.
    pub fn held_out(&self) -> HeldOut {
        let seed = self.seed;
        match (self.fold, self.split) {
            (Some(fold), _) => HeldOut::Fold { fold, seed },
            (None, Some(share)) => HeldOut::Share { share, seed },
            (None, None) => HeldOut::Tenth,
        }
    }

    /// Which parameters are updated in another way than the others.
    pub fn groups(&self) -> Groups {
        Groups { groups: self.group.clone(), decay_exclude: self.decay_exclude.clone(), layer_decay: self.layer_decay }
    }

    /// What is done to each gradient before the optimizer sees it.
    pub fn gradient(&self) -> GradientTransform {
        let TrainConfig { l1, clip_grad_value, clip_grad_norm, maximize, .. } = *self;
        GradientTransform { l1, clip_grad_value, clip_grad_norm, maximize }
    }

    /// Into how many parts a batch is cut, where members may share them: 1 is not to cut it.
    pub fn shard_count(&self) -> usize {
        self.shards.unwrap_or(1)
    }

    /// How the data are read for `model`: with the channels, and where it is asked for the size, that the attributes
    /// have, else with the model's own channels. Images that get another size are stretched to it.
    ///
    /// # Errors
    /// Attributes that the model does not take, or an `image_size` that is not the size images are resized to.
    pub fn load_options(&self, model: &Model) -> Result<LoadOptions, RecipeError> {
        let options = ModelOptions::from(self.attributes.clone());
        let [channels, height, width] = model.input(&options)?;
        let asked = options.get("image_size").map(|_| (height, width));
        match (self.size, asked) {
            (Some((own_height, own_width)), Some(asked)) if (own_height, own_width) != asked => {
                let rule = format!("{height}x{width}, the image_size that the model is asked for");
                Err(BadSetting::new("size", format!("{own_height}x{own_width}"), rule).into())
            }
            (size, asked) => Ok(LoadOptions {
                size: size.or(asked),
                stored: self.stored_size.or(self.train_size.and(self.size)),
                preprocessing: Preprocessing::default(),
                channels: Some(channels),
                limit: self.limit,
                max_pixels: self.max_pixels,
                only_test: false,
                damaged: self.damaged,
                held_out: self.held_out(),
                memory: self.data_memory,
            }),
        }
    }
}
