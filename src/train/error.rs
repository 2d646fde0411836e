//! What can end a training run early.

use crate::checkpoint::CheckpointError;
use crate::data::{ClassDifference, DataError};
use crate::gpu::GpuError;
use crate::graph::GraphError;
use crate::interop::InteropError;
use crate::models::ModelError;
use crate::optim::schedule::ScheduleError;
use crate::optim::{ClassWeightsError, LossError, OptimizerError};
use crate::parallel::ParallelError;
use crate::recipe::RecipeError;
use crate::report::PictureError;
use crate::session::SessionError;
use crate::setting::{BadSetting, Setting};
use crate::tuned::TableError;
use std::io;
use std::path::PathBuf;

/// A run that cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum TrainError {
    #[error(transparent)]
    Setting(#[from] BadSetting),
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Parallel(#[from] ParallelError),
    #[error(
        "the device was not opened with the kernels of {}: losses and weights would have other bits",
        table.as_ref().map_or("the rule".to_owned(), |path| format!("the table `{}`", path.display()))
    )]
    OtherKernels { table: Option<PathBuf> },
    #[error(transparent)]
    Weights(#[from] InteropError),
    #[error("{reason}; with {} the classifier's last layer starts fresh", Setting("head").to(classes))]
    OtherHead { reason: InteropError, classes: usize },
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Loss(#[from] LossError),
    #[error(transparent)]
    ClassWeights(#[from] ClassWeightsError),
    #[error("`{}` cannot be {action}: {reason}", path.display())]
    File { path: PathBuf, action: &'static str, reason: io::Error },
    #[error(
        "the logits of `{}` for {what} are not finite numbers: its weights are too large, or the images are not what it \
         was trained on", checkpoint.display()
    )]
    NoProbabilities { checkpoint: PathBuf, what: String },
    #[error(
        "the checkpoint `{}` is missing, but the run had one: put it back, or begin anew with {}",
        path.display(), Setting("recipe").to(path.with_file_name("config.toml").display())
    )]
    CheckpointMissing { path: PathBuf },
    #[error(
        "`{}` is the checkpoint of another run than that in config.toml ({}): put the run's own back",
        path.display(), differences.join("; ")
    )]
    OtherRun { path: PathBuf, differences: Vec<String> },
    #[error(
        "{data} are no longer the data that `{}` began with: {}. Bring those back, or begin a new run, which may start \
         from the weights of this one by {}", run.display(), differences.join("; "), Setting("init")
    )]
    OtherRunData { run: PathBuf, data: String, differences: Vec<String> },
    #[error(
        "`{}` is in use: {} trains there; wait for its end, or stop it with Ctrl-C", folder.display(),
        holder.map_or("another process".to_owned(), |holder| format!("the process {holder}"))
    )]
    Locked { folder: PathBuf, holder: Option<u32> },
    #[error("`{}` is not a run folder: it has no config.toml; give the folder that `train` printed", path.display())]
    NotARun { path: PathBuf },
    #[error("the configuration `{}` cannot be read: {reason}", path.display())]
    Config { path: PathBuf, reason: String },
    #[error("{model} has no features to give: no layer with weights comes before its logits")]
    NoHead { model: String },
    #[error("{model} cannot be asked where it looks: none of its convolutions has more than one place in the image")]
    NoMap { model: String },
    #[error(transparent)]
    Picture(#[from] PictureError),
    #[error("{data} has one class only: there is nothing to tell apart; give it images of another class too")]
    OneClass { data: String },
    /// Someone asked for it.
    #[error("stopped after {steps} steps; {} goes on from there", Setting("resume").to(run.display()))]
    Stopped { run: PathBuf, steps: u64 },
    /// Someone asked for it.
    #[error("the time is over after {steps} steps; {} goes on from there", Setting("resume").to(run.display()))]
    TimeOver { run: PathBuf, steps: u64 },
    /// Someone asked for it.
    #[error("stopped after {done} of at most {all} steps")]
    Cancelled { done: u64, all: u64 },
    /// Someone asked for it.
    #[error("stopped after {done} of {all} {what}; what was measured so far is in `{}`", folder.display())]
    Interrupted { what: &'static str, done: u64, all: u64, folder: PathBuf },
    #[error("the model `{model}` has only one form, with or without batch norm; these have both: {}", known.join(", "))]
    OneForm { model: String, known: Vec<&'static str> },
    #[error("`{}` was imported: say on which {}", path.display(), Setting("data"))]
    WithoutData { path: PathBuf },
    #[error(
        "`{}` was trained on {data}, but `{}` on {other_data}: say on which {} they are evaluated",
        first.display(), other.display(), Setting("data")
    )]
    OtherData { first: PathBuf, data: String, other: PathBuf, other_data: String },
    #[error(
        "the probabilities of `{}` and `{}` have no mean: the first has {has}, the second {has_other}",
        first.display(), other.display()
    )]
    OtherClasses { first: PathBuf, has: String, other: PathBuf, has_other: String },
    #[error(
        "the classes of `{}` are not those of {data}: {difference}. Give it data with its classes{}",
        path.display(),
        match difference.counts {
            [model, data] if model == data => format!(", or match them with {}", Setting("classes").to("by-position")),
            _ => String::new(),
        }
    )]
    ClassesOfData { path: PathBuf, data: String, difference: Box<ClassDifference> },
    #[error(
        "the classes of `{}` are not those of {data}: {difference}. With {} the last layer starts fresh; \
         {} takes it as it is, where there are as many",
        path.display(), Setting("head").to(classes), Setting("classes").to("by-position")
    )]
    ClassesOfInit { path: PathBuf, data: String, difference: Box<ClassDifference>, classes: usize },
    #[error("the test images of {data} changed while they were read; begin again when nothing writes to them")]
    DataChanged { data: String },
    #[error("the data do not suit the model `{model}`: {reason}")]
    Mismatch { model: String, reason: String },
    /// `kept` is the number of steps after which the last checkpoint was written.
    #[error(
        "{what}: training has diverged; use a smaller {} or {}. {}",
        Setting("lr"), Setting("clip_grad_norm"),
        kept.map_or("There is no checkpoint yet".to_owned(), |steps| format!("The checkpoint after {steps} steps is kept"))
    )]
    Diverged { what: String, kept: Option<u64> },
    #[error(
        "the loss of `{model}` is {loss} before any learning rate has had an effect: its weights or images are not \
         finite numbers, or too large; look at {} and {}",
        Setting("init"),
        Setting("data")
    )]
    NoFirstLoss { model: String, loss: f32 },
    #[error(
        "the loss falls nowhere between a learning rate of {from:e} and one of {to:e}, so none is suggested: use a \
         smaller {} where it rises at once, a larger {} where it stays, or more {}. The curve is in `{}`",
        Setting("from"), Setting("to"), Setting("steps"), folder.display()
    )]
    NoFall { from: f64, to: f64, folder: PathBuf },
}

impl TrainError {
    /// Whether the user asked for something that cannot be, rather than something went wrong.
    pub fn is_usage(&self) -> bool {
        match self {
            TrainError::Setting(_)
            | TrainError::OneForm { .. }
            | TrainError::Model(_)
            | TrainError::Optimizer(_)
            | TrainError::Schedule(_)
            | TrainError::Loss(_)
            | TrainError::ClassWeights(_)
            | TrainError::Table(_)
            | TrainError::WithoutData { .. }
            | TrainError::OtherData { .. }
            | TrainError::ClassesOfData { .. }
            | TrainError::ClassesOfInit { .. }
            | TrainError::NotARun { .. } => true,
            TrainError::Data(error) => error.is_usage(),
            TrainError::Recipe(error) => error.is_usage(),
            TrainError::Weights(error) => error.is_usage(),
            TrainError::Session(SessionError::Gpu(GpuError::NoHalf { .. })) => true,
            _ => false,
        }
    }

    pub(crate) fn file(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> TrainError {
        let path = path.into();
        move |reason| TrainError::File { path, action, reason }
    }
}
