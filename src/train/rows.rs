//! Reads and rewrites the tables that a run appends to. A damaged row costs itself and no other.

use super::run_folder::write_whole;
use super::{TrainError, run_folder::Numbered};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::Path;

/// The rows of a table, in the order of their numbers. A line that is no row is left out, and so is one whose number
/// stands between neither of its neighbours'.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read_rows<T: DeserializeOwned + Numbered>(path: &Path) -> Result<Vec<T>, TrainError> {
    let bytes = fs::read(path).map_err(TrainError::file(path, "read"))?;
    Ok(parse(&bytes).into_iter().map(|(row, _)| row).collect())
}

/// Rewrites a table with its rows below the number `end`; gives how many of those from `begin` on are lost.
///
/// # Errors
/// When the file cannot be read or written.
pub(super) fn keep_rows<T>(path: &Path, begin: u64, end: u64) -> Result<u64, TrainError>
where
    T: Serialize + DeserializeOwned + Numbered,
{
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        bytes => bytes.map_err(TrainError::file(path, "read"))?,
    };
    let rows: Vec<(T, &[u8])> = parse::<T>(&bytes).into_iter().filter(|(row, _)| row.number() < end).collect();
    let empty = vec![b','; columns_after::<T>(&bytes)];
    let lost = end.saturating_sub(begin) - rows.len() as u64;
    let mut kept = T::HEADING.as_bytes().to_vec();
    for (_, line) in &rows {
        kept.push(b'\n');
        kept.extend(*line);
        kept.extend(&empty);
    }
    kept.push(b'\n');
    if kept != bytes && !bytes.is_empty() {
        write_whole(path, &kept)?;
    }
    Ok(lost)
}

/// The rows in `bytes`, each with its line.
fn parse<T: DeserializeOwned + Numbered>(bytes: &[u8]) -> Vec<(T, &[u8])> {
    // The first line is the heading. A last line without an end was cut off: what is left of a number is another number.
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').skip(1);
    let whole = lines.filter_map(|line| line.strip_suffix(b"\n"));
    let after = columns_after::<T>(bytes);
    let rows: Vec<(T, &[u8])> = whole.filter_map(|line| Some((row(line, after)?, line))).collect();
    let mut kept: Vec<(T, &[u8])> = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter().peekable();
    while let Some((row, line)) = rows.next() {
        let (number, before) = (row.number(), kept.last().map(|(row, _)| row.number()));
        let follows = |number: u64| before.is_none_or(|before| number > before);
        // A number that is too large is seen by the next one, unless that is too small itself.
        let is_passed = rows.peek().is_some_and(|(next, _)| next.number() <= number && follows(next.number()));
        if follows(number) && !is_passed {
            kept.push((row, line));
        }
    }
    kept
}

/// How many columns a table has too few: an earlier version may have ended it before the last of today's.
fn columns_after<T: Numbered>(bytes: &[u8]) -> usize {
    let heading = bytes.split(|&byte| byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    let rest = heading.filter(|heading| !heading.is_empty()).and_then(|heading| T::HEADING.strip_prefix(heading));
    rest.filter(|rest| rest.starts_with(',')).map_or(0, |rest| rest.matches(',').count())
}

/// The row of a line, by the places of its values; the last `after` columns are empty.
fn row<T: DeserializeOwned + Numbered>(line: &[u8], after: usize) -> Option<T> {
    let line = std::str::from_utf8(line).ok()?;
    let mut values: Vec<&str> = line.split(',').collect();
    values.resize(values.len() + after, "");
    let is_whole = values.len() == T::HEADING.split(',').count();
    is_whole.then(|| csv::StringRecord::from(values).deserialize(None).ok())?
}

#[cfg(test)]
mod tests {
    use super::super::run_folder::{EpochRow, StepRow};
    use super::*;

    fn table(steps: u64) -> String {
        let rows = (0..steps).map(|step| format!("{step},{},0.001,2.25,0.5\n", step / 4 + 1));
        format!("step,epoch,lr,loss,accuracy\n{}", rows.collect::<String>())
    }

    fn steps(bytes: &[u8]) -> Vec<u64> {
        parse::<StepRow>(bytes).iter().map(|(row, _)| row.step).collect()
    }

    #[test]
    fn a_damaged_line_costs_one_row() {
        let whole = table(9);
        assert_eq!(steps(whole.as_bytes()), (0..9).collect::<Vec<_>>());
        for damage in
            ["x", "3,1,0.001,2.25", "3,1,0.001,2.25,0.5,7", "", "\"3", "93,1,0.001,2.25,0.5", "0,1,0.001,2.25,0.5"]
        {
            let damaged = whole.replace("3,1,0.001,2.25,0.5", damage);
            assert_eq!(steps(damaged.as_bytes()), [0, 1, 2, 4, 5, 6, 7, 8], "{damage}");
        }
        let not_text = [&whole.as_bytes()[..40], b"\xff", &whole.as_bytes()[41..]].concat();
        assert_eq!(steps(&not_text).len(), 8);
        let no_heading = whole.replace("step,epoch,lr", "stop,epoch");
        assert_eq!(steps(no_heading.as_bytes()).len(), 9);
        let cut = &whole.as_bytes()[..whole.len() - 2];
        assert_eq!(steps(cut).len(), 8, "0.5 without its last digit is no accuracy");
    }

    #[test]
    fn a_table_of_before_goes_on_with_the_columns_of_today() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("epochs.csv");
        let heading = EpochRow::HEADING.strip_suffix(",skipped_steps,loss_scale,data_wait").unwrap();
        let rows = ["1,2.5,0.25,2.25,0.5,900.0,1.5,,", "2,1.5,0.5,1.25,0.75,900.0,1.5,,"];
        fs::write(&path, format!("{heading}\n{}\n{}\n", rows[0], rows[1])).unwrap();
        assert_eq!(read_rows::<EpochRow>(&path).unwrap().len(), 2);
        assert_eq!(keep_rows::<EpochRow>(&path, 1, 3).unwrap(), 0);
        let today = format!("{}\n{},,,\n{},,,\n", EpochRow::HEADING, rows[0], rows[1]);
        assert_eq!(fs::read_to_string(&path).unwrap(), today);
        assert_eq!(read_rows::<EpochRow>(&path).unwrap()[1].test_accuracy, Some(0.75));
    }

    #[test]
    fn rows_that_are_kept_are_kept_byte_for_byte_and_those_that_are_lost_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.csv");
        assert_eq!(keep_rows::<StepRow>(&path, 0, 0).unwrap(), 0, "no file, no row");
        fs::write(&path, table(9)).unwrap();
        assert_eq!(keep_rows::<StepRow>(&path, 0, 8).unwrap(), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), table(8));
        fs::write(&path, table(9).replace("3,1,", "3;1,")).unwrap();
        assert_eq!(keep_rows::<StepRow>(&path, 0, 8).unwrap(), 1);
        assert_eq!(keep_rows::<StepRow>(&path, 0, 10).unwrap(), 3);
    }
}
