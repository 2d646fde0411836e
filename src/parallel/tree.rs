//! A sum over shards along one binary tree, whose shape depends on the number of shards alone.

use super::{Collective, ParallelError};
use std::ops::Range;

/// The sum of the shards `first..first + size`, of which those that a short batch lacks are left out; `size` is a power
/// of two that divides `first`.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The first shard.
    pub first: usize,
    /// How many places of shards it spans.
    pub size: usize,
    /// The sum.
    pub values: Vec<f32>,
}

/// Adds up neighbours that come in their order: two halves of a node of the tree as soon as both are there.
///
/// ```
/// use tilewright::parallel::Tree;
///
/// let mut tree = Tree::default();
/// (0..3).for_each(|shard| tree.push_shard(shard, vec![1e8, 1.0][shard % 2..][..1].to_vec()));
/// // (1e8 + 1) + 1e8 in f32.
/// assert_eq!(tree.sum(), [2e8]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// Takes in the next shard.
    pub fn push_shard(&mut self, shard: usize, values: Vec<f32>) {
        self.push(Node { first: shard, size: 1, values });
    }

    /// Takes in the next node.
    pub fn push(&mut self, node: Node) {
        let mut node = node;
        while let Some(left) =
            self.nodes.pop_if(|left| left.size == node.size && left.first + left.size == node.first && is_left(left))
        {
            node = Node { first: left.first, size: 2 * left.size, values: added(left.values, &node.values) };
        }
        self.nodes.push(node);
    }

    /// The sums so far, in order.
    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// The sum of all, where no shard is missing before the last: nodes whose right half lacks shards are what there is
    /// of them.
    pub fn sum(mut self) -> Vec<f32> {
        let mut sum = self.nodes.pop().map(|last| last.values).unwrap_or_default();
        while let Some(left) = self.nodes.pop() {
            sum = added(left.values, &sum);
        }
        sum
    }
}

/// Whether a node is the left half of the one above it.
fn is_left(node: &Node) -> bool {
    node.first.is_multiple_of(2 * node.size)
}

fn added(mut left: Vec<f32>, right: &[f32]) -> Vec<f32> {
    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
    left
}

/// The part of `count` things that member `rank` of `world` has: neighbours, and as many for each as can be.
pub fn block(count: usize, rank: usize, world: usize) -> Range<usize> {
    count * rank / world..count * (rank + 1) / world
}

/// The sum of `length` values of each of the shards `0..present` of `shards`, the same on every member. `own` has those of
/// this member's [`block`] of all `shards`.
///
/// Each member adds up one slice of the values, and gives it to all: as many bytes go to and fro as in a ring, and the order
/// of each element's sum is that of the tree.
///
/// # Errors
/// As [`Collective::exchange`].
pub fn sum_of_shards(
    group: &dyn Collective,
    own: Tree,
    [shards, present]: [usize; 2],
    length: usize,
) -> Result<Vec<f32>, ParallelError> {
    let (rank, world) = (group.rank(), group.world());
    if world == 1 {
        return Ok(own.sum());
    }
    let slice = |of: usize| block(length, of, world);
    let own = own.into_nodes();
    let parts: Vec<Vec<f32>> = (0..world)
        .map(|to| {
            let slices: Vec<&[f32]> = own.iter().map(|node| &node.values[slice(to)]).collect();
            slices.concat()
        })
        .collect();
    let given = group.exchange(&parts.iter().map(|part| bytemuck::cast_slice(part)).collect::<Vec<_>>())?;
    let mut tree = Tree::default();
    for (from, bytes) in given.into_iter().enumerate() {
        let values = floats(&bytes);
        let nodes = nodes_of(block(shards, from, world), present);
        let length = slice(rank).len();
        if values.len() != nodes.len() * length {
            let reason = format!("{} numbers, not {}", values.len(), nodes.len() * length);
            return Err(ParallelError::Unreadable { rank: from, world, reason });
        }
        for (place, node) in nodes.into_iter().enumerate() {
            tree.push(Node { values: values[place * length..(place + 1) * length].to_vec(), ..node });
        }
    }
    let summed = group.all_gather(bytemuck::cast_slice(&tree.sum()))?;
    let mut all = Vec::with_capacity(length);
    summed.iter().for_each(|slice| all.extend(floats(slice)));
    Ok(all)
}

/// The nodes, without their values, that a member has of the shards in its `block`.
fn nodes_of(block: Range<usize>, present: usize) -> Vec<Node> {
    let mut tree = Tree::default();
    (block.start..block.end.min(present)).for_each(|shard| tree.push_shard(shard, Vec::new()));
    tree.into_nodes()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytemuck::pod_collect_to_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::Threads;
    use super::*;

    /// Values whose sum depends on its order, put together of bits: functions of floats may differ in the last one.
    fn values(shard: usize) -> Vec<f32> {
        let value = |at: usize| {
            let mantissa = (shard as u32 * 7 + at as u32 + 1).wrapping_mul(2_654_435_761) >> 9;
            let exponent = 120 + (5 * shard as u32 + at as u32) % 9;
            f32::from_bits(exponent << 23 | mantissa) * if shard % 3 == 1 { -1.0 } else { 1.0 }
        };
        (0..7).map(value).collect()
    }

    fn alone(present: usize) -> Vec<f32> {
        let mut tree = Tree::default();
        (0..present).for_each(|shard| tree.push_shard(shard, values(shard)));
        tree.sum()
    }

    #[test]
    fn a_sum_goes_along_the_tree_of_its_shards() {
        let of = |shard: usize| values(shard)[0];
        assert_eq!(alone(4)[0], (of(0) + of(1)) + (of(2) + of(3)));
        assert_eq!(alone(3)[0], (of(0) + of(1)) + of(2));
        assert_eq!(alone(7)[0], ((of(0) + of(1)) + (of(2) + of(3))) + ((of(4) + of(5)) + of(6)));
        assert_ne!(alone(4)[0], of(0) + of(1) + of(2) + of(3), "the order shows in the bits");
    }

    #[test]
    fn a_sum_has_the_same_bits_for_every_number_of_members_and_of_shards_that_are_there() {
        for shards in 1..=9 {
            for world in 1..=shards {
                for present in 1..=shards {
                    let expected = alone(present);
                    let sums = std::thread::scope(|scope| {
                        let sum = |member: Threads| {
                            let own = block(shards, member.rank(), world);
                            let mut tree = Tree::default();
                            (own.start..own.end.min(present)).for_each(|shard| tree.push_shard(shard, values(shard)));
                            sum_of_shards(&member, tree, [shards, present], 7).unwrap()
                        };
                        let members = Threads::split(world).into_iter().map(|member| scope.spawn(move || sum(member)));
                        let running: Vec<_> = members.collect();
                        running.into_iter().map(|member| member.join().unwrap()).collect::<Vec<_>>()
                    });
                    for sum in sums {
                        assert!(sum.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{shards} {world}");
                    }
                }
            }
        }
    }
}
