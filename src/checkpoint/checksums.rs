//! Checksums of a checkpoint, which it carries in its own header: one for each tensor, and one for the header.

use serde::{Deserialize, Serialize};

/// CRC-32C of the parts of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Of all bytes before the data, with zeros in place of these eight hexadecimal digits.
    header: String,
    /// Of the data of each tensor, in the order of their names.
    tensors: Vec<u32>,
}

/// What stands before the digits of the header's sum, as it is in the file: JSON within a text of JSON.
const BEFORE: &[u8] = br#"\"sums\":{\"header\":\""#;
const ZEROS: &[u8; 8] = b"00000000";

impl Sums {
    /// Of tensors in the order of their names; that of the header is not known yet.
    pub(crate) fn of<'a>(tensors: impl Iterator<Item = &'a [u8]>) -> Sums {
        let header = String::from_utf8_lossy(ZEROS).into_owned();
        Sums { header, tensors: tensors.map(crc32c::crc32c).collect() }
    }

    /// The place of the first tensor whose sum is another; that after the last, if there are more or fewer.
    pub(crate) fn first_other<'a>(&self, tensors: impl ExactSizeIterator<Item = &'a [u8]>) -> Option<usize> {
        if tensors.len() != self.tensors.len() {
            return Some(tensors.len());
        }
        tensors.zip(&self.tensors).position(|(data, &sum)| crc32c::crc32c(data) != sum)
    }
}

/// Sets the header's sum in a safetensors file.
///
/// # Errors
/// When it has no place for it.
pub(crate) fn seal(bytes: &mut [u8]) -> Result<(), String> {
    let place = place(bytes).ok_or_else(|| "its header has no place for a checksum".to_owned())?;
    let sum = sum(bytes, place);
    bytes[place..place + ZEROS.len()].copy_from_slice(format!("{sum:08x}").as_bytes());
    Ok(())
}

/// Holds the header of a safetensors file against its sum, if it has one. Gives what is damaged.
pub(crate) fn verify_header(bytes: &[u8]) -> Result<(), String> {
    match place(bytes) {
        Some(place) if bytes[place..place + ZEROS.len()] != *format!("{:08x}", sum(bytes, place)).as_bytes() => {
            Err("its header".to_owned())
        }
        _ => Ok(()),
    }
}

/// Number of bytes before the data: eight with the length of the JSON, and that.
fn header_len(bytes: &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    (length <= rest.len()).then(|| 8 + length)
}

/// Where the digits of the header's sum are.
fn place(bytes: &[u8]) -> Option<usize> {
    let header = &bytes[..header_len(bytes)?];
    let at = header.windows(BEFORE.len()).position(|window| window == BEFORE)? + BEFORE.len();
    (at + ZEROS.len() <= header.len()).then_some(at)
}

fn sum(bytes: &[u8], place: usize) -> u32 {
    let header = &bytes[..header_len(bytes).unwrap_or(bytes.len())];
    let before = crc32c::crc32c(&header[..place]);
    let digits = crc32c::crc32c_append(before, ZEROS);
    crc32c::crc32c_append(digits, &header[place + ZEROS.len()..])
}
