//! Parquet files as the Hugging Face hub stores sets of images: `image.bytes` and `label`.

use super::encoded::Encoded;
use super::error::DataError;
use super::listed::{self, Listed, Split};
use super::shards::{ShardKind, Store};
use super::source::Kind;
use super::{LoadOptions, Splits};
use crate::path_text;
use parquet::basic::CompressionCodec;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, ParquetMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};
use rayon::prelude::*;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// `parquet:DIR`, or a single file.
pub(super) struct Tables;

static SHARDS: ShardKind = ShardKind {
    endings: &[".parquet"],
    wanted: "files .parquet in it, or one such file",
    expected: "files .parquet, here or in folders within",
};

/// Columns of labels, those that are taken first standing first: CIFAR-100 has the last two.
const LABELS: [&str; 4] = ["label", "labels", "fine_label", "coarse_label"];

/// Where the hub says what a file's columns are.
const HUB: &str = "huggingface";

impl Kind for Tables {
    fn word(&self) -> &'static str {
        "parquet"
    }

    fn form(&self) -> (&'static str, &'static str) {
        (
            "parquet:DIR",
            "files .parquet as the Hugging Face hub has them, with `image.bytes` and `label`; those with `validation` or `test` \
             in their names are for that. A single file will do",
        )
    }

    fn heeds_options(&self) -> bool {
        true
    }

    fn load(&self, place: &str, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
        let place = path_text::from_text(place);
        let store = Store::new(options.room());
        // In the order of their names, whichever is read first.
        let read: Vec<Result<Table, DataError>> =
            SHARDS.find(&place)?.par_iter().map(|(path, split)| Table::of(path, *split, &store)).collect();
        let (mut listed, mut unlabelled) = (Vec::new(), 0);
        for table in read {
            let table = table?;
            unlabelled += table.unlabelled;
            listed.extend(table.listed);
        }
        if listed.iter().all(|image| image.split != Split::Train) {
            let expected = "rows with an image and a label for training";
            let remedy = "A file is to train on unless `validation` or `test` is in its name.";
            return Err(DataError::Empty { path: place, expected, remedy });
        }
        let note =
            (unlabelled > 0).then(|| format!("left out of {name}: {unlabelled} rows without an image or a label"));
        listed::splits(listed, name, note.into_iter().collect())?.load(name, options)
    }
}

/// What a file holds.
struct Table {
    listed: Vec<Listed>,
    /// Rows without a label, as hidden test sets have them.
    unlabelled: usize,
}

impl Table {
    /// As [`Table::read`]. What is damaged may make the crate panic.
    fn of(path: &Path, split: Split, store: &Store) -> Result<Table, DataError> {
        let read = catch_unwind(AssertUnwindSafe(|| Table::read(path, split, store)));
        let damaged = || DataError::Read { path: path.to_owned(), cause: std::io::Error::other("it is damaged") };
        read.unwrap_or_else(|_| Err(damaged()))
    }

    fn read(path: &Path, split: Split, store: &Store) -> Result<Table, DataError> {
        let read_error = |cause| DataError::Read { path: path.to_owned(), cause };
        let unreadable = |error: ParquetError| read_error(std::io::Error::other(error.to_string()));
        let file = File::open(path).map_err(read_error)?;
        let length = file.metadata().map_err(read_error)?.len();
        let reader = SerializedFileReader::new(file).map_err(unreadable)?;
        let metadata = reader.metadata().file_metadata();
        let columns = Columns::of(metadata).ok_or_else(|| {
            let got = metadata.schema().get_fields().iter().map(|field| format!("`{}`", field.name())).collect();
            DataError::Columns { path: path.to_owned(), got }
        })?;
        // The crate takes it for granted.
        if !lies_within(reader.metadata(), length) {
            return Err(read_error(std::io::Error::other("its columns lie outside of it")));
        }
        if let Some(codec) = unknown_compression(reader.metadata()) {
            return Err(DataError::TableCompression { path: path.to_owned(), codec });
        }
        let wanted = columns.projection(metadata.schema().name()).map_err(unreadable)?;
        let archive: Arc<Path> = path.into();
        let mut table = Table { listed: Vec::new(), unlabelled: 0 };
        for (index, row) in reader.get_row_iter(Some(wanted)).map_err(unreadable)?.enumerate() {
            let row = row.map_err(unreadable)?;
            let (Some((bytes, own)), Some(class)) = (columns.image_of(&row), columns.class_of(&row)) else {
                table.unlabelled += 1;
                continue;
            };
            if !store.takes(bytes.len() as u64) {
                return Err(DataError::LargeTable { path: path.to_owned(), bound: store.size() });
            }
            let name = own.unwrap_or_else(|| format!("row {index}"));
            let image = Encoded::Held { archive: Arc::clone(&archive), name, bytes };
            table.listed.push(Listed { image, class, split });
        }
        Ok(table)
    }
}

/// Whether all parts of a file lie in its `length` bytes.
fn lies_within(metadata: &ParquetMetaData, length: u64) -> bool {
    metadata.row_groups().iter().flat_map(|group| group.columns()).all(|chunk| {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let [start, size] = [start, chunk.compressed_size()].map(u64::try_from);
        start.is_ok_and(|start| size.is_ok_and(|size| start.checked_add(size).is_some_and(|end| end <= length)))
    })
}

/// What parts of a file are compressed by, where they cannot be read.
fn unknown_compression(metadata: &ParquetMetaData) -> Option<String> {
    let known = [CompressionCodec::UNCOMPRESSED, CompressionCodec::SNAPPY];
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let codec = chunks.map(|chunk| chunk.compression_codec()).find(|codec| !known.contains(codec))?;
    Some(codec.to_string().to_lowercase())
}

/// The columns of images and labels.
struct Columns {
    image: TypePtr,
    label: TypePtr,
    /// Of the classes, in the order of their numbers, where the file has them.
    names: Vec<String>,
}

impl Columns {
    /// Those of a file; none where it lacks one.
    fn of(metadata: &FileMetaData) -> Option<Columns> {
        let fields = metadata.schema().get_fields();
        let has_bytes = |field: &TypePtr| {
            field.is_group() && field.get_fields().iter().any(|part| part.name() == "bytes" && part.is_primitive())
        };
        let image = fields.iter().find(|field| has_bytes(field))?;
        let named = |name: &str| fields.iter().find(|field| field.name() == name && field.is_primitive());
        let label = LABELS.iter().find_map(|name| named(name))?;
        let names = class_names(metadata, label.name()).unwrap_or_default();
        Some(Columns { image: Arc::clone(image), label: Arc::clone(label), names })
    }

    /// The schema of these columns alone.
    fn projection(&self, schema: &str) -> Result<Type, ParquetError> {
        let fields = vec![Arc::clone(&self.image), Arc::clone(&self.label)];
        Type::group_type_builder(schema).with_fields(fields).build()
    }

    /// The bytes of a row's image, and the name of its file, where it has one.
    fn image_of(&self, row: &Row) -> Option<(Vec<u8>, Option<String>)> {
        let Field::Group(image) = column(row, self.image.name())? else { return None };
        let Field::Bytes(bytes) = column(image, "bytes")? else { return None };
        let name = match column(image, "path") {
            Some(Field::Str(name)) if !name.is_empty() => Some(name.clone()),
            _ => None,
        };
        Some((bytes.data().to_vec(), name))
    }

    /// The name of a row's class. What is hidden has a label below 0, or none.
    fn class_of(&self, row: &Row) -> Option<String> {
        let number = match column(row, self.label.name())? {
            Field::Str(name) => return Some(name.clone()),
            Field::Bool(is_true) => u64::from(*is_true),
            Field::Byte(label) => u64::try_from(*label).ok()?,
            Field::Short(label) => u64::try_from(*label).ok()?,
            Field::Int(label) => u64::try_from(*label).ok()?,
            Field::Long(label) => u64::try_from(*label).ok()?,
            Field::UByte(label) => u64::from(*label),
            Field::UShort(label) => u64::from(*label),
            Field::UInt(label) => u64::from(*label),
            Field::ULong(label) => *label,
            _ => return None,
        };
        let name = usize::try_from(number).ok().and_then(|number| self.names.get(number));
        Some(name.cloned().unwrap_or_else(|| number.to_string()))
    }
}

fn column<'a>(row: &'a Row, name: &str) -> Option<&'a Field> {
    row.get_column_iter().find(|(own, _)| *own == name).map(|(_, field)| field)
}

/// What the hub calls the classes of a column.
fn class_names(metadata: &FileMetaData, column: &str) -> Option<Vec<String>> {
    let told = metadata.key_value_metadata()?.iter().find(|entry| entry.key == HUB)?.value.as_deref()?;
    let told: serde_json::Value = serde_json::from_str(told).ok()?;
    let names = told["info"]["features"][column]["names"].as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
