//! The settings that are a number or a flag: one row each. The check of a configuration, the options of the command line,
//! the axes of a sweep and docs/settings.md are made from it.

use super::TrainConfig;
use std::fmt;

/// A setting of training that is a number or a flag.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its key in a recipe.
    pub name: &'static str,
    /// What a number counts or measures, as `IMAGES`.
    pub unit: &'static str,
    /// What kind of value it has.
    pub kind: Kind,
    /// What its value must be.
    pub range: Range,
    /// What it belongs to.
    pub topic: Topic,
    /// Whether a sweep can vary it: not what decides which images there are.
    pub varies: bool,
    /// What it does, in a line.
    pub about: &'static str,
    /// What else there is to say.
    pub more: &'static str,
    get: fn(&TrainConfig) -> Option<Plain>,
    set: fn(&mut TrainConfig, Plain),
}

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Whole,
    /// Any number.
    Real,
    /// True or false.
    Flag,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plain {
    /// Of [`Kind::Whole`].
    Whole(u64),
    /// Of [`Kind::Real`].
    Real(f64),
    /// Of [`Kind::Flag`].
    Flag(bool),
}

/// What settings belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Which images there are, and what becomes of them.
    Data,
    /// The network and what it starts from.
    Model,
    /// How it is trained.
    Training,
}

/// A condition on a value, and how it is said after "must be".
#[derive(Clone, Copy, Debug)]
pub struct Range {
    holds: fn(f64) -> bool,
    /// After "must be".
    pub rule: &'static str,
}

const fn range(rule: &'static str, holds: fn(f64) -> bool) -> Range {
    Range { holds, rule }
}

const ANY: Range = range("", |_| true);
const FROM_1: Range = range("at least 1", |value| value >= 1.0);
const FROM_0: Range = range("a number of at least 0", |value| (value as f32).is_finite() && value >= 0.0);
const ABOVE_0: Range = range("a number above 0", |value| (value as f32).is_finite() && value > 0.0);
const UP_TO_1: Range = range("in [0, 1]", |value| (0.0..=1.0).contains(&value));
const SHARE: Range = range("a share above 0 and below 1", |value| value > 0.0 && value < 1.0);
const FACTOR: Range = range("a factor above 0 and up to 1", |value| value > 0.0 && value <= 1.0);

/// A field that a row stands for.
trait Held {
    fn get(&self) -> Option<Plain>;
    fn set(&mut self, value: Plain);
}

macro_rules! held {
    ($type:ty, $kind:ident) => {
        impl Held for $type {
            fn get(&self) -> Option<Plain> {
                Some(Plain::$kind(*self as _))
            }

            fn set(&mut self, value: Plain) {
                if let Plain::$kind(value) = value {
                    *self = value as _;
                }
            }
        }
    };
}
held!(usize, Whole);
held!(u64, Whole);
held!(f64, Real);

impl Held for bool {
    fn get(&self) -> Option<Plain> {
        Some(Plain::Flag(*self))
    }

    fn set(&mut self, value: Plain) {
        if let Plain::Flag(value) = value {
            *self = value;
        }
    }
}

impl<T: Held + Default> Held for Option<T> {
    fn get(&self) -> Option<Plain> {
        self.as_ref().and_then(Held::get)
    }

    fn set(&mut self, value: Plain) {
        self.get_or_insert_default().set(value);
    }
}

/// A row of the field of that name, for training and to be varied in sweeps.
macro_rules! row {
    ($field:ident: $kind:ident, $unit:expr, $range:expr, $about:expr) => {
        Row {
            name: stringify!($field),
            unit: $unit,
            kind: Kind::$kind,
            range: $range,
            topic: Topic::Training,
            varies: true,
            about: $about,
            more: "",
            get: |config| config.$field.get(),
            set: |config, value| config.$field.set(value),
        }
    };
}

/// Every setting that is a number or a flag.
pub static PLAIN: [Row; 17] = [
    row!(lr: Real, "RATE", FROM_0, "Base learning rate"),
    row!(batch: Whole, "IMAGES", FROM_1, "Images in a step"),
    row!(epochs: Whole, "EPOCHS", FROM_1, "Passes over the training images"),
    row!(micro_batch: Whole, "IMAGES", ANY, "Run each batch in parts of so many images, which takes less device memory")
        .more("The gradients are averaged over the parts, and batch normalisation sees one part at a time."),
    row!(drop_last: Flag, "", ANY, "Leave the last batch of an epoch out where it is short, rather than run it with the images it has"),
    row!(seed: Whole, "SEED", ANY, "Seed of initialisation, shuffling, augmentation and dropout"),
    row!(label_smoothing: Real, "SHARE", UP_TO_1, "Share of the target that is spread over all classes"),
    row!(clip_grad_norm: Real, "NORM", ABOVE_0, "Scale all gradients so that their norm is at most this"),
    row!(clip_grad_value: Real, "VALUE", ABOVE_0, "Limit each gradient to plus or minus this"),
    row!(l1: Real, "FACTOR", FROM_0, "Pull every parameter towards 0: adds this times its sign to its gradient"),
    row!(layer_decay: Real, "FACTOR", FACTOR, "Train each layer at this times the rate of the layer after it, for fine-tuning"),
    row!(limit: Whole, "IMAGES", ANY, "At most so many images of each split, classes in turn").of_data().fixed(),
    row!(validation: Real, "SHARE", SHARE, "Hold this share of each class out of the training images, to choose the best checkpoint by")
        .more("It is for data that have no validation images of their own; the same images are held out every time.")
        .of_data()
        .fixed(),
    row!(max_pixels: Whole, "PIXELS", ANY, "Refuse images of more pixels, before they are decoded").of_data().fixed(),
    row!(flip: Flag, "", ANY, "Mirror training images at random").of_data(),
    row!(crop: Whole, "PIXELS", ANY, "Crop training images at random from ones with so many black pixels around").of_data(),
    row!(head: Whole, "CLASSES", ANY, "Start the classifier's last layer fresh, for so many classes; only with weights to start from")
        .of_model()
        .fixed(),
];

impl Row {
    const fn more(self, more: &'static str) -> Row {
        Row { more, ..self }
    }

    const fn of_data(self) -> Row {
        Row { topic: Topic::Data, ..self }
    }

    const fn of_model(self) -> Row {
        Row { topic: Topic::Model, ..self }
    }

    const fn fixed(self) -> Row {
        Row { varies: false, ..self }
    }

    /// The row of that name.
    pub fn find(name: &str) -> Option<&'static Row> {
        PLAIN.iter().find(|row| row.name == name)
    }

    /// Its value, if it has one.
    pub fn get(&self, config: &TrainConfig) -> Option<Plain> {
        (self.get)(config)
    }

    /// Sets it to a value of its kind.
    pub fn set(&self, config: &mut TrainConfig, value: Plain) {
        (self.set)(config, value);
    }

    /// What a configuration has that is out of its range.
    pub(super) fn refused(&self, config: &TrainConfig) -> Option<Plain> {
        let number = |value: &Plain| match *value {
            Plain::Whole(count) => count as f64,
            Plain::Real(number) => number,
            Plain::Flag(_) => 0.0,
        };
        self.get(config).filter(|value| !(self.range.holds)(number(value)))
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Plain::Whole(value) => value.fmt(f),
            Plain::Real(value) => value.fmt(f),
            Plain::Flag(value) => value.fmt(f),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Whole => "a whole number",
            Kind::Real => "a number",
            Kind::Flag => "true or false",
        })
    }
}
