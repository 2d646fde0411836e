//! Throughput of kernels and steps, beside what the device can reach.

mod cases;
mod peak;
#[cfg(blocking)]
mod profile;
mod table;

pub use cases::{Case, Group, cases, step_case};
#[cfg(blocking)]
pub use peak::measure_peak;
pub use peak::{Peak, measure_peak_async};
#[cfg(blocking)]
pub use profile::{KernelTime, Profile, profile_step};
pub use table::{COLUMNS, Measured};

use crate::gpu::Gpu;
use crate::graph::{Cost, Graph};
use crate::reference::random_tensors;
use crate::session::{Program, Session, SessionError};
use std::time::Duration;
#[cfg(not(target_family = "wasm"))]
use std::time::Instant;
#[cfg(target_family = "wasm")]
use web_time::Instant;

/// Time of one run, in seconds, over a number of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Half of the samples are faster.
    pub median: f64,
    /// A quarter of the samples are faster, a quarter slower.
    pub quartiles: [f64; 2],
    /// From the graph to the end of the first run: kernels compiled, memory allocated.
    pub first: f64,
    /// Device memory of the program, in bytes.
    pub peak_bytes: u64,
}

/// Samples of a measurement, and the shortest time that they take together.
const SAMPLES: usize = 11;
const SHORTEST: Duration = Duration::from_millis(600);

/// Times `graph` from random inputs: one run to warm up, then samples of as many runs as make the
/// clock's grain small.
///
/// # Errors
/// When the device cannot run the graph.
#[cfg(blocking)]
pub fn measure(gpu: &Gpu, graph: &Graph) -> Result<Timing, SessionError> {
    pollster::block_on(measure_async(gpu, graph))
}

/// As [`measure`], where nothing may wait.
///
/// # Errors
/// As [`measure`].
pub async fn measure_async(gpu: &Gpu, graph: &Graph) -> Result<Timing, SessionError> {
    let begin = Instant::now();
    let mut program = prepare(gpu, graph).await?;
    seconds(&mut program, 1).await?;
    let first = begin.elapsed().as_secs_f64();
    let one = seconds(&mut program, 1).await?;
    let runs = (SHORTEST.as_secs_f64() / SAMPLES as f64 / one).clamp(1.0, 1000.0) as u32;
    let mut samples = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        samples.push(seconds(&mut program, runs).await?);
    }
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples[(share * (samples.len() - 1) as f64).round() as usize];
    let peak_bytes = program.memory().map_or(0, |memory| memory.peak());
    Ok(Timing { median: at(0.5), quartiles: [at(0.25), at(0.75)], first, peak_bytes })
}

/// Seconds that one of so many runs takes.
async fn seconds(program: &mut Program, runs: u32) -> Result<f64, SessionError> {
    let begin = Instant::now();
    for _ in 0..runs {
        program.run_async().await?;
    }
    program.finish_async().await?;
    Ok(begin.elapsed().as_secs_f64() / f64::from(runs))
}

/// `graph` on a device, with random values for its inputs; step numbers are small.
async fn prepare(gpu: &Gpu, graph: &Graph) -> Result<Program, SessionError> {
    let mut program = Session::new(&gpu.clone().into(), 1).prepare_async(&[graph]).await?.swap_remove(0);
    let tensors = random_tensors(graph, 1, 10);
    for name in program.inputs().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        program.write(program.input(&name)?, &tensors[&name])?;
    }
    Ok(program)
}

/// Work of all live nodes of a graph.
pub fn cost(graph: &Graph) -> Cost {
    let live = graph.live_nodes();
    let nodes = graph.nodes().iter().zip(live).filter(|(_, live)| *live);
    nodes.fold(Cost::default(), |total, (node, _)| {
        let cost = node_cost(graph, node);
        Cost { flops: total.flops + cost.flops, bytes: total.bytes + cost.bytes }
    })
}

/// Work of one node; views cost nothing.
pub fn node_cost(graph: &Graph, node: &crate::graph::Node) -> Cost {
    if node.op.is_view() {
        return Cost::default();
    }
    node.op.cost(&graph.shapes(node))
}
