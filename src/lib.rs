//! Trains convolutional networks on any GPU with wgpu and compute shaders written by hand in WGSL.
//!
//! # How a step runs
//!
//! A model ([`models`]) is a static [`graph`] of [`ops`]: shapes are inferred and checked as it is built. Autodiff
//! adds the backward pass as more nodes of the same graph, and an optimizer ([`optim`]) its update. A [`plan`]
//! freezes kernels, memory and order for a device, by written rules and without the device at hand; [`shader`]
//! makes the kernels' texts. The [`gpu`], the only part that knows wgpu, compiles them, and then replays the plan:
//! one submit a step, in which nothing is allocated or compiled. The [`reference`](mod@reference) runs the same
//! graph on the CPU in plain loops, and is the judge of all kernels. A [`session`] runs graphs on the
//! one or the other.
//!
//! ```
//! use tilewright::gpu::DeviceOptions;
//! use tilewright::graph::Graph;
//! use tilewright::nn::{Conv2d, Mode, Scope};
//! use tilewright::ops::CrossEntropy;
//! use tilewright::optim::{Adam, Optimizer, UpdateConfig};
//! use tilewright::session::{Device, Session};
//! use tilewright::tensor::TensorSpec;
//!
//! // Sixteen images of one channel, 6 x 6: the even ones are bright on the left, the odd ones on the right.
//! let images: Vec<f32> = (0..16 * 36).map(|i| f32::from((i % 6 < 3) == (i / 36 % 2 == 0))).collect();
//! let labels: Vec<u32> = (0..16).map(|image| image % 2).collect();
//!
//! // Forward, loss, backward and update, in one graph.
//! let mut graph = Graph::new();
//! let x = graph.input("images", TensorSpec::f32([16, 1, 6, 6]))?;
//! let target = graph.input("labels", TensorSpec::u32([16]))?;
//! let mut net = Scope::new(&mut graph, Mode::Train);
//! let x = net.conv2d("conv", x, Conv2d::square(4, 3).stride(2).padding(1))?;
//! let x = net.relu(x)?;
//! let x = net.flatten(x)?;
//! let logits = net.linear("classifier", x, 2)?;
//! let loss = graph.apply_one(CrossEntropy::default(), &[logits, target])?;
//! graph.output("loss", loss);
//! let trainable: Vec<_> = graph.trainable().collect();
//! let gradients = graph.gradients(loss, &trainable)?;
//! let update = UpdateConfig::new(Optimizer::new(&Adam)).attach(&mut graph, &gradients)?;
//!
//! // `auto` takes a GPU; `cpu` is the reference.
//! let session = Session::new(&Device::open("cpu", DeviceOptions::default())?, 1);
//! let [mut step] = session.prepare([&graph])?;
//! step.write(step.input("images")?, &images)?;
//! step.write(step.input("labels")?, &labels)?;
//! let mut losses = Vec::new();
//! for index in 0..40 {
//!     for (name, values) in update.inputs(index, 0.05) {
//!         step.write(step.input(name)?, &values)?;
//!     }
//!     step.run()?;
//!     losses.push(step.read(step.output("loss")?)?.wait()?.f32()[0]);
//! }
//! assert!(losses[0] > 0.5 && losses[39] < 0.01, "{losses:?}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a run needs besides
//!
//! [`data`] reads, shuffles and augments images; [`train`] has the loop, metrics, checkpoints and the run folder;
//! [`interop`] exchanges weights with PyTorch and writes ONNX; [`report`] draws tables and pictures, and [`study`] has what is
//! made of runs that are done. [`check`] holds
//! every kernel against the reference, [`verify`] against numbers of PyTorch, [`bench`](mod@bench) measures, and
//! [`tune`] writes a table of what beats the rule on one device.
//!
//! The command line in `src/cli` has no logic of its own. `docs/architecture.md` follows one batch through all of
//! this, file by file.

#![warn(clippy::print_stderr, clippy::print_stdout)]
#![cfg_attr(
    not(blocking),
    expect(
        dead_code,
        unused_imports,
        reason = "what waits is not there in a browser, and much that serves it is then unused"
    )
)]

pub mod activity;
#[doc(hidden)]
pub mod atomic_file;
pub mod attribute;
pub mod bench;
pub mod check;
pub mod checkpoint;
pub mod data;
pub mod gpu;
pub mod graph;
pub mod interop;
pub mod kernel;
mod memory;
#[path = "../models/mod.rs"]
pub mod models;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod parallel;
pub mod passes;
#[doc(hidden)]
pub mod path_text;
pub mod plan;
#[doc(hidden)]
pub mod printable;
pub mod random;
pub mod recipe;
pub mod reference;
mod registry;
#[doc(hidden)]
pub mod regular_file;
pub mod report;
pub mod session;
pub mod setting;
pub mod shader;
#[cfg(blocking)]
pub mod study;
pub mod tensor;
pub mod train;
#[cfg(blocking)]
pub mod tune;
pub mod tuned;
pub mod verify;
