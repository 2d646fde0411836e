//! Members that are processes, started by `mpirun` or `srun`, on one machine or many.
//!
//! Messages go from each to each, and are waited for by asking, not by blocking: a blocking call of Open MPI turns on a core that
//! a software adapter could use, and would wait for ever for a process that is gone.

use super::{Collective, ParallelError};
use mpi::Threading;
use mpi::environment::{Universe, initialize_with_threading};
use mpi::request::{Request, StaticScope};
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::{Destination, Source};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A member that is a process.
pub struct Mpi {
    rank: usize,
    world: usize,
    local: usize,
    /// For how long another member may say nothing.
    patience: Duration,
    /// Held by the one thread that calls MPI.
    calls: Mutex<()>,
    /// MPI ends with it.
    _universe: Universe,
}

/// Bytes of a message, at most: MPI counts them in 31 bits. A part that is longer comes in several, of which the last is
/// shorter than this.
const LONGEST: usize = 1 << 30;

/// How long is asked again at once, before the core is left to others for a while.
const AT_ONCE: Duration = Duration::from_micros(200);
const WHILE: Duration = Duration::from_micros(50);

impl Mpi {
    /// This process among those that were started together; none where it was started alone. Another member that says nothing for
    /// `patience` counts as gone.
    ///
    /// # Panics
    /// When it is called twice.
    pub fn start(patience: Duration) -> Option<Mpi> {
        super::is_started_by_mpi().then(|| {
            let started = initialize_with_threading(Threading::Serialized);
            let (universe, _) = started.unwrap_or_else(|| panic!("MPI is started once"));
            let world = universe.world();
            let (rank, size) = (world.rank(), world.size());
            let local = world.split_shared(rank).rank();
            Mpi {
                rank: rank as usize,
                world: size as usize,
                local: local as usize,
                patience,
                calls: Mutex::new(()),
                _universe: universe,
            }
        })
    }

    /// Which of the processes on its machine it is, counted from 0.
    pub fn local_rank(&self) -> usize {
        self.local
    }

    /// Ends all processes at once, this one among them.
    pub fn abort(&self, status: u8) -> ! {
        SimpleCommunicator::world().abort(i32::from(status))
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.world
    }

    fn exchange(&self, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError> {
        assert_eq!(parts.len(), self.world, "there is a part for each member");
        let _alone = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let others = || (0..self.world).filter(|&other| other != self.rank);
        let mut sending: Vec<(usize, InFlight)> = Vec::new();
        for to in others() {
            for piece in pieces(parts[to]) {
                sending.push((to, InFlight::send(to, piece)));
            }
        }
        let mut arriving: Vec<Arriving> = others().map(Arriving::from).collect();
        let mut heard = Instant::now();
        loop {
            let before = (sending.len(), arriving.iter().map(Arriving::progress).sum::<usize>());
            sending = sending.into_iter().filter_map(|(to, flight)| Some((to, flight.go_on()?))).collect();
            arriving.iter_mut().for_each(Arriving::go_on);
            let missing = arriving.iter().find(|arriving| !arriving.is_whole);
            let Some(rank) = missing.map(|missing| missing.from).or(sending.first().map(|(to, _)| *to)) else { break };
            if before != (sending.len(), arriving.iter().map(Arriving::progress).sum()) {
                heard = Instant::now();
            } else if heard.elapsed() > self.patience {
                return Err(ParallelError::Silent { rank, world: self.world, seconds: self.patience.as_secs() });
            } else if heard.elapsed() > AT_ONCE {
                std::thread::sleep(WHILE);
            }
        }
        let mut given: Vec<Vec<u8>> = arriving.into_iter().map(|arriving| arriving.bytes).collect();
        given.insert(self.rank, parts[self.rank].to_vec());
        Ok(given)
    }
}

/// The messages of a part.
fn pieces(part: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..=part.len() / LONGEST).map(|place| &part[place * LONGEST..part.len().min((place + 1) * LONGEST)])
}

/// A message that MPI reads or writes. Its bytes are let go of when it is done; if it never is, they are never freed.
struct InFlight {
    request: Option<Request<'static, [u8], StaticScope>>,
    bytes: *mut [u8],
}

impl InFlight {
    fn send(to: usize, piece: &[u8]) -> InFlight {
        let bytes: &'static mut [u8] = Box::leak(piece.to_vec().into_boxed_slice());
        let kept: *mut [u8] = bytes;
        let world = SimpleCommunicator::world();
        InFlight { request: Some(world.process_at_rank(to as i32).immediate_send(StaticScope, &*bytes)), bytes: kept }
    }

    /// The next message of a member, where one has come.
    fn receive(from: usize) -> Option<InFlight> {
        let world = SimpleCommunicator::world();
        let (message, status) = world.process_at_rank(from as i32).immediate_matched_probe()?;
        let length = status.count(<u8 as mpi::datatype::Equivalence>::equivalent_datatype()) as usize;
        let bytes: &'static mut [u8] = Box::leak(vec![0; length].into_boxed_slice());
        let kept: *mut [u8] = bytes;
        Some(InFlight { request: Some(message.immediate_matched_receive_into(StaticScope, bytes)), bytes: kept })
    }

    /// Itself where it is still on its way.
    fn go_on(mut self) -> Option<InFlight> {
        match self.request.take()?.test() {
            Ok(_) => {
                self.take();
                None
            }
            Err(request) => {
                self.request = Some(request);
                Some(self)
            }
        }
    }

    /// The bytes of a message that is done.
    fn take(&mut self) -> Box<[u8]> {
        // SAFETY: they come from `Box::leak`, MPI is done with them, and they are taken once: `go_on` and `Arriving::go_on`,
        // which call this, then let go of the message.
        unsafe { Box::from_raw(self.bytes) }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // A request that is dropped before its end panics; this one is only forgotten, with its bytes.
        std::mem::forget(self.request.take());
    }
}

/// What a member gives, as it comes.
struct Arriving {
    from: usize,
    bytes: Vec<u8>,
    piece: Option<InFlight>,
    is_whole: bool,
}

impl Arriving {
    fn from(from: usize) -> Arriving {
        Arriving { from, bytes: Vec::new(), piece: None, is_whole: false }
    }

    /// A number that grows with what has come.
    fn progress(&self) -> usize {
        self.bytes.len() + usize::from(self.piece.is_some()) + usize::from(self.is_whole)
    }

    fn go_on(&mut self) {
        if self.is_whole {
            return;
        }
        let Some(mut piece) = self.piece.take().or_else(|| InFlight::receive(self.from)) else { return };
        let Some(request) = piece.request.take() else { return };
        match request.test() {
            Ok(_) => {
                let bytes = piece.take();
                self.is_whole = bytes.len() < LONGEST;
                match self.bytes.is_empty() {
                    true => self.bytes = bytes.into_vec(),
                    false => self.bytes.extend_from_slice(&bytes),
                }
            }
            Err(request) => {
                piece.request = Some(request);
                self.piece = Some(piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_nothing_is_one_message_and_the_last_message_is_the_shorter_one() {
        assert_eq!(pieces(&[]).map(<[u8]>::len).collect::<Vec<_>>(), [0]);
        assert_eq!(pieces(&[1, 2]).map(<[u8]>::len).collect::<Vec<_>>(), [2]);
    }
}
