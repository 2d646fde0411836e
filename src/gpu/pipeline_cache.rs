//! The driver's compiled pipelines in a file, kept for the next start: with a checksum and with the device and driver
//! that they are of, since a driver may trust what it is given.

use crate::atomic_file::replace_cache;
use std::fs;
use std::path::PathBuf;

/// First bytes of the file. Then follow a CRC-32C of all that is after it, the length of the identity, both
/// little-endian u32, the identity, and the driver's bytes.
const MAGIC: &[u8; 8] = b"twpipes1";

/// Where the pipelines of a device are kept.
pub(super) struct CacheFile {
    path: PathBuf,
    identity: String,
}

/// What became of a file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is of another device, driver or version of this program, or there is none.
    Other,
    /// Its bytes are not those that were written.
    Damaged,
}

impl CacheFile {
    /// The file of an adapter: `~/.cache/tilewright/KEY`, the key naming the adapter.
    pub(super) fn of(info: &wgpu::AdapterInfo) -> Option<CacheFile> {
        let key = wgpu::util::pipeline_cache_key(info)?;
        let folder = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("LOCALAPPDATA").map(PathBuf::from))
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
        let identity = format!(
            "{}\n{:?} {:x}:{:x}\n{} {}\n{} {}",
            info.name,
            info.backend,
            info.vendor,
            info.device,
            info.driver,
            info.driver_info,
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION")
        );
        Some(CacheFile { path: folder.join("tilewright").join(key), identity })
    }

    /// The bytes that the driver gave. A damaged file is removed, and what `note` then holds is for people.
    pub(super) fn read(&self, note: &mut Option<String>) -> Option<Vec<u8>> {
        let bytes = fs::read(&self.path).ok()?;
        match unpack(bytes, &self.identity) {
            Ok(data) => Some(data),
            Err(Unusable::Other) => None,
            Err(Unusable::Damaged) => {
                let path = self.path.display();
                *note = Some(match fs::remove_file(&self.path) {
                    Ok(()) => format!("the cache of compiled kernels `{path}` was damaged and is dropped"),
                    Err(reason) => format!("the cache of compiled kernels `{path}` is damaged: remove it ({reason})"),
                });
                None
            }
        }
    }

    /// Keeps what the driver gave. A cache that cannot be written costs only time, so it is not an error.
    pub(super) fn write(&self, data: &[u8]) {
        if let Some(folder) = self.path.parent()
            && fs::create_dir_all(folder).is_ok()
        {
            replace_cache(&self.path, &pack(data, &self.identity)).ok();
        }
    }
}

fn pack(data: &[u8], identity: &str) -> Vec<u8> {
    let length = (identity.len() as u32).to_le_bytes();
    let rest = [&length[..], identity.as_bytes(), data].concat();
    [&MAGIC[..], &crc32c::crc32c(&rest).to_le_bytes(), &rest].concat()
}

fn unpack(bytes: Vec<u8>, identity: &str) -> Result<Vec<u8>, Unusable> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Unusable::Damaged)?;
    let (sum, rest) = rest.split_first_chunk().ok_or(Unusable::Damaged)?;
    if crc32c::crc32c(rest).to_le_bytes() != *sum {
        return Err(Unusable::Damaged);
    }
    let (length, rest) = rest.split_first_chunk().ok_or(Unusable::Damaged)?;
    let (of, data) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(Unusable::Damaged)?;
    match of == identity.as_bytes() {
        true => Ok(data.to_vec()),
        false => Err(Unusable::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_length_but_the_whole_is_noticed() {
        let whole = pack(&(0..200).collect::<Vec<u8>>(), "a device");
        assert_eq!(unpack(whole.clone(), "a device").unwrap().len(), 200);
        assert_eq!(unpack(whole.clone(), "another"), Err(Unusable::Other));
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unpack(bytes, "a device"), Err(Unusable::Damaged), "bit {bit}");
        }
        for length in 0..whole.len() {
            assert_eq!(unpack(whole[..length].to_vec(), "a device"), Err(Unusable::Damaged), "{length} bytes");
        }
    }
}
