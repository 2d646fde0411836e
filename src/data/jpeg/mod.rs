//! Whether a JPEG file is there to its end.

mod blocks;
mod huffman;

pub(super) use blocks::has_all_blocks;

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// Whether the bytes are those of a JPEG file that lacks its end or part of its image, where decoders make up some colour.
pub fn is_cut_off(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8]) && !(has_end(bytes) && has_all_blocks(bytes))
}

/// Walks the segments of a JPEG (ITU-T T.81, annex B) to the end-of-image marker; one in a thumbnail does not count.
pub(super) fn has_end(bytes: &[u8]) -> bool {
    // After the start-of-image marker.
    let mut at = 2;
    while let Some((marker, after)) = next_marker(bytes, at) {
        at = match marker {
            END_OF_IMAGE => return true,
            // Stand alone: TEM, restarts, start of image.
            0x01 | 0xd0..=0xd8 => after,
            marker => {
                let Some(&[high, low]) = bytes.get(after..).and_then(|rest| rest.first_chunk()) else { return false };
                let segment = after + usize::from(u16::from_be_bytes([high, low])).max(2);
                if marker == START_OF_SCAN { end_of_scan(bytes, segment) } else { segment }
            }
        };
    }
    false
}

/// The first marker from `at` on, and where what belongs to it begins.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let mut at = at + bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
    // Any number of 0xff may stand before a marker's code.
    while *bytes.get(at)? == 0xff {
        at += 1;
    }
    Some((bytes[at], at + 1))
}

/// Where the marker after a scan's data begins: the first that is neither a stuffed byte nor a restart.
fn end_of_scan(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    rest.windows(2).position(is_end).map_or(bytes.len(), |offset| from + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG of two scans with stuffed bytes, a restart, fill bytes, and a thumbnail that has an end of its own.
    fn file() -> Vec<u8> {
        let application = [0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];
        let scan = [0xff, 0xda, 0, 3, 1, 7, 0xff, 0, 8, 0xff, 0xd3, 9];
        [&[0xff, 0xd8][..], &application, &scan, &[0xff], &scan, &[0xff, 0xff, 0xd9, 1, 2]].concat()
    }

    #[test]
    fn a_whole_file_has_its_end_and_one_that_is_cut_anywhere_or_ends_in_zeros_has_not() {
        let whole = file();
        let end = whole.len() - 2;
        assert!(has_end(&whole) && has_end(&whole[..end]), "what follows the end is of no matter");
        for cut in 0..end {
            assert!(!has_end(&whole[..cut]), "cut to {cut} bytes");
            let zeros = [&whole[..cut], &[0; 40]].concat();
            assert!(!has_end(&zeros), "zeros from byte {cut} on");
        }
    }
}
