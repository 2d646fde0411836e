//! A run as one HTML page that needs no other file: what was set, what came of it, and the pictures of it.

use super::RunSummary;
use super::html::{details, escape, figure, table};
use super::summary::settings;
use crate::path_text::lossy;
use crate::recipe::TrainConfig;
use crate::report::{Picture, base64, thousands};
use crate::train::{Record, RunFolder, TrainError};
use std::path::Path;

/// How the page looks, in light and in dark.
const STYLE: &str = include_str!("page.css");
/// Classes whose table is open from the start.
const MOST_OPEN: usize = 20;
/// Pairs of confused classes in a table.
const MOST_CONFUSED: usize = 25;

/// A run as the text of an HTML page, with its pictures within. What a run that has not ended yet lacks is said to be lacking.
///
/// # Errors
/// When a file of the run cannot be read, or a picture cannot be drawn.
pub fn page(run: &RunSummary) -> Result<String, TrainError> {
    let mut sections = vec![("curves", "Curves", curves(run)?)];
    match &run.record {
        Some(record) => {
            sections.push(("classes", "Classes", classes(record)));
            sections.push(("confusion", "Confusion", confusion(record)?));
            sections.push(("calibration", "Calibration", calibration(record)?));
        }
        None => sections.push((
            "classes",
            "Classes",
            "<p>The run has no <code>evaluation.json</code>, which is written at its end: go on with it, or evaluate a \
             checkpoint with its pictures written to the run folder, and make this page again.</p>\n"
                .to_owned(),
        )),
    }
    let pictures = [
        ("wrong", "Wrong images", "wrong.svg", wrong_words(run.record.as_ref())),
        ("filters", "First layer", "filters.svg", "The weights of the first convolution's filters".to_owned()),
        (
            "norms",
            "Norms",
            "norms.svg",
            "How large each layer's weights are, and the gradients that reach them".to_owned(),
        ),
    ];
    for (name, title, file, words) in pictures {
        if let Some(svg) = read(&run.path.join(file))? {
            sections.push((name, title, figure(&String::from_utf8_lossy(&svg), &words, true)));
        }
    }
    if let Some(png) = read(&run.path.join("augment.png"))? {
        let words = "The first training images: as they are on the left, then as the first epochs saw them";
        let image = format!("<img alt=\"{words}\" src=\"data:image/png;base64,{}\">", base64(&png));
        sections.push((
            "augmentation",
            "Augmentation",
            format!("<figure>{image}<figcaption>{words}</figcaption></figure>\n"),
        ));
    }
    sections.push(("settings", "Settings", settings_tables(&run.config)));
    sections.push(("environment", "Environment", environment(run)));
    let title = format!("{} on {}", run.config.model, run.config.data);
    let links = sections.iter().map(|(name, title, _)| format!("<li><a href=\"#{name}\">{title}</a></li>"));
    let body = sections.iter().map(|(name, title, inner)| {
        format!("<section aria-labelledby=\"{name}\">\n<h2 id=\"{name}\">{title}</h2>\n{inner}</section>\n")
    });
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n<p class=\"soft\">{}</p>\n{}</header>\n\
         <nav aria-label=\"Sections\"><ul>{}</ul></nav>\n<main>\n{}</main>\n\
         <footer><p>Written by tilewright {}.</p></footer>\n</body>\n</html>\n",
        escape(&lossy(&run.path)),
        facts(run),
        links.collect::<String>(),
        body.collect::<String>(),
        env!("CARGO_PKG_VERSION"),
        title = escape(&title),
    ))
}

/// The bytes of a file that may be absent.
fn read(path: &Path) -> Result<Option<Vec<u8>>, TrainError> {
    match path.is_file() {
        true => std::fs::read(path).map(Some).map_err(TrainError::file(path, "read")),
        false => Ok(None),
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// The figures at the head of the page.
fn facts(run: &RunSummary) -> String {
    let mut facts: Vec<(String, String)> = Vec::new();
    if let Some(Record { evaluation, checkpoint, .. }) = &run.record {
        facts.push((format!("test accuracy, {checkpoint} checkpoint"), percent(evaluation.top1)));
        facts.push(("balanced over the classes".to_owned(), percent(evaluation.balanced_accuracy())));
        if evaluation.confusion.len() > 5 {
            facts.push(("among the five likeliest".to_owned(), percent(evaluation.top5)));
        }
        facts.push(("test loss, nats".to_owned(), format!("{:.4}", evaluation.loss)));
        facts.push(("calibration error".to_owned(), percent(evaluation.calibration_error)));
    }
    if let Some(best) = run.best() {
        let title = format!("best {} accuracy, epoch {}", best.decided_on(), best.epoch);
        facts.push((title, percent(best.decided().1)));
    }
    facts.push(("epochs".to_owned(), format!("{} of {}", run.epochs.len(), run.config.epochs)));
    facts.push(("training".to_owned(), duration(run.seconds())));
    facts.push(("images/s in training".to_owned(), format!("{:.0}", run.images_per_second())));
    facts.extend(run.parameters.map(|count| ("parameters".to_owned(), thousands(count))));
    let rows =
        facts.iter().map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value)));
    format!("<dl class=\"facts\">\n{}</dl>\n", rows.collect::<String>())
}

fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

fn curves(run: &RunSummary) -> Result<String, TrainError> {
    let mut text = "<div class=\"pair\">\n".to_owned();
    for panel in RunFolder::curves(&run.path)? {
        let told = match run.best() {
            Some(best) if !panel.marks.is_empty() => {
                format!("{}; the best epoch is {} of {}", panel.title, best.epoch, run.epochs.len())
            }
            _ => panel.title.clone(),
        };
        if let Some(svg) = Picture::Panels(&[panel]).svg()? {
            text += &figure(&svg, &told, false);
        }
    }
    text += "</div>\n";
    let titles = ["epoch", "training loss", "training accuracy, %", "loss", "accuracy, %", "images/s", "seconds"];
    let rows: Vec<Vec<String>> = run
        .epochs
        .iter()
        .map(|row| {
            let (loss, accuracy) = row.decided();
            vec![
                row.epoch.to_string(),
                format!("{:.4}", row.train_loss),
                format!("{:.2}", 100.0 * row.train_accuracy),
                format!("{loss:.4}"),
                format!("{:.2}", 100.0 * accuracy),
                format!("{:.0}", row.images_per_second),
                format!("{:.1}", row.seconds),
            ]
        })
        .collect();
    let part = run.epochs.first().map_or("test", |row| row.decided_on());
    let caption = format!("Each epoch; loss and accuracy are those on the {part} images, unless they are of training");
    Ok(text + &details("The epochs as a table", &table(&caption, &titles, &rows)))
}

fn classes(record: &Record) -> String {
    let Record { evaluation, classes, images, checkpoint, .. } = record;
    let rows: Vec<Vec<String>> = classes
        .iter()
        .zip(evaluation.class_scores())
        .map(|(class, score)| {
            let shares = [score.precision, score.recall, score.f1].map(|share| format!("{:.2}", 100.0 * share));
            [class.clone()].into_iter().chain(shares).chain([score.support.to_string()]).collect()
        })
        .collect();
    let caption =
        format!("How well each class is told: the {checkpoint} checkpoint on {} images, {images}", evaluation.images);
    let table = table(&caption, &["class", "precision, %", "recall, %", "F1, %", "images"], &rows);
    if classes.len() > MOST_OPEN { details(&format!("All {} classes", classes.len()), &table) } else { table }
}

fn confusion(record: &Record) -> Result<String, TrainError> {
    let classes = record.classes.len();
    let told = format!(
        "The confusion of {classes} classes, in images and in shares of the true class; the table has the largest"
    );
    let picture = record.confusion().svg()?.map_or(String::new(), |svg| figure(&svg, &told, true));
    let pairs: Vec<Vec<String>> = record
        .evaluation
        .most_confused(MOST_CONFUSED)
        .iter()
        .map(|pair| {
            let [truth, predicted] = [pair.truth, pair.predicted].map(|class| record.classes[class].clone());
            vec![truth, predicted, pair.images.to_string(), format!("{:.2}", 100.0 * pair.share)]
        })
        .collect();
    if pairs.is_empty() {
        return Ok(picture + "<p>Every test image is told rightly.</p>\n");
    }
    let table =
        table("The pairs that are confused most often", &["class", "taken for", "images", "of the class, %"], &pairs);
    Ok(picture + &details("The pairs as a table", &table))
}

fn calibration(record: &Record) -> Result<String, TrainError> {
    let mut text = "<div class=\"pair\">\n".to_owned();
    let told = [
        "How often predictions are right, by how sure the model is; on the straight line they are as often right as they say",
        "How many predictions are so sure",
    ];
    for (panel, told) in record.reliability().into_iter().zip(told) {
        if let Some(svg) = Picture::Panels(&[panel]).svg()? {
            text += &figure(&svg, told, false);
        }
    }
    Ok(text + "</div>\n")
}

/// What the picture of wrong images shows, in words.
fn wrong_words(record: Option<&Record>) -> String {
    let told = "The test images that the model is most sure of and wrong about";
    let Some(Record { classes, evaluation, .. }) = record else { return told.to_owned() };
    let first = evaluation.most_wrong.first().map(|wrong| {
        let [truth, predicted] = [wrong.truth, wrong.predicted].map(|class| &classes[class]);
        format!("; the first shows {truth} and is taken for {predicted} with {:.1} %", 100.0 * wrong.probability)
    });
    told.to_owned() + &first.unwrap_or_default()
}

fn settings_tables(config: &TrainConfig) -> String {
    let defaults = settings(&TrainConfig::default());
    let is_default = |pair: &(String, String)| pair.0 != "model" && defaults.contains(pair);
    let (usual, own): (Vec<_>, Vec<_>) = settings(config).into_iter().partition(is_default);
    let rows = |pairs: &[(String, String)]| -> Vec<Vec<String>> {
        pairs.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect()
    };
    let titles = ["setting", "value"];
    let text = table("What differs from the defaults", &titles, &rows(&own))
        + &details("The settings that have their defaults", &table("Defaults", &titles, &rows(&usual)));
    text.replace("<table>", "<table class=\"words\">")
}

fn environment(run: &RunSummary) -> String {
    let mut rows = vec![vec!["tilewright".to_owned(), env!("CARGO_PKG_VERSION").to_owned()]];
    if let Some(record) = &run.config.run {
        rows.push(vec!["device".to_owned(), record.device.clone()]);
        rows.push(vec!["classes".to_owned(), record.classes.len().to_string()]);
        for (name, split) in &record.splits {
            let [channels, height, width] = split.shape;
            let images: usize = split.counts.iter().sum();
            let told = format!("{images} of {channels}x{height}x{width}, CRC-32C {} of their bytes", split.images);
            rows.push(vec![format!("{name} images"), told]);
        }
    }
    let text = table("Where it ran, and on what", &["", ""], &rows).replace("<table>", "<table class=\"words\">");
    let recipe = run.path.join("config.toml");
    format!("{text}<p>The run again:</p>\n<pre>tilewright train &#45;&#45;recipe {}</pre>\n", escape(&lossy(&recipe)))
}
