//! Trains convolutional networks on any GPU with wgpu and compute shaders written by hand in WGSL.
//!
//! A model is a static [`graph`] of [`ops`]; autodiff adds the backward pass as more nodes of it. A
//! [`plan`] freezes kernels, memory and order for a device; the [`gpu`] replays it with one submit a
//! step, and the [`reference`] runs the same graph on the CPU, as the judge.

pub mod bench;
pub mod check;
pub mod data;
pub mod engine;
pub mod gpu;
pub mod graph;
pub mod interop;
#[path = "../models/mod.rs"]
pub mod models;
pub mod ops;
pub mod optim;
pub mod plan;
pub mod reference;
pub mod report;
pub mod shader;
pub mod tensor;
pub mod train;
pub mod tune;
pub mod verify;
