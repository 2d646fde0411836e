//! Features of images, and the files that they are kept in.

use super::run_folder::{write_table, write_whole};
use super::{Embedder, TrainError};
use crate::activity::Stage;
use crate::data::{Dataset, Normalization};
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Features of images, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Embedding {
    /// Features of an image.
    pub width: usize,
    /// `[images, width]`.
    pub features: Vec<f32>,
    /// `[images]`, where the images have classes.
    pub labels: Option<Vec<u32>>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Where each image comes from: its path, or its place in a source.
    pub images: Vec<String>,
}

/// A row of the table beside an .npy file.
#[derive(Serialize)]
struct Row<'a> {
    row: usize,
    image: &'a str,
    label: Option<u32>,
    class: Option<&'a str>,
}

impl Embedding {
    /// Of no image yet.
    pub fn new(width: usize) -> Embedding {
        Embedding { width, ..Embedding::default() }
    }

    /// Images that have features.
    pub fn rows(&self) -> usize {
        self.images.len()
    }

    /// Adds images with features `[images, width]`.
    pub fn add(&mut self, features: &[f32], images: impl IntoIterator<Item = String>) {
        self.features.extend_from_slice(features);
        self.images.extend(images);
    }

    /// Writes a safetensors file, or, where `path` ends in .npy, an array of NumPy with a table beside it. Gives what was
    /// written.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<Vec<PathBuf>, TrainError> {
        match path.extension().is_some_and(|ending| ending == "npy") {
            true => {
                write_whole(path, &self.npy())?;
                let table = path.with_extension("csv");
                write_table(&table, self.table())?;
                Ok(vec![path.to_owned(), table])
            }
            false => {
                write_whole(path, &self.safetensors().map_err(TrainError::file(path, "written"))?)?;
                Ok(vec![path.to_owned()])
            }
        }
    }

    fn safetensors(&self) -> std::io::Result<Vec<u8>> {
        let features: Vec<u8> = self.features.iter().flat_map(|value| value.to_le_bytes()).collect();
        let labels: Option<Vec<u8>> = self
            .labels
            .as_ref()
            .map(|labels| labels.iter().flat_map(|&label| i64::from(label).to_le_bytes()).collect());
        let view = |element, shape, bytes| TensorView::new(element, shape, bytes).map_err(std::io::Error::other);
        let mut tensors = vec![("features", view(Dtype::F32, vec![self.rows(), self.width], &features)?)];
        if let Some(labels) = &labels {
            tensors.push(("labels", view(Dtype::I64, vec![self.rows()], labels)?));
        }
        let lists = [("classes", &self.classes), ("images", &self.images)];
        let told: HashMap<String, String> =
            lists.map(|(name, list)| (name.to_owned(), serde_json::to_string(list).unwrap_or_default())).into();
        safetensors::serialize(tensors, Some(told)).map_err(std::io::Error::other)
    }

    /// Version 1.0 of NumPy's format: the header ends at a multiple of 64 bytes.
    fn npy(&self) -> Vec<u8> {
        let shape = format!("({}, {})", self.rows(), self.width);
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let padding = (64 - (10 + header.len() + 1) % 64) % 64;
        header += &" ".repeat(padding);
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(self.features.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    fn table(&self) -> impl Iterator<Item = Row<'_>> {
        self.images.iter().enumerate().map(|(row, image)| {
            let label = self.labels.as_ref().and_then(|labels| labels.get(row).copied());
            let class = label.and_then(|label| self.classes.get(label as usize)).map(String::as_str);
            Row { row, image, label, class }
        })
    }
}

impl Embedder {
    /// The features of all images of a data set, with their labels.
    ///
    /// # Errors
    /// When the device fails.
    pub fn embed(&mut self, dataset: &Dataset, normalization: &Normalization) -> Result<Embedding, TrainError> {
        let width = self.width();
        let mut embedding = Embedding::new(width);
        let (size, length) = (self.batch(), dataset.image_len());
        let activity = self.activity().clone();
        let testing = activity.enter(Stage::Testing, dataset.len().div_ceil(size) as u64);
        for first in (0..dataset.len()).step_by(size) {
            let rows = first..(first + size).min(dataset.len());
            let mut numbers = Vec::with_capacity(size * length);
            for index in rows.clone() {
                numbers.extend(normalization.apply(&dataset.image(index)?));
            }
            numbers.resize(size * length, 0.0);
            let features = self.features(&numbers)?;
            embedding.add(&features[..rows.len() * width], rows.map(|index| format!("{} {index}", dataset.name)));
            testing.advance();
        }
        embedding.labels = Some(dataset.labels.clone());
        embedding.classes = dataset.classes.clone();
        Ok(embedding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    fn two() -> Embedding {
        let mut two = Embedding::new(3);
        two.add(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], ["a.png".to_owned(), "b, c.png".to_owned()]);
        (two.labels, two.classes) = (Some(vec![1, 0]), vec!["cat".to_owned(), "dog".to_owned()]);
        two
    }

    #[test]
    fn a_safetensors_file_has_features_labels_classes_and_paths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.safetensors");
        assert_eq!(two().write(&path).unwrap(), std::slice::from_ref(&path));
        let bytes = std::fs::read(&path).unwrap();
        let (_, told) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(told.metadata().as_ref().unwrap()["images"], "[\"a.png\",\"b, c.png\"]");
        let read = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(read.tensor("features").unwrap().shape(), [2, 3]);
        assert_eq!(read.tensor("labels").unwrap().data(), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn an_npy_file_has_a_header_of_whole_lines_of_64_bytes_and_a_table_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.npy");
        let written = two().write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((&bytes[..8], bytes.len()), (&b"\x93NUMPY\x01\x00"[..], 128 + 24));
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        assert!(std::str::from_utf8(&bytes[10..128]).unwrap().starts_with(header) && bytes[127] == b'\n');
        assert_eq!(bytes[128..132], 1.0f32.to_le_bytes());
        let table = std::fs::read_to_string(&written[1]).unwrap();
        assert_eq!(table, "row,image,label,class\n0,a.png,1,dog\n1,\"b, c.png\",0,cat\n");
    }
}
