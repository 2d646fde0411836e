//! Several processes or devices that train one network: what goes between them, and a sum of their shards that has the same
//! bits however many there are.
//!
//! A batch is cut into shards with global indices. Each member runs some of them, and all get the sum along one binary tree
//! over the shards (docs/decisions/0025-data-parallel.md).

#[cfg(feature = "mpi")]
mod mpi;
mod threads;
mod tree;

#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use threads::Threads;
pub use tree::{Node, Tree, block, sum_of_shards};

/// One of the members that train together. Every member makes the same calls in the same order.
pub trait Collective: Send + Sync {
    /// Which of the members it is, counted from 0. The first has the run folder and the terminal.
    fn rank(&self) -> usize;

    /// How many members there are.
    fn world(&self) -> usize;

    /// Gives `parts[q]` to member q, and returns what each member gave this one, by rank. Parts may have any lengths.
    ///
    /// # Errors
    /// When another member has failed, or does not answer.
    ///
    /// # Panics
    /// When there is not one part for each member.
    fn exchange(&self, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError>;

    /// What every member has, by rank.
    ///
    /// # Errors
    /// As [`Collective::exchange`].
    fn all_gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>, ParallelError> {
        self.exchange(&vec![own; self.world()])
    }

    /// What the first member has. The others' `own` is passed over.
    ///
    /// # Errors
    /// As [`Collective::exchange`].
    fn broadcast(&self, own: &[u8]) -> Result<Vec<u8>, ParallelError> {
        let given = if self.rank() == 0 { own } else { &[] };
        Ok(self.exchange(&vec![given; self.world()])?.swap_remove(0))
    }
}

/// Why members cannot go on together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum ParallelError {
    #[error("rank {rank} of {world} has failed: {reason}")]
    Failed { rank: usize, world: usize, reason: String },
    #[error(
        "rank {rank} of {world} has not answered for {seconds} s: its process or machine is gone, or hangs; the run goes on \
         from its last checkpoint"
    )]
    Silent { rank: usize, world: usize, seconds: u64 },
    #[error("rank {rank} of {world} differs from rank 0 in {what}: all must be alike")]
    Differs { rank: usize, world: usize, what: String },
    #[error("rank {rank} of {world} has sent what does not read: {reason}")]
    Unreadable { rank: usize, world: usize, reason: String },
}

/// Refuses members that differ from the first in `what` `own` is, a text that tells it.
///
/// # Errors
/// The first of those that differ, the same on all members; or as [`Collective::exchange`].
pub fn expect_alike(group: &dyn Collective, what: &str, own: &str) -> Result<(), ParallelError> {
    let told = group.all_gather(own.as_bytes())?;
    match told.iter().position(|text| *text != told[0]) {
        None => Ok(()),
        Some(rank) => Err(ParallelError::Differs { rank, world: group.world(), what: what.to_owned() }),
    }
}

/// CRC-32C, by which members tell large things apart.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// What the launchers of MPI tell each process that they start.
const OF_LAUNCHERS: [&str; 5] = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];

/// Whether this process was started by a launcher of MPI.
pub fn is_started_by_mpi() -> bool {
    OF_LAUNCHERS.iter().any(|name| std::env::var_os(name).is_some())
}

/// The only member.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn world(&self) -> usize {
        1
    }

    fn exchange(&self, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError> {
        Ok(vec![parts[0].to_vec()])
    }
}
