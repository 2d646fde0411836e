//! What `torch.save` wrote before PyTorch 1.6: five pickles one after the other (a magic number, the version, what the
//! machine was, the objects, the keys of the storages), then each storage as its number of elements and its bytes.

use crate::interop::pickle::{Object, Pickle};
use std::collections::HashMap;
use std::ops::Range;

/// The first pickle: 0x1950a86a20f9469cfc6c in little-endian bytes.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// A file of this form.
pub(super) struct Legacy {
    pub pickle: Pickle,
    /// Where the storages begin, and the keys in their order.
    start: usize,
    keys: Vec<String>,
    pub big_endian: bool,
}

impl Legacy {
    pub(super) fn open(bytes: &[u8]) -> Result<Legacy, String> {
        let mut at = 0;
        let mut next = || {
            let (pickle, length) = Pickle::read_first(&bytes[at..])?;
            at += length;
            Ok::<Pickle, String>(pickle)
        };
        let magic = next()?;
        if !matches!(magic.get(magic.root), Object::Bytes(number) if *number == MAGIC) {
            return Err("it is a pickle, but none that torch.save wrote".to_owned());
        }
        let (_version, machine, pickle, keys) = (next()?, next()?, next()?, next()?);
        let listed = keys.sequence(keys.root).ok_or("its list of storages cannot be read")?;
        let texts = listed.iter().map(|&key| keys.text(key).map(str::to_owned));
        let keys = texts.collect::<Option<_>>().ok_or("its list of storages cannot be read")?;
        let order = match machine.get(machine.root) {
            Object::Dict(entries) => entries.iter().find(|(key, _)| machine.text(*key) == Some("little_endian")),
            _ => None,
        };
        let big_endian = order.is_some_and(|(_, value)| *machine.get(*value) == Object::Bool(false));
        Ok(Legacy { pickle, start: at, keys, big_endian })
    }

    /// Where the bytes of each storage lie; `width` says how many an element of a storage has. A storage that no
    /// tensor names has no width, and those after it are not found.
    pub(super) fn storages(
        &self,
        bytes: &[u8],
        width: impl Fn(&str) -> Option<usize>,
    ) -> HashMap<String, Range<usize>> {
        let mut found = HashMap::new();
        let mut at = self.start;
        for key in &self.keys {
            let Some(count) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else { break };
            let count = match self.big_endian {
                true => u64::from_be_bytes(*count),
                false => u64::from_le_bytes(*count),
            };
            let size = usize::try_from(count).ok().zip(width(key)).and_then(|(count, width)| count.checked_mul(width));
            let end = size.and_then(|size| (at + 8).checked_add(size)).filter(|&end| end <= bytes.len());
            let Some(end) = end else { break };
            found.insert(key.clone(), at + 8..end);
            at = end;
        }
        found
    }
}
