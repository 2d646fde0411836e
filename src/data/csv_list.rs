//! A table of images: lines `file,label`, or `file,label,split`.

use super::encoded::Encoded;
use super::error::DataError;
use super::listed::{self, Listed, Split};
use super::source::Kind;
use super::{LoadOptions, Splits};
use crate::{path_text, regular_file};
use std::path::Path;

/// `csv:FILE`.
pub(super) struct CsvList;

/// What the first column of a heading is called, in any case.
const HEADINGS: [&str; 7] = ["file", "filename", "file_name", "filepath", "path", "image", "image_path"];

impl Kind for CsvList {
    fn word(&self) -> &'static str {
        "csv"
    }

    fn form(&self) -> (&'static str, &'static str) {
        (
            "csv:FILE",
            "files of images that the lines `file,label` or `file,label,split` of a table name, from its folder on",
        )
    }

    fn rest(&self, given: Option<&str>) -> Result<Option<String>, String> {
        match given {
            Some(file) if !file.is_empty() => Ok(Some(path_text::to_text(path_text::from_text(file)))),
            _ => Err("csv needs a file, as in csv:images.csv".to_owned()),
        }
    }

    fn is_folder(&self) -> bool {
        false
    }

    fn heeds_options(&self) -> bool {
        true
    }

    fn load(&self, file: &str, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
        let file = path_text::from_text(file);
        let listed = read(&file)?;
        if listed.iter().all(|image| image.split != Split::Train) {
            let remedy = "Write a line `file,label` for each image.";
            return Err(DataError::Empty { path: file, expected: "lines with training images", remedy });
        }
        listed::splits(listed, name, Vec::new())?.load(name, options)
    }
}

/// The images in the order of their lines.
fn read(file: &Path) -> Result<Vec<Listed>, DataError> {
    let text = regular_file::read_to_string(file).map_err(|cause| DataError::Read { path: file.into(), cause })?;
    // As some spreadsheets begin a file.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut rows =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut listed = Vec::new();
    for (index, row) in rows.records().enumerate() {
        let wrong = |position: Option<&csv::Position>, problem: String| {
            let line = line_at(text, position.map_or(0, csv::Position::byte));
            DataError::Line { path: file.into(), line, problem }
        };
        let row = row.map_err(|error| wrong(error.position(), format!("cannot be read ({error})")))?;
        let wrong = |problem: String| wrong(row.position(), problem);
        let columns: Vec<&str> = row.iter().collect();
        if index == 0 && HEADINGS.iter().any(|known| columns[0].eq_ignore_ascii_case(known)) {
            continue;
        }
        let (image, class, split) = match columns[..] {
            [image, class] => (image, class, ""),
            [image, class, split] => (image, class, split),
            _ => return Err(wrong(format!("has {} columns", columns.len()))),
        };
        if image.is_empty() || class.is_empty() {
            return Err(wrong("lacks its file or its label".to_owned()));
        }
        let split = match split {
            "" => Split::Train,
            name => {
                Split::named(name).ok_or_else(|| wrong(format!("has the split `{name}`, not train, val or test")))?
            }
        };
        listed.push(Listed { image: Encoded::File(folder.join(image)), class: class.to_owned(), split });
    }
    Ok(listed)
}

/// The line of a row, counted from 1: the reader begins it at the empty lines before it.
fn line_at(text: &str, byte: u64) -> usize {
    let (before, row) = text.split_at_checked(byte as usize).unwrap_or((text, ""));
    let is_end = |c: char| c == '\n' || c == '\r';
    let empty = &row[..row.len() - row.trim_start_matches(is_end).len()];
    1 + before.matches('\n').count() + empty.matches('\n').count()
}
