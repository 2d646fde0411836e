//! The tests that need nothing but the crate, in one program, so that one is linked. Those that need a graphics
//! adapter, a tool or a folder stand in tests/needs, with their neighbours.
//! `cargo nextest run --test suite schedules` and `cargo test --test suite schedules` run those of one module.

#[path = "../common/mod.rs"]
mod common;

// What is computed, on the reference.
mod fusion;
mod gradients;
mod groups;
mod half;
mod lookahead;
mod optimizers;
mod schedules;
mod wide_kernels;

// Networks: what they hold, how they start, what they are told.
mod initial_values;
mod model_options;
mod models;
mod plans;
mod recipes;

// Data and weights from elsewhere.
mod augmentations;
mod data_sources;
mod image_lists;
mod interop;
mod model_pages;
mod onnx_activations;
mod onnx_layers;
mod streaming;

// Commands, run as a user runs them.
mod landscape;
mod recompute;
mod run_ends;
mod stepwise;
mod summary;
mod training_sizes;
mod uneven_classes;

// What once went wrong.
mod faults;

// What stands around the crate: its pages and scripts.
mod architecture;
mod documentation;
#[cfg(target_os = "linux")]
mod ensure_adapter;
