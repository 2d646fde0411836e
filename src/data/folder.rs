//! Folders of images: `DIR/train/CLASS/*.jpg`, and the same under `DIR/test` and `DIR/val`.

use crate::path_text;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::encoded::Encoded;
use super::error::DataError;
use super::files::{FileSplits, Files};
use super::left_out::{LeftOut, Reason};
use super::source::Kind;
use super::{LoadOptions, Splits, require_folder};

pub(super) const IMAGE_ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];
const LAYOUT: &str = "one folder per class in it, with .jpg, .jpeg, .png, .webp or .bmp files";

/// Names that the folders of the splits have, in any case.
pub(super) const TRAIN: [&str; 2] = ["train", "training"];
pub(super) const VALIDATION: [&str; 4] = ["val", "valid", "validation", "dev"];
pub(super) const TEST: [&str; 4] = ["test", "testing", "eval", "evaluation"];

/// Folders in a class folder beyond so many levels are no data set.
const DEEPEST: usize = 64;

/// `folder:DIR`: `DIR/train/CLASS/**/*.jpg|jpeg|png|webp|bmp`, and the same under `DIR/test` and `DIR/val`.
pub(super) struct Folder;

impl Kind for Folder {
    fn word(&self) -> &'static str {
        "folder"
    }

    fn form(&self) -> (&'static str, &'static str) {
        ("folder:DIR", "files of images, in DIR/train/CLASS, DIR/test/CLASS and DIR/val/CLASS, and in folders within")
    }

    fn heeds_options(&self) -> bool {
        true
    }

    fn load(&self, dir: &str, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
        load(&path_text::from_text(dir), name, options)
    }
}

/// Loads the splits that there are.
///
/// Without a test folder, the validation images are the test images; without either, some of the training images.
///
/// # Errors
/// Folders or images that are missing or damaged, a file that is no image, images of several sizes when no
/// size is asked for, or a test class that training does not have.
fn load(dir: &Path, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
    require_folder(dir, "a folder train in it, with one folder per class")?;
    let train_dir = split_folder(dir, &TRAIN)?.unwrap_or_else(|| dir.join(TRAIN[0]));
    require_folder(&train_dir, LAYOUT)?;
    let validation_dir = split_folder(dir, &VALIDATION)?;
    let test_dir = split_folder(dir, &TEST)?;

    let mut notes = Vec::new();
    let splits = [Some(&train_dir), validation_dir.as_ref(), test_dir.as_ref()];
    notes.extend(no_splits(dir, &splits.map(|split| split.map(PathBuf::as_path)))?);
    let (classes, train) = Files::of_training(&train_dir, format!("{name} (train)"), &mut notes)?;
    let mut files = |dir: &Path, split: &str| Files::held(dir, &classes, format!("{name} ({split})"), &mut notes);
    let validation = validation_dir.map(|dir| files(&dir, "validation")).transpose()?;
    let test = test_dir.map(|dir| files(&dir, "test")).transpose()?;
    FileSplits { classes, train, validation, test, notes }.load(name, options)
}

/// What people should know of folders beside those of the splits, such as `holdout`: they may hold images, too.
fn no_splits(dir: &Path, splits: &[Option<&Path>]) -> Result<Option<String>, DataError> {
    let mut left_out = LeftOut::of(dir);
    for path in entries(dir)?.iter().filter(|path| path.is_dir() && !splits.contains(&Some(path))) {
        if !folder_name(path).starts_with('.') {
            left_out.add(Reason::NoSplit, path);
        }
    }
    Ok(left_out.note())
}

/// The folder in `dir` with one of these names, in any case.
fn split_folder(dir: &Path, names: &[&str]) -> Result<Option<PathBuf>, DataError> {
    let is_named = |path: &PathBuf| names.iter().any(|name| folder_name(path).eq_ignore_ascii_case(name));
    let mut folders = entries(dir)?;
    folders.retain(|path| is_named(path) && path.is_dir());
    match &folders[..] {
        [] => Ok(None),
        [folder] => Ok(Some(folder.clone())),
        [one, other, ..] => Err(DataError::SeveralSplits { one: one.clone(), other: other.clone() }),
    }
}

impl Files {
    /// The names of the classes, and the images of each: at least one.
    fn of_training(dir: &Path, name: String, notes: &mut Vec<String>) -> Result<(Vec<String>, Self), DataError> {
        let mut left_out = LeftOut::of(dir);
        let folders = class_folders(dir, &mut left_out)?;
        let empty = |path: &Path, expected, remedy| DataError::Empty { path: path.into(), expected, remedy };
        if folders.is_empty() {
            return Err(empty(dir, LAYOUT, "Sort the images into one folder per class."));
        }
        let mut files = Self::new(name);
        for (label, folder) in folders.iter().enumerate() {
            if files.add(folder, label as u32, &mut left_out)? == 0 {
                let remedy = "Put the images of the class there, or remove the folder.";
                return Err(empty(folder, "at least one .jpg, .jpeg, .png, .webp or .bmp file", remedy));
            }
        }
        notes.extend(left_out.note());
        Ok((class_names(&folders)?, files))
    }

    /// The images of a split that is not trained on; it may lack a class.
    fn held(dir: &Path, classes: &[String], name: String, notes: &mut Vec<String>) -> Result<Self, DataError> {
        let mut left_out = LeftOut::of(dir);
        let mut files = Self::new(name);
        for folder in class_folders(dir, &mut left_out)? {
            let Some(label) = classes.iter().position(|class| *class == folder_name(&folder)) else {
                return Err(DataError::UnknownClass { path: folder, known: classes.to_vec() });
            };
            files.add(&folder, label as u32, &mut left_out)?;
        }
        notes.extend(left_out.note());
        match files.is_empty() {
            false => Ok(files),
            true => Err(DataError::Empty {
                path: dir.into(),
                expected: LAYOUT,
                remedy: "Put images there, or remove the folder.",
            }),
        }
    }

    /// Takes the images in a folder; gives how many there are.
    fn add(&mut self, folder: &Path, label: u32, left_out: &mut LeftOut) -> Result<usize, DataError> {
        let mut paths = Vec::new();
        images_in(folder, &mut Vec::new(), &mut paths, left_out)?;
        paths.sort();
        let count = paths.len();
        paths.into_iter().for_each(|path| self.push(Encoded::File(path), label));
        Ok(count)
    }
}

/// The folders of the classes in the folder of a split.
fn class_folders(dir: &Path, left_out: &mut LeftOut) -> Result<Vec<PathBuf>, DataError> {
    let (folders, others) = visible(dir, left_out)?.into_iter().partition(|path: &PathBuf| path.is_dir());
    let others: Vec<PathBuf> = others;
    others.iter().for_each(|path| left_out.add(Reason::Outside, path));
    Ok(folders)
}

/// Every image in a folder and in the folders in it, by their paths, and what is left out, for people.
///
/// # Errors
/// When the folder cannot be read, or holds no image.
pub fn images_of(dir: &Path) -> Result<(Vec<PathBuf>, Option<String>), DataError> {
    let (mut paths, mut left_out) = (Vec::new(), LeftOut::of(dir));
    images_in(dir, &mut Vec::new(), &mut paths, &mut left_out)?;
    match paths.is_empty() {
        false => Ok((paths, left_out.note())),
        true => Err(DataError::Empty {
            path: dir.into(),
            expected: "at least one .jpg, .jpeg, .png, .webp or .bmp file",
            remedy: "Name a folder with images, or the images themselves.",
        }),
    }
}

/// Adds the images in `dir` and in the folders in it, links included, to `paths`. `above` are the folders that `dir`
/// is in, by their true paths: a link back to one of them has no end.
fn images_in(
    dir: &Path,
    above: &mut Vec<PathBuf>,
    paths: &mut Vec<PathBuf>,
    left_out: &mut LeftOut,
) -> Result<(), DataError> {
    let place = fs::canonicalize(dir).map_err(|cause| DataError::Read { path: dir.into(), cause })?;
    if above.contains(&place) || above.len() > DEEPEST {
        left_out.add(Reason::Again, dir);
        return Ok(());
    }
    above.push(place);
    for path in visible(dir, left_out)? {
        if path.is_dir() {
            images_in(&path, above, paths, left_out)?;
        } else if is_image(&path) {
            paths.push(path);
        } else {
            left_out.add(Reason::Ending, &path);
        }
    }
    above.pop();
    Ok(())
}

/// What lies in `dir` and has no leading dot, sorted by name.
fn visible(dir: &Path, left_out: &mut LeftOut) -> Result<Vec<PathBuf>, DataError> {
    let (hidden, visible) = entries(dir)?.into_iter().partition(|path| folder_name(path).starts_with('.'));
    let hidden: Vec<PathBuf> = hidden;
    hidden.iter().for_each(|path| left_out.add(Reason::Hidden, path));
    Ok(visible)
}

/// What lies in `dir`, sorted by name.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read_error = |cause| DataError::Read { path: dir.into(), cause };
    let entries = fs::read_dir(dir).map_err(read_error)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(read_error)?;
    paths.sort();
    Ok(paths)
}

pub(super) fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    IMAGE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// The name of each class: that of its folder.
fn class_names(folders: &[PathBuf]) -> Result<Vec<String>, DataError> {
    let mut of: HashMap<String, &PathBuf> = HashMap::new();
    for folder in folders {
        let name = folder_name(folder);
        if let Some(one) = of.insert(name.clone(), folder) {
            return Err(DataError::SameClass { name, one: one.clone(), other: folder.clone() });
        }
    }
    Ok(folders.iter().map(folder_name).collect())
}

fn folder_name(path: impl AsRef<Path>) -> String {
    path_text::told_apart(path.as_ref().file_name().unwrap_or_default())
}
