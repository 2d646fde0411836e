//! How protocol buffers are written: fields one after another, each with its number and its kind.

/// Wire types.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

/// A message as it grows.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(pub Vec<u8>);

impl Message {
    pub(super) fn text(self, field: u8, text: &str) -> Message {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(self, field: u8, message: &Message) -> Message {
        self.bytes(field, &message.0)
    }

    pub(super) fn bytes(mut self, field: u8, bytes: &[u8]) -> Message {
        self.0.push(field << 3 | BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(super) fn whole(mut self, field: u8, value: u64) -> Message {
        self.0.push(field << 3 | VARINT);
        self.varint(value);
        self
    }

    pub(super) fn single(mut self, field: u8, value: f32) -> Message {
        self.0.push(field << 3 | FIXED_32);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(super) fn double(mut self, field: u8, value: f64) -> Message {
        self.0.push(field << 3 | FIXED_64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Numbers in one field.
    pub(super) fn doubles(self, field: u8, values: &[f64]) -> Message {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &bytes)
    }

    /// Seven bits a byte, the lowest first; the top bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
