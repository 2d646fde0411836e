//! The curves of a run: loss, accuracy and learning rate of its steps and epochs.

use super::run_folder::{EpochRow, StepRow};
use crate::report::{Across, Curve, Mark, Panel, Style};

/// Points of a curve of steps at most; beyond, neighbours are averaged.
const MOST_POINTS: usize = 300;

/// Loss, accuracy and learning rate over epochs: training by steps, test by epochs.
pub(super) fn panels(model: &str, steps: &[StepRow], epochs: &[EpochRow]) -> [Panel; 3] {
    let steps_per_epoch = steps.iter().filter(|row| row.epoch == 1).count().max(1) as f64;
    let training = |label: &str, value: fn(&StepRow) -> f64| Curve {
        label: label.to_owned(),
        points: steps
            .chunks(steps.len().div_ceil(MOST_POINTS).max(1))
            .map(|rows| rows.iter().filter(|row| row.loss.is_finite()).collect::<Vec<_>>())
            // All of them skipped.
            .filter(|rows| !rows.is_empty())
            .map(|rows| {
                let mean =
                    |of: &dyn Fn(&StepRow) -> f64| rows.iter().map(|row| of(row)).sum::<f64>() / rows.len() as f64;
                (mean(&|row| (row.step as f64 + 1.0) / steps_per_epoch), mean(&|row| value(row)))
            })
            .collect(),
        style: Style::Line,
    };
    let test = |value: fn(&EpochRow) -> f64| Curve {
        label: epochs.first().map_or("test", EpochRow::decided_on).to_owned(),
        points: epochs.iter().map(|row| (row.epoch as f64, value(row))).collect(),
        style: Style::DottedLine,
    };
    let percent = |mut curve: Curve| {
        curve.points.iter_mut().for_each(|point| point.1 *= 100.0);
        curve
    };
    let panel = |what: &str, y_label: &str, curves| Panel {
        title: format!("{model}: {what}"),
        x_label: "epoch".to_owned(),
        y_label: y_label.to_owned(),
        across: Across::Whole,
        curves,
        marks: best(epochs).into_iter().collect(),
        ..Panel::default()
    };
    [
        panel(
            "loss",
            "cross-entropy, nats",
            vec![training("training", |row| f64::from(row.loss)), test(|row| row.decided().0)],
        ),
        panel(
            "accuracy",
            "accuracy, %",
            vec![percent(training("training", |row| f64::from(row.accuracy))), percent(test(|row| row.decided().1))],
        ),
        Panel {
            marks: Vec::new(),
            ..panel("learning rate", "learning rate", vec![training("learning rate", |row| row.lr)])
        },
    ]
}

/// The last of the epochs with the highest accuracy: the best checkpoint is of that one.
fn best(epochs: &[EpochRow]) -> Option<Mark> {
    let best = epochs.iter().max_by(|a, b| a.decided().1.total_cmp(&b.decided().1))?;
    let label = format!("best: epoch {}, {:.2} %", best.epoch, 100.0 * best.decided().1);
    Some(Mark { label, x: best.epoch as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_steps_are_averaged_and_end_where_the_last_epoch_ends() {
        let row = |step| StepRow {
            step,
            epoch: step / 500 + 1,
            lr: 0.1,
            loss: 2.0,
            accuracy: if step % 2 == 0 { 0.5 } else { 0.0 },
        };
        let steps: Vec<StepRow> = (0..1000).map(row).collect();
        let epochs = [EpochRow { epoch: 1, test_loss: Some(1.0), test_accuracy: Some(0.75), ..EpochRow::default() }];
        let [loss, accuracy, rate] = panels("lenet5", &steps, &epochs);
        let points = &loss.curves[0].points;
        assert_eq!((points.len(), points[0]), (250, (2.5 / 500.0, 2.0)));
        assert!((points[249].0 - 2.0).abs() < 0.01, "{:?}", points[249]);
        assert_eq!(accuracy.curves[0].points[0].1, 25.0);
        assert_eq!(accuracy.curves[1].points, [(1.0, 75.0)]);
        assert!(rate.curves[0].points.iter().all(|point| (point.1 - 0.1).abs() < 1e-12));
        assert_eq!(accuracy.marks, [Mark { label: "best: epoch 1, 75.00 %".to_owned(), x: 1.0 }]);
        assert!(
            panels("lenet5", &[], &[]).iter().all(|panel| panel.curves.iter().all(|curve| curve.points.is_empty()))
        );
    }
}
