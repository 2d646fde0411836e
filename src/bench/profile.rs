//! One step, kernel by kernel.

use super::{node_cost, prepare};
use crate::gpu::Gpu;
use crate::graph::{Cost, Graph, Pass};
use crate::session::SessionError;
use std::time::Instant;

/// Time of one kernel in a step, in seconds, and its share of its node's work.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// Path under `shaders/` without the ending.
    pub shader: &'static str,
    /// Path of the layer, such as `layer1.0.conv1`.
    pub layer: String,
    /// Name of the node's op.
    pub op: &'static str,
    /// The part of the step that the node belongs to.
    pub pass: Pass,
    /// Start within the step, on the device's clock.
    pub start: f64,
    /// Median time on the device.
    pub seconds: f64,
    /// The node's work, at its longest kernel; zero at the others, such as packing and merging.
    pub cost: Cost,
}

/// One step of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// In the order in which they run.
    pub kernels: Vec<KernelTime>,
    /// Time in which the host records and submits a step, in seconds, median.
    pub encode: f64,
    /// Time in which it then waits for the device, in seconds, median.
    pub wait: f64,
    /// Whether kernels were timed by the device, or each by its own submit.
    pub by_device: bool,
}

/// Steps of which each kernel's median is taken.
const STEPS: usize = 7;

/// Runs `graph` from random inputs, and times each kernel: by the device's timestamps where it has
/// them, else by one submit a kernel.
///
/// # Errors
/// When the device cannot run the graph.
pub fn profile_step(gpu: &Gpu, graph: &Graph) -> Result<Profile, SessionError> {
    let mut program = pollster::block_on(prepare(gpu, graph))?;
    program.run()?;
    program.finish()?;
    let (mut encode, mut wait) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        let begin = Instant::now();
        program.run()?;
        encode.push(begin.elapsed().as_secs_f64());
        program.finish()?;
        wait.push(begin.elapsed().as_secs_f64() - encode.last().copied().unwrap_or(0.0));
    }
    let runs: Vec<Vec<[f64; 2]>> = (0..STEPS).map(|_| program.run_timed()).collect::<Result<_, _>>()?;
    let graph = &graph.fuse_activations();
    let mut kernels: Vec<KernelTime> = program
        .kernels()
        .into_iter()
        .enumerate()
        .map(|(index, step)| {
            let node = &graph.nodes()[step.node];
            KernelTime {
                shader: step.shader,
                layer: node.layer.clone(),
                op: node.op.name(),
                pass: node.pass,
                start: runs[0][index][0],
                seconds: median(runs.iter().map(|run| run[index][1]).collect()),
                cost: Cost::default(),
            }
        })
        .collect();
    let nodes: Vec<usize> = program.kernels().iter().map(|step| step.node).collect();
    for (node, content) in graph.nodes().iter().enumerate() {
        let own = (0..kernels.len()).filter(|&kernel| nodes[kernel] == node);
        if let Some(longest) = own.max_by(|&a, &b| kernels[a].seconds.total_cmp(&kernels[b].seconds)) {
            kernels[longest].cost = node_cost(graph, content);
        }
    }
    Ok(Profile { kernels, encode: median(encode), wait: median(wait), by_device: program.has_timestamps() })
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(0.0)
}
