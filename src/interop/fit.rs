//! Whether tensors are those of a model, and which of them its number of classes decides.

use crate::models::{Model, ModelError, ModelOptions};
use crate::nn::Mode;
use crate::setting::Setting;
use crate::tensor::Shape;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Tensors that a model and a state_dict do not have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Misfit {
    /// The model has them, the state_dict has not.
    pub missing: Vec<String>,
    /// The state_dict has them, the model has not.
    pub unexpected: Vec<String>,
    /// Name, shape in the state_dict and shape in the model.
    pub misshaped: Vec<(String, Shape, Shape)>,
    /// Where the file has tensors under several keys: the keys.
    pub keys: Option<String>,
}

/// Parameters and buffers of a model under its options, in the order of its state_dict.
///
/// # Errors
/// When the model cannot be built as asked.
pub fn model_tensors(model: &Model, options: &ModelOptions) -> Result<Vec<(String, Shape)>, ModelError> {
    let graph = model.graph(options, 1, Mode::Eval)?.graph;
    // `values` has parameters and buffers of one layer side by side, as a state_dict has them.
    let held = graph.values().filter(|&value| graph.tensor(value).is_kept());
    Ok(held.map(|value| (graph.tensor(value).name.clone(), graph.shape(value).clone())).collect())
}

/// The tensors whose shape depends on the number of classes: the classifier's last layer.
///
/// # Errors
/// When the model cannot be built as asked.
pub fn head_of(model: &Model, options: &ModelOptions) -> Result<BTreeSet<String>, ModelError> {
    let with = |classes| model_tensors(model, &options.clone().num_classes(classes));
    let pairs = with(10)?.into_iter().zip(with(11)?);
    Ok(pairs.filter(|((_, ten), (_, eleven))| ten != eleven).map(|((name, _), _)| name).collect())
}

/// Checks that `held` has the tensors `wanted`, in their shapes, and no others; those named in
/// `fresh` may be as they are.
///
/// # Errors
/// All differences.
pub fn fit(wanted: &[(String, Shape)], held: &BTreeMap<String, Shape>, fresh: &BTreeSet<String>) -> Result<(), Misfit> {
    let wanted: BTreeMap<&String, &Shape> = wanted.iter().map(|(name, shape)| (name, shape)).collect();
    let mut misfit = Misfit::default();
    for (&name, &shape) in wanted.iter().filter(|(name, _)| !fresh.contains(**name)) {
        match held.get(name) {
            None => misfit.missing.push(name.clone()),
            Some(own) if own != shape => misfit.misshaped.push((name.clone(), own.clone(), shape.clone())),
            Some(_) => {}
        }
    }
    let unexpected = held.keys().filter(|name| !wanted.contains_key(name) && !fresh.contains(*name));
    misfit.unexpected = unexpected.cloned().collect();
    match misfit == Misfit::default() {
        true => Ok(()),
        false => Err(misfit),
    }
}

/// Names that are listed before the others are only counted.
const LISTED: usize = 8;

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misshaped = self.misshaped.iter();
        let misshaped = misshaped.map(|(name, own, model)| format!("`{name}` is {own}, the model's is {model}"));
        let quoted = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let parts = [
            ("lacks", quoted(&self.missing)),
            ("has what the model lacks:", quoted(&self.unexpected)),
            ("has other shapes:", misshaped.collect()),
        ];
        let told: Vec<String> = parts
            .into_iter()
            .filter(|(_, items)| !items.is_empty())
            .map(|(what, items)| {
                let shown = items[..items.len().min(LISTED)].join(", ");
                match items.len().saturating_sub(LISTED) {
                    0 => format!("{what} {shown}"),
                    more => format!("{what} {shown} and {more} more"),
                }
            })
            .collect();
        write!(f, "it {}", told.join("; it "))?;
        match &self.keys {
            None => Ok(()),
            Some(keys) => {
                write!(f, "; it has tensors under several keys, of which {} takes one: {keys}", Setting("key"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    #[test]
    fn the_head_is_what_the_number_of_classes_shapes() {
        let head = |name: &str| head_of(models::find(name).unwrap(), &ModelOptions::new()).unwrap();
        assert_eq!(head("resnet18").into_iter().collect::<Vec<_>>(), ["fc.bias", "fc.weight"]);
        assert_eq!(head("squeezenet1_1").into_iter().collect::<Vec<_>>(), ["classifier.1.bias", "classifier.1.weight"]);
    }

    #[test]
    fn every_difference_is_named() {
        let wanted = [("a", [1]), ("b", [2]), ("c", [3])].map(|(name, shape)| (name.to_owned(), Shape::from(shape)));
        let held = [("b", 3), ("c", 4), ("d", 1)];
        let held = held.map(|(name, size)| (name.to_owned(), Shape::from([size]))).into();
        let misfit = fit(&wanted, &held, &BTreeSet::from(["c".to_owned()])).unwrap_err();
        assert_eq!(
            misfit.to_string(),
            "it lacks `a`; it has what the model lacks: `d`; it has other shapes: `b` is [3], the model's is [2]"
        );
    }
}
