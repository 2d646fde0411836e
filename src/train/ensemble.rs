//! One or several checkpoints on the same test images, the probabilities of the classes averaged over them.

use super::{Batch, Evaluation, Evaluator, Filters, MeanProbabilities, TrainError};
use crate::checkpoint::{Checkpoint, Header, load_checkpoint};
use crate::data::{
    Asked, ClassMatching, Dataset, HeldOut, LoadOptions, MAX_PIXELS, MemorySize, Source, View, Views, are_numbers,
    listed, match_classes,
};
use crate::session::Device;
use crate::setting::BadSetting;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Checkpoints that tell the same classes apart, and the test images for each. Models, image sizes, normalisations and
/// the order of the classes may differ.
pub struct Ensemble {
    members: Vec<Member>,
    notes: Vec<String>,
}

/// Which test images checkpoints are measured on.
#[derive(Clone, Debug)]
pub struct TestData {
    /// By default what the checkpoints were trained on.
    pub source: Option<Source>,
    /// At most so many images.
    pub limit: Option<usize>,
    /// A file with an image of more pixels is refused before it is decoded.
    pub max_pixels: u64,
    /// How the classes of the data are held against those of the checkpoints.
    pub classes: ClassMatching,
    /// How images are brought to a model's size; by default as its checkpoint says.
    pub asked: Asked,
    /// What decoded images may take of memory; by default half of what is free.
    pub memory: Option<MemorySize>,
}

impl Default for TestData {
    fn default() -> Self {
        TestData {
            source: None,
            limit: None,
            max_pixels: MAX_PIXELS,
            classes: ClassMatching::ByName,
            asked: Asked::default(),
            memory: None,
        }
    }
}

struct Member {
    path: PathBuf,
    /// With the names of the classes in the first checkpoint's order.
    checkpoint: Checkpoint,
    /// For each class of the first checkpoint, its place in what the model gives; none where that is the same.
    places: Option<Vec<u32>>,
    /// As the model takes them; shared by the members that take them so.
    images: Arc<Dataset>,
}

/// What an ensemble and its members are worth.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EnsembleEvaluation {
    /// Of the mean probabilities.
    pub whole: Evaluation,
    /// Of each checkpoint by itself, in their order.
    pub members: Vec<Evaluation>,
    /// Time that all of them ran; reading and preparing is not part of it.
    pub seconds: f64,
}

impl Ensemble {
    /// Reads checkpoints and test images.
    ///
    /// # Errors
    /// A file that cannot be read, checkpoints with different classes, different data where `data` does not say
    /// which, or data with other classes.
    pub fn read(paths: &[PathBuf], data: &TestData) -> Result<Ensemble, TrainError> {
        let read = paths.iter().map(|path| {
            let mut checkpoint = load_checkpoint(path)?;
            let Header { input: [_, height, width], preprocessing, .. } = checkpoint.header;
            checkpoint.header.preprocessing = preprocessing.asked(data.asked, (height, width))?;
            Ok((path.as_path(), checkpoint))
        });
        let mut read: Vec<(&Path, Checkpoint)> = read.collect::<Result<_, TrainError>>()?;
        let places = agree_on_classes(&mut read, data.classes)?;
        let source = match &data.source {
            Some(source) => source.clone(),
            None => trained_on(&read)?.clone(),
        };
        let data = TestData { source: Some(source.clone()), ..data.clone() };
        let mut notes = Vec::new();
        let mut members: Vec<Member> = Vec::new();
        for ((path, checkpoint), places) in read.into_iter().zip(places) {
            let seen = |header: &Header| (header.input, header.preprocessing);
            let images = match members.iter().find(|other| seen(&other.checkpoint.header) == seen(&checkpoint.header)) {
                Some(other) => Arc::clone(&other.images),
                None => Arc::new(test_images(path, &checkpoint, &source, &data, &mut notes)?),
            };
            if members.first().is_some_and(|first| first.images.labels != images.labels) {
                return Err(TrainError::DataChanged { data: source.to_string() });
            }
            members.push(Member { path: path.to_owned(), checkpoint, places, images });
        }
        notes.dedup();
        Ok(Ensemble { members, notes })
    }

    /// What a person should know of how the images were read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        self.members.first().map_or(&[], |member| &member.checkpoint.header.classes)
    }

    /// The test images, as the first checkpoint takes them.
    pub fn images(&self) -> Option<&Dataset> {
        self.members.first().map(|member| &*member.images)
    }

    /// The names of the models, with commas between them.
    pub fn models(&self) -> String {
        let names = self.members.iter().map(|member| member.checkpoint.header.config.model.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// The filters of the first layer, where there is one checkpoint.
    ///
    /// # Errors
    /// When its model cannot be built.
    pub fn filters(&self) -> Result<Option<Filters>, TrainError> {
        match &self.members[..] {
            [Member { checkpoint, .. }] => Filters::of_checkpoint(checkpoint),
            _ => Ok(None),
        }
    }

    /// Runs one member after the other on `device`, in batches of at most `batch` images. The
    /// probabilities of a member are the mean over `views`, in pixels of the size that it takes.
    ///
    /// Of several members, the host holds the probabilities of all images, 16 bytes per image and class.
    ///
    /// # Errors
    /// Views that leave nothing of an image, a checkpoint that does not suit its model, or a device that fails.
    pub fn evaluate(&self, device: &Device, batch: usize, views: Views) -> Result<EnsembleEvaluation, TrainError> {
        // For all members first: what cannot be is told before the first has run.
        let views = self.members.iter().map(|member| views.of(member.images.height, member.images.width));
        let views: Vec<Vec<View>> = views.collect::<Result<_, _>>()?;
        let labels: &[u32] = self.members.first().map_or(&[], |member| &member.images.labels);
        let classes = self.classes().len();
        // What a checkpoint alone is worth is counted batch by batch.
        let mut mean = (self.members.len() > 1).then(|| MeanProbabilities::new(labels.len(), classes));
        let (mut members, mut seconds) = (Vec::new(), 0.0);
        for (Member { path, checkpoint, places, images }, views) in self.members.iter().zip(&views) {
            let header = &checkpoint.header;
            let [channels, height, width] = header.input;
            let batch = Batch { shape: [batch.min(images.len().max(1)), channels, height, width], classes };
            let mut evaluator = Evaluator::of(checkpoint, path, batch, device)?;
            let begin = Instant::now();
            let found = match &mut mean {
                None => evaluator.evaluate(images, &header.normalization, views)?,
                Some(mean) => {
                    let p = evaluator.log_probabilities(images, &header.normalization, views)?;
                    let p = in_order(p, places.as_deref());
                    mean.add(&p);
                    Evaluation::of(&p, labels, classes)
                }
            };
            // A loss over finite logits is finite.
            if found.images > 0 && !found.loss.is_finite() {
                return Err(TrainError::NoProbabilities { checkpoint: path.clone(), what: images.name.clone() });
            }
            members.push(found);
            seconds += begin.elapsed().as_secs_f64();
        }
        let whole = match mean {
            None => members.first().cloned().unwrap_or_default(),
            Some(mean) => Evaluation::of(&mean.log_probabilities(), labels, classes),
        };
        Ok(EnsembleEvaluation { whole, members, seconds })
    }
}

/// What every checkpoint was trained on.
fn trained_on<'a>(read: &'a [(&Path, Checkpoint)]) -> Result<&'a Source, TrainError> {
    if let Some((path, _)) = read.iter().find(|(_, checkpoint)| checkpoint.header.without_data) {
        return Err(TrainError::WithoutData { path: path.to_path_buf() });
    }
    let Some(((first, checkpoint), others)) = read.split_first() else {
        let rule = "at least 1".to_owned();
        return Err(BadSetting::new("run", "no checkpoint", rule).into());
    };
    let data = &checkpoint.header.config.data;
    match others.iter().find(|(_, other)| other.header.config.data != *data) {
        None => Ok(data),
        Some((other, checkpoint)) => Err(TrainError::OtherData {
            first: first.to_path_buf(),
            data: data.to_string(),
            other: other.to_path_buf(),
            other_data: checkpoint.header.config.data.to_string(),
        }),
    }
}

/// Gives every checkpoint the names of the first one's classes, and for each the places of these in its own. Refuses
/// other classes: a mean over cats and dogs says nothing.
fn agree_on_classes(
    read: &mut [(&Path, Checkpoint)],
    matching: ClassMatching,
) -> Result<Vec<Option<Vec<u32>>>, TrainError> {
    let Some((first, checkpoint)) = read.first() else { return Ok(Vec::new()) };
    let (first, classes) = (first.to_path_buf(), checkpoint.header.classes.clone());
    let agree = |(path, checkpoint): &mut (&Path, Checkpoint)| {
        let theirs = std::mem::replace(&mut checkpoint.header.classes, classes.clone());
        match_classes(&theirs, &classes, matching).map_err(|difference| {
            let (has, has_other) = match difference.counts {
                [second, first] if first != second => (format!("{first} classes"), second.to_string()),
                _ => (listed(&difference.unknown), listed(&difference.missing)),
            };
            TrainError::OtherClasses { first: first.clone(), has, other: path.to_path_buf(), has_other }
        })
    };
    read.iter_mut().map(agree).collect()
}

/// Log-probabilities `[images, classes]`, of each image those at `places`.
fn in_order(p: Vec<f64>, places: Option<&[u32]>) -> Vec<f64> {
    match places {
        None => p,
        Some(places) => {
            p.chunks_exact(places.len()).flat_map(|row| places.iter().map(|&place| row[place as usize])).collect()
        }
    }
}

/// The test images of `source`, in the size that a checkpoint's model takes and with its classes.
fn test_images(
    path: &Path,
    checkpoint: &Checkpoint,
    source: &Source,
    data: &TestData,
    notes: &mut Vec<String>,
) -> Result<Dataset, TrainError> {
    let header = &checkpoint.header;
    let [channels, height, width] = header.input;
    let TestData { limit, max_pixels, memory, .. } = *data;
    let (size, channels) = (Some((height, width)), Some(channels));
    let config = &header.config;
    // What a run held out is that of its own data.
    let held_out = if *source == config.data { config.held_out() } else { HeldOut::default() };
    let (preprocessing, damaged) = (header.preprocessing, config.damaged);
    let options = LoadOptions {
        size,
        preprocessing,
        channels,
        limit,
        max_pixels,
        only_test: true,
        stored: None,
        damaged,
        held_out,
        memory,
    };
    let splits = source.load(&options)?;
    notes.extend(splits.notes);
    let test = splits.test;
    let are_named = (source.has_class_names() || !are_numbers(&test.classes))
        && !(header.without_data && are_numbers(&header.classes));
    let as_many = header.classes.len() == test.classes.len();
    let matching = if are_named { data.classes } else { ClassMatching::ByPosition };
    if !are_named && as_many && header.classes != test.classes {
        notes
            .push(format!("classes of `{}` and of {source} are matched by position: one has no names", path.display()));
    }
    match match_classes(&header.classes, &test.classes, matching) {
        Ok(None) => Ok(test),
        Ok(Some(places)) => Ok(test.with_classes(header.classes.clone(), &places)),
        Err(difference) => Err(TrainError::ClassesOfData {
            path: path.to_owned(),
            data: source.to_string(),
            difference: Box::new(difference),
        }),
    }
}
