//! `tilewright embed`: the features of images, as they are before a model's head.

use super::eval::checkpoint_file;
use super::images::{Loaded, batch_of, files};
use super::output::refuse_overwriting;
use super::place::Place;
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use tilewright::checkpoint::load_checkpoint;
use tilewright::data::{ClassMatching, MAX_PIXELS, Source};
use tilewright::path_text::lossy;
use tilewright::recipe::Precision;
use tilewright::train::{Embedder, Embedding, Ensemble, TestData};

/// Write the features of images, as they are before the model's last layer
///
/// For nearest neighbours, clusters, pictures by t-SNE or UMAP, or a classifier of another library. A safetensors file has
/// `features` [images, width], and `labels` [images] where the images have classes; their names and the images' paths are in
/// its header. An .npy file has the features alone, with a .csv file of the same name beside it that says which row is which
/// image.
#[derive(Args)]
pub(super) struct Embed {
    /// A checkpoint, or a run folder whose last checkpoint is taken
    checkpoint: PathBuf,
    /// A source of images as for `train`, whose test images are taken; or image files, folders or patterns such as
    /// 'photos/*.jpg'
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// Where they go: a file that ends in .safetensors or .npy
    #[arg(long, value_name = "FILE", value_parser = parse_out)]
    out: PathBuf,
    /// At most so many images of a source
    #[arg(long, value_name = "IMAGES")]
    limit: Option<usize>,
    /// Refuse images of more pixels, before they are decoded
    #[arg(long, value_name = "PIXELS", default_value_t = MAX_PIXELS)]
    max_pixels: u64,
    /// Write the features even where the file is one that is read, or belongs to a run
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub place: Place,
}

impl Embed {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let path = checkpoint_file(&self.checkpoint);
        refuse_overwriting(&self.out, &[&path], self.force)?;
        let reporter = global.reporter();
        let embedding = match self.source() {
            Some(source) => self.of_source(source, &path, global)?,
            None => self.of_files(&path, global)?,
        };
        drop(reporter);
        let written = embedding.write(&self.out)?;
        let (images, width) = (embedding.rows(), embedding.width);
        global.say(format_args!("{}: {images} images, {width} features each", self.out.display()));
        global.result(&json!({
            "out": written.iter().map(|path| lossy(path)).collect::<Vec<_>>(),
            "images": images,
            "width": width,
            "has_labels": embedding.labels.is_some(),
        }));
        Ok(())
    }

    /// What is named, where it is a source of images and no file or folder.
    fn source(&self) -> Option<Source> {
        match &self.sources[..] {
            [source] if !source.exists() => source.to_str().and_then(|text| text.parse().ok()),
            _ => None,
        }
    }

    fn of_source(&self, source: Source, path: &Path, global: &Global) -> Result<Embedding, CliError> {
        let mut data = TestData::default();
        (data.source, data.limit, data.max_pixels) = (Some(source), self.limit, self.max_pixels);
        data.classes = ClassMatching::ByName;
        let ensemble = Ensemble::read(&[path.to_owned()], &data)?;
        ensemble.notes().iter().for_each(|note| global.note(note));
        let checkpoint = load_checkpoint(path)?;
        let device = global.training_device(global.tuned.as_deref(), Precision::F32)?;
        let images = ensemble.images().ok_or_else(|| CliError::usage("there are no images"))?;
        let batch = batch_of(images.len(), &checkpoint.header);
        let mut embedder = Embedder::of(&checkpoint, path, batch, &device)?;
        Ok(embedder.embed(images, &checkpoint.header.normalization)?)
    }

    fn of_files(&self, path: &Path, global: &Global) -> Result<Embedding, CliError> {
        let checkpoint = load_checkpoint(path)?;
        let mut files = files(&self.sources, global)?;
        files.truncate(self.limit.unwrap_or(usize::MAX));
        let batch = batch_of(files.len(), &checkpoint.header);
        let device = global.training_device(global.tuned.as_deref(), Precision::F32)?;
        let mut embedder = Embedder::of(&checkpoint, path, batch, &device)?;
        let mut embedding = Embedding::new(embedder.width());
        for files in files.chunks(batch.shape[0]) {
            let loaded = Loaded::read(files, &checkpoint.header, batch, self.max_pixels);
            if let Some(reason) = loaded.bytes.iter().find_map(|image| image.as_ref().err()) {
                return Err(CliError::failed(reason.as_str()));
            }
            let features = embedder.features(&loaded.numbers)?;
            embedding.add(&features[..files.len() * embedding.width], files.iter().map(|file| lossy(file)));
        }
        Ok(embedding)
    }
}

fn parse_out(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("safetensors" | "npy") => Ok(path),
        _ => Err("its name must end in .safetensors or .npy".to_owned()),
    }
}
