//! Gradients that leave the device before the backward pass is over.

use super::attach::{ACCUMULATED, buffers, own_gradients};
use crate::graph::{Graph, GraphError, Init, Pass, Role, Value};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Gradients that go together, in the order in which the backward pass has them: an output of their graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Name of the output.
    pub output: String,
    /// Elements of the output, with room between its members.
    pub elements: usize,
    /// Names of the buffers that their sums are for, and the elements of each.
    pub members: Vec<(String, Range<usize>)>,
}

/// Elements of a bucket at most, but for one that a single gradient fills: 8 MiB take 7 ms of a link of 10 Gbit/s.
const MOST: usize = 2 << 20;

/// Adds to the graph of a shard: its gradients as outputs, in two buckets or more. An update that takes
/// [`accumulated_gradients`](super::accumulated_gradients) finds their sums where a run puts them.
///
/// # Errors
/// When a name is taken.
pub fn in_buckets(graph: &mut Graph, gradients: &HashMap<Value, Value>) -> Result<Vec<Bucket>, GraphError> {
    graph.within(Pass::Update, "buckets", |graph| {
        let parameters: Vec<Value> = graph.trainable().filter(|value| gradients.contains_key(value)).collect();
        let own = own_gradients(graph, &parameters, gradients, &mut HashSet::new())?;
        let sums = buffers(graph, ACCUMULATED, &parameters, Init::ZEROS)?;
        let mut ready: Vec<(usize, Value, Value)> =
            own.into_iter().zip(sums).map(|(own, sum)| (graph.last_writer(own), own, sum)).collect();
        ready.sort_by_key(|&(node, ..)| node);
        let sizes: Vec<usize> = ready.iter().map(|&(_, own, _)| graph.shape(own).elements()).collect();
        let mut buckets = Vec::new();
        let mut rest = ready.as_slice();
        for count in cut(&sizes) {
            let (now, later) = rest.split_at(count);
            rest = later;
            let output = format!("gradients_of_shard.{}", buckets.len());
            let pack = graph.pack(&output, &now.iter().map(|&(_, own, _)| own).collect::<Vec<_>>())?;
            graph.output(&output, pack);
            let Role::Pack { offsets, .. } = &graph.tensor(pack).role else { continue };
            let member = |(&(_, own, sum), &first): (&(usize, Value, Value), &usize)| {
                (graph.tensor(sum).name.clone(), first..first + graph.shape(own).elements())
            };
            let members = now.iter().zip(offsets).map(member).collect();
            buckets.push(Bucket { elements: graph.shape(pack).elements(), output, members });
        }
        Ok(buckets)
    })
}

/// How many of these sizes, in their order, go into each bucket: at least two, where there are two, since the exchange of
/// one goes on while the device computes the next.
fn cut(sizes: &[usize]) -> Vec<usize> {
    let most = MOST.min(sizes.iter().sum::<usize>() / 2);
    let mut counts: Vec<usize> = Vec::new();
    let mut filled = 0;
    for size in sizes {
        match counts.last_mut() {
            Some(count) if filled + size <= most => {
                *count += 1;
                filled += size;
            }
            _ => {
                counts.push(1);
                filled = *size;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_go_into_two_buckets_or_more_of_at_most_so_many_elements() {
        assert_eq!(cut(&[10, 90]), [1, 1]);
        assert_eq!(cut(&[850, 10_164, 48_120, 2416, 156]), [2, 1, 2]);
        assert_eq!(cut(&[MOST, 1, MOST, MOST / 2, MOST / 2, 5]), [1, 1, 1, 2, 1]);
        assert_eq!((cut(&[7]), cut(&[])), (vec![1], vec![]));
    }
}
