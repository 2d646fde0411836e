//! The folder of a run: configuration, metrics and checkpoints.
//!
//! `config.toml` is the resolved configuration, `steps.csv` has a row per step, `epochs.csv` a row per
//! epoch, `checkpoint.safetensors` is the last checkpoint and `best.safetensors` the one with the
//! highest test accuracy. `tuned.toml` is a copy of the table of kernels, if the run takes one. `curves.svg` shows the
//! tables, and a file of events has them for TensorBoard. `augment.png` shows what is made of the first images, where they are
//! changed at random. At the end come `evaluation.json` and the pictures of it.
//!
//! What counts is the last checkpoint. Rows are on the disk before it is: those of later steps are dropped when the run
//! goes on, and written again. The best checkpoint comes after it, and is made of it when it is missing.

#[cfg(blocking)]
use super::LayerNorm;
use super::TrainError;
use super::curves::panels;
use super::rows::{keep_rows, read_rows};
use super::run_lock::RunLock;
use crate::atomic_file::{Appender, replace_file};
use crate::recipe::{Kind, ROWS, Row, SettingValue, TrainConfig};
use crate::report::{EventFile, HyperValue, Panel, Picture};
use crate::session::Tensors;
use crate::setting::{BadSetting, Setting};
use crate::tensor::Shape;
use crate::tuned::TunedTable;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StepRow {
    /// Counted from 0 over the whole run.
    pub step: u64,
    pub epoch: u64,
    pub lr: f64,
    pub loss: f32,
    pub accuracy: f32,
}

/// One epoch of a run; accuracies from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochRow {
    /// Counted from 1.
    pub epoch: u64,
    /// Mean over the images of the epoch's steps, of the loss that is minimised.
    pub train_loss: f64,
    /// Over the images of the epoch's steps, while the weights change.
    pub train_accuracy: f64,
    /// None where the data have validation images: the test images are then kept for the end of the run.
    pub test_loss: Option<f64>,
    /// None where `test_loss` is.
    pub test_accuracy: Option<f64>,
    /// Over the epoch's steps.
    pub images_per_second: f64,
    /// Of the epoch's steps, without its test.
    pub seconds: f64,
    /// None where the data have no validation images.
    #[serde(default)]
    pub validation_loss: Option<f64>,
    /// None where the data have no validation images.
    #[serde(default)]
    pub validation_accuracy: Option<f64>,
    /// Steps of the run so far that changed nothing, since gradients were not finite. None in f32, where there are none.
    #[serde(default)]
    pub skipped_steps: Option<u64>,
    /// What the next step's loss is multiplied by. None in f32.
    #[serde(default)]
    pub loss_scale: Option<f64>,
    /// The share of the time of the epoch's steps in which the device had nothing to do and waited for images.
    #[serde(default)]
    pub data_wait: Option<f64>,
}

impl EpochRow {
    /// `validation` or `test`: the images that decide which epoch is the best.
    pub fn decided_on(&self) -> &'static str {
        if self.validation_loss.is_some() { "validation" } else { "test" }
    }

    /// Loss and accuracy on these images.
    pub fn decided(&self) -> (f64, f64) {
        let loss = self.validation_loss.or(self.test_loss);
        let accuracy = self.validation_accuracy.or(self.test_accuracy);
        (loss.unwrap_or(f64::NAN), accuracy.unwrap_or(f64::NAN))
    }
}

/// A row with a number that grows from row to row.
pub(super) trait Numbered {
    /// The names of the columns.
    const HEADING: &'static str;

    fn number(&self) -> u64;
}

impl Numbered for StepRow {
    const HEADING: &'static str = "step,epoch,lr,loss,accuracy";

    fn number(&self) -> u64 {
        self.step
    }
}

impl Numbered for EpochRow {
    const HEADING: &'static str = "epoch,train_loss,train_accuracy,test_loss,test_accuracy,images_per_second,seconds,validation_loss,validation_accuracy,skipped_steps,loss_scale,data_wait";

    fn number(&self) -> u64 {
        self.epoch
    }
}

/// A run's folder, open for writing; or, for a member that does not lead, only named.
pub struct RunFolder {
    path: PathBuf,
    files: Option<Files>,
}

/// What the one who leads a run writes.
struct Files {
    steps: csv::Writer<Appender>,
    epochs: csv::Writer<Appender>,
    events: EventFile,
    _lock: RunLock,
}

/// Files that belong to a run; one that would begin does not write over them.
const OF_A_RUN: [&str; 5] =
    ["checkpoint.safetensors", "previous.safetensors", "best.safetensors", "steps.csv", "epochs.csv"];

impl RunFolder {
    /// Makes a new folder: `path`, or the first free `runs/MODEL-1`, `runs/MODEL-2`, ... With a copy of the table of
    /// kernels, if the run takes one.
    ///
    /// # Errors
    /// When the folder holds a run already, or part of one, another process writes to it, or it cannot be written.
    pub(super) fn create(
        path: Option<&Path>,
        config: &TrainConfig,
        table: Option<&TunedTable>,
    ) -> Result<RunFolder, TrainError> {
        let path = make_folder(path, &config.model)?;
        let lock = RunLock::take(&path)?;
        let refuse = |rule| Err(BadSetting::new("run", path.display().to_string(), rule).into());
        if path.join(CONFIG).exists() {
            return refuse(format!(
                "a new folder; {} goes on with what is there",
                Setting("resume").to(path.display())
            ));
        }
        if let Some(file) = OF_A_RUN.into_iter().find(|file| path.join(file).exists()) {
            return refuse(format!("a folder without a `{file}`, which is not of the run that would begin"));
        }
        // What the configuration speaks of is there before it is: with it, the run has begun.
        table.map_or(Ok(()), |table| table.write(&RunFolder::tuned(&path)))?;
        write_config(&path, config)?;
        RunFolder::open(path, config, 0, lock)
    }

    /// Opens a run, which `lock` holds, to go on with it after `steps` steps and `epochs` epochs: later rows, which no
    /// checkpoint holds, are dropped. `config` is kept, since it may ask for more epochs than before. Gives, for people,
    /// what the tables have lost.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn resume(
        path: &Path,
        lock: RunLock,
        config: &TrainConfig,
        steps: u64,
        epochs: u64,
    ) -> Result<(RunFolder, Vec<String>), TrainError> {
        write_config(path, config)?;
        let lost = [
            ("steps.csv", keep_rows::<StepRow>(&path.join("steps.csv"), 0, steps)?),
            ("epochs.csv", keep_rows::<EpochRow>(&path.join("epochs.csv"), 1, epochs + 1)?),
        ];
        let lost = lost.into_iter().filter(|&(_, rows)| rows > 0);
        let notes = lost.map(|(file, rows)| format!("{file} has lost {rows} rows, which were damaged or are missing"));
        let folder = RunFolder::open(path.to_owned(), config, steps, lock)?;
        if epochs > 0 {
            folder.draw()?;
        }
        Ok((folder, notes.collect()))
    }

    /// The configuration of the run in `path`.
    ///
    /// # Errors
    /// When it is no run, or its configuration does not read.
    pub fn config(path: &Path) -> Result<TrainConfig, TrainError> {
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(TrainError::NotARun { path: path.to_owned() });
        }
        let text = crate::regular_file::read_to_string(&file).map_err(TrainError::file(&file, "read"))?;
        TrainConfig::from_toml(&text).map_err(|reason| TrainError::Config { path: file, reason })
    }

    fn open(path: PathBuf, config: &TrainConfig, step: u64, lock: RunLock) -> Result<RunFolder, TrainError> {
        let steps = appender(&path.join("steps.csv"))?;
        let epochs = appender(&path.join("epochs.csv"))?;
        let mut events = EventFile::create(&path, step).map_err(TrainError::file(&path, "written"))?;
        events.hyperparameters(&hyperparameters(config)).map_err(TrainError::file(&path, "written"))?;
        Ok(RunFolder { path, files: Some(Files { steps, epochs, events, _lock: lock }) })
    }

    /// The folder of a run that another member writes: nothing comes into it from here.
    pub(super) fn of_another(path: PathBuf) -> RunFolder {
        RunFolder { path, files: None }
    }

    /// Writes the configuration anew.
    ///
    /// # Errors
    /// When it cannot be written; the one before is then kept.
    pub(super) fn write_config(&self, config: &TrainConfig) -> Result<(), TrainError> {
        self.files.as_ref().map_or(Ok(()), |_| write_config(&self.path, config))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// File of the last checkpoint.
    pub fn checkpoint(path: &Path) -> PathBuf {
        path.join("checkpoint.safetensors")
    }

    /// File of the checkpoint before the last, while it is not known whether the loss after the last is a number.
    pub fn previous(path: &Path) -> PathBuf {
        path.join("previous.safetensors")
    }

    /// File of the checkpoint with the highest test accuracy.
    pub fn best(path: &Path) -> PathBuf {
        path.join("best.safetensors")
    }

    /// The table of kernels that the run was started with, if it was.
    pub fn tuned(path: &Path) -> PathBuf {
        path.join("tuned.toml")
    }

    /// Appends steps.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write_steps(&mut self, rows: &[StepRow]) -> Result<(), TrainError> {
        let Some(files) = &mut self.files else { return Ok(()) };
        write_rows(&mut files.steps, rows, self.path.join("steps.csv"))?;
        let event = |row: &StepRow| {
            let values = [("train/loss", row.loss), ("train/accuracy", row.accuracy), ("train/lr", row.lr as f32)];
            files.events.scalars(row.step, &values)
        };
        rows.iter().try_for_each(event).map_err(TrainError::file(&self.path, "written"))
    }

    /// Appends an epoch, which ended with step `step`, and draws the curves up to there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn write_epoch(&mut self, row: &EpochRow, step: u64) -> Result<(), TrainError> {
        let Some(files) = &mut self.files else { return Ok(()) };
        write_rows(&mut files.epochs, std::slice::from_ref(row), self.path.join("epochs.csv"))?;
        let (loss, accuracy) = row.decided();
        let [loss_name, accuracy_name] = ["loss", "accuracy"].map(|what| format!("{}/{what}", row.decided_on()));
        let values = [(&loss_name[..], loss as f32), (&accuracy_name[..], accuracy as f32)];
        files.events.scalars(step, &values).map_err(TrainError::file(&self.path, "written"))?;
        self.draw()
    }

    fn draw(&self) -> Result<(), TrainError> {
        write_picture(&self.path.join("curves.svg"), &RunFolder::curves(&self.path)?)
    }

    /// Loss, accuracy and learning rate of the run in `path`, over its epochs.
    ///
    /// # Errors
    /// When its tables or its configuration cannot be read.
    pub fn curves(path: &Path) -> Result<[Panel; 3], TrainError> {
        let steps: Vec<StepRow> = read_rows(&path.join("steps.csv"))?;
        Ok(panels(&RunFolder::config(path)?.model, &steps, &RunFolder::epochs(path)?))
    }

    /// How the weights are spread after step `step`, for TensorBoard: those of more than one dimension.
    ///
    /// # Errors
    /// When the file of events cannot be written.
    pub(super) fn write_histograms(&mut self, tensors: &Tensors, step: u64) -> Result<(), TrainError> {
        let Some(files) = &mut self.files else { return Ok(()) };
        let is_weight =
            |(name, (shape, _)): &(&String, &(Shape, Vec<f32>))| shape.len() > 1 && !name.starts_with("optimizer.");
        let weights = tensors.iter().filter(is_weight);
        let tagged: Vec<_> = weights.map(|(name, (_, values))| (format!("weights/{name}"), &values[..])).collect();
        files.events.histograms(step, &tagged).map_err(TrainError::file(&self.path, "written"))
    }

    /// The norms of an epoch that ended with step `step`, for TensorBoard.
    ///
    /// # Errors
    /// When the file of events cannot be written.
    #[cfg(blocking)]
    pub(super) fn write_norm_events(&mut self, norms: &[LayerNorm], step: u64) -> Result<(), TrainError> {
        let Some(files) = &mut self.files else { return Ok(()) };
        let tagged = |norm: &LayerNorm| {
            let name = &norm.name;
            [(format!("norms/weight/{name}"), norm.weight_norm), (format!("norms/gradient/{name}"), norm.gradient_norm)]
        };
        let tagged: Vec<(String, f64)> = norms.iter().flat_map(tagged).collect();
        let values: Vec<(&str, f32)> = tagged.iter().map(|(tag, value)| (tag.as_str(), *value as f32)).collect();
        files.events.scalars(step, &values).map_err(TrainError::file(&self.path, "written"))
    }

    /// The pictures of a run's end, which are PNG files, and that it has ended, for TensorBoard.
    ///
    /// # Errors
    /// When the file of events cannot be written.
    pub(super) fn write_end(&mut self, step: u64, pictures: &[(&str, Vec<u8>)]) -> Result<(), TrainError> {
        let Some(files) = &mut self.files else { return Ok(()) };
        let of_augmentation = fs::read(self.path.join("augment.png")).ok().map(|png| ("augmentation", png));
        let all = pictures.iter().chain(&of_augmentation);
        let tagged: Vec<_> = all.map(|(name, png)| (format!("pictures/{name}"), &png[..])).collect();
        files.events.pictures(step, &tagged).map_err(TrainError::file(&self.path, "written"))?;
        files.events.ended().map_err(TrainError::file(&self.path, "written"))
    }

    /// Draws the curves as a PNG file too, once the run is at its end.
    ///
    /// # Errors
    /// When it cannot be drawn or written.
    pub(super) fn draw_png(&self) -> Result<(), TrainError> {
        let path = self.path.join("curves.png");
        Picture::Panels(&RunFolder::curves(&self.path)?).png()?.map_or(Ok(()), |drawn| write_whole(&path, &drawn))
    }

    /// The epochs of the run in `path`.
    ///
    /// # Errors
    /// When its table cannot be read.
    pub fn epochs(path: &Path) -> Result<Vec<EpochRow>, TrainError> {
        read_rows(&path.join("epochs.csv"))
    }

    /// Waits until all rows are on the disk, before the checkpoint that speaks of them.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn sync(&self) -> Result<(), TrainError> {
        let Some(files) = &self.files else { return Ok(()) };
        let synced = files.steps.get_ref().sync().and_then(|()| files.epochs.get_ref().sync());
        synced.map_err(TrainError::file(&self.path, "written"))
    }
}

const CONFIG: &str = "config.toml";

/// The settings that have one value each.
fn hyperparameters(config: &TrainConfig) -> Vec<(&str, HyperValue)> {
    let value = |row: &Row| {
        let value = match row.get(config)? {
            SettingValue::Whole(count) => HyperValue::Number(count as f64),
            SettingValue::Real(number) => HyperValue::Number(number),
            SettingValue::Flag(flag) => HyperValue::Flag(flag),
            SettingValue::Text(text) => HyperValue::Text(text),
        };
        Some((row.name, value))
    };
    let model = ("model", HyperValue::Text(config.model.clone()));
    let attributes = config.attributes.iter().map(|(name, value)| (name.as_str(), HyperValue::Text(value.to_string())));
    let rows = ROWS.iter().filter(|row| !matches!(row.kind, Kind::List | Kind::Path)).filter_map(value);
    [model].into_iter().chain(attributes).chain(rows).collect()
}

fn write_config(folder: &Path, config: &TrainConfig) -> Result<(), TrainError> {
    let path = folder.join(CONFIG);
    match config.to_toml() {
        Ok(text) => write_whole(&path, text.as_bytes()),
        Err(reason) => Err(TrainError::Config { path, reason }),
    }
}

/// Writes a picture, where this build draws any.
///
/// # Errors
/// When it cannot be drawn or written.
pub(super) fn write_picture(path: &Path, panels: &[Panel]) -> Result<(), TrainError> {
    Picture::Panels(panels).svg()?.map_or(Ok(()), |drawn| write_whole(path, drawn.as_bytes()))
}

/// Writes a file in whole or not at all.
///
/// # Errors
/// When the folder cannot be written, or the disk is full; an older file of the name is then kept.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    replace_file(path, bytes).map_err(TrainError::file(path, "written"))
}

/// Makes the folder `path`, or the first free `runs/NAME-1`, `runs/NAME-2`, ...
///
/// # Errors
/// When it cannot be made.
pub(super) fn make_folder(path: Option<&Path>, name: &str) -> Result<PathBuf, TrainError> {
    if let Some(path) = path {
        fs::create_dir_all(path).map_err(TrainError::file(path, "made"))?;
        return Ok(path.to_owned());
    }
    fs::create_dir_all("runs").map_err(TrainError::file("runs", "made"))?;
    for number in 1u32.. {
        let path = PathBuf::from(format!("runs/{name}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(TrainError::file(path, "made")(error)),
        }
    }
    unreachable!("some number is free")
}

fn appender(path: &Path) -> Result<csv::Writer<Appender>, TrainError> {
    let file = Appender::open(path).map_err(TrainError::file(path, "opened"))?;
    let is_new = file.is_empty().map_err(TrainError::file(path, "read"))?;
    Ok(csv::WriterBuilder::new().has_headers(is_new).from_writer(file))
}

fn write_rows<T: Serialize>(writer: &mut csv::Writer<Appender>, rows: &[T], path: PathBuf) -> Result<(), TrainError> {
    let written = rows.iter().try_for_each(|row| writer.serialize(row)).map_err(std::io::Error::other);
    written.and_then(|()| writer.flush()).map_err(TrainError::file(path, "written"))
}

/// Writes a whole table.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write_table<T: Serialize>(path: &Path, rows: impl IntoIterator<Item = T>) -> Result<(), TrainError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|error| TrainError::file(path, "written")(error.into()))?;
    }
    let bytes = writer.into_inner().map_err(|error| TrainError::file(path, "written")(error.into_error()))?;
    write_whole(path, &bytes)
}
