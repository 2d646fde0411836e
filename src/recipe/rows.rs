//! Every setting of training: one row each. The check of a configuration, the options of the command line, the axes of a
//! sweep and docs/settings.md are made from it.

use super::TrainConfig;
use super::row::{Held, Kind, Range, Row, SettingValue, Topic};
use crate::data::Augmentations;
use crate::optim::{ClassWeights, LossFunction, Optimizer, RunAverage, schedule};
use std::fmt;

const fn range(rule: &'static str, holds: fn(f64) -> bool) -> Range {
    Range { holds, rule }
}

/// What a text is, which says itself what is wrong with it.
const fn text(rule: &'static str) -> Range {
    range(rule, |_| true)
}

const ANY: Range = range("", |_| true);
const FROM_1: Range = range("at least 1", |value| value >= 1.0);
const FROM_0: Range = range("a number of at least 0", |value| (value as f32).is_finite() && value >= 0.0);
const ABOVE_0: Range = range("a number above 0", |value| (value as f32).is_finite() && value > 0.0);
const UP_TO_1: Range = range("in [0, 1]", |value| (0.0..=1.0).contains(&value));
const SHARE: Range = range("a share above 0 and below 1", |value| value > 0.0 && value < 1.0);
const FACTOR: Range = range("a factor above 0 and up to 1", |value| value > 0.0 && value <= 1.0);

/// The kind of a field.
const fn kind<T: Held>(_: fn(&TrainConfig) -> &T) -> Kind {
    T::KIND
}

/// A row of the field of that name, and in a recipe of that key where it is another.
macro_rules! row {
    ($topic:ident, $field:ident, $unit:expr, $range:expr, $about:expr) => {
        row!($topic, $field as stringify!($field), $unit, $range, $about)
    };
    ($topic:ident, $field:ident as $name:expr, $unit:expr, $range:expr, $about:expr) => {
        Row {
            name: $name,
            unit: $unit,
            kind: kind(|config| &config.$field),
            range: $range,
            topic: Topic::$topic,
            varies: !matches!(kind(|config| &config.$field), Kind::Path | Kind::List),
            about: $about,
            more: "",
            otherwise: "",
            listed: None,
            get: |config| config.$field.told(),
            set: |config, value| config.$field.accept(value),
            check: |value| check(|config| &config.$field, value),
        }
    };
}

/// Whether a value is one of the field's.
fn check<T: Held>(_: fn(&TrainConfig) -> &T, value: &SettingValue) -> Result<(), String> {
    T::read(value).map(drop)
}

/// Every setting, in the order of the help and of docs/settings.md.
pub static ROWS: &[Row] = &[
    row!(Data, data, "SOURCE", text("a source of images"),
        "Images: mnist, idx:DIR, cifar10:DIR, cifar100:DIR, folder:DIR, csv:FILE, webdataset:DIR, parquet:DIR or synthetic:CxHxW:CLASSES[:COUNT]")
        .more("Where it is not given, those of the recipe, the given one or the model's, else the digits that are part of the \
               program (`mnist`). `folder:DIR` has images in DIR/train/CLASS and DIR/test/CLASS, `synthetic` makes \
               patterns under noise, to try a model without data; docs/settings.md has all of them.")
        .fixed(),
    row!(Data, size, "HxW", text("height and width, such as 32x32"), "Resize images to HEIGHTxWIDTH").fixed(),
    row!(Data, resize, "PIXELS", ANY, "Resize the shorter side of images to this, and cut the centre out")
        .more("The centre is of the size that the model takes, or in training of {size}. Without weights that expect it, \
               images are stretched.")
        .otherwise("as the weights expect")
        .fixed(),
    row!(Data, crop_share, "SHARE", ANY,
        "As {resize}, such that this share of the shorter side is seen, such as 0.875 for 224 of 256 pixels")
        .fixed(),
    row!(Data, interpolation, "bilinear|bicubic", text("bilinear or bicubic"),
        "How pixels between pixels are found: bilinear or bicubic")
        .otherwise("as the weights expect, else bilinear")
        .fixed(),
    row!(Data, normalize, "data|imagenet|MEAN/STD", text("data, imagenet, or means and deviations"),
        "What images are normalised by")
        .more("After division by 255, by mean and deviation of the data, of ImageNet, or by these, such as 0.5/0.25 or \
               0.5,0.5,0.5/0.25,0.25,0.25.")
        .otherwise("as the weights of {init} expect, else data")
        .fixed(),
    row!(Data, limit, "IMAGES", ANY, "At most so many images of each split, classes in turn").fixed(),
    row!(Data, validation, "SHARE", SHARE,
        "Hold this share of each class out of the training images, to choose the best checkpoint by")
        .more("It is for data that have no validation images of their own; the same images are held out every time.")
        .fixed(),
    row!(Data, split, "SHARE", SHARE,
        "Hold this share of each class out of the training images, as test images: for data that have none of their own")
        .more("Drawn by {seed}. Without {split} and {fold} such data have their validation images as test images, else a tenth of \
               each class.")
        .fixed(),
    row!(Data, fold, "I/K", text("one of several parts, such as 2/5"),
        "As {split}, part I of K, such as 2/5: for one of the runs of a cross-validation")
        .fixed(),
    row!(Data, damaged, "stop|skip", text("stop or skip"),
        "What becomes of image files that cannot be decoded: `stop` with their names, or `skip`, name and count them")
        .fixed(),
    row!(Data, max_pixels, "PIXELS", ANY, "Refuse images of more pixels, before they are decoded").fixed(),
    row!(Data, data_memory, "SIZE", text("an amount of memory, such as 512M"),
        "Let decoded images take so much memory, such as 512M; of larger sets, read images anew in each epoch")
        .more("They are read and decoded ahead of need, in the same order: not one bit of the result changes, and a run may go \
               on with another amount. Where training, validation and test images do not fit together, the smaller ones \
               are held.")
        .otherwise("half of the memory that is free")
        .fixed(),
    row!(Data, flip, "", ANY, "Mirror training images at random"),
    row!(Data, crop, "PIXELS", ANY, "Crop training images at random from ones with so many black pixels around"),
    row!(Data, augment, "CHANGE,...", text("changes with commas between them"),
        "Change training images at random, such as `random_resized_crop,flip,erase:p=0.25`")
        .more("Each change is drawn anew for each image and epoch, after {crop} and {flip}, and done on the device. A `crop` or \
               `flip` of the list stands in place of those.")
        .listed(|| lines("In the order in which they are written, with the defaults of the attributes", Augmentations::forms())),
    row!(Data, stored_size, "HxW", text("height and width, such as 256x256"),
        "Keep training images at this size, of which {augment} cuts the part that the model sees")
        .more("With {size}, and `random_resized_crop` or `crop:padding=0` in {augment}. Where {resize} is given, the shorter side of \
               an image fills it and the centre is cut out, else it is stretched to it.")
        .otherwise("that of all images")
        .fixed(),
    row!(Data, train_size, "HxW", text("height and width, such as 176x176"),
        "Train on images of this size, and test on those of {size}")
        .more("It is for models that take images of any size with the same parameters.")
        .otherwise("that of all images")
        .fixed(),
    row!(Data, sampler, "shuffle|balanced", text("shuffle or balanced"),
        "Which training images an epoch takes: `shuffle`, each once, or `balanced`, each class equally often")
        .more("An epoch has as many images as there are. Under `balanced` it takes some of those of a class with many, and each \
               of a class with few several times, changed in another way each time where they are changed at random."),
    row!(Model, attributes as "set", "NAME=VALUE", text("NAME=VALUE, such as dropout=0.2"),
        "An attribute of the model, such as `dropout=0.2`")
        .more("`tilewright summary MODEL` shows which a model takes, and docs/models.md those of all models."),
    row!(Model, init, "FILE", text("a file with weights"),
        "Start from these weights: a checkpoint, a run folder, or a state_dict of PyTorch (.safetensors, .pth)"),
    row!(Model, init_key, "NAME", text("a key or prefix of the file"),
        "With {init}, where the file has weights under several keys or prefixes: which of them")
        .fixed(),
    row!(Model, whiten, "LAYER", text("a convolution of the images, such as whiten"),
        "Start this convolution of the images as whitening filters: the directions of the training images' patches")
        .more("Both signs of each principal direction of a patch, over the root of its variance, as airbench94 has it. \
               {freeze} keeps them.")
        .fixed(),
    row!(Model, head, "CLASSES", ANY,
        "Start the classifier's last layer fresh, for so many classes; only with weights to start from")
        .fixed(),
    row!(Model, classes, "MATCHING", text("by-name or by-position"),
        "With {init}: match classes of data and weights `by-name`, or `by-position`")
        .more("By name, the rows of the last layer are put in the order of the data's classes, and other classes are refused.")
        .fixed(),
    row!(Model, freeze, "PATTERN", text("a layer or parameter, or a pattern of them"),
        "Leave a layer as it starts: a path such as `layer1` or `layer1*`")
        .more("`*` stands for any characters. The running statistics of its batch norms stay too. A fresh {head} is trained \
               in any case."),
    row!(Training, epochs, "EPOCHS", FROM_1, "Passes over the training images"),
    row!(Training, max_steps, "STEPS", text("steps, such as 500, or epochs, such as 9.9epochs"),
        "End the run after so many steps, such as 500 or `9.9epochs`, if {epochs} has more")
        .more("The last epoch is then a part of one. Schedules and averages end with the run.")
        .otherwise("all epochs are run")
        .fixed(),
    row!(Training, batch, "IMAGES", FROM_1, "Images in a step"),
    row!(Training, micro_batch, "IMAGES", ANY,
        "Run each batch in parts of so many images, which takes less device memory")
        .more("The gradients are averaged over the parts, and batch normalisation sees one part at a time. A batch that does not \
               fit into the device's memory is taken in parts by itself: the largest that fit.")
        .otherwise("as large as fits"),
    row!(Training, shards, "SHARDS", FROM_1,
        "Cut each batch into so many parts that members of a run share, with the same result for any number of members")
        .more("Each part has a batch norm of its own, as {micro_batch} has, and they are summed along one tree. A run of 4 shards \
               ends with the same weights, to the last bit, on 1, 2, 3 or 4 devices or processes of a kind, and may be resumed \
               on another number of them.")
        .otherwise("as many as members"),
    row!(Training, sync_batch_norm, "", ANY,
        "Normalise shards by the statistics of the whole batch, rather than each by its own")
        .more("The shards of a device then run side by side, so that it holds the activations of all, and they exchange sums twice \
               at each batch norm. Of effect with {shards} above 1.")
        .fixed(),
    row!(Training, recompute, "", ANY,
        "Keep fewer activations and compute the others again: less device memory, some 15 % more time on an H100")
        .more("The forward pass is cut into segments; what goes from one to the next is kept, and a segment is run again before its \
               backward pass. The result is the same; `tilewright summary MODEL {recompute}` tells the memory.")
        .fixed(),
    row!(Training, drop_last, "", ANY,
        "Leave the last batch of an epoch out where it is short, rather than run it with the images it has"),
    row!(Training, lr, "RATE", FROM_0, "Base learning rate"),
    row!(Training, schedule, "SCHEDULE", text("a schedule"),
        "Learning-rate schedule, such as `cosine` or `warmup:steps=1epochs/linear`")
        .more("What has an end ends with the run, unless a length is given: in steps, such as \
               `step:step_size=500,gamma=0.1`, or in epochs, such as `multistep:milestones=30epochs,60epochs`. `warmup` \
               comes before another one.")
        .listed(|| {
            let told = |form: &schedule::Form| format!("{}: {}", form.name, form.attributes_text());
            lines("Attributes, and what holds where they are not given", schedule::all().into_iter().map(told))
        }),
    row!(Training, patience, "EPOCHS", FROM_1, "End the run after so many epochs in a row without a better accuracy")
        .more("The accuracy is the one that the best checkpoint is chosen by: on validation images, or on the test images \
               where there are none. A run that ended so may be gone on with, with a larger number.")
        .otherwise("all epochs are run")
        .fixed(),
    row!(Training, min_delta, "SHARE", UP_TO_1,
        "With {patience}: an accuracy, from 0 to 1, is better where it is higher by more than this")
        .fixed(),
    row!(Training, optimizer, "OPTIMIZER", text("an optimizer"),
        "Optimizer, such as `sgd:momentum=0.9,weight_decay=5e-4`")
        .listed(|| lines("With their attributes, and the defaults of these", Optimizer::all())),
    row!(Training, loss, "LOSS", text("a loss"), "What training makes small, such as `focal:gamma=2,alpha=0.25`")
        .listed(|| lines("Of the label of a row, with the defaults of the attributes", LossFunction::FORMS)),
    row!(Training, label_smoothing, "SHARE", UP_TO_1, "Share of the target that is spread over all classes"),
    row!(Training, class_weights, "WEIGHTS", text("balanced, effective, or a file"),
        "How often each class counts in the loss: `balanced`, `effective:beta=0.9999`, or a file")
        .more("The loss is then the mean of the rows by the weights of their labels, as PyTorch has it. A file has a line \
               `class,weight` for each class, by its name. The run notes the weights, and goes on with them.")
        .otherwise("all alike")
        .listed(|| lines("Made of the numbers of training images, with the defaults of the attributes", ClassWeights::FORMS)),
    row!(Training, average, "AVERAGE", text("an average"),
        "Evaluate and keep an average of the weights, such as `ema:decay=0.999` or `swa:start=0.75`")
        .more("Training goes on with the weights themselves; the tests, the best checkpoint, and what `eval`, `predict` and \
               `export` read are the average.")
        .listed(|| lines("Of weights w, with the defaults of the attributes", RunAverage::FORMS)),
    row!(Training, clip_grad_norm, "NORM", ABOVE_0, "Scale all gradients so that their norm is at most this"),
    row!(Training, clip_grad_value, "VALUE", ABOVE_0, "Limit each gradient to plus or minus this"),
    row!(Training, l1, "FACTOR", FROM_0, "Pull every parameter towards 0: adds this times its sign to its gradient"),
    row!(Training, maximize, "", ANY, "Make the loss large in place of small, as PyTorch's optimizers do by that name"),
    row!(Training, decay_exclude, "bias,norm,...", text("bias, norm, or a layer or parameter"),
        "Leave parameters out of weight decay: `bias`, `norm` (weights of one dimension), or a path; with commas")
        .more("`bias,norm` is what papers mean by no weight decay on biases and norms."),
    row!(Training, layer_decay, "FACTOR", FACTOR,
        "Train each layer at this times the rate of the layer after it, for fine-tuning"),
    row!(Training, group, "PATTERN:lr=F,weight_decay=W", text("a pattern with what is its own"),
        "Train parameters in another way, such as `layer1*:lr=0.1,weight_decay=0`")
        .more("The pattern is a path as {freeze} takes it, `lr` a factor of the learning rate. The last one that means a \
               parameter counts."),
    row!(Training, precision, "f32|f16", text("f32 or f16"), "What features and their gradients are stored in")
        .more("`f16` takes about half of the memory, and runs products on matrix units where the device has them. Sums, \
               statistics, losses and parameters stay in f32. The loss is scaled, and a step whose gradients overflow is \
               skipped."),
    row!(Training, skip_nonfinite, "STEPS", ANY,
        "Skip at most so many steps whose gradients are not finite numbers, in place of ending the run")
        .more("Such a step changes no weight and no state of the optimizer. With {precision} f16, which skips such steps in any \
               case, it is the most that a run may skip.")
        .fixed(),
    row!(Training, norms, "", ANY,
        "Note after each epoch how large each layer's weights are, and the gradients that reach them")
        .more("In norms.csv and norms.svg of the run folder, and for TensorBoard. The gradients are those of cross-entropy on the first \
               images that decide, as many as a batch has, with running statistics. It changes no bit of the run.")
        .fixed(),
    row!(Training, seed, "SEED", ANY, "Seed of initialisation, shuffling, augmentation and dropout"),
    row!(Run, checkpoint_every, "STEPS", ANY, "Steps between checkpoints, besides those after each epoch").fixed(),
];

impl Row {
    /// The row of that name.
    pub fn find(name: &str) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.name == name)
    }
}

/// A line for each, below a heading.
fn lines(heading: &str, of: impl IntoIterator<Item = impl fmt::Display>) -> String {
    of.into_iter().fold(format!("{heading}:"), |text, line| format!("{text}\n  {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Keys that are no options of this kind: a command names its model first, and `tuned` belongs to the device.
    const NO_ROWS: [&str; 2] = ["model", "tuned"];

    #[test]
    fn every_key_of_a_recipe_has_a_row() {
        let config = serde_json::to_value(TrainConfig::default()).unwrap();
        let keys: BTreeSet<&str> = config.as_object().unwrap().keys().map(String::as_str).collect();
        let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.name).chain(NO_ROWS).collect();
        assert_eq!(keys, rows);
        assert_eq!(ROWS.len() + NO_ROWS.len(), rows.len(), "a row stands twice");
    }

    #[test]
    fn every_row_reads_the_default_that_it_tells() {
        for row in ROWS {
            let Some(value) = row.get(&TrainConfig::default()) else { continue };
            assert_eq!(row.read(&value.to_string()), Ok(value.clone()), "{}", row.name);
            let mut config = TrainConfig::default();
            row.set(&mut config, &value).unwrap();
            assert_eq!(config, TrainConfig::default(), "{}", row.name);
        }
    }

    #[test]
    fn a_list_takes_one_more_and_a_text_is_checked_when_it_is_read() {
        let mut config = TrainConfig::default();
        for (name, text) in [("freeze", "layer1"), ("freeze", "fc*"), ("set", "dropout=0.2"), ("size", "32x48")] {
            let row = Row::find(name).unwrap();
            row.set(&mut config, &row.read(text).unwrap()).unwrap();
        }
        assert_eq!((&config.freeze, config.size), (&vec!["layer1".to_owned(), "fc*".to_owned()], Some((32, 48))));
        assert_eq!(config.attributes["dropout"], 0.2);
        let average = Row::find("average").unwrap();
        for (text, is_there) in [("ema", true), ("none", false)] {
            average.set(&mut config, &average.read(text).unwrap()).unwrap();
            assert_eq!(config.average.is_some(), is_there, "{text}");
        }
        for (name, text) in
            [("size", "32"), ("loss", "none"), ("loss", "hinge"), ("set", "dropout"), ("epochs", "-1"), ("lr", "nan")]
        {
            assert!(Row::find(name).unwrap().read(text).is_err(), "{name}");
        }
    }

    #[test]
    fn other_settings_are_named_as_the_reader_knows_them() {
        for row in ROWS {
            for text in [row.about, row.more, row.otherwise] {
                let told = Row::spelled(text, |name| {
                    assert!(Row::find(name).is_some(), "{} names `{name}`", row.name);
                    format!("--{name}")
                });
                assert!(!told.contains(['{', '}']), "{told}");
            }
        }
        assert_eq!(Row::spelled("as {resize}, or {size}.", str::to_uppercase), "as RESIZE, or SIZE.");
    }
}
