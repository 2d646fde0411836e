//! How much memory images may take: what is held, and what is read when it is needed.

use super::error::DataError;
use super::{Dataset, LoadOptions, MemorySize};
use crate::memory;
use crate::setting::BadSetting;

/// Of the memory that is free, the part that images may take where nothing else is asked for: one of so many.
const PART: u64 = 2;

/// What images may take; `u64::MAX` where nobody says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    bytes: u64,
    /// Whether it was asked for.
    is_asked: bool,
}

impl Room {
    pub(super) fn of(options: &LoadOptions) -> Room {
        match options.memory {
            Some(MemorySize(bytes)) => Room { bytes, is_asked: true },
            None => Room { bytes: memory::available().map_or(u64::MAX, |free| free / PART), is_asked: false },
        }
    }

    /// As it is written.
    pub(super) fn size(self) -> MemorySize {
        MemorySize(self.bytes)
    }

    /// What is left beside so many bytes.
    pub(super) fn beside(self, bytes: u64) -> Room {
        Room { bytes: self.bytes.saturating_sub(bytes), ..self }
    }

    pub(super) fn is_for(self, bytes: u64) -> bool {
        bytes <= self.bytes
    }

    /// Which of several splits of so many bytes are held: the small ones first, as far as they fit together.
    pub(super) fn held<const N: usize>(self, splits: [u64; N]) -> [bool; N] {
        let mut order: [usize; N] = std::array::from_fn(|split| split);
        order.sort_by_key(|&split| splits[split]);
        let (mut held, mut taken) = ([false; N], 0_u64);
        for split in order {
            taken = taken.saturating_add(splits[split]);
            held[split] = self.is_for(taken);
        }
        held
    }

    /// What a person should know of what is not held.
    pub(super) fn note(self, sets: [Option<&Dataset>; 3]) -> Option<String> {
        let streamed = sets.into_iter().flatten().filter(|set| set.images.held().is_none() && !set.is_empty());
        let names: Vec<String> =
            streamed.map(|set| format!("{} ({})", set.name, MemorySize(set.bytes()).rounded())).collect();
        let bound = self.size().rounded();
        (!names.is_empty()).then(|| {
            format!(
                "images are read anew in each epoch, since they take more than {bound} of memory: {}",
                names.join(", ")
            )
        })
    }

    /// Refuses a bound that was asked for, and that data which are only to be had as a whole do not keep.
    pub(super) fn expect_held(self, name: &str, bytes: u64) -> Result<(), DataError> {
        if self.is_asked && !self.is_for(bytes) {
            let rule = format!("at least {bytes} bytes for {name}, which is held in memory as a whole");
            return Err(BadSetting::new("data_memory", self.size(), rule).into());
        }
        Ok(())
    }
}

/// Images that are read anew must fit into memory so many at a time, beside one for each thread that reads: batches wait.
const AT_ONCE: usize = 16;

/// Refuses images of which not even a few fit into memory.
pub(super) fn expect_streamable(name: &str, count: usize, shape: [usize; 3]) -> Result<(), DataError> {
    let image_len: u128 = shape.iter().map(|&side| side as u128).product();
    let at_once = (rayon::current_num_threads() + AT_ONCE).min(count) as u128 * image_len;
    match memory::available() {
        Some(available) if at_once > u128::from(available) => {
            let bytes = u64::try_from(image_len * count as u128).unwrap_or(u64::MAX);
            Err(DataError::TooLarge { name: name.to_owned(), bytes, available: Some(available) })
        }
        _ => Ok(()),
    }
}
