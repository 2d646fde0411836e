//! The tests of the crate and of its command line, in one program, so that one is linked.
//! `cargo nextest run --test suite tune` and `cargo test --test suite tune` run those of one module.

#[path = "../common/mod.rs"]
mod common;

// What is computed: ops, kernels, optimizers and schedules, without a network and without data.
mod conformance;
mod fusion;
mod gradients;
mod kernels;
mod layers;
mod ops_plain;
mod optimizers;
mod properties;
mod schedules;
mod session;
mod shaders;
mod stochastic_depth;

// Networks: what they hold, how they start, what they are told.
mod initial_values;
mod model_cases;
mod model_options;
mod models;
mod zoo_training;

// Data and weights from elsewhere.
mod data_sources;
mod interop;

// Commands, run as a user runs them.
mod command_line;
mod ensemble;
mod landscape;
mod lr_find;
mod summary;
mod sweep;
mod training;
mod tune;

// What stands around the crate: its pages and scripts.
mod documentation;
#[cfg(target_os = "linux")]
mod ensure_adapter;
