//! Parameters that are updated in another way than the others: another rate, another weight decay.

use super::{Optimizer, Place};
use crate::graph::{Graph, Value, is_meant};
use crate::setting::{BadSetting, as_text};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// How the update of a parameter differs from the run's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Times the learning rate.
    pub rate: f64,
    /// In place of the optimizer's weight decay.
    pub weight_decay: Option<f64>,
    /// Whether the optimizer leaves it to its [other](super::Rule::other).
    pub other: bool,
}

impl Default for Share {
    fn default() -> Self {
        Share { rate: 1.0, weight_decay: None, other: false }
    }
}

/// The share of each parameter by its name; what is not here is updated as the run's settings say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares(HashMap<String, Share>);

impl Shares {
    /// The parameters with the same share side by side, the shares in the order in which they come.
    pub(super) fn part(&self, graph: &Graph, parameters: &[Value]) -> Vec<(Share, Vec<Value>)> {
        let mut parts: Vec<(Share, Vec<Value>)> = Vec::new();
        for &parameter in parameters {
            let share = self.0.get(&graph.tensor(parameter).name).copied().unwrap_or_default();
            match parts.iter_mut().find(|(known, _)| *known == share) {
                Some((_, members)) => members.push(parameter),
                None => parts.push((share, vec![parameter])),
            }
        }
        parts
    }
}

/// Parameters by a pattern of their names, and what is theirs: `layer1*:lr=0.1,weight_decay=0`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ParameterGroup {
    /// As that of a freeze: a name, the path of a layer, or either with `*` for any characters.
    pub pattern: String,
    /// Times the learning rate.
    pub rate: Option<f64>,
    /// In place of the optimizer's.
    pub weight_decay: Option<f64>,
}

/// Which parameters have no weight decay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Exclude {
    /// `bias`: what is called so.
    Bias,
    /// `norm`: weights of one dimension, which those of normalisation layers are.
    Norm,
    /// A name, the path of a layer, or either with `*` for any characters.
    Pattern(String),
}

/// The groups of a run. A parameter takes what the last group that means it says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// In their order.
    pub groups: Vec<ParameterGroup>,
    /// Kinds of parameters whose weight does not decay.
    pub decay_exclude: Vec<Exclude>,
    /// The rate of each layer is this times that of the layer after it (Bao et al. 2022, "BEiT"; Clark et al. 2020).
    /// A layer is what stands before the first point of a name, in the order that the network declares them.
    pub layer_decay: Option<f64>,
}

impl Groups {
    /// What is the share of each parameter of a graph, under that optimizer.
    pub fn shares(&self, graph: &Graph, optimizer: &Optimizer) -> Shares {
        let name = |value: Value| graph.tensor(value).name.as_str();
        let layer = |value: Value| name(value).split('.').next().unwrap_or_default();
        // Frozen layers count too: a layer's rate does not depend on what else is trained.
        let mut layers: Vec<&str> = graph.parameters().map(layer).collect();
        layers.dedup();
        let depth = |value: Value| layers.iter().rev().position(|known| *known == layer(value)).unwrap_or(0);
        let matrices = || graph.parameters().filter(|&value| graph.shape(value).len() >= 2);
        let ends = [matrices().next(), matrices().last()];
        let share = |value: Value| {
            let place = Place { shape: graph.shape(value), is_end: ends.contains(&Some(value)) };
            let mut share = Share { other: !optimizer.rule().takes(&place), ..Share::default() };
            if let Some(decay) = self.layer_decay {
                share.rate = decay.powi(depth(value) as i32);
            }
            if self.decay_exclude.iter().any(|exclude| exclude.means(name(value), graph.shape(value).len())) {
                share.weight_decay = Some(0.0);
            }
            for group in self.groups.iter().filter(|group| is_meant(&group.pattern, name(value))) {
                share.rate = group.rate.unwrap_or(share.rate);
                share.weight_decay = group.weight_decay.or(share.weight_decay);
            }
            (name(value).to_owned(), share)
        };
        Shares(graph.parameters().map(share).collect())
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// The first that cannot be, with what it must be.
    pub fn validate(&self) -> Result<(), BadSetting> {
        if let Some(decay) = self.layer_decay.filter(|decay| !(*decay > 0.0 && *decay <= 1.0)) {
            return Err(BadSetting::new("layer_decay", decay, "a factor above 0 and up to 1"));
        }
        let is_one = |value: &f64| (*value as f32).is_finite() && *value >= 0.0;
        let numbers = self.groups.iter().flat_map(|group| [group.rate, group.weight_decay]).flatten();
        match numbers.into_iter().find(|value| !is_one(value)) {
            None => Ok(()),
            Some(value) => Err(BadSetting::new("group", value, "of numbers of at least 0")),
        }
    }

    /// Checks that each pattern means a parameter.
    ///
    /// # Errors
    /// The first that means none.
    pub fn expect_meant(&self, graph: &Graph) -> Result<(), BadSetting> {
        let names = || graph.parameters().map(|value| graph.tensor(value).name.as_str());
        let is_lost = |pattern: &str| !names().any(|name| is_meant(pattern, name));
        let rule = || format!("a layer or parameter of the model, such as `{}`", names().next().unwrap_or("fc"));
        if let Some(group) = self.groups.iter().find(|group| is_lost(&group.pattern)) {
            return Err(BadSetting::new("group", format!("of `{}`", group.pattern), rule()));
        }
        let patterns = self.decay_exclude.iter().filter_map(|exclude| match exclude {
            Exclude::Pattern(pattern) => Some(pattern),
            _ => None,
        });
        match patterns.into_iter().find(|pattern| is_lost(pattern)) {
            None => Ok(()),
            Some(pattern) => {
                Err(BadSetting::new("decay_exclude", format!("`{pattern}`"), format!("bias, norm, or {}", rule())))
            }
        }
    }
}

impl Exclude {
    fn means(&self, name: &str, dimensions: usize) -> bool {
        let is_bias = name.rsplit('.').next() == Some("bias");
        match self {
            Exclude::Bias => is_bias,
            Exclude::Norm => dimensions == 1 && !is_bias,
            Exclude::Pattern(pattern) => is_meant(pattern, name),
        }
    }
}

impl fmt::Display for Exclude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exclude::Bias => f.write_str("bias"),
            Exclude::Norm => f.write_str("norm"),
            Exclude::Pattern(pattern) => f.write_str(pattern),
        }
    }
}

impl FromStr for Exclude {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        match text.trim() {
            "bias" => Ok(Exclude::Bias),
            "norm" => Ok(Exclude::Norm),
            "" => Err(BadSetting::new("decay_exclude", "empty", "bias, norm, or a layer or parameter")),
            pattern => Ok(Exclude::Pattern(pattern.to_owned())),
        }
    }
}

impl fmt::Display for ParameterGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate.map(|rate| format!("lr={rate}"));
        let decay = self.weight_decay.map(|decay| format!("weight_decay={decay}"));
        let shares: Vec<String> = rate.into_iter().chain(decay).collect();
        write!(f, "{}:{}", self.pattern, shares.join(","))
    }
}

impl FromStr for ParameterGroup {
    type Err = BadSetting;

    fn from_str(text: &str) -> Result<Self, BadSetting> {
        let refused = || {
            let rule = "a pattern with what is its own, such as `layer1*:lr=0.1,weight_decay=0`; lr is a factor";
            BadSetting::new("group", format!("`{text}`"), rule)
        };
        let (pattern, shares) = text.rsplit_once(':').ok_or_else(refused)?;
        let mut group = ParameterGroup { pattern: pattern.trim().to_owned(), rate: None, weight_decay: None };
        for share in shares.split(',') {
            let (name, number) = share.split_once('=').ok_or_else(refused)?;
            let number: f64 = number.trim().parse().map_err(|_| refused())?;
            match name.trim() {
                "lr" => group.rate = Some(number),
                "weight_decay" => group.weight_decay = Some(number),
                _ => return Err(refused()),
            }
        }
        if group.pattern.is_empty() { Err(refused()) } else { Ok(group) }
    }
}

as_text!(Exclude, BadSetting);
as_text!(ParameterGroup, BadSetting);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Init;

    fn graph() -> (Graph, Vec<Value>) {
        let mut graph = Graph::new();
        let shapes = [
            ("conv1.weight", vec![4, 3, 3, 3]),
            ("bn1.weight", vec![4]),
            ("bn1.bias", vec![4]),
            ("layer1.0.conv1.weight", vec![4, 4, 3, 3]),
            ("fc.weight", vec![2, 4]),
            ("fc.bias", vec![2]),
        ];
        let parameters = shapes.map(|(name, shape)| graph.parameter(name, shape, Init::ZEROS).unwrap());
        (graph, parameters.to_vec())
    }

    fn told(groups: &Groups) -> Vec<(f64, Option<f64>)> {
        let (graph, parameters) = graph();
        let Shares(shares) = groups.shares(&graph, &Optimizer::default());
        let share = |&value: &Value| shares[&graph.tensor(value).name];
        parameters.iter().map(share).map(|share| (share.rate, share.weight_decay)).collect()
    }

    #[test]
    fn biases_and_norms_are_excluded_from_decay_by_a_word_each() {
        let excluded = |words: &[&str]| {
            let decay_exclude = words.iter().map(|word| word.parse().unwrap()).collect();
            let shares = told(&Groups { decay_exclude, ..Groups::default() });
            shares.iter().map(|(_, decay)| decay.is_some()).collect::<Vec<_>>()
        };
        assert_eq!(excluded(&["bias"]), [false, false, true, false, false, true]);
        assert_eq!(excluded(&["norm"]), [false, true, false, false, false, false]);
        assert_eq!(excluded(&["bias", "norm"]), [false, true, true, false, false, true]);
        assert_eq!(excluded(&["layer1"]), [false, false, false, true, false, false]);
    }

    #[test]
    fn the_last_group_that_means_a_parameter_counts() {
        let groups = ["*:lr=0.5", "fc:lr=2,weight_decay=0.1"].map(|text| text.parse().unwrap()).to_vec();
        let shares = told(&Groups { groups, ..Groups::default() });
        assert_eq!((shares[0], shares[5]), ((0.5, None), (2.0, Some(0.1))));
    }

    #[test]
    fn each_layer_learns_slower_than_the_one_after_it() {
        let shares = told(&Groups { layer_decay: Some(0.5), ..Groups::default() });
        assert_eq!(shares.iter().map(|(rate, _)| *rate).collect::<Vec<_>>(), [0.125, 0.25, 0.25, 0.5, 1.0, 1.0]);
    }

    #[test]
    fn what_means_nothing_is_told() {
        for text in ["fc", "fc:lr", "fc:rate=2", ":lr=1", "fc:lr=x"] {
            assert!(text.parse::<ParameterGroup>().is_err(), "{text}");
        }
        let group: ParameterGroup = "layer1*:lr=0.1,weight_decay=0".parse().unwrap();
        assert_eq!(group.to_string(), "layer1*:lr=0.1,weight_decay=0");
        let (graph, _) = graph();
        let lost = Groups { groups: vec!["layer9:lr=1".parse().unwrap()], ..Groups::default() };
        assert!(lost.expect_meant(&graph).unwrap_err().to_string().contains("`layer9`"));
        assert!(Groups { layer_decay: Some(1.5), ..Groups::default() }.validate().is_err());
    }
}
