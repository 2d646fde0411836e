//! Files that a command writes: never over what it reads, nor over another run's checkpoint, unless it is told to.

use super::CliError;
use std::fs;
use std::path::Path;
use tilewright::atomic_file::replace_file;
use tilewright::interop::WeightsFile;
use tilewright::report::{Picture, PictureError};
use tilewright::train::TrainError;

/// Writes a file in whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    Ok(replace_file(path, bytes).map_err(|reason| failed(path, "written", reason))?)
}

/// Makes a folder, and those that it lies in, where they are missing.
pub(super) fn make_folder(path: &Path) -> Result<(), CliError> {
    Ok(fs::create_dir_all(path).map_err(|reason| failed(path, "made", reason))?)
}

fn failed(path: &Path, action: &'static str, reason: std::io::Error) -> TrainError {
    TrainError::File { path: path.to_owned(), action, reason }
}

/// Writes a picture in the format that the file's ending says: PNG, or else SVG.
pub(super) fn write_picture(path: &Path, picture: &Picture<'_>) -> Result<(), CliError> {
    let is_png = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    let drawn: Result<Option<Vec<u8>>, PictureError> = match is_png {
        true => picture.png(),
        false => picture.svg().map(|text| text.map(String::into_bytes)),
    };
    write(path, &drawn.map_err(TrainError::from)?.unwrap_or_default())
}

/// Refuses to write `out` where it is one of `inputs`, or holds a run's weights.
pub(super) fn refuse_overwriting(out: &Path, inputs: &[&Path], force: bool) -> Result<(), CliError> {
    if force || !out.is_file() {
        return Ok(());
    }
    let shown = out.display();
    let remedy = "choose another name, or say --force";
    if let Some(input) = inputs.iter().find(|input| is_same(input, out)) {
        let input = input.display();
        return Err(CliError::usage(format!("`{shown}` is the file `{input}` that is read: {remedy}")));
    }
    // A link leads to where the file lies.
    let real = fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
    if let Some(folder) = real.parent().filter(|folder| folder.join("config.toml").is_file()) {
        let folder = folder.display();
        return Err(CliError::usage(format!("`{shown}` belongs to the run in `{folder}`: {remedy}")));
    }
    match trained_steps(out) {
        Some(steps @ 1..) => {
            Err(CliError::usage(format!("`{shown}` is a checkpoint of a run, after {steps} steps: {remedy}")))
        }
        _ => Ok(()),
    }
}

/// Steps of training that a checkpoint has seen; none of what is no checkpoint.
fn trained_steps(file: &Path) -> Option<u64> {
    WeightsFile::trained_steps(file)
}

/// Whether two paths are one file, also through links.
fn is_same(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let place = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
        place(one).is_some_and(|found| Some(found) == place(other))
    }
    #[cfg(not(unix))]
    {
        fs::canonicalize(one).ok().is_some_and(|found| fs::canonicalize(other).ok() == Some(found))
    }
}
