//! Scalars as TensorBoard reads them: an event file, which is a row of protocol-buffer messages
//! `Event` (tensorflow/core/util/event.proto), each in the frame of a TFRecord.

use crate::atomic_file::Appender;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// An event file, open for writing.
pub struct EventFile {
    file: Appender,
}

impl EventFile {
    /// A new file in `folder` for a run that is at step `step`. TensorBoard drops what older files of
    /// the folder say of later steps.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(folder: &Path, step: u64) -> io::Result<EventFile> {
        // TensorBoard takes any name with `tfevents` in it, and reads files in the order of their names.
        let name = format!("events.out.tfevents.{:.6}.tilewright", seconds());
        let mut events = EventFile { file: Appender::open(&folder.join(name))? };
        let mut version = event(0);
        text(&mut version, 3, "brain.Event:2");
        events.write(&version)?;
        // SessionLog { status: START }.
        let mut start = event(step);
        message(&mut start, 7, &[1 << 3, 1]);
        events.write(&start)?;
        Ok(events)
    }

    /// Appends the values of one step, by tag.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f32)]) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            // Summary.Value { tag, simple_value }.
            let mut entry = Vec::new();
            text(&mut entry, 1, tag);
            entry.push(2 << 3 | FIXED_32);
            entry.extend(value.to_le_bytes());
            message(&mut summary, 1, &entry);
        }
        let mut record = event(step);
        message(&mut record, 5, &summary);
        self.write(&record)
    }

    /// A TFRecord: length, its checksum, the data, their checksum. One write, so that a killed run
    /// leaves no half of one in the middle.
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let record = [&length[..], &checksum(&length), data, &checksum(data)].concat();
        self.file.write_all(&record)
    }
}

/// Wire types of protocol buffers.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

/// `Event { wall_time, step }`, without what happened.
fn event(step: u64) -> Vec<u8> {
    let mut event = vec![1 << 3 | FIXED_64];
    event.extend(seconds().to_le_bytes());
    event.push(2 << 3 | VARINT);
    varint(&mut event, step);
    event
}

fn text(to: &mut Vec<u8>, field: u8, text: &str) {
    message(to, field, text.as_bytes());
}

fn message(to: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    to.push(field << 3 | BYTES);
    varint(to, bytes.len() as u64);
    to.extend(bytes);
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// CRC-32C, rotated and shifted as TFRecords have it.
fn checksum(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Seconds since 1970.
fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_framed_and_summed_as_tensorflow_writes_them() {
        // The first record of a file by TensorFlow has 24 bytes, and this frame before them.
        assert_eq!(checksum(&24u64.to_le_bytes()), [0xa3, 0x7f, 0x4b, 0x22]);

        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), 300).unwrap();
        events.scalars(301, &[("train/loss", 0.5), ("train/accuracy", 1.0)]).unwrap();
        let path = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        assert!(path.to_str().unwrap().contains("tfevents"));

        let bytes = std::fs::read(path).unwrap();
        let mut rest = &bytes[..];
        let mut records = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], checksum(&rest[..8]));
            let data = &rest[12..12 + length];
            assert_eq!(rest[12 + length..16 + length], checksum(data));
            records.push(data);
            rest = &rest[16 + length..];
        }
        let [version, start, scalars] = records[..] else { panic!("{} records", records.len()) };
        assert!(version.ends_with(b"\x1a\x0dbrain.Event:2"));
        assert!(start.ends_with(&[2 << 3, 0xac, 0x02, 7 << 3 | 2, 2, 8, 1]), "step 300, START: {start:?}");
        let value = [&b"\x0a\x11\x0a\x0atrain/loss\x15"[..], &0.5f32.to_le_bytes()].concat();
        assert!(scalars.windows(value.len()).any(|window| window == value), "{scalars:?}");
    }
}
