//! Training and evaluation: the loop, metrics, checkpoints and the run folder.

mod checkpoint;
mod config;
mod curves;
mod ensemble;
mod error;
mod evaluate;
mod evaluation;
mod graphs;
mod init;
mod landscape;
mod probabilities;
mod progress;
mod range_test;
mod run_folder;
mod runner;
mod start;
mod step_metrics;
pub mod sweep;
mod trainer;
mod trial;

pub use checkpoint::{Checkpoint, Header, Progress, load_checkpoint, save_checkpoint};
pub use config::{Resolved, TrainConfig};
pub use ensemble::{Ensemble, EnsembleEvaluation, TestData};
pub use error::TrainError;
pub use evaluate::Evaluator;
pub use evaluation::Evaluation;
pub use graphs::{Batch, PartGraphs, evaluation_graph, part_graphs, training_graph};
pub use landscape::{Form, Landscape, LandscapeOutcome, RateRun};
pub use probabilities::{MeanProbabilities, log_probabilities, softmax};
pub use progress::{Reporter, Silent, TerminalReporter};
pub use range_test::{RangeCurve, RangeOutcome, RangePoint, RangeTest, Suggestion};
pub use run_folder::{EpochRow, RunFolder};
pub use trainer::{Outcome, Trainer};
