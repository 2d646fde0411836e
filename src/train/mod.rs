//! Training and evaluation: the loop, metrics, checkpoints and the run folder. In a browser [`Stepwise`] is the loop, without
//! files and clock.

#[cfg(blocking)]
mod averaged;
#[cfg(blocking)]
mod classifier;
mod curves;
#[cfg(blocking)]
mod embedding;
#[cfg(blocking)]
mod ensemble;
mod error;
mod evaluate;
mod evaluation;
#[cfg(all(blocking, feature = "image"))]
mod examples;
mod feed;
#[cfg(blocking)]
mod findings;
#[cfg(blocking)]
mod fitting;
mod graphs;
mod init;
#[cfg(blocking)]
mod init_classes;
#[cfg(blocking)]
mod inside;
#[cfg(blocking)]
mod landscape;
#[cfg(blocking)]
mod meeting;
#[cfg(blocking)]
mod norms;
#[cfg(blocking)]
mod norms_of_run;
#[cfg(blocking)]
mod notes;
#[cfg(blocking)]
mod outcome;
#[cfg(blocking)]
mod overfit;
mod part;
mod probabilities;
#[cfg(blocking)]
mod progress;
#[cfg(blocking)]
mod range_test;
mod resolved;
#[cfg(blocking)]
mod resume;
mod rows;
mod run_folder;
mod run_lock;
mod runner;
#[cfg(blocking)]
mod saving;
#[cfg(blocking)]
mod shard_timing;
#[cfg(blocking)]
mod sharded;
#[cfg(blocking)]
mod shards;
mod start;
mod step_metrics;
#[cfg(blocking)]
mod steps;
mod stepwise;
mod sums;
#[cfg(blocking)]
pub mod sweep;
#[cfg(blocking)]
mod synchronised;
#[cfg(blocking)]
mod together;
#[cfg(blocking)]
mod trainer;
#[cfg(blocking)]
mod trial;
mod whiten;

#[cfg(blocking)]
pub use classifier::{Classifier, Likelihood};
#[cfg(blocking)]
pub use embedding::Embedding;
#[cfg(blocking)]
pub use ensemble::{Ensemble, EnsembleEvaluation, TestData};
pub use error::TrainError;
pub use evaluate::{Evaluator, Testing};
pub use evaluation::{CalibrationBin, ClassScore, Evaluation, WrongImage};
#[cfg(all(blocking, feature = "image"))]
pub use examples::Examples;
#[cfg(blocking)]
pub use findings::{Filters, Findings, Record};
pub use graphs::{Batch, PartGraphs, evaluation_graph, part_graphs, training_graph};
#[cfg(blocking)]
pub use inside::{Embedder, Evidence, Explainer, explanation};
#[cfg(blocking)]
pub use landscape::{Form, Landscape, LandscapeOutcome, RateRun};
#[cfg(blocking)]
pub use norms::{LayerNorm, layer_norms, norm_panels, write_norms};
#[cfg(blocking)]
pub use outcome::Outcome;
#[cfg(blocking)]
pub use overfit::{Overfit, OverfitOutcome};
pub use probabilities::{MeanProbabilities, log_probabilities, softmax};
#[cfg(blocking)]
pub use progress::{Reporter, Silent};
#[cfg(blocking)]
pub use range_test::{RangeCurve, RangeOutcome, RangePoint, RangeTest, Suggestion};
pub use resolved::Resolved;
#[cfg(blocking)]
pub use resume::Changes;
pub use run_folder::{EpochRow, RunFolder};
#[cfg(blocking)]
pub use shard_timing::{ShardTiming, time_shards};
pub use start::read_data;
pub use stepwise::{Step, Stepwise};
#[cfg(blocking)]
pub use trainer::Trainer;
