//! The schedules by name: their formulas, and what their attributes mean. Help, error messages and documentation are
//! written from it.

/// A schedule, as people write it.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As on the command line and in a recipe.
    pub name: &'static str,
    /// The rate in step t, with `lr` the run's rate.
    pub formula: &'static str,
    /// What may be set of it.
    pub attributes: &'static [Attribute],
}

/// An attribute of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// As PyTorch has it, where it has it.
    pub name: &'static str,
    /// What values it has.
    pub takes: Takes,
    /// What holds in a run where it is not given.
    pub default: &'static str,
}

/// What values an attribute has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A number of steps, or of epochs.
    Steps,
    /// A number of steps, or of epochs, up to the end of the run where it is not given.
    StepsToEnd,
    /// A list of these.
    StepList,
    /// A whole number that counts no steps.
    Count,
    /// Any other number.
    Number,
    /// The run's learning rate where it is not given.
    Rate,
    /// One of these words.
    Word(&'static str),
}
use Takes::{Count, Number, Rate, StepList, Steps, StepsToEnd, Word};

const fn attribute(name: &'static str, takes: Takes, default: &'static str) -> Attribute {
    Attribute { name, takes, default }
}

const fn to_end(name: &'static str) -> Attribute {
    attribute(name, StepsToEnd, "to the end of the run")
}

const NEEDED: &str = "must be given";
const GAMMA: Attribute = attribute("gamma", Number, "0.1");
const ETA_MIN: Attribute = attribute("eta_min", Number, "0");
const START_FACTOR: Attribute = attribute("start_factor", Number, "1/3");

/// Every schedule.
pub const CATALOG: [Entry; 15] = [
    Entry { name: "constant", formula: "lr", attributes: &[] },
    Entry {
        name: "step",
        formula: "lr gamma^floor(t / step_size)",
        attributes: &[attribute("step_size", Steps, NEEDED), GAMMA],
    },
    Entry {
        name: "multistep",
        formula: "lr gamma^(number of milestones up to t)",
        attributes: &[attribute("milestones", StepList, NEEDED), GAMMA],
    },
    Entry { name: "exponential", formula: "lr gamma^t", attributes: &[attribute("gamma", Number, NEEDED)] },
    Entry {
        name: "cosine",
        formula: "eta_min + (lr - eta_min) (1 + cos(pi t / T_max)) / 2, which rises again past T_max",
        attributes: &[to_end("T_max"), ETA_MIN],
    },
    Entry {
        name: "cosine_warm_restarts",
        formula: "cosine with t counted from the last restart; the periods are T_0, T_0 T_mult, ...",
        attributes: &[attribute("T_0", Steps, NEEDED), attribute("T_mult", Count, "1"), ETA_MIN],
    },
    Entry {
        name: "linear",
        formula: "lr (start_factor + (end_factor - start_factor) min(t, T) / T), T = total_iters",
        attributes: &[
            to_end("total_iters"),
            attribute("start_factor", Number, "1"),
            attribute("end_factor", Number, "0"),
        ],
    },
    Entry {
        name: "linear_warmup",
        formula: "lr (f + (1 - f) min(t, T) / T), f = start_factor, T = total_iters",
        attributes: &[START_FACTOR, to_end("total_iters")],
    },
    Entry {
        name: "linear_warmup_cosine",
        formula: "linear_warmup over warmup_steps, then cosine",
        attributes: &[START_FACTOR, attribute("warmup_steps", Steps, NEEDED), to_end("T_max"), ETA_MIN],
    },
    Entry {
        name: "polynomial",
        formula: "lr (1 - min(t, T) / T)^power, T = total_iters",
        attributes: &[to_end("total_iters"), attribute("power", Number, "1")],
    },
    Entry { name: "inverse", formula: "lr / (1 + k t)", attributes: &[attribute("k", Number, NEEDED)] },
    Entry { name: "inverse_sqrt", formula: "lr / sqrt(1 + t)", attributes: &[] },
    Entry {
        name: "one_cycle",
        formula: "from max_lr / div_factor up to max_lr for pct_start of the steps, then down to the first rate / \
                  final_div_factor",
        attributes: &[
            attribute("max_lr", Rate, "lr"),
            to_end("total_steps"),
            attribute("pct_start", Number, "0.3"),
            attribute("anneal_strategy", Word("cos or linear"), "cos"),
            attribute("div_factor", Number, "25"),
            attribute("final_div_factor", Number, "1e4"),
            attribute("three_phase", Word("true or false"), "false"),
        ],
    },
    Entry {
        name: "plateau",
        formula: "lr, times factor whenever the loss of an epoch has not been better for more than patience epochs",
        attributes: &[
            attribute("mode", Word("min or max"), "min"),
            attribute("factor", Number, "0.1"),
            attribute("patience", Count, "10"),
            attribute("threshold", Number, "1e-4"),
            attribute("threshold_mode", Word("rel or abs"), "rel"),
            attribute("cooldown", Count, "0"),
            attribute("min_lr", Number, "0"),
            attribute("eps", Number, "1e-8"),
        ],
    },
    Entry {
        name: "warmup",
        formula: "from start_factor times the next schedule's first rate up to it, in steps; the next schedule, after \
                  `/`, counts t from there",
        attributes: &[attribute("steps", Steps, NEEDED), START_FACTOR],
    },
];

/// The entry of a schedule.
pub(super) fn entry(name: &str) -> Option<&'static Entry> {
    CATALOG.iter().find(|entry| entry.name == name)
}

impl Entry {
    /// `T_max (to the end of the run), eta_min (0)`, or that there are none.
    pub fn attributes_text(&self) -> String {
        let told = self.attributes.iter().map(|Attribute { name, default, .. }| format!("{name} ({default})"));
        let told: Vec<String> = told.collect();
        if told.is_empty() { "none".to_owned() } else { told.join(", ") }
    }
}

impl Takes {
    /// What may be written.
    pub fn describe(self) -> &'static str {
        match self {
            Steps | StepsToEnd => "steps, such as 500, or epochs, such as 30epochs",
            StepList => "a list of steps or epochs, such as 3,5 or 10epochs,20epochs",
            Count => "a whole number",
            Number | Rate => "a number",
            Word(words) => words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Schedule;
    use super::CATALOG;
    use serde_json::json;

    #[test]
    fn the_attributes_that_are_told_are_those_that_are_read() {
        for entry in &CATALOG {
            let needed = json!({"T_max": 9, "gamma": 0.5, "step_size": 2, "milestones": [3], "T_0": 4, "k": 1,
                "total_iters": 9, "warmup_steps": 2, "max_lr": 1, "total_steps": 9, "steps": 2});
            let mut given = needed.as_object().unwrap().clone();
            given.retain(|name, _| entry.attributes.iter().any(|attribute| attribute.name == name));
            if entry.name == "warmup" {
                given.insert("then".to_owned(), json!("constant"));
            }
            Schedule::from_attributes(entry.name, &given.clone().into()).unwrap();
            given.insert("nonsense".to_owned(), json!(1));
            let message = Schedule::from_attributes(entry.name, &given.into()).unwrap_err().to_string();
            let mut told: Vec<&str> =
                message.split("attributes: ").nth(1).unwrap_or("").split([',', '.', ' ']).collect();
            told.retain(|word| !word.is_empty() && *word != "then");
            let mut want: Vec<&str> = entry.attributes.iter().map(|attribute| attribute.name).collect();
            told.sort_unstable();
            want.sort_unstable();
            assert_eq!(told, want, "{}", entry.name);
        }
    }
}
