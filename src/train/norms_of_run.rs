//! The norms of a run's layers after each of its epochs: which layer stops to learn, and when.

use super::norms::{NormMeter, draw_norms};
use super::run_folder::write_table;
use super::{LayerNorm, RunFolder, TrainError, Trainer};
use crate::checkpoint::Checkpoint;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A row of `norms.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    epoch: u64,
    name: String,
    elements: usize,
    weight_norm: f64,
    gradient_norm: f64,
}

/// Epochs that the picture has at most: more curves are not told apart.
const MOST_DRAWN: usize = 5;

impl Trainer {
    /// Measures the norms of a checkpoint after epoch `epoch`, where the configuration asks for them, and adds them to the run
    /// folder's table and picture.
    pub(super) fn note_norms(&mut self, epoch: u64, checkpoint: &Checkpoint) -> Result<(), TrainError> {
        if !self.header.config.norms {
            return Ok(());
        }
        let device = self.runner.session.device().clone();
        let meter = match &mut self.norms {
            Some(meter) => meter,
            None => {
                let images = self.splits.deciding();
                self.norms.insert(NormMeter::new(&self.header, images, self.resolved.part(), &device)?)
            }
        };
        let folder = self.folder.path().to_owned();
        let norms = meter.measure(checkpoint, &RunFolder::checkpoint(&folder))?;
        self.folder.write_norm_events(&norms, self.header.progress.step - 1)?;
        let path = folder.join("norms.csv");
        let mut rows = rows_before(&path, epoch)?;
        rows.extend(norms.into_iter().map(|norm| Row::of(epoch, norm)));
        write_table(&path, &rows)?;
        draw_norms(&drawn(rows), &folder)
    }
}

impl Row {
    fn of(epoch: u64, LayerNorm { name, elements, weight_norm, gradient_norm }: LayerNorm) -> Row {
        Row { epoch, name, elements, weight_norm, gradient_norm }
    }
}

/// The rows of earlier epochs. Those of later ones are of before a resume from an earlier checkpoint; a damaged one costs itself.
fn rows_before(path: &Path, epoch: u64) -> Result<Vec<Row>, TrainError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read(path).map_err(TrainError::file(path, "read"))?;
    let rows = csv::Reader::from_reader(&text[..]).into_deserialize::<Row>().filter_map(Result::ok).collect::<Vec<_>>();
    Ok(rows.into_iter().filter(|row| row.epoch < epoch).collect())
}

/// The first epoch, the last, and some between them, each with its norms.
fn drawn(rows: Vec<Row>) -> Vec<(String, Vec<LayerNorm>)> {
    let mut epochs: Vec<(u64, Vec<LayerNorm>)> = Vec::new();
    for Row { epoch, name, elements, weight_norm, gradient_norm } in rows {
        let norm = LayerNorm { name, elements, weight_norm, gradient_norm };
        match epochs.last_mut() {
            Some((last, norms)) if *last == epoch => norms.push(norm),
            _ => epochs.push((epoch, vec![norm])),
        }
    }
    let count = epochs.len();
    let wanted: Vec<usize> = match count <= MOST_DRAWN {
        true => (0..count).collect(),
        false => (0..MOST_DRAWN).map(|place| place * (count - 1) / (MOST_DRAWN - 1)).collect(),
    };
    let chosen = epochs.into_iter().enumerate().filter(|(index, _)| wanted.contains(index));
    chosen.map(|(_, (epoch, norms))| (format!("after epoch {epoch}"), norms)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::TrainConfig;
    use crate::session::Device;
    use crate::train::Silent;

    fn row(epoch: u64, name: &str) -> Row {
        Row { epoch, name: name.to_owned(), elements: 1, weight_norm: 1.0, gradient_norm: 0.5 }
    }

    #[test]
    fn of_many_epochs_the_first_the_last_and_some_between_are_drawn() {
        let rows = (1..=9).flat_map(|epoch| [row(epoch, "a"), row(epoch, "b")]).collect();
        let sets = drawn(rows);
        let names: Vec<&str> = sets.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [1, 3, 5, 7, 9].map(|epoch| format!("after epoch {epoch}")));
        assert!(sets.iter().all(|(_, norms)| norms.len() == 2));
        assert_eq!(drawn(vec![row(4, "a")]).len(), 1);
    }

    #[test]
    fn a_run_notes_norms_and_goes_on_with_those_of_the_epochs_that_are_kept() {
        let config = |epochs, norms| {
            let mut config = TrainConfig::for_model("lenet5").unwrap();
            config.data = "synthetic:1x28x28:2:12".parse().unwrap();
            (config.epochs, config.batch, config.norms) = (epochs, 6, norms);
            config
        };
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, norms| {
            let path = folder.path().join(name);
            Trainer::create(config(2, norms), &Device::reference(), Some(&path)).unwrap().run(&mut Silent).unwrap();
            path
        };
        let (with, without) = (run("with", true), run("without", false));
        let weights = |path: &Path| crate::checkpoint::load_checkpoint(&RunFolder::checkpoint(path)).unwrap().tensors;
        assert_eq!(weights(&with), weights(&without), "it changes no bit");
        assert!(!without.join("norms.csv").exists());
        let table = with.join("norms.csv");
        let rows = rows_before(&table, u64::MAX).unwrap();
        let of = |epoch| rows.iter().filter(|row| row.epoch == epoch).collect::<Vec<_>>();
        assert_eq!((of(1).len(), of(2).len()), (5, 5));
        assert!(rows.iter().all(|row| row.weight_norm > 0.0 && row.gradient_norm > 0.0));
        assert_ne!(of(1)[0].weight_norm, of(2)[0].weight_norm);
        let last = &weights(&with)["conv1.weight"].1;
        let norm = last.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        assert!((of(2)[0].weight_norm / norm - 1.0).abs() < 1e-9, "that of the checkpoint");
        // A row that is damaged, and those of epochs that are done again.
        std::fs::write(&table, std::fs::read_to_string(&table).unwrap().replacen("1,conv1", "x,conv1", 1)).unwrap();
        assert_eq!(rows_before(&table, 2).unwrap().len(), 4);
        assert!(rows_before(&folder.path().join("none.csv"), 2).unwrap().is_empty());
    }
}
