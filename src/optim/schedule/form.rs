//! What a schedule is made of, the list of them, and those of a program of its own.

use super::{ALL, ScheduleError};
use crate::attribute::{Given, excerpt};
use crate::optim::{Attribute, Values};
use crate::registry::Registry;
use serde_json::{Map, Value};

/// A formula of the learning rate. Each is a file in `src/optim/schedule/forms` with a line in [`ALL`](super::ALL); a program
/// [registers](register) formulas of its own:
///
/// ```
/// use tilewright::optim::{Attribute, Takes, schedule::{self, Form, Schedule}};
///
/// static ATTRIBUTES: [Attribute; 1] = [Attribute::new("every", Takes::Steps(1), "steps between halvings")];
/// static HALVING: Form = Form::new("halving", "lr 2^-floor(t / every)", &ATTRIBUTES, |of, base_lr, step| {
///     base_lr * 0.5f64.powi((step / of.count("every")) as i32)
/// });
/// schedule::register(&HALVING);
/// assert_eq!("halving:every=10".parse::<Schedule>()?.rate(1.0, 25), 0.25);
/// # Ok::<(), tilewright::optim::schedule::ScheduleError>(())
/// ```
pub struct Form {
    /// As it is written.
    pub name: &'static str,
    /// The rate in step t, with `lr` the base rate, for people.
    pub formula: &'static str,
    /// What may be set of it.
    pub attributes: &'static [Attribute],
    /// The rate of a base rate in a step.
    pub(super) rate: fn(&Values, f64, u64) -> f64,
    /// The step after which a falling rate rises again.
    pub(super) turn: fn(&Values) -> Option<u64>,
    /// Steps before what the name says begins.
    pub(super) warmup: fn(&Values) -> u64,
    /// Where the base rate follows a metric.
    pub(super) observe: Option<Observe>,
    /// The schedules that are written after it.
    pub(super) follows: Follows,
}

/// How many schedules are written after a form, and what they are called in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// It is all there is.
    None,
    /// `then`, which begins after the form's warm-up.
    One,
    /// `schedules`, one more than its `milestones`, at which they begin.
    Sequence,
}

impl Follows {
    /// What JSON calls them.
    pub(super) fn key(self) -> Option<&'static str> {
        match self {
            Follows::None => None,
            Follows::One => Some("then"),
            Follows::Sequence => Some("schedules"),
        }
    }
}

/// Takes notice of a metric; true if the rate fell.
pub(super) type Observe = fn(&Values, &mut Observed, f64) -> bool;

/// What is remembered of a metric.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Observed {
    pub lr: f64,
    pub best: Option<f64>,
    pub bad: u64,
    pub cooling: u64,
}

impl Form {
    /// A form with that name and formula. `rate` has the values of the attributes, the base rate, and the step, counted
    /// from 0.
    pub const fn new(
        name: &'static str,
        formula: &'static str,
        attributes: &'static [Attribute],
        rate: fn(&Values, f64, u64) -> f64,
    ) -> Form {
        Form { name, formula, attributes, rate, turn: |_| None, warmup: |_| 0, observe: None, follows: Follows::None }
    }

    /// How many schedules follow it with these attributes.
    pub(super) fn followers(&self, attributes: &Map<String, Value>) -> usize {
        match self.follows {
            Follows::None => 0,
            Follows::One => 1,
            Follows::Sequence => match attributes.get("milestones") {
                Some(Value::Array(milestones)) => milestones.len() + 1,
                Some(_) => 2,
                None => 1,
            },
        }
    }

    /// Steps before what the name says begins, with these attributes and what holds where others are not given.
    pub(super) fn warmup_of(&self, attributes: &Map<String, Value>) -> u64 {
        (self.warmup)(&self.values_of(attributes))
    }

    /// The steps of each schedule that follows it, of so many in all, with these attributes.
    pub(super) fn lengths_of(&self, attributes: &Map<String, Value>, total: u64) -> Vec<u64> {
        match self.follows {
            Follows::None => Vec::new(),
            Follows::One => vec![total.saturating_sub(self.warmup_of(attributes))],
            Follows::Sequence => {
                let values = self.values_of(attributes);
                let ends = values.counts("milestones").iter().copied().chain([total]);
                let mut begin = 0;
                ends.map(|end| end.saturating_sub(std::mem::replace(&mut begin, end))).collect()
            }
        }
    }

    fn values_of(&self, attributes: &Map<String, Value>) -> Values {
        let mut values = Values::of(self.attributes);
        for (name, value) in attributes {
            if let Some((row, slot)) = values.find(name) {
                *slot = row.takes.read(&Given::of(value));
            }
        }
        values
    }

    /// `T_max (to the end of the run), eta_min (0)`, or that there are none.
    pub fn attributes_text(&self) -> String {
        let told = self.attributes.iter().map(|row| format!("{} ({})", row.name, row.takes.default_text()));
        let told: Vec<String> = told.collect();
        if told.is_empty() { "none".to_owned() } else { told.join(", ") }
    }
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

static OWN: Registry<&'static Form> = Registry::new();

/// Gives this program a schedule of its own, under its name. The last one of a name holds; the names of this crate's
/// schedules keep their meaning.
pub fn register(form: &'static Form) {
    OWN.register(form.name, form);
}

/// Every schedule, those of this program last.
pub fn all() -> Vec<&'static Form> {
    ALL.iter().copied().chain(OWN.things()).collect()
}

/// The schedule of that name.
pub(super) fn find(name: &str) -> Result<&'static Form, ScheduleError> {
    let unknown = || ScheduleError::UnknownSchedule { name: excerpt(name) };
    all().into_iter().find(|form| form.name == name).ok_or_else(unknown)
}
