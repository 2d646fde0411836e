//! Trains convolutional networks on any GPU with wgpu and compute shaders written by hand in WGSL.

pub mod data;
