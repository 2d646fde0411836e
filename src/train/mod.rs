//! Training and evaluation: the loop, metrics, checkpoints and the run folder.

mod averaged;
mod classifier;
mod curves;
mod ensemble;
mod error;
mod evaluate;
mod evaluation;
#[cfg(feature = "image")]
mod examples;
mod feed;
mod fitting;
mod graphs;
mod init;
mod init_classes;
mod landscape;
mod notes;
mod outcome;
mod overfit;
mod probabilities;
mod progress;
mod range_test;
mod resolved;
mod resume;
mod rows;
mod run_folder;
mod run_lock;
mod runner;
mod saving;
mod start;
mod step_metrics;
mod steps;
pub mod sweep;
mod trainer;
mod trial;
mod whiten;

pub use classifier::{Classifier, Likelihood};
pub use ensemble::{Ensemble, EnsembleEvaluation, TestData};
pub use error::TrainError;
pub use evaluate::Evaluator;
pub use evaluation::{ClassScore, Evaluation};
#[cfg(feature = "image")]
pub use examples::Examples;
pub use graphs::{Batch, PartGraphs, evaluation_graph, part_graphs, training_graph};
pub use landscape::{Form, Landscape, LandscapeOutcome, RateRun};
pub use outcome::Outcome;
pub use overfit::{Overfit, OverfitOutcome};
pub use probabilities::{MeanProbabilities, log_probabilities, softmax};
pub use progress::{Reporter, Silent};
pub use range_test::{RangeCurve, RangeOutcome, RangePoint, RangeTest, Suggestion};
pub use resolved::Resolved;
pub use resume::Changes;
pub use run_folder::{EpochRow, RunFolder};
pub use start::read_data;
pub use trainer::Trainer;
