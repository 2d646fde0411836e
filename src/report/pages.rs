//! The pages of docs/ that are written by `tilewright docs`, so that they stay true.

use super::published::published;
use crate::data::{Augmentations, Source};
use crate::models::{self, ModelError, ModelOptions};
use crate::nn::Mode;
use crate::ops::card::{Chapter, Entry};
use crate::ops::{self, card::Card};
use crate::optim::{self, Attribute, Listing, LossFunction, Optimizer, RunAverage};
use crate::recipe::{Kind, ROWS, Row, TrainConfig};
use std::fmt::Write as _;

/// A page under docs/ that a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// All ops, with their formulas, costs and kernels.
    Ops,
    /// All models, with their sizes and attributes.
    Models,
    /// All settings of training.
    Settings,
}

impl Page {
    /// Every page.
    pub const ALL: [Page; 3] = [Page::Ops, Page::Models, Page::Settings];

    /// Its path in the repository.
    pub fn path(self) -> &'static str {
        match self {
            Page::Ops => "docs/ops.md",
            Page::Models => "docs/models.md",
            Page::Settings => "docs/settings.md",
        }
    }

    /// Its text.
    ///
    /// # Errors
    /// When a model cannot be built.
    pub fn text(self) -> Result<String, ModelError> {
        match self {
            Page::Ops => Ok(ops()),
            Page::Models => models_page(),
            Page::Settings => Ok(settings()),
        }
    }
}

fn ops() -> String {
    let mut text = String::from(
        "<!-- Written by `tilewright docs ops`; do not edit. -->\n\n\
         # Ops\n\n\
         Every op that a graph can hold: what it computes, the shapes it takes and gives, how its gradient is \
         computed, the shader files of all its variants, and its floating point operations. A multiply-add \
         counts as two. Unless its row says otherwise, an op reads every input once and writes every output \
         once: these are the bytes that `profile` and `bench` count. An op whose gradient is `none` is a \
         backward op, a metric or a part of the update, and is not differentiated.\n\n\
         The facts stand on the cards of src/ops and src/optim; a test holds names and shader files against the ops.\n",
    );
    let cards: Vec<&Card> = ops::ALL.iter().copied().chain([&optim::CARD]).collect();
    for chapter in Chapter::ALL {
        let entries = cards.iter().filter(|card| card.chapter == chapter).flat_map(|card| card.ops);
        let rows = entries.map(|entry: &Entry| {
            let shaders: Vec<String> = entry.shaders.iter().map(|name| shader_link(name)).collect();
            let shaders = if shaders.is_empty() { "a view, none".to_owned() } else { shaders.join(", ") };
            [
                format!("`{}`", entry.name),
                entry.computes.to_owned(),
                entry.shapes.to_owned(),
                entry.gradient.to_owned(),
                shaders,
                entry.flops.to_owned(),
            ]
        });
        write_chapter(&mut text, chapter.title());
        write_table(&mut text, ["op", "computes", "shapes", "gradient", "shaders", "FLOPs"], rows);
    }
    write_chapter(&mut text, "Shared pieces");
    let rows = ops::SHARED.iter().map(|&(name, what)| [shader_link(name), what.to_owned()]);
    write_table(&mut text, ["file", "what it is"], rows);
    text
}

fn settings() -> String {
    let mut text = String::from(
        "<!-- Written by `tilewright docs settings`; do not edit. -->\n\n\
         # Settings\n\n\
         What `schedule`, `optimizer`, `loss`, `average` and `data` take, on the command line, in a recipe and in a sweep: a name, and \
         after a colon attributes as `NAME=VALUE` with commas between them. A list is written `3,5`, `[3,5]` or `3+5`. In \
         a recipe, a schedule or an optimizer may also be a table with `name` and its attributes. The attributes of \
         models are in [models.md](models.md#attributes).\n",
    );
    write_chapter(&mut text, "All settings");
    text.push_str(
        "Keys of a recipe beside `model`. The command line has hyphens in place of underscores, and takes one item of a \
         list at a time. There and in a sweep `none` stands for no value, where a text has none by default. A sweep varies what does not decide which images there are.\n\n",
    );
    let spelled = |text: &str| Row::spelled(text, |name| format!("`{name}`"));
    let rows = ROWS.iter().map(|row| {
        let default = match row.otherwise {
            "" => row.get(&TrainConfig::default()).map_or_else(|| "none".to_owned(), |value| value.to_string()),
            otherwise => spelled(otherwise),
        };
        let values = match (row.range.rule, row.kind) {
            ("", kind) => kind.to_string(),
            (rule, Kind::List) => format!("a list: {rule}"),
            (rule, Kind::Text | Kind::Path) => rule.to_owned(),
            (rule, _) if rule.starts_with("a ") => rule.to_owned(),
            (rule, kind) => format!("{kind}, {rule}"),
        };
        let varies = if row.varies { "yes" } else { "no" };
        let about = [row.about, row.more].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(". ");
        [format!("`{}`", row.name), row.unit.to_owned(), values, default, varies.to_owned(), spelled(&about)]
    });
    write_table(&mut text, ["setting", "written", "values", "default", "in sweeps", "what it does"], rows);
    write_chapter(&mut text, "Schedules");
    text.push_str(
        "The learning rate in step t = 0, 1, ..., with lr the base rate. A number of steps may be written in epochs: \
         `30epochs`, `0.5epochs`. What has an end ends with the run where no length is given, behind a warm-up too. \
         Attributes are named and defaulted as in PyTorch, apart from these lengths.\n\n",
    );
    let rows = optim::schedule::all()
        .into_iter()
        .map(|form| [format!("`{}`", form.name), form.formula.to_owned(), cell(form.attributes)]);
    write_table(&mut text, ["schedule", "rate", "attributes: what they are; values; default"], rows);
    write_chapter(&mut text, "Optimizers");
    text.push_str(
        "With their attributes and the defaults of these, which are PyTorch's where it has the optimizer.\n\n",
    );
    let rows = Optimizer::all().into_iter().map(|optimizer| {
        let name = format!("[`{}`](../shaders/{}.wgsl)", optimizer.name(), optimizer.shader());
        [name, optimizer.rule().about().to_owned(), cell(optimizer.rule().attributes())]
    });
    write_table(
        &mut text,
        ["optimizer", "the direction that parameters go down", "attributes: what they are; values; default"],
        rows,
    );
    write_chapter(&mut text, "Losses");
    let row = |form: Listing| [format!("`{}`", form.name), form.about.to_owned(), cell(form.attributes)];
    let titles = [
        "loss",
        "what it is, of the label of a row; its mean over rows is made small",
        "attributes: what they are; values; default",
    ];
    write_table(&mut text, titles, LossFunction::FORMS.map(row));
    write_chapter(&mut text, "Averages of the weights");
    text.push_str(
        "Training goes on with the weights w; what is evaluated, kept as the best and exported is the average. A \
         checkpoint has it under the model's names, and w under `optimizer.raw.NAME`. With `ema`, the running statistics \
         of batch norm are those of w.\n\n",
    );
    let titles = ["average", "what it is", "attributes: what they are; values; default"];
    write_table(&mut text, titles, RunAverage::FORMS.map(row));
    write_chapter(&mut text, "Augmentations");
    text.push_str(
        "What `augment` lists, with commas between them: `crop:padding=4,flip,cutout`. Each is drawn anew for each image and \
         epoch, from the seed alone: equally on every device, and after a resume. `erase` and `cutout` are done to normalised \
         images and come after the others, and `mixup` and `cutmix`, which mix the images of a batch, come last.\n\n",
    );
    let titles = ["change", "what becomes of an image", "attributes: what they are; values; default"];
    write_table(&mut text, titles, Augmentations::forms().map(row));
    write_chapter(&mut text, "Data");
    let rows = Source::forms().map(|(form, images)| [format!("`{form}`"), images.to_owned()]);
    write_table(&mut text, ["source", "images"], rows);
    text
}

/// What each attribute is, its values and its default, in one cell of a table.
fn cell(rows: &[Attribute]) -> String {
    let told = rows
        .iter()
        .map(|row| format!("`{}`: {}; {}; {}", row.name, row.about, row.takes.describe(), row.takes.default_text()));
    told.collect::<Vec<_>>().join("<br>")
}

fn shader_link(name: &str) -> String {
    format!("[{name}](../shaders/{name}.wgsl)")
}

fn models_page() -> Result<String, ModelError> {
    let mut text = String::from(
        "<!-- Written by `tilewright docs models`; do not edit. -->\n\n\
         # Models\n\n\
         Every model that `tilewright train MODEL` takes, with its default options: the image it is made for, its \
         trainable parameters, and the multiply-adds of its convolutions, linear layers and matrix products for \
         one image, in units of 10^9. Published numbers stand beside them: torchvision's documentation of its \
         weights, or the paper's table for the `_v1` networks. They are empty where no published count is for the \
         same network.\n\n\
         `tilewright summary MODEL` shows a model layer by layer, and its attributes.\n\n",
    );
    let mut rows = Vec::new();
    for model in models::all() {
        let graph = model.graph(&ModelOptions::new(), 1, Mode::Eval)?.graph;
        let [channels, height, width] = model.input;
        let known = published(model.name);
        rows.push([
            format!("`{}`", model.name),
            model.source.to_owned(),
            format!("{channels}x{height}x{width}"),
            thousands(graph.parameter_count()),
            known.parameters.map(thousands).unwrap_or_default(),
            giga(graph.multiply_adds() as f64 / 1e9),
            known.giga_multiply_adds.unwrap_or_default().to_owned(),
        ]);
    }
    let titles = ["model", "source", "image", "parameters", "published", "GMACs", "published"];
    write_table(&mut text, titles, rows);
    write_chapter(&mut text, "Attributes");
    text.push_str(
        "What a model can be asked for besides `num_classes`, `image_size` (one number, or `[height,width]`) and \
         `input_channels`, with the defaults; of words, the first is the default. `stem=cifar` is for images of about \
         32x32: the first convolution has stride 1, and no pooling follows it. A value that a model cannot be built \
         with is refused with the reason.\n\n",
    );
    write_table(&mut text, ["models", "attributes"], attributes());
    Ok(text)
}

/// The models that take the same, and what they take.
fn attributes() -> Vec<[String; 2]> {
    let mut rows: Vec<[String; 2]> = Vec::new();
    for model in models::all() {
        let own = model.own_attributes().collect::<Vec<_>>().join(", ");
        let name = format!("`{}`", model.name);
        match rows.iter_mut().find(|[_, attributes]| *attributes == own) {
            Some([names, _]) => *names += &format!(", {name}"),
            None => rows.push([name, own]),
        }
    }
    rows.retain(|[_, attributes]| !attributes.is_empty());
    rows
}

fn write_chapter(text: &mut String, title: &str) {
    write!(text, "\n## {title}\n\n").expect("writing to a string does not fail");
}

/// A Markdown table whose cells are not padded, since many are sentences.
fn write_table<const COLUMNS: usize>(
    text: &mut String,
    titles: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) {
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        writeln!(text, "| {} |", cells.join(" | ")).expect("writing to a string does not fail");
    };
    line(&titles.map(str::to_owned));
    line(&titles.map(|_| "---".to_owned()));
    for row in rows {
        line(&row);
    }
}

/// 1234567 as 1,234,567.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for group in digits.as_bytes()[first..].chunks(3) {
        if !text.is_empty() {
            text.push(',');
        }
        text.extend(group.iter().map(|&digit| char::from(digit)));
    }
    text
}

/// Two decimals, more for what is small.
fn giga(count: f64) -> String {
    if count < 0.095 { format!("{count:.5}") } else { format!("{count:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([7, 999, 1000, 61_706, 1_234_567].map(thousands), ["7", "999", "1,000", "61,706", "1,234,567"]);
    }
}
