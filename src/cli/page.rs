//! The page that `tilewright export` writes: the program that `make web` built, and a model.

use super::CliError;
use super::output::{make_folder, write};
use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use tilewright::checkpoint::Checkpoint;
use tilewright::interop::fold;
use tilewright::recipe::Precision;

/// The model, as the page's program asks for it.
const MODEL: &str = "model.safetensors";

/// Files of the folder of `make web`, and their names in a model's page. What a visitor opens comes last: a page that is not
/// written to its end is none.
const PROGRAM: [(&str, &str); 9] = [
    ("tilewright_bg.wasm", "tilewright_bg.wasm"),
    ("tilewright.js", "tilewright.js"),
    ("style.css", "style.css"),
    ("ask.js", "ask.js"),
    ("classes.js", "classes.js"),
    ("dom.js", "dom.js"),
    ("model/model-worker.js", "model-worker.js"),
    ("model/model.js", "model.js"),
    ("model/index.html", "index.html"),
];

/// Whether `out` is meant as a folder.
pub(super) fn is_folder(out: &Path) -> bool {
    out.is_dir() || out.as_os_str().to_string_lossy().ends_with(['/', MAIN_SEPARATOR])
}

/// Writes the page of a checkpoint, which was read from `path`, to the folder `out`. Gives its size in bytes.
pub(super) fn export(checkpoint: &Checkpoint, path: &Path, out: &Path, asked: &Asked<'_>) -> Result<usize, CliError> {
    let channels = checkpoint.header.input[0];
    if ![1, 3].contains(&channels) {
        let shown = path.display();
        return Err(CliError::usage(format!(
            "the images of `{shown}` have {channels} channels, but a page reads images that are grey, of one, or in colour, of three"
        )));
    }
    if !asked.force {
        refuse_other_files(out)?;
    }
    let program = program(asked.program)?;
    let mut files = vec![(MODEL, fold(checkpoint, path, asked.precision)?)];
    for (from, to) in PROGRAM {
        files.push((
            to,
            tilewright::regular_file::read(&program.join(from)).map_err(|error| unread(&program, from, &error))?,
        ));
    }
    make_folder(out)?;
    files.iter().try_for_each(|(name, bytes)| write(&out.join(name), bytes))?;
    Ok(files.iter().map(|(_, bytes)| bytes.len()).sum())
}

/// What was asked for besides.
pub(super) struct Asked<'a> {
    pub precision: Precision,
    /// The folder that `make web` wrote.
    pub program: Option<&'a Path>,
    pub force: bool,
}

/// Refuses a folder with anything but a page in it.
fn refuse_other_files(out: &Path) -> Result<(), CliError> {
    let Ok(entries) = fs::read_dir(out) else { return Ok(()) };
    let is_own = |name: &str| name == MODEL || PROGRAM.iter().any(|(_, own)| *own == name);
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    match names.into_iter().find(|name| !is_own(name)) {
        None => Ok(()),
        Some(name) => Err(CliError::usage(format!(
            "`{}` has other files in it, such as `{name}`: choose another folder, or say --force",
            out.display()
        ))),
    }
}

/// The folder of the page's program: the one that was named, or what `make web` wrote near this program or here.
fn program(named: Option<&Path>) -> Result<PathBuf, CliError> {
    let remedy = "`make web` in the sources builds it";
    let lacks = |folder: &Path| PROGRAM.iter().find(|(file, _)| !folder.join(file).is_file());
    if let Some(named) = named {
        return match lacks(named) {
            None => Ok(named.to_owned()),
            Some((file, _)) => Err(CliError::usage(format!(
                "`--program {}` has no `{file}`, so it is no page's program: {remedy}, into target/web",
                named.display()
            ))),
        };
    }
    let beside = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
    let near = beside.iter().flat_map(|folder| [folder.join("web"), folder.join("../web")]);
    let places: Vec<PathBuf> = near.chain([PathBuf::from("target/web")]).collect();
    places.iter().find(|folder| lacks(folder).is_none()).cloned().ok_or_else(|| {
        let looked: Vec<String> = places.iter().map(|folder| format!("`{}`", folder.display())).collect();
        CliError::failed(format!(
            "the page's program is in none of {}: {remedy}; then name its folder with --program",
            looked.join(", ")
        ))
    })
}

fn unread(program: &Path, file: &str, error: &std::io::Error) -> CliError {
    CliError::failed(format!("`{}` cannot be read: {error}", program.join(file).display()))
}
