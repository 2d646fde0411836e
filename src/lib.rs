//! Trains convolutional networks on any GPU with wgpu and compute shaders written by hand in WGSL.

pub mod check;
pub mod data;
pub mod engine;
pub mod gpu;
pub mod graph;
#[path = "../models/mod.rs"]
pub mod models;
pub mod ops;
pub mod optim;
pub mod plan;
pub mod reference;
pub mod shader;
pub mod tensor;
pub mod train;
pub mod verify;
