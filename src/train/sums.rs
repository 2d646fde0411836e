//! What the shards of a step leave, to be added up.

use super::graphs::statistics_of;
use crate::graph::Graph;
use crate::optim::Bucket;
use crate::passes::SyncPoint;
use std::ops::Range;

/// Numbers of shards that are added up together: those of a bucket of gradients, and with the first, running statistics.
#[cfg_attr(not(blocking), expect(dead_code, reason = "nobody shares a batch there"))]
#[derive(Clone, Debug)]
pub(super) struct Sums {
    /// Outputs of a shard's graph that have them, one after another.
    pub outputs: Vec<String>,
    /// How many numbers there are.
    pub elements: usize,
    /// Of the gradients, which come first.
    pub gradients: usize,
    /// What the sums are for, and which of them.
    pub tensors: Vec<(String, Range<usize>)>,
    /// The point at which a shard has them, or as many as there are where it has them later.
    pub after: usize,
}

impl Sums {
    /// In the order in which the graph of a shard has them.
    pub(super) fn of_shard(graph: &Graph, buckets: Vec<Bucket>, points: &[SyncPoint]) -> Vec<Sums> {
        let mut all: Vec<Sums> = buckets.into_iter().map(Sums::of_bucket).collect();
        if all.is_empty() {
            all.push(Sums { outputs: Vec::new(), elements: 0, gradients: 0, tensors: Vec::new(), after: 0 });
        }
        for (name, value) in statistics_of(graph) {
            let first = all[0].elements;
            all[0].elements += graph.shape(value).elements();
            let end = all[0].elements;
            all[0].outputs.push(name.clone());
            all[0].tensors.push((name, first..end));
        }
        for sums in &mut all {
            let last = graph.made_by(&sums.outputs);
            sums.after = points.iter().take_while(|point| graph.made_by(&point.given) < last).count();
        }
        all
    }

    fn of_bucket(bucket: Bucket) -> Sums {
        let Bucket { output, elements, members } = bucket;
        Sums { outputs: vec![output], elements, gradients: elements, tensors: members, after: 0 }
    }

    /// Running statistics, by name.
    #[cfg(blocking)]
    pub(super) fn statistics(&self) -> impl Iterator<Item = &(String, Range<usize>)> {
        self.tensors.iter().filter(|(_, range)| range.start >= self.gradients)
    }
}
