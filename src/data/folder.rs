//! Folders of images: `DIR/train/CLASS/*.jpg`, and the same under `DIR/test` or `DIR/val`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::decode::{Header, decode_image, read_header};
use super::error::{DataError, ImageSize};
use super::{Dataset, LoadOptions, Splits, allocate, require_folder, round_robin};

const IMAGE_ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];
const LAYOUT: &str = "one folder a class in it, with .jpg, .jpeg or .png files";

/// The files of one split, in the order of their classes and names.
struct Files {
    name: String,
    paths: Vec<PathBuf>,
    labels: Vec<u32>,
}

/// Loads both splits. Only as many files are decoded as the limit asks for.
///
/// # Errors
/// Folders or images that are missing, a file that is no image, images of several sizes when no
/// size is asked for, or a test class that training does not have.
pub(crate) fn load(dir: &Path, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
    require_folder(dir, "a folder train in it, with one folder a class")?;
    let train_dir = dir.join("train");
    require_folder(&train_dir, LAYOUT)?;
    let classes: Vec<String> = entries(&train_dir, Path::is_dir)?.iter().map(file_name).collect();
    let train = Files::in_folder(&train_dir, &classes, format!("{name} (train)"))?;
    train.require_every_class(&train_dir, &classes)?;
    let test_dir = ["test", "val"].map(|split| dir.join(split)).into_iter().find(|d| d.is_dir());
    let (mut train, mut test) = match test_dir {
        Some(test_dir) => (train, test_files(&test_dir, &classes, format!("{name} (test)"))?),
        None => train.hold_out(name, &train_dir, classes.len())?,
    };
    if let Some(limit) = options.limit {
        train.truncate(limit, classes.len());
        test.truncate(limit, classes.len());
    }

    let headers = [train.headers()?, test.headers()?];
    let size = match options.image_size() {
        Some(size) => size,
        None => one_size(&[(&train, &headers[0]), (&test, &headers[1])])?,
    };
    let colour = headers.iter().flatten().any(|header| header.colour);
    let channels = options.channels.unwrap_or(if colour { 3 } else { 1 });
    Ok(Splits { train: train.decode(&classes, channels, size)?, test: test.decode(&classes, channels, size)? })
}

fn test_files(dir: &Path, classes: &[String], name: String) -> Result<Files, DataError> {
    let is_known = |path: &PathBuf| classes.contains(&file_name(path));
    if let Some(path) = entries(dir, Path::is_dir)?.into_iter().find(|path| !is_known(path)) {
        return Err(DataError::UnknownClass { path, known: classes.to_vec() });
    }
    let files = Files::in_folder(dir, classes, name)?;
    match files.paths.is_empty() {
        false => Ok(files),
        true => Err(DataError::Empty {
            path: dir.into(),
            expected: LAYOUT,
            remedy: "Put the test images there, or remove the folder to hold out a tenth of train.",
        }),
    }
}

impl Files {
    fn in_folder(dir: &Path, classes: &[String], name: String) -> Result<Self, DataError> {
        let mut files = Self { name, paths: Vec::new(), labels: Vec::new() };
        for (label, class) in classes.iter().enumerate() {
            let class_dir = dir.join(class);
            // A test set may lack a class.
            if class_dir.is_dir() {
                files.paths.extend(entries(&class_dir, is_image)?);
                files.labels.resize(files.paths.len(), label as u32);
            }
        }
        Ok(files)
    }

    fn require_every_class(&self, dir: &Path, classes: &[String]) -> Result<(), DataError> {
        let empty = |path, expected, remedy| Err(DataError::Empty { path, expected, remedy });
        if classes.is_empty() {
            return empty(dir.into(), LAYOUT, "Sort the images into one folder a class.");
        }
        let has_images = |label: &usize| self.labels.binary_search(&(*label as u32)).is_ok();
        match (0..classes.len()).find(|label| !has_images(label)) {
            Some(label) => empty(
                dir.join(&classes[label]),
                "at least one .jpg, .jpeg or .png file",
                "Put the images of the class there, or remove the folder.",
            ),
            None => Ok(()),
        }
    }

    /// Splits off a tenth of each class as test images, spread evenly over its files and at least
    /// one of two. No chance is involved: the same files are held out every time.
    fn hold_out(self, name: &str, train_dir: &Path, classes: usize) -> Result<(Self, Self), DataError> {
        let split = |name| Self { name, paths: Vec::new(), labels: Vec::new() };
        let mut kept = split(format!("{name} (train, less a tenth held out)"));
        let mut held = split(format!("{name} (test, a tenth of train held out)"));
        let mut counts = vec![0_usize; classes];
        self.labels.iter().for_each(|&label| counts[label as usize] += 1);
        let mut seen = vec![0_usize; classes];
        for (path, label) in self.paths.into_iter().zip(self.labels) {
            let (count, at) = (counts[label as usize], seen[label as usize]);
            let tenth = if count < 2 { 0 } else { (count / 10).max(1) };
            let is_held = (at + 1) * tenth / count > at * tenth / count;
            seen[label as usize] += 1;
            let side = if is_held { &mut held } else { &mut kept };
            side.paths.push(path);
            side.labels.push(label);
        }
        match held.paths.is_empty() {
            false => Ok((kept, held)),
            true => Err(DataError::Empty {
                path: train_dir.with_file_name("test"),
                expected: "test images, since no class in train has two images to hold one out of",
                remedy: "Put test images there, one folder a class.",
            }),
        }
    }

    /// As [`Dataset::truncated`].
    fn truncate(&mut self, limit: usize, classes: usize) {
        if limit < self.paths.len() {
            let kept = round_robin(&self.labels, classes, limit);
            self.paths = kept.iter().map(|&index| self.paths[index].clone()).collect();
            self.labels = kept.iter().map(|&index| self.labels[index]).collect();
        }
    }

    fn headers(&self) -> Result<Vec<Header>, DataError> {
        let headers: Vec<_> = self.paths.par_iter().map(|path| read_header(path)).collect();
        // Collected first, so that of several bad files the first by name is told.
        headers.into_iter().collect()
    }

    fn decode(self, classes: &[String], channels: usize, size: ImageSize) -> Result<Dataset, DataError> {
        let ImageSize { height, width } = size;
        let image_len = channels * height * width;
        let mut images = allocate(self.paths.len() as u128 * image_len as u128, &self.name)?;
        let decoded: Vec<_> = self
            .paths
            .par_iter()
            .zip(images.par_chunks_exact_mut(image_len))
            .map(|(path, out)| decode_image(path, channels, size, out))
            .collect();
        decoded.into_iter().collect::<Result<(), _>>()?;
        let (name, labels, classes) = (self.name, self.labels, classes.to_vec());
        Ok(Dataset { name, channels, height, width, classes, images, labels })
    }
}

/// The size that all images share.
fn one_size(splits: &[(&Files, &Vec<Header>)]) -> Result<ImageSize, DataError> {
    let mut sizes =
        splits.iter().flat_map(|(files, headers)| files.paths.iter().zip(headers.iter().map(|header| header.size)));
    let (first, first_size) = sizes.next().expect("training has an image of every class");
    match sizes.find(|(_, size)| *size != first_size) {
        None => Ok(first_size),
        Some((path, size)) => {
            let (path, first) = (path.clone(), first.clone());
            Err(DataError::ImageSizes { path, size, first, first_size })
        }
    }
}

/// What lies in `dir` and is wanted, sorted by name; names with a leading dot are passed over.
fn entries(dir: &Path, wanted: fn(&Path) -> bool) -> Result<Vec<PathBuf>, DataError> {
    let read_error = |cause| DataError::Read { path: dir.into(), cause };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        if !file_name(&path).starts_with('.') && wanted(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    IMAGE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

fn file_name(path: impl AsRef<Path>) -> String {
    path.as_ref().file_name().unwrap_or_default().to_string_lossy().into_owned()
}
