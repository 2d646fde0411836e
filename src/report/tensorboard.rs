//! What TensorBoard reads: an event file, which is a row of protocol-buffer messages `Event`
//! (tensorflow/core/util/event.proto), each in the frame of a TFRecord. Scalars, pictures, histograms and the settings of a run.

mod wire;

use super::HyperValue;
use crate::atomic_file::Appender;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use wire::Message;

/// An event file, open for writing.
pub struct EventFile {
    file: Appender,
}

/// Bars of a histogram.
const BARS: usize = 30;

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
        events.write(&event(0).text(3, "brain.Event:2"))?;
        // SessionLog { status: START }.
        events.write(&event(step).message(7, &Message::default().whole(1, 1)))?;
        Ok(events)
    }

    /// Appends the values of one step, by tag.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f32)]) -> io::Result<()> {
        // Summary.Value { tag, simple_value }.
        let value = |(tag, value): &(&str, f32)| Message::default().text(1, tag).single(2, *value);
        self.summary(step, &values.iter().map(value).collect::<Vec<_>>())
    }

    /// Appends pictures by tag: the bytes of PNG files.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn pictures(&mut self, step: u64, pictures: &[(String, &[u8])]) -> io::Result<()> {
        // The width and the height stand in the first chunk.
        let side = |png: &[u8], at: usize| {
            let bytes = png.get(at..at + 4).unwrap_or_default();
            bytes.iter().fold(0, |side, &byte| side << 8 | u64::from(byte))
        };
        // Summary.Image { height, width, colorspace, encoded_image_string }.
        let value = |(tag, png): &(String, &[u8])| {
            let image = Message::default().whole(1, side(png, 20)).whole(2, side(png, 16)).whole(3, 3).bytes(4, png);
            Message::default().text(1, tag).message(4, &image)
        };
        self.summary(step, &pictures.iter().map(value).collect::<Vec<_>>())
    }

    /// Appends how values are spread, by tag: in bars of the same width; values that are not finite are left out.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn histograms(&mut self, step: u64, tensors: &[(String, &[f32])]) -> io::Result<()> {
        let value =
            |(tag, values): &(String, &[f32])| Some(Message::default().text(1, tag).message(5, &histogram(values)?));
        self.summary(step, &tensors.iter().filter_map(value).collect::<Vec<_>>())
    }

    /// Appends the settings of the run, for TensorBoard's table of them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn hyperparameters(&mut self, settings: &[(&str, HyperValue)]) -> io::Result<()> {
        // google.protobuf.Value, in the entry of a map.
        let entry = |(name, value): &(&str, HyperValue)| {
            let value = match value {
                HyperValue::Number(number) => Message::default().double(2, *number),
                HyperValue::Text(text) => Message::default().text(3, text),
                HyperValue::Flag(flag) => Message::default().whole(4, u64::from(*flag)),
            };
            Message::default().text(1, name).message(2, &value)
        };
        // SessionStartInfo { hparams, start_time_secs }.
        let start = settings.iter().fold(Message::default(), |start, setting| start.message(1, &entry(setting)));
        // HParamsPluginData { session_start_info }.
        let told = Message::default().message(3, &start.double(5, seconds()));
        self.of_plugin("_hparams_/session_start_info", &told)
    }

    /// Appends that the run has come to its end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn ended(&mut self) -> io::Result<()> {
        // HParamsPluginData { session_end_info: { status: SUCCESS, end_time_secs } }.
        let told = Message::default().message(4, &Message::default().whole(1, 1).double(2, seconds()));
        self.of_plugin("_hparams_/session_end_info", &told)
    }

    fn of_plugin(&mut self, tag: &str, told: &Message) -> io::Result<()> {
        // SummaryMetadata { plugin_data: { plugin_name, content }, data_class: TENSOR }.
        let plugin = Message::default().text(1, "hparams").message(2, told);
        let metadata = Message::default().message(1, &plugin).whole(4, 2);
        // A tensor of no floats.
        let none = Message::default().whole(1, 1).message(2, &Message::default().message(2, &Message::default()));
        self.summary(0, &[Message::default().text(1, tag).message(8, &none).message(9, &metadata)])
    }

    fn summary(&mut self, step: u64, values: &[Message]) -> io::Result<()> {
        let summary = values.iter().fold(Message::default(), |summary, value| summary.message(1, value));
        self.write(&event(step).message(5, &summary))
    }

    /// A TFRecord: length, its checksum, the data, their checksum. One write, so that a killed run
    /// leaves no half of one in the middle.
    fn write(&mut self, Message(data): &Message) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let record = [&length[..], &checksum(&length), data, &checksum(data)].concat();
        self.file.write_all(&record)
    }
}

/// HistogramProto { min, max, num, sum, sum_squares, bucket_limit, bucket }; none of no finite values.
fn histogram(values: &[f32]) -> Option<Message> {
    let finite = || values.iter().copied().filter(|value| value.is_finite()).map(f64::from);
    let (least, most) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    if least > most {
        return None;
    }
    let span = most - least;
    let mut counts = [0.0; BARS];
    let bar = |value: f64| if span > 0.0 { ((value - least) / span * BARS as f64) as usize } else { 0 };
    finite().for_each(|value| counts[bar(value).min(BARS - 1)] += 1.0);
    let limits: Vec<f64> = (1..=BARS).map(|bar| least + span * bar as f64 / BARS as f64).collect();
    let sums = [counts.iter().sum(), finite().sum(), finite().map(|value| value * value).sum()];
    let numbers = [least, most].into_iter().chain(sums).zip(1..);
    let message = numbers.fold(Message::default(), |message, (number, field)| message.double(field, number));
    Some(message.doubles(6, &limits).doubles(7, &counts))
}

/// `Event { wall_time, step }`, without what happened.
fn event(step: u64) -> Message {
    Message::default().double(1, seconds()).whole(2, step)
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
