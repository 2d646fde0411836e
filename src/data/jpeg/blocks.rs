//! Whether a JPEG file has the data of all its blocks of 8 x 8 pixels, where decoders fill the missing ones with grey.
//!
//! The scans are read as by a decoder of the Huffman forms (ITU-T T.81, annexes F and G), and nothing is made of what
//! they say, but for which coefficients are not zero: what refines them depends on it.

use super::huffman::{Bits, Table};
use super::{END_OF_IMAGE, START_OF_SCAN, next_marker};

/// Coefficients of a block.
const COEFFICIENTS: u8 = 64;

/// False where the data of a scan end, or mean nothing, before its last block, or a colour component has no scan. True
/// for forms that are not known here.
pub(in crate::data) fn has_all_blocks(bytes: &[u8]) -> bool {
    File::default().read(bytes).unwrap_or(true)
}

/// What the segments before a scan say.
#[derive(Default)]
struct File {
    is_progressive: bool,
    components: Vec<Component>,
    /// Units of interleaved scans, by rows and columns.
    units: [usize; 2],
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    /// Units between restarts; 0 for none.
    restart_interval: usize,
}

struct Component {
    id: u8,
    /// Blocks of a unit, down and across.
    unit: [usize; 2],
    /// Blocks of a scan of this component alone, by rows and columns.
    size: [usize; 2],
    /// Blocks from one row to the next, where those count that only fill a unit.
    stride: usize,
    /// Bit k is set where coefficient k of a block is not 0. Empty unless progressive.
    nonzero: Vec<u64>,
    has_scan: bool,
}

/// What a scan reads.
struct Scan {
    /// Components, with the numbers of their tables.
    members: Vec<(usize, usize, usize)>,
    /// First and last coefficient.
    band: [u8; 2],
    is_refining: bool,
}

/// The data of a scan ended before its last block.
struct Missing;

impl File {
    /// None for a form that is not known.
    fn read(&mut self, bytes: &[u8]) -> Option<bool> {
        let mut at = 2;
        while let Some((marker, after)) = next_marker(bytes, at) {
            match marker {
                END_OF_IMAGE => return Some(self.is_complete()),
                0x01 | 0xd0..=0xd8 => {
                    at = after;
                    continue;
                }
                _ => {}
            }
            let length = usize::from(u16::from_be_bytes(*bytes.get(after..)?.first_chunk()?));
            let segment = bytes.get(after + 2..after + length.max(2))?;
            at = after + length.max(2);
            match marker {
                0xc0..=0xc2 => self.frame(segment, marker == 0xc2)?,
                0xc4 => self.tables(segment)?,
                // Arithmetic coding, lossless and hierarchical forms.
                0xc3 | 0xc5..=0xcf => return None,
                0xdd => self.restart_interval = usize::from(u16::from_be_bytes(*segment.first_chunk()?)),
                START_OF_SCAN => {
                    let scan = self.scan(segment)?;
                    let mut bits = Bits::new(bytes, at);
                    match self.blocks(&scan, &mut bits)? {
                        Ok(()) => at = bits.end(),
                        Err(Missing) => return Some(false),
                    }
                }
                _ => {}
            }
        }
        Some(false)
    }

    fn is_complete(&self) -> bool {
        !self.components.is_empty() && self.components.iter().all(|component| component.has_scan)
    }

    /// Start of frame: sizes and sampling.
    fn frame(&mut self, segment: &[u8], is_progressive: bool) -> Option<()> {
        let &[precision, high, low, wide, narrow, count, ref components @ ..] = segment else { return None };
        let [height, width] = [[high, low], [wide, narrow]].map(|size| usize::from(u16::from_be_bytes(size)));
        let sampling = |&[_, factors, _]: &[u8; 3]| [usize::from(factors & 15), usize::from(factors >> 4)];
        let (components, _) = components.as_chunks::<3>();
        let most = |side: usize| components.iter().map(|component| sampling(component)[side]).max();
        let [down, across] = [most(0)?, most(1)?];
        let is_known = precision == 8 && components.len() == usize::from(count) && self.components.is_empty();
        if !is_known || components.iter().flat_map(sampling).any(|factor| !(1..=4).contains(&factor)) {
            return None;
        }
        self.is_progressive = is_progressive;
        self.units = [height.div_ceil(8 * down), width.div_ceil(8 * across)];
        for component in components {
            let unit = sampling(component);
            let size = [(height * unit[0]).div_ceil(down).div_ceil(8), (width * unit[1]).div_ceil(across).div_ceil(8)];
            let stride = self.units[1] * unit[1];
            let blocks = if is_progressive { self.units[0] * unit[0] * stride } else { 0 };
            let nonzero = vec![0; blocks];
            self.components.push(Component { id: component[0], unit, size, stride, nonzero, has_scan: false });
        }
        Some(())
    }

    /// Huffman tables.
    fn tables(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let values = rest.get(..counts.iter().map(|&count| usize::from(count)).sum())?;
            segment = &rest[values.len()..];
            let tables = if place >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(usize::from(place & 15))? = Some(Table::new(counts, values)?);
        }
        Some(())
    }

    /// Start of scan.
    fn scan(&self, segment: &[u8]) -> Option<Scan> {
        let (&count, rest) = segment.split_first()?;
        let (members, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let &[first, last, approximation, ..] = rest else { return None };
        let member = |&[id, tables]: &[u8; 2]| {
            let component = self.components.iter().position(|component| component.id == id)?;
            Some((component, usize::from(tables >> 4), usize::from(tables & 15)))
        };
        let members: Vec<_> = members.as_chunks::<2>().0.iter().map(member).collect::<Option<_>>()?;
        let band = if self.is_progressive { [first, last] } else { [0, COEFFICIENTS - 1] };
        let is_known = !members.is_empty() && band[0] <= band[1] && band[1] < COEFFICIENTS;
        // Of a progressive file, a scan of more than the first coefficient has one component.
        let is_known = is_known && (!self.is_progressive || band == [0, 0] || band[0] > 0 && members.len() == 1);
        is_known.then_some(Scan { members, band, is_refining: self.is_progressive && approximation >> 4 > 0 })
    }

    /// Reads all blocks of a scan.
    fn blocks(&mut self, scan: &Scan, bits: &mut Bits<'_>) -> Option<Result<(), Missing>> {
        let [rows, columns] = match scan.members[..] {
            [(alone, ..)] => self.components[alone].size,
            _ => self.units,
        };
        let mut end_of_band = 0;
        for unit in 0..rows * columns {
            if self.restart_interval > 0 && unit > 0 && unit % self.restart_interval == 0 {
                end_of_band = 0;
                if bits.restart().is_none() {
                    return Some(Err(Missing));
                }
            }
            let [row, column] = [unit / columns, unit % columns];
            for &(component, dc, ac) in &scan.members {
                let component = &mut self.components[component];
                let [down, across] = if scan.members.len() == 1 { [1, 1] } else { component.unit };
                for block in 0..down * across {
                    let index = (row * down + block / across) * component.stride + column * across + block % across;
                    let tables = (self.dc[dc & 3].as_ref(), self.ac[ac & 3].as_ref());
                    let read = match (self.is_progressive, scan.band[0], tables) {
                        (false, _, (Some(dc), Some(ac))) => sequential(bits, dc, ac),
                        (true, 0, _) if scan.is_refining => bits.skip(1),
                        (true, 0, (Some(dc), _)) => first_coefficient(bits, dc),
                        (true, 1.., (_, Some(ac))) => {
                            let nonzero = component.nonzero.get_mut(index)?;
                            match scan.is_refining {
                                true => refined(bits, ac, scan.band, nonzero, &mut end_of_band),
                                false => coefficients(bits, ac, scan.band, nonzero, &mut end_of_band),
                            }
                        }
                        // Some files rely on tables that decoders have of their own.
                        _ => return None,
                    };
                    if read.is_none() {
                        return Some(Err(Missing));
                    }
                }
            }
        }
        scan.members.iter().for_each(|&(component, ..)| self.components[component].has_scan = true);
        Some(Ok(()))
    }
}

fn first_coefficient(bits: &mut Bits<'_>, dc: &Table) -> Option<()> {
    let size = bits.symbol(dc)?;
    bits.skip(u32::from(size))
}

/// A block of a sequential scan.
fn sequential(bits: &mut Bits<'_>, dc: &Table, ac: &Table) -> Option<()> {
    first_coefficient(bits, dc)?;
    let mut k = 1;
    while k < COEFFICIENTS {
        let symbol = bits.symbol(ac)?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => k += 16,
            (_, 0) => break,
            (zeros, size) => {
                bits.skip(u32::from(size))?;
                k += zeros + 1;
            }
        }
    }
    Some(())
}

/// A block of a progressive scan's first coefficients above the lowest; `end_of_band` is how many blocks more have none.
fn coefficients(
    bits: &mut Bits<'_>,
    ac: &Table,
    [first, last]: [u8; 2],
    nonzero: &mut u64,
    end_of_band: &mut u32,
) -> Option<()> {
    if *end_of_band > 0 {
        *end_of_band -= 1;
        return Some(());
    }
    let mut k = first;
    while k <= last {
        let symbol = bits.symbol(ac)?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => k += 16,
            (run, 0) => {
                *end_of_band = (1 << run) - 1 + bits.take(u32::from(run))?;
                break;
            }
            (zeros, size) => {
                bits.skip(u32::from(size))?;
                k += zeros;
                *nonzero |= 1_u64.checked_shl(u32::from(k)).unwrap_or(0);
                k += 1;
            }
        }
    }
    Some(())
}

/// A block of a progressive scan that gives each coefficient that is not zero one more bit, and finds new ones.
fn refined(
    bits: &mut Bits<'_>,
    ac: &Table,
    [first, last]: [u8; 2],
    nonzero: &mut u64,
    end_of_band: &mut u32,
) -> Option<()> {
    let mut k = first;
    while *end_of_band == 0 && k <= last {
        let symbol = bits.symbol(ac)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        match (zeros, size) {
            (15, 0) => {}
            (run, 0) => {
                *end_of_band = (1 << run) + bits.take(u32::from(run))?;
                break;
            }
            // The sign of a new one.
            _ => bits.skip(1)?,
        }
        while k <= last {
            match *nonzero >> k & 1 {
                1 => bits.skip(1)?,
                _ if zeros == 0 => break,
                _ => zeros -= 1,
            }
            k += 1;
        }
        if size > 0 && k <= last {
            *nonzero |= 1 << k;
        }
        k += 1;
    }
    if *end_of_band > 0 {
        for k in k..=last {
            bits.skip((*nonzero >> k & 1) as u32)?;
        }
        *end_of_band -= 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::has_end;
    use super::*;

    fn files() -> Vec<(&'static str, Vec<u8>)> {
        let read = |name| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/faults/data");
            (name, std::fs::read(format!("{folder}/{name}.jpg")).unwrap())
        };
        ["baseline", "progressive", "restarts", "grey", "cmyk", "exif6"].map(read).to_vec()
    }

    #[test]
    fn a_file_that_was_cut_in_a_scan_and_given_an_end_has_not_all_blocks() {
        for (name, whole) in files() {
            assert!(has_end(&whole) && has_all_blocks(&whole), "{name}");
            let end = whole.len() - 2;
            for cut in 2..end {
                let closed = [&whole[..cut], &[0xff, END_OF_IMAGE]].concat();
                // Between two scans of a progressive file nothing is missing but what would sharpen it.
                let is_marker = |at: usize| whole[at] == 0xff && !matches!(whole[at + 1], 0x00 | 0xd0..=0xd7 | 0xff);
                let is_between = is_marker(cut) || is_marker(cut - 1);
                let is_taken = has_end(&closed) && has_all_blocks(&closed);
                assert!(!is_taken || name == "progressive" && is_between, "{name}, cut to {cut} of {end} bytes");
            }
        }
    }

    #[test]
    fn data_left_out_in_the_middle_are_missed_where_restarts_tell_of_them() {
        let (_, whole) = files().swap_remove(2);
        let restart = |number: u8| whole.windows(2).position(|pair| pair == [0xff, 0xd0 + number]).unwrap();
        let without = [&whole[..restart(1)], &whole[restart(2)..]].concat();
        assert!(!has_all_blocks(&without));
        let emptied = [&whole[..restart(1) + 2], &whole[restart(2)..]].concat();
        assert!(!has_all_blocks(&emptied));
    }

    #[test]
    fn forms_that_are_not_read_here_are_left_to_the_decoder() {
        let (_, whole) = files().swap_remove(0);
        let frame = whole.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let mut arithmetic = whole.clone();
        arithmetic[frame + 1] = 0xc9;
        arithmetic.truncate(whole.len() - 20);
        assert!(has_all_blocks(&arithmetic));
        // No tables: decoders have some of their own.
        let tables = |pair: &[u8]| pair == [0xff, 0xc4];
        let mut bare = whole.clone();
        while let Some(at) = bare.windows(2).position(tables) {
            let length = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
            bare.drain(at..at + 2 + length);
        }
        assert!(has_all_blocks(&bare));
    }
}
