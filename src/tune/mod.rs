//! Measures which kernels are fastest for the convolutions and linear layers of a training step on one device, and
//! writes a table of them (docs/decisions/0009-tune.md). Nothing is tuned unless somebody asks for it.

mod measure;

pub use measure::{Finding, Measured, Timed, measure_layer};

use crate::gpu::Gpu;
use crate::graph::{Graph, GraphError};
use crate::ops::ConvShape;
use crate::session::SessionError;
use crate::tuned::{MeasuredOn, TunedLayer, TunedTable};
use std::time::{Duration, Instant};

/// A device that fails while it is measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum TuneError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// One pass of a convolution or linear layer, and how often it is in each of some graphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its sizes and its pass.
    pub shape: ConvShape,
    /// How often it is in each graph.
    pub uses: Vec<usize>,
}

/// The distinct convolutions and linear layers of `graphs`: those of the first graph before those of the next, and
/// within a graph those of most work first, so that what matters is measured if time runs out.
pub fn layers(graphs: &[Graph]) -> Vec<Layer> {
    let mut all: Vec<Layer> = Vec::new();
    for (index, graph) in graphs.iter().enumerate() {
        let known = all.len();
        let live = graph.live_nodes();
        for (node, _) in graph.nodes().iter().zip(live).filter(|(_, live)| *live) {
            let Some(shape) = ConvShape::of(node) else { continue };
            let place = all.iter().position(|layer| layer.shape == shape).unwrap_or_else(|| {
                all.push(Layer { shape, uses: vec![0; graphs.len()] });
                all.len() - 1
            });
            all[place].uses[index] += 1;
        }
        let work = |layer: &Layer| layer.shape.geometry.multiply_adds() * layer.uses[index] as u64;
        all[known..].sort_by_key(|layer| std::cmp::Reverse(work(layer)));
    }
    all
}

/// Measures `layers` in their order until `budget` is over, and tells `report` each before it is measured. A layer
/// that has begun is finished; those that are left over are absent from the findings.
///
/// # Errors
/// When the device fails.
pub fn tune(
    gpu: &Gpu,
    layers: &[Layer],
    budget: Duration,
    mut report: impl FnMut(usize, &Layer),
) -> Result<Vec<Finding>, TuneError> {
    let begin = Instant::now();
    let mut findings = Vec::with_capacity(layers.len());
    for (index, layer) in layers.iter().enumerate() {
        if begin.elapsed() >= budget {
            break;
        }
        report(index, layer);
        findings.push(measure_layer(gpu, &layer.shape)?);
    }
    Ok(findings)
}

impl TunedTable {
    /// What was found on `gpu`: the layers for which other kernels than the rule's are to be taken.
    pub fn of(gpu: &Gpu, findings: &[Finding]) -> TunedTable {
        let measured = findings.iter().filter_map(|finding| finding.measured.as_ref().map(|m| (finding, m)));
        let changed = measured.filter(|(_, measured)| measured.best.kernels != measured.rule.kernels);
        let layer = |(finding, Measured { rule, best, .. }): (&Finding, &Measured)| TunedLayer {
            shape: finding.shape,
            kernels: best.kernels,
            ms: 1e3 * best.seconds,
            rule: rule.kernels,
            rule_ms: 1e3 * rule.seconds,
        };
        TunedTable::new(MeasuredOn::of(gpu.info()), changed.map(layer).collect())
    }
}
