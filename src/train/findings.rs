//! What test images have shown of a model, as a file of numbers and as pictures: the confusion of its classes, how far its
//! probabilities can be trusted, the images that it is most sure of and wrong about, and the filters of its first layer.

use super::evaluation::BINS;
use super::graphs::{Batch, evaluation_graph};
use super::run_folder::write_whole;
use super::{CalibrationBin, Evaluation, TrainError, WrongImage};
use crate::atomic_file::remove_file;
use crate::checkpoint::{Checkpoint, Header};
use crate::data::Dataset;
use crate::graph::Role;
use crate::ops::Conv2d;
use crate::report::{Confusion, Curve, Panel, Picture, Pixels, Style, Tile, Tiles};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where the numbers are.
const NUMBERS: &str = "evaluation.json";
/// The longer side of a wrong image in its file at most, and in the picture; and images in a row.
const WRONG: (usize, u32, usize) = (128, 112, 5);
/// Filters that are shown, the longer side of one, and filters in a row.
const FILTERS: (usize, u32, usize) = (64, 48, 8);

/// An evaluation, and what it is of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The model's name.
    pub model: String,
    /// Of a run, `last` or `best`; else the path.
    pub checkpoint: String,
    /// The source and the split, for people.
    pub images: String,
    /// Their names, in the order of the confusion.
    pub classes: Vec<String>,
    /// What was found.
    pub evaluation: Evaluation,
}

impl Record {
    /// The evaluation of a model's checkpoint on some images.
    pub fn new(
        model: &str,
        checkpoint: impl Into<String>,
        images: &str,
        classes: &[String],
        evaluation: &Evaluation,
    ) -> Record {
        let (model, images) = (model.to_owned(), images.to_owned());
        Record {
            model,
            checkpoint: checkpoint.into(),
            images,
            classes: classes.to_vec(),
            evaluation: evaluation.clone(),
        }
    }

    /// That which a run, or [`Findings::write`], has left in a folder; none where there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Record>, TrainError> {
        let path = folder.join(NUMBERS);
        if !path.is_file() {
            return Ok(None);
        }
        let text = crate::regular_file::read_to_string(&path).map_err(TrainError::file(&path, "read"))?;
        let damaged = |error: serde_json::Error| TrainError::file(&path, "read")(error.into());
        let record: Record = serde_json::from_str(&text).map_err(damaged)?;
        let classes = record.classes.len();
        let is_square = |rows: &Vec<Vec<usize>>| rows.len() == classes && rows.iter().all(|row| row.len() == classes);
        let are_known = record.evaluation.most_wrong.iter().all(|wrong| wrong.truth.max(wrong.predicted) < classes);
        match is_square(&record.evaluation.confusion) && are_known {
            true => Ok(Some(record)),
            false => Err(TrainError::file(&path, "read")(std::io::Error::other(format!(
                "it has {classes} classes, but its confusion or its wrong images have others"
            )))),
        }
    }

    /// The confusion of the classes.
    pub fn confusion(&self) -> Picture<'_> {
        let title = "Which class is taken for which";
        Picture::Confusion(Confusion { title, classes: &self.classes, counts: &self.evaluation.confusion })
    }

    /// How often predictions are right by how sure they are, and how many are so sure.
    pub fn reliability(&self) -> [Panel; 2] {
        let bins = &self.evaluation.calibration;
        let of = |value: &dyn Fn(&CalibrationBin) -> f64| {
            bins.iter().map(|bin| (100.0 * bin.probability, value(bin))).collect::<Vec<_>>()
        };
        let curve = |label: &str, points, style| Curve { label: label.to_owned(), points, style };
        let panel = |title: String, y_label: &str, curves| Panel {
            title,
            x_label: "probability of the prediction, %".to_owned(),
            y_label: y_label.to_owned(),
            curves,
            ..Panel::default()
        };
        // Bins are as wide as each other, and bars stand in their middles.
        let middle = |probability: f64| {
            let bin = (probability * BINS as f64).ceil().max(1.0) - 0.5;
            100.0 * bin / BINS as f64
        };
        let counts = bins.iter().map(|bin| (middle(bin.probability), bin.images as f64));
        let none = (0..BINS).map(|bin| (100.0 * (bin as f64 + 0.5) / BINS as f64, 0.0));
        let error = 100.0 * self.evaluation.calibration_error;
        [
            panel(
                format!("expected calibration error {error:.2} %"),
                "predictions that are right, %",
                vec![
                    curve("measured", of(&|bin| 100.0 * bin.accuracy), Style::DottedLine),
                    curve("as sure as right", vec![(0.0, 0.0), (100.0, 100.0)], Style::Line),
                ],
            ),
            panel(
                "how sure the predictions are".to_owned(),
                "images",
                vec![curve("images", none.chain(counts).collect(), Style::Bars)],
            ),
        ]
    }
}

/// What is left of an evaluation.
pub struct Findings<'a> {
    /// The numbers.
    pub record: Record,
    /// Those that were evaluated, in the same order.
    pub images: Option<&'a Dataset>,
    /// Of the model's first layer.
    pub filters: Option<Filters>,
}

impl Findings<'_> {
    /// Writes `evaluation.json`, and as SVG and as PNG files `confusion`, `reliability`, `wrong` and `filters`, where there
    /// is something to show, into a folder that is there. Gives the PNG files by their names without endings.
    ///
    /// # Errors
    /// When a picture cannot be drawn, or a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<(&'static str, Vec<u8>)>, TrainError> {
        let text = serde_json::to_string(&self.record).unwrap_or_default();
        write_whole(&folder.join(NUMBERS), text.as_bytes())?;
        let reliability = self.record.reliability();
        let (wrong, filters) = (self.wrong()?, self.filters.as_ref().map(Filters::tiles));
        let all = [
            ("confusion", Some(self.record.confusion())),
            ("reliability", Some(Picture::Panels(&reliability))),
            ("wrong", wrong.as_ref().map(Picture::Tiles)),
            ("filters", filters.as_ref().map(Picture::Tiles)),
        ];
        let mut drawn = Vec::new();
        for (name, picture) in all {
            match picture {
                Some(picture) => drawn.extend(write_both(folder, name, &picture)?.map(|png| (name, png))),
                // That of an earlier evaluation.
                None => {
                    ["svg", "png"].iter().try_for_each(|ending| remove(&folder.join(format!("{name}.{ending}"))))?
                }
            }
        }
        Ok(drawn)
    }

    /// The images of the wrong predictions with the highest probabilities.
    fn wrong(&self) -> Result<Option<Tiles>, TrainError> {
        let Some(images) = self.images else { return Ok(None) };
        let Record { classes, evaluation, .. } = &self.record;
        let shape = [images.channels, images.height, images.width];
        let shown = evaluation.most_wrong.iter().filter(|wrong| wrong.index < images.len());
        let tile = |wrong: &WrongImage| -> Result<Tile, TrainError> {
            let pixels = Pixels::of_planes(&images.image(wrong.index)?, shape).within(WRONG.0);
            let caption = vec![
                format!("is {}", classes[wrong.truth]),
                format!("said {}", classes[wrong.predicted]),
                format!("{:.1} % sure", 100.0 * wrong.probability),
            ];
            Ok(Tile { pixels, caption })
        };
        let tiles = shown.map(tile).collect::<Result<Vec<_>, _>>()?;
        let title = "The wrong predictions that the model is most sure of".to_owned();
        Ok((!tiles.is_empty()).then_some(Tiles { title, tiles, side: WRONG.1, columns: WRONG.2 }))
    }
}

fn remove(path: &Path) -> Result<(), TrainError> {
    match path.is_file() {
        true => remove_file(path).map_err(TrainError::file(path, "removed")),
        false => Ok(()),
    }
}

/// Writes a picture as an SVG and a PNG file, where this build draws any, and gives the latter.
pub(super) fn write_both(folder: &Path, name: &str, picture: &Picture<'_>) -> Result<Option<Vec<u8>>, TrainError> {
    if let Some(text) = picture.svg()? {
        write_whole(&folder.join(format!("{name}.svg")), text.as_bytes())?;
    }
    let png = picture.png()?;
    if let Some(bytes) = &png {
        write_whole(&folder.join(format!("{name}.png")), bytes)?;
    }
    Ok(png)
}

/// The weights of a model's first convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Filters {
    /// Of the parameter.
    pub name: String,
    /// [filters, channels, height, width].
    pub shape: [usize; 4],
    /// In that order.
    pub weights: Vec<f32>,
}

impl Filters {
    /// Of a checkpoint's model, by what `weights` says of a parameter; none where it has no convolution.
    ///
    /// # Errors
    /// When the model cannot be built, or `weights` fails.
    pub(super) fn of(
        header: &Header,
        weights: impl Fn(&str) -> Result<Vec<f32>, TrainError>,
    ) -> Result<Option<Filters>, TrainError> {
        let [channels, height, width] = header.input;
        let batch = Batch { shape: [1, channels, height, width], classes: header.classes.len() };
        let graph = evaluation_graph(&header.config, batch)?;
        let is_parameter = |value| matches!(graph.tensor(value).role, Role::Parameter { .. });
        let mut convolutions = graph.nodes().iter().filter(|node| node.op_as::<Conv2d>().is_some());
        let parameter = convolutions.find_map(|node| node.inputs.get(1).copied().filter(|&value| is_parameter(value)));
        let Some(parameter) = parameter else { return Ok(None) };
        let name = graph.tensor(parameter).name.clone();
        let &[filters, channels, height, width] = &graph.shape(parameter)[..] else { return Ok(None) };
        let weights = weights(&name)?;
        Ok(Some(Filters { name, shape: [filters, channels, height, width], weights }))
    }

    /// Of a checkpoint; none where its model has no convolution.
    ///
    /// # Errors
    /// When its model cannot be built.
    pub fn of_checkpoint(checkpoint: &Checkpoint) -> Result<Option<Filters>, TrainError> {
        let held = |name: &str| checkpoint.tensors.get(name).map(|(_, weights)| weights.clone()).unwrap_or_default();
        let filters = Filters::of(&checkpoint.header, |name| Ok(held(name)))?;
        Ok(filters.filter(|filters| filters.weights.len() == filters.shape.iter().product::<usize>()))
    }

    /// A tile for each filter, each from its least weight, dark, to its greatest, light. Those of three channels are in colour;
    /// of other numbers, a filter has a tile for each channel.
    pub fn tiles(&self) -> Tiles {
        let [filters, channels, height, width] = self.shape;
        let planes = if channels == 3 { 3 } else { 1 };
        let all = filters * channels / planes;
        let tiles: Vec<Tile> = self
            .weights
            .chunks_exact((planes * height * width).max(1))
            .take(FILTERS.0)
            .map(|weights| {
                let least = weights.iter().copied().fold(f32::INFINITY, f32::min);
                let span = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least;
                let byte =
                    |weight: &f32| if span > 0.0 { (255.0 * (weight - least) / span).round() as u8 } else { 128 };
                let bytes: Vec<u8> = weights.iter().map(byte).collect();
                Tile { pixels: Pixels::of_planes(&bytes, [planes, height, width]), caption: Vec::new() }
            })
            .collect();
        let shown = if tiles.len() < all { format!("{} of {all}", tiles.len()) } else { all.to_string() };
        let what = if planes == channels { "filters" } else { "planes of filters" };
        let title = format!("{}: {shown} {what} of {height}x{width}, each from dark to light", self.name);
        Tiles { title, tiles, side: FILTERS.1, columns: FILTERS.2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_three_channels_are_in_colour_and_others_plane_by_plane() {
        let filters = |shape: [usize; 4]| {
            let count = shape.iter().product::<usize>();
            Filters { name: "conv1.weight".to_owned(), shape, weights: (0..count).map(|i| i as f32).collect() }
        };
        let tiles = filters([2, 3, 1, 2]).tiles();
        assert_eq!(tiles.tiles.len(), 2);
        assert_eq!(tiles.tiles[0].pixels.rgb, [0, 102, 204, 51, 153, 255], "planes side by side");
        let tiles = filters([40, 2, 1, 1]).tiles();
        assert_eq!((tiles.tiles.len(), tiles.tiles[0].pixels.rgb[0]), (64, 128));
        assert!(tiles.title.starts_with("conv1.weight: 64 of 80 planes of filters"), "{}", tiles.title);
    }

    #[test]
    fn bars_stand_for_all_bins_and_the_curve_for_those_with_images() {
        let p = [0.9, 0.1, 0.9, 0.1, 0.6, 0.4].map(f64::ln);
        let evaluation = Evaluation::of(&p, &[0, 1, 0], 2);
        let classes = ["a".to_owned(), "b".to_owned()];
        let [curve, bars] = Record::new("m", "last", "two", &classes, &evaluation).reliability();
        let measured = &curve.curves[0].points;
        assert_eq!((measured.len(), measured[1].1), (2, 50.0));
        assert!((measured[1].0 - 90.0).abs() < 1e-9, "{measured:?}");
        let heights: f64 = bars.curves[0].points.iter().map(|point| point.1).sum();
        assert_eq!((heights, bars.curves[0].points.len()), (3.0, 17));
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), None);
        let evaluation = Evaluation::of(&[0.9, 0.1, 0.2, 0.8].map(f64::ln), &[0, 0], 2);
        let record = Record::new("m", "last", "two", &["a".to_owned(), "b".to_owned()], &evaluation);
        Findings { record: record.clone(), images: None, filters: None }.write(folder.path()).unwrap();
        assert_eq!(Record::read(folder.path()).unwrap(), Some(record));
        let path = folder.path().join(NUMBERS);
        let text = std::fs::read_to_string(&path).unwrap();
        for damaged in [text.replace("\"b\"", "\"b\",\"c\""), text[..text.len() / 2].to_owned()] {
            std::fs::write(&path, damaged).unwrap();
            assert!(Record::read(folder.path()).unwrap_err().to_string().contains(NUMBERS));
        }
    }
}
