//! Where tensors live: persistent ones in memory of their own (packs side by side), the others in
//! slots that are reused as soon as their last reader has run.

use crate::graph::{Graph, PACK_ALIGNMENT, Role, Value};
use crate::kernel::ScratchTexture;
use std::collections::BTreeMap;
use std::fmt;

/// A piece of device memory: one buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// Written by the caller before each run, under the input's name.
    Input {
        /// The input's name in the graph.
        name: String,
        /// Size of the buffer.
        bytes: u64,
    },
    /// Lives on between runs, under the name of a parameter, a buffer or a pack.
    Persistent {
        /// The parameter, buffer or pack.
        value: Value,
        /// Size of the buffer.
        bytes: u64,
    },
    /// Reused within a run.
    Slot {
        /// Size of the largest tensor that it is used for.
        bytes: u64,
    },
}

impl Region {
    /// Size of the buffer.
    pub fn bytes(&self) -> u64 {
        match self {
            Region::Input { bytes, .. } | Region::Persistent { bytes, .. } | Region::Slot { bytes } => *bytes,
        }
    }
}

/// A part of a region, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index in [`Plan::regions`](super::Plan::regions).
    pub region: usize,
    /// Where it starts in the region.
    pub offset: u64,
    /// Its size.
    pub bytes: u64,
}

/// Device memory of a plan, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryReport {
    /// Parameters, gradients, optimizer state, running statistics.
    pub persistent: u64,
    /// What is written before each run.
    pub inputs: u64,
    /// Slots for activations and scratch, shared by liveness.
    pub slots: u64,
    /// What the slots would take if every tensor had memory of its own.
    pub unshared: u64,
    /// Scratch textures.
    pub textures: u64,
}

impl MemoryReport {
    /// All device memory of the plan.
    pub fn peak(&self) -> u64 {
        self.persistent + self.inputs + self.slots + self.textures
    }
}

impl fmt::Display for MemoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "{:.1} MiB: {:.1} persistent, {:.1} inputs, {:.1} activations ({:.1} without sharing), {:.1} textures",
            mib(self.peak()),
            mib(self.persistent),
            mib(self.inputs),
            mib(self.slots),
            mib(self.unshared),
            mib(self.textures)
        )
    }
}

/// Where all tensors and scratch buffers of a plan lie.
pub(super) struct Memory<'g> {
    graph: &'g Graph,
    places: Vec<Option<Place>>,
    /// Those of the scratch buffers of each node.
    scratch: Vec<Vec<Place>>,
    regions: Vec<Region>,
    unshared: u64,
}

const NEVER: usize = usize::MAX;

/// Memory that is asked for from one node on to another.
struct Asked {
    bytes: u64,
    from: usize,
    to: usize,
    holder: Holder,
}

/// What lies there.
enum Holder {
    Value(Value),
    /// Scratch buffer `which` of the node that it is asked from.
    Scratch {
        which: usize,
    },
}

impl<'g> Memory<'g> {
    /// Lays out the memory of the nodes that are `live`. `scratch` has the elements of each node's scratch buffers.
    pub(super) fn new(graph: &'g Graph, live: &[bool], scratch: &[Vec<usize>]) -> Self {
        let tensors = graph.tensors().len();
        let mut last_use = vec![0; tensors];
        let mut used = vec![false; tensors];
        for (index, node) in graph.nodes().iter().enumerate().filter(|(index, _)| live[*index]) {
            for &value in node.inputs.iter().chain(&node.outputs) {
                let storage = graph.storage_of(value).index();
                last_use[storage] = last_use[storage].max(index);
                used[storage] = true;
            }
        }
        for &(_, value) in graph.outputs() {
            let storage = graph.storage_of(value).index();
            last_use[storage] = NEVER;
            used[storage] = true;
        }
        let mut memory =
            Memory { graph, places: vec![None; tensors], scratch: Vec::new(), regions: Vec::new(), unshared: 0 };
        memory.place_packs(&used);
        memory.place_persistent(&used);
        memory.place_slots(live, scratch, &last_use);
        memory
    }

    fn place_packs(&mut self, used: &[bool]) {
        for value in self.graph.values() {
            if let (Role::Pack { members, offsets }, true) = (&self.graph.tensor(value).role, used[value.index()]) {
                let bytes = self.graph.spec(value).bytes();
                let region = self.regions.len();
                self.regions.push(Region::Persistent { value, bytes });
                self.places[value.index()] = Some(Place { region, offset: 0, bytes });
                for (&member, &offset) in members.iter().zip(offsets) {
                    let place = Place { region, offset: offset as u64 * 4, bytes: self.graph.spec(member).bytes() };
                    self.places[member.index()] = Some(place);
                }
            }
        }
    }

    fn place_persistent(&mut self, used: &[bool]) {
        for value in self.graph.values() {
            let tensor = self.graph.tensor(value);
            if self.places[value.index()].is_some() || !used[value.index()] {
                continue;
            }
            let bytes = tensor.spec.bytes();
            let region = match &tensor.role {
                Role::Input => Region::Input { name: tensor.name.clone(), bytes },
                Role::Parameter { .. } | Role::Buffer { .. } => Region::Persistent { value, bytes },
                Role::Pack { .. } | Role::Node { .. } => continue,
            };
            self.places[value.index()] = Some(Place { region: self.regions.len(), offset: 0, bytes });
            self.regions.push(region);
        }
    }

    /// Gives each output and each scratch buffer a slot: the largest first, in the smallest slot that nothing else has
    /// at the same time (Pisarchyk and Lee 2020, greedy by size for shared objects).
    fn place_slots(&mut self, live: &[bool], scratch: &[Vec<usize>], last_use: &[usize]) {
        let mut asked = Vec::new();
        for (node, outputs) in self.graph.nodes().iter().map(|node| &node.outputs).enumerate() {
            if !live[node] {
                continue;
            }
            let views = self.graph.nodes()[node].op.is_view();
            for &output in outputs.iter().filter(|output| !views && self.places[output.index()].is_none()) {
                let bytes = self.graph.spec(output).bytes();
                asked.push(Asked { bytes, from: node, to: last_use[output.index()], holder: Holder::Value(output) });
            }
            let elements = scratch[node].iter().enumerate();
            asked.extend(elements.map(|(which, &elements)| Asked {
                bytes: elements as u64 * 4,
                from: node,
                to: node,
                holder: Holder::Scratch { which },
            }));
        }
        asked.iter_mut().for_each(|asked| {
            asked.bytes = asked.bytes.next_multiple_of(4 * PACK_ALIGNMENT as u64).max(4 * PACK_ALIGNMENT as u64);
        });
        self.unshared = asked.iter().map(|asked| asked.bytes).sum();
        // Stable: what has the same size stays in the order of the nodes.
        asked.sort_by_key(|asked| std::cmp::Reverse(asked.bytes));
        let first = self.regions.len();
        let mut slots: Vec<BTreeMap<usize, usize>> = Vec::new();
        self.scratch = scratch.iter().map(|own| vec![Place { region: 0, offset: 0, bytes: 0 }; own.len()]).collect();
        for Asked { bytes, from, to, holder } in asked {
            let is_free =
                |slot: &BTreeMap<usize, usize>| slot.range(..=to).next_back().is_none_or(|(_, &end)| end < from);
            // Slots are in the order of their sizes, as what they were made for.
            let slot = slots.iter().rposition(is_free).unwrap_or_else(|| {
                self.regions.push(Region::Slot { bytes });
                slots.push(BTreeMap::new());
                slots.len() - 1
            });
            slots[slot].insert(from, to);
            let place = Place { region: first + slot, offset: 0, bytes };
            match holder {
                Holder::Value(value) => self.places[value.index()] = Some(place),
                Holder::Scratch { which } => self.scratch[from][which] = place,
            }
        }
    }

    /// Where the scratch buffers of a node lie.
    pub(super) fn scratch(&self, node: usize) -> &[Place] {
        &self.scratch[node]
    }

    /// Where a graph's value lies.
    pub(super) fn place(&self, value: Value) -> Place {
        let storage = self.graph.storage_of(value);
        self.places[storage.index()].unwrap_or_else(|| {
            unreachable!("`{}` is used before the node that makes it", self.graph.tensor(storage).name)
        })
    }

    pub(super) fn finish(mut self, textures: &[ScratchTexture]) -> (Vec<Option<Place>>, Vec<Region>, MemoryReport) {
        for value in self.graph.values() {
            if self.places[value.index()].is_none() {
                self.places[value.index()] = self.places[self.graph.storage_of(value).index()];
            }
        }
        let mut report = MemoryReport { unshared: self.unshared, ..MemoryReport::default() };
        for region in &self.regions {
            match region {
                Region::Input { bytes, .. } => report.inputs += bytes,
                Region::Persistent { bytes, .. } => report.persistent += bytes,
                Region::Slot { bytes } => report.slots += bytes,
            }
        }
        report.textures =
            textures.iter().map(|texture| u64::from(texture.width) * u64::from(texture.height) * 16).sum();
        (self.places, self.regions, report)
    }
}
