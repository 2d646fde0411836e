//! Codes of variable length in the data of a scan (ITU-T T.81, annexes C and F.2.2.3).

/// Bits that are looked up at once; longer codes are searched for.
const LOOKUP: u32 = 8;

/// A table of codes.
pub(super) struct Table {
    /// Length and symbol by the next [`LOOKUP`] bits; length 0 where the code is longer, or is none.
    short: [(u8, u8); 1 << LOOKUP],
    /// By length from 1: the code beyond the last of it, and what leads from a code to its symbol.
    long: [(u32, i32); 16],
    symbols: Vec<u8>,
}

impl Table {
    /// From the number of codes of each length and the symbols in their order. None when there are more codes than can
    /// be.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Table> {
        let mut table = Table { short: [(0, 0); 1 << LOOKUP], long: [(0, 0); 16], symbols: symbols.to_vec() };
        let (mut code, mut next) = (0_u32, 0_usize);
        for (length, &count) in (1..=16_u32).zip(counts) {
            table.long[length as usize - 1].1 = next as i32 - code as i32;
            for _ in 0..count {
                if length <= LOOKUP {
                    let first = (code << (LOOKUP - length)) as usize;
                    let filled = table.short.get_mut(first..first + (1 << (LOOKUP - length)))?;
                    filled.fill((length as u8, *symbols.get(next)?));
                }
                (code, next) = (code + 1, next + 1);
            }
            if code > 1 << length {
                return None;
            }
            table.long[length as usize - 1].0 = code;
            code <<= 1;
        }
        Some(table)
    }
}

/// The bits of a scan, to its end or its next restart.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The byte that is read next.
    at: usize,
    /// `held` bits, the first one highest, then zeros.
    buffer: u64,
    held: u32,
}

impl<'a> Bits<'a> {
    /// Of the scan whose data begin at `at`.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Bits { bytes, at, buffer: 0, held: 0 }
    }

    /// Reads up to a marker, without the zeros that are stuffed in.
    fn fill(&mut self) {
        while self.held <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            if byte == 0xff {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer |= u64::from(byte) << (56 - self.held);
            self.held += 8;
        }
    }

    /// The symbol of the next code; none where the bits end, or are no code.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Table) -> Option<u8> {
        if self.held < 32 {
            self.fill();
        }
        let (length, symbol) = table.short[(self.buffer >> (64 - LOOKUP)) as usize];
        if length > 0 {
            self.skip(u32::from(length))?;
            return Some(symbol);
        }
        for length in LOOKUP + 1..=16 {
            let code = (self.buffer >> (64 - length)) as u32;
            let (beyond, offset) = table.long[length as usize - 1];
            if code < beyond {
                self.skip(length)?;
                return table.symbols.get(usize::try_from(code as i32 + offset).ok()?).copied();
            }
        }
        None
    }

    /// Passes over at most 32 bits; none where there are not as many.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Option<()> {
        if self.held < count {
            self.fill();
        }
        self.held = self.held.checked_sub(count)?;
        self.buffer <<= count;
        Some(())
    }

    /// The next bits, at most 16, as a number.
    pub(super) fn take(&mut self, count: u32) -> Option<u32> {
        if self.held < count {
            self.fill();
        }
        let value = self.buffer.checked_shr(64 - count).unwrap_or(0) as u32;
        self.skip(count)?;
        Some(value)
    }

    /// Goes on behind the next restart marker; none where another marker comes first.
    pub(super) fn restart(&mut self) -> Option<()> {
        let at = self.end();
        match self.bytes.get(at..)? {
            [0xff, 0xd0..=0xd7, ..] => {
                *self = Bits::new(self.bytes, at + 2);
                Some(())
            }
            _ => None,
        }
    }

    /// Where the next marker begins, after bytes that nothing has asked for.
    pub(super) fn end(&self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff);
        rest.windows(2).position(is_marker).map_or(self.bytes.len(), |offset| self.at + offset)
    }
}
