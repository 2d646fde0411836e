//! `tilewright landscape` as a user meets it.

use crate::common::{Ended, tilewright};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A task for the CPU reference.
const SMALL: &[&str] =
    &["--device", "cpu", "--data", "synthetic:1x8x8:3:48", "--batch", "16", "--set", "filters=[2,3,4]"];

fn landscape(folder: &Path, arguments: &[&str]) -> Value {
    let begin = ["landscape", "cifar_cnn", "--json", "--out", folder.to_str().unwrap()];
    let Ended { stdout, .. } = tilewright(&[&begin[..], SMALL, arguments].concat(), 0);
    serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
}

fn losses(result: &Value, form: usize, run: usize) -> Vec<f64> {
    let losses = result["forms"][form]["runs"][run]["losses"].as_array().unwrap();
    losses.iter().map(|loss| loss.as_f64().unwrap()).collect()
}

#[test]
fn both_forms_are_trained_at_each_rate_and_the_table_and_picture_show_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new/landscape");
    let result = landscape(&out, &["--rates", "1e-3,1e-2,1e-1", "--steps", "6"]);
    let mut rows = 0;
    for (form, batch_norm) in [false, true].into_iter().enumerate() {
        assert_eq!(result["forms"][form]["batch_norm"], batch_norm);
        let runs: Vec<Vec<f64>> = (0..3).map(|run| losses(&result, form, run)).collect();
        assert!(runs.iter().all(|losses| losses.len() == 6), "{runs:?}");
        // The first loss is taken before a step is: the runs differ in their rate, and in nothing else.
        assert!(runs.iter().all(|losses| losses[0] == runs[0][0]), "{runs:?}");
        assert!(runs[0][5] != runs[1][5] && runs[1][5] != runs[2][5], "{runs:?}");
        let widths = (0..6).map(|step| {
            let at = || runs.iter().map(|losses| losses[step]);
            at().fold(f64::MIN, f64::max) - at().fold(f64::MAX, f64::min)
        });
        let mean = widths.sum::<f64>() / 6.0;
        assert!((result["forms"][form]["mean_width"].as_f64().unwrap() - mean).abs() < 1e-12);
        rows += runs.iter().flatten().count();
    }
    assert_ne!(losses(&result, 0, 0)[0], losses(&result, 1, 0)[0], "batch norm changes the loss");
    let table = fs::read_to_string(out.join("landscape.csv")).unwrap();
    assert_eq!(table.lines().count(), rows + 1);
    assert_eq!(table.lines().next(), Some("batch_norm,lr,step,loss"));
    let picture = fs::read_to_string(out.join("landscape.svg")).unwrap();
    let lines = picture.split("points=\"").skip(1).map(|line| line.split('"').next().unwrap().trim());
    let lines: Vec<Vec<&str>> = lines.map(|line| line.split(' ').collect()).collect();
    let around = lines.iter().filter(|points| points.len() > 2 && points.first() == points.last()).count();
    assert_eq!(around, 2 + 2, "the outlines of two bands, and of their samples in the legend");
    assert!(picture.contains("without batch norm") && picture.contains("cifar_cnn"), "{picture}");
    let again = landscape(&folder.path().join("again"), &["--rates", "1e-3,1e-2,1e-1", "--steps", "6"]);
    assert_eq!(again["forms"], result["forms"], "the same seed");
}

#[test]
fn a_run_that_diverges_ends_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--rates", "1e-3,1e-2,1e20", "--steps", "8", "--optimizer", "sgd"];
    let result = landscape(folder.path(), &arguments);
    assert!(losses(&result, 0, 2).len() < 8, "{:?}", losses(&result, 0, 2));
    assert_eq!(losses(&result, 0, 1).len(), 8);
}

#[test]
fn what_makes_no_landscape_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("none");
    let begin = ["landscape", "--device", "cpu", "--out", out.to_str().unwrap()];
    for (arguments, told) in [
        (&["lenet5"][..], "these have both: cifar_cnn, vgg11"),
        (&["cifar_cnn", "--rates", "1e-3"], "--rates is 0.001"),
        (&["cifar_cnn", "--rates", "1e-3,1e-3"], "--rates is 0.001,0.001"),
        (&["cifar_cnn", "--rates", "1e-3,-1"], "--rates is -1"),
        (&["cifar_cnn", "--rates", "1e-3,fast"], "fast"),
        (&["cifar_cnn", "--steps", "1"], "--steps is 1"),
        (&["no_net"], "no_net"),
    ] {
        let Ended { stderr, .. } = tilewright(&[&begin[..], arguments].concat(), 2);
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
    }
    assert!(!out.exists());
}
