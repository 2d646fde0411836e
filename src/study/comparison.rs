//! Several runs side by side: a table and a chart.

use super::RunSummary;
use super::summary::settings;
use crate::path_text::lossy;
use crate::report::{Across, Curve, Panel, Style, Table};
use crate::train::{EpochRow, TrainError};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Runs, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// At least one.
    pub runs: Vec<RunSummary>,
}

impl Comparison {
    /// Reads run folders.
    ///
    /// # Errors
    /// When one is none, or a file of it cannot be read.
    pub fn read(paths: &[PathBuf]) -> Result<Comparison, TrainError> {
        let runs = paths.iter().map(|path| RunSummary::read(path)).collect::<Result<_, _>>()?;
        Ok(Comparison { runs })
    }

    /// The settings that are not the same in all runs, each with the value of each run.
    pub fn differing(&self) -> Vec<(String, Vec<String>)> {
        let all: Vec<Vec<(String, String)>> = self.runs.iter().map(|run| settings(&run.config)).collect();
        let mut names: Vec<&String> = Vec::new();
        for (name, _) in all.iter().flatten() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let by_name: Vec<BTreeMap<&String, &String>> =
            all.iter().map(|run| run.iter().map(|(name, value)| (name, value)).collect()).collect();
        let values = |name: &String| -> Vec<String> {
            let value =
                |run: &BTreeMap<&String, &String>| run.get(name).map_or("none".to_owned(), |&value| value.clone());
            by_name.iter().map(value).collect()
        };
        let rows = names.into_iter().map(|name| (name.clone(), values(name)));
        rows.filter(|(_, values)| values.windows(2).any(|pair| pair[0] != pair[1])).collect()
    }

    /// A row for each run: the settings that differ, and what came of them.
    pub fn table(&self) -> Table {
        let differing = self.differing();
        let parts = self.parts();
        let found = [
            format!("best {parts} accuracy, %"),
            "its epoch".to_owned(),
            "epochs done".to_owned(),
            format!("least {parts} loss"),
            "time, s".to_owned(),
            "images/s".to_owned(),
            "parameters".to_owned(),
        ];
        let titles = ["run".to_owned()].into_iter().chain(differing.iter().map(|(name, _)| name.clone())).chain(found);
        let mut table = Table::new(titles);
        for (index, run) in self.runs.iter().enumerate() {
            let none = || "none".to_owned();
            let own = differing.iter().map(|(_, values)| values[index].replace('|', "\\|"));
            let best = run.best();
            let found = [
                best.map_or_else(none, |row| format!("{:.2}", 100.0 * row.decided().1)),
                best.map_or_else(none, |row| row.epoch.to_string()),
                run.epochs.len().to_string(),
                least_loss(run).map_or_else(none, |loss| format!("{loss:.4}")),
                format!("{:.1}", run.seconds()),
                format!("{:.0}", run.images_per_second()),
                run.parameters.map_or_else(none, |count| count.to_string()),
            ];
            table.row([lossy(&run.path)].into_iter().chain(own).chain(found));
        }
        table
    }

    /// `test`, `validation` or `deciding`: what the accuracies of all runs are on.
    fn parts(&self) -> &'static str {
        let mut parts = self.runs.iter().filter_map(|run| run.epochs.first()).map(EpochRow::decided_on);
        match parts.next() {
            None => "test",
            Some(part) if parts.all(|other| other == part) => part,
            Some(_) => "deciding",
        }
    }

    /// The names of the folders, or their paths where two have the same name.
    fn names(&self) -> Vec<String> {
        let own =
            |run: &RunSummary| run.path.file_name().map_or_else(|| lossy(&run.path), |name| lossy(Path::new(name)));
        let names: Vec<String> = self.runs.iter().map(own).collect();
        let is_shared = names.iter().enumerate().any(|(index, name)| names[..index].contains(name));
        if is_shared { self.runs.iter().map(|run| lossy(&run.path)).collect() } else { names }
    }

    /// Accuracy and loss over the epochs, and accuracy over the time of training.
    pub fn panels(&self) -> Vec<Panel> {
        let names = self.names();
        let curves = |point: &dyn Fn(&EpochRow, f64) -> (f64, f64)| -> Vec<Curve> {
            let curve = |(run, name): (&RunSummary, &String)| {
                let mut seconds = 0.0;
                let points = run.epochs.iter().map(|row| {
                    seconds += row.seconds;
                    point(row, seconds)
                });
                Curve { label: name.clone(), points: points.collect(), style: Style::DottedLine }
            };
            self.runs.iter().zip(&names).map(curve).collect()
        };
        let part = self.parts();
        let panel = |title: String, x_label: &str, y_label: &str, across, curves| Panel {
            title,
            x_label: x_label.to_owned(),
            y_label: y_label.to_owned(),
            across,
            curves,
            ..Panel::default()
        };
        let accuracy = |row: &EpochRow| 100.0 * row.decided().1;
        vec![
            panel(
                format!("{part} accuracy"),
                "epoch",
                "accuracy, %",
                Across::Whole,
                curves(&|row, _| (row.epoch as f64, accuracy(row))),
            ),
            panel(
                format!("{part} loss"),
                "epoch",
                "cross-entropy, nats",
                Across::Whole,
                curves(&|row, _| (row.epoch as f64, row.decided().0)),
            ),
            panel(
                format!("{part} accuracy by time"),
                "seconds of training",
                "accuracy, %",
                Across::Linear,
                curves(&|row, seconds| (seconds, accuracy(row))),
            ),
        ]
    }

    /// All of it for programs.
    pub fn to_json(&self) -> Value {
        let differing = self.differing();
        let run = |(index, run): (usize, &RunSummary)| {
            let best = run.best();
            let own = differing.iter().map(|(name, values)| (name.clone(), Value::from(values[index].clone())));
            json!({
                "run": lossy(&run.path),
                "model": run.config.model,
                "settings": own.collect::<Map<_, _>>(),
                "measured_on": best.map(EpochRow::decided_on),
                "best_accuracy": best.map(|row| row.decided().1),
                "best_epoch": best.map(|row| row.epoch),
                "epochs": run.epochs.len(),
                "least_loss": least_loss(run),
                "seconds": run.seconds(),
                "images_per_second": run.images_per_second(),
                "parameters": run.parameters,
            })
        };
        let differing: Vec<&String> = differing.iter().map(|(name, _)| name).collect();
        json!({ "runs": self.runs.iter().enumerate().map(run).collect::<Vec<_>>(), "differing": differing })
    }
}

fn least_loss(run: &RunSummary) -> Option<f64> {
    run.epochs.iter().map(|row| row.decided().0).filter(|loss| loss.is_finite()).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::TrainConfig;

    fn run(path: &str, lr: f64, accuracies: &[f64]) -> RunSummary {
        let row = |(index, &accuracy): (usize, &f64)| {
            let mut row = EpochRow::default();
            (row.epoch, row.seconds, row.images_per_second) = (index as u64 + 1, 2.0, 50.0);
            (row.test_loss, row.test_accuracy) = (Some(1.0 - accuracy), Some(accuracy));
            row
        };
        let config = TrainConfig { lr, ..TrainConfig::default() };
        let epochs = accuracies.iter().enumerate().map(row).collect();
        RunSummary { path: path.into(), config, epochs, record: None, parameters: Some(7) }
    }

    #[test]
    fn a_table_has_the_settings_that_differ_and_no_others() {
        let comparison = Comparison { runs: vec![run("a", 0.1, &[0.5, 0.75, 0.25]), run("b", 0.2, &[])] };
        assert_eq!(comparison.differing(), [("lr".to_owned(), vec!["0.1".to_owned(), "0.2".to_owned()])]);
        let table = comparison.table().to_markdown();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
        assert_eq!(lines[0][1..5], ["run", "lr", "best test accuracy, %", "its epoch"]);
        assert_eq!(lines[2][1..9], ["a", "0.1", "75.00", "2", "3", "0.2500", "6.0", "50"]);
        assert_eq!(lines[3][1..7], ["b", "0.2", "none", "none", "0", "none"]);
        let told = comparison.to_json();
        assert_eq!(told["runs"][0]["settings"], json!({ "lr": "0.1" }));
        assert_eq!((&told["runs"][0]["best_epoch"], &told["runs"][1]["best_accuracy"]), (&json!(2), &Value::Null));
    }

    #[test]
    fn an_attribute_of_one_model_alone_is_a_difference() {
        let mut other = run("b", 0.1, &[0.5]);
        other.config.attributes.insert("dropout".to_owned(), 0.5.into());
        let comparison = Comparison { runs: vec![run("a", 0.1, &[0.5]), other] };
        assert_eq!(comparison.differing(), [("model.dropout".to_owned(), vec!["none".to_owned(), "0.5".to_owned()])]);
    }

    #[test]
    fn the_chart_has_a_curve_for_each_run_over_epochs_and_over_time() {
        let panels = Comparison { runs: vec![run("a", 0.1, &[0.5, 0.75]), run("b", 0.1, &[0.25])] }.panels();
        assert_eq!(panels[0].curves[0].points, [(1.0, 50.0), (2.0, 75.0)]);
        assert_eq!(panels[1].curves[1].points, [(1.0, 0.75)]);
        assert_eq!(panels[2].curves[0].points, [(2.0, 50.0), (4.0, 75.0)]);
    }
}
