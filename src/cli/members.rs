//! A command that several processes run together, where MPI has started them.

use super::{CliError, Global};
use std::sync::Arc;
use std::time::Duration;
use tilewright::parallel::Collective;

/// The processes, and which of them this one is.
pub(super) struct Group {
    pub members: Arc<dyn Collective>,
    pub rank: usize,
    pub world: usize,
    /// Counted on its machine.
    pub local_rank: usize,
}

/// A member that says nothing for so long is gone: longer than the first one tests and writes.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// Runs `work`, among the other processes where there are any, each of which counts as gone when it has said nothing for as
/// long as `patience`. The first one speaks for all; where one fails, all end.
#[cfg(feature = "mpi")]
pub(super) fn run(
    global: &Global,
    patience: Duration,
    work: impl FnOnce(Option<&Group>, &Global) -> Result<(), CliError>,
) -> Result<(), CliError> {
    use tilewright::parallel::{Mpi, expect_alike};

    /// What all members find wrong, the first one tells.
    const FOR_THE_FIRST: Duration = Duration::from_secs(3);

    let Some(mpi) = Mpi::start(patience) else { return work(None, global) };
    let mpi = Arc::new(mpi);
    let (rank, world, local_rank) = (mpi.rank(), mpi.world(), mpi.local_rank());
    if world == 1 {
        return work(None, global);
    }
    let group = Group { members: Arc::clone(&mpi) as Arc<dyn Collective>, rank, world, local_rank };
    let silent = global.silent();
    let own = if rank == 0 { global } else { &silent };
    let alike = || -> Result<(), CliError> {
        expect_alike(&*mpi, "the program that it runs", &program()?)?;
        let arguments: Vec<_> = std::env::args_os().skip(1).collect();
        Ok(expect_alike(&*mpi, "its command line", &format!("{arguments:?}"))?)
    };
    match alike().and_then(|()| work(Some(&group), own)) {
        // The first one has a checkpoint to write.
        Err(error) if error.is_wanted() && rank > 0 => Ok(()),
        Err(error) if error.is_wanted() => Err(error),
        Err(error) => {
            if rank > 0 {
                std::thread::sleep(FOR_THE_FIRST);
                global.warn(format_args!("rank {rank} of {world} ends the run:"));
            }
            error.tell(global);
            mpi.abort(error.status())
        }
        Ok(()) => Ok(()),
    }
}

/// A checksum of this program.
#[cfg(feature = "mpi")]
fn program() -> Result<String, CliError> {
    let bytes = std::env::current_exe().and_then(std::fs::read);
    let bytes = bytes.map_err(|reason| CliError::failed(format!("this program cannot be read: {reason}")))?;
    Ok(format!("{} {:08x}", env!("CARGO_PKG_VERSION"), tilewright::parallel::checksum(&bytes)))
}

/// Runs `work`. Processes that were started together, by a build that cannot tell, are refused: each would train alone.
#[cfg(not(feature = "mpi"))]
pub(super) fn run(
    global: &Global,
    _patience: Duration,
    work: impl FnOnce(Option<&Group>, &Global) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let is_more =
        |name: &str| std::env::var(name).is_ok_and(|count| count.parse::<usize>().is_ok_and(|processes| processes > 1));
    match ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"].into_iter().any(is_more) {
        true => Err(CliError::usage(
            "several processes were started together, but this build knows nothing of MPI: build it with \
             `cargo build --release --features mpi`",
        )),
        false => work(None, global),
    }
}
