//! Where tensors live: persistent ones in memory of their own (packs side by side), the others in
//! slots that are reused as soon as their last reader has run.

use super::storage_of;
use crate::graph::{Graph, PACK_ALIGNMENT, Role, Value};
use crate::kernel::ScratchTexture;
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

/// Lays out memory while the nodes of a graph are visited in order.
pub(super) struct Memory<'g> {
    graph: &'g Graph,
    places: Vec<Option<Place>>,
    regions: Vec<Region>,
    /// Index of the last node that touches the memory of each value.
    last_use: Vec<usize>,
    free: Vec<usize>,
    unshared: u64,
}

const NEVER: usize = usize::MAX;

impl<'g> Memory<'g> {
    pub(super) fn new(graph: &'g Graph, live: &[bool]) -> Self {
        let tensors = graph.tensors().len();
        let mut last_use = vec![0; tensors];
        let mut used = vec![false; tensors];
        for (index, node) in graph.nodes().iter().enumerate().filter(|(index, _)| live[*index]) {
            for &value in node.inputs.iter().chain(&node.outputs) {
                let storage = storage_of(graph, value).index();
                last_use[storage] = last_use[storage].max(index);
                used[storage] = true;
            }
        }
        for &(_, value) in graph.outputs() {
            let storage = storage_of(graph, value).index();
            last_use[storage] = NEVER;
            used[storage] = true;
        }
        let mut memory =
            Memory { graph, places: vec![None; tensors], regions: Vec::new(), last_use, free: Vec::new(), unshared: 0 };
        memory.place_packs(&used);
        memory.place_persistent(&used);
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

    /// Gives the outputs and the scratch of a node their slots; the scratch's places come back.
    pub(super) fn enter(&mut self, node: usize, scratch: &[usize]) -> Vec<Place> {
        for &output in &self.graph.nodes()[node].outputs {
            if self.places[output.index()].is_none() {
                self.places[output.index()] = Some(self.slot(self.graph.spec(output).bytes()));
            }
        }
        scratch.iter().map(|&elements| self.slot(elements as u64 * 4)).collect()
    }

    /// Frees the slots whose last user was `node`, and its scratch.
    pub(super) fn leave(&mut self, node: usize, scratch: Vec<Place>) {
        self.free.extend(scratch.iter().map(|place| place.region));
        let touched = &self.graph.nodes()[node];
        let mut storages: Vec<Value> =
            touched.inputs.iter().chain(&touched.outputs).map(|&value| storage_of(self.graph, value)).collect();
        storages.sort_unstable();
        storages.dedup();
        for value in storages {
            // An output nobody reads has no later use than its own node.
            let last = self.last_use[value.index()];
            if let (Some(place), true) = (self.places[value.index()], last != NEVER && last <= node)
                && matches!(self.regions[place.region], Region::Slot { .. })
            {
                self.free.push(place.region);
            }
        }
    }

    /// The smallest free slot that holds `bytes`, else the largest free one made larger, else a new one.
    fn slot(&mut self, bytes: u64) -> Place {
        let bytes = bytes.next_multiple_of(4 * PACK_ALIGNMENT as u64).max(4 * PACK_ALIGNMENT as u64);
        self.unshared += bytes;
        let fitting = (0..self.free.len())
            .filter(|&index| self.regions[self.free[index]].bytes() >= bytes)
            .min_by_key(|&index| self.regions[self.free[index]].bytes());
        let chosen =
            fitting.or_else(|| (0..self.free.len()).max_by_key(|&index| self.regions[self.free[index]].bytes()));
        let region = match chosen {
            Some(index) => {
                let region = self.free.swap_remove(index);
                let larger = self.regions[region].bytes().max(bytes);
                self.regions[region] = Region::Slot { bytes: larger };
                region
            }
            None => {
                self.regions.push(Region::Slot { bytes });
                self.regions.len() - 1
            }
        };
        Place { region, offset: 0, bytes }
    }

    /// Where a graph's value lies.
    pub(super) fn place(&self, value: Value) -> Place {
        let storage = storage_of(self.graph, value);
        self.places[storage.index()].unwrap_or_else(|| {
            unreachable!("`{}` is used before the node that makes it", self.graph.tensor(storage).name)
        })
    }

    pub(super) fn finish(mut self, textures: &[ScratchTexture]) -> (Vec<Option<Place>>, Vec<Region>, MemoryReport) {
        for value in self.graph.values() {
            if self.places[value.index()].is_none() {
                self.places[value.index()] = self.places[storage_of(self.graph, value).index()];
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
