//! Which name of a file is which tensor of a model: files put prefixes before the names, wrap modules in others, or
//! have names of older versions.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Modules that only wrap another, wherever they stand: `torch.compile`, FSDP, activation checkpoints, DataParallel.
const WRAPPERS: [&str; 4] = ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "module"];

/// The names of a file as those of a model.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Naming {
    /// What stands before each name that is the model's, with its last point; or nothing.
    pub prefix: String,
    /// Name in the file, by the name that it stands for.
    pub names: BTreeMap<String, String>,
    /// Names without the prefix.
    pub outside: Vec<String>,
    /// Other prefixes under which all of the model's tensors are.
    pub others: Vec<String>,
}

impl Naming {
    /// How the names `held` are those `wanted`; `needed` are the wanted ones that a file must have.
    pub(super) fn of<'a>(
        wanted: &BTreeSet<&str>,
        needed: &BTreeSet<&str>,
        held: impl Iterator<Item = &'a str> + Clone,
    ) -> Naming {
        let plain: Vec<(String, &str)> = held.map(|name| (unwrapped(name), name)).collect();
        // For each prefix, the wanted names that stand after it.
        let mut after: HashMap<&str, BTreeSet<String>> = HashMap::new();
        for (name, _) in &plain {
            let points = name.match_indices('.').map(|(at, _)| at + 1);
            for at in std::iter::once(0).chain(points) {
                let (prefix, rest) = name.split_at(at);
                if let Some(meant) = meant(rest, wanted) {
                    after.entry(prefix).or_default().insert(meant);
                }
            }
        }
        let covers = |found: &BTreeSet<String>| needed.iter().all(|name| found.contains(*name));
        let mut whole: Vec<&str> = after.iter().filter(|(_, found)| covers(found)).map(|(prefix, _)| *prefix).collect();
        whole.sort_by_key(|prefix| (is_average(prefix), prefix.len(), prefix.to_string()));
        let prefix = match whole.first() {
            Some(prefix) => (*prefix).to_owned(),
            // Nothing suits. So that the differences are told in the model's names, a prefix of all is left out.
            None => shared(&plain, &after).unwrap_or_default(),
        };
        let mut naming =
            Naming { others: whole.iter().skip(1).map(|prefix| (*prefix).to_owned()).collect(), ..Naming::default() };
        for (name, own) in &plain {
            match name.strip_prefix(prefix.as_str()) {
                Some(rest) => {
                    let rest = meant(rest, wanted).unwrap_or_else(|| rest.to_owned());
                    naming.names.insert(rest, (*own).to_owned());
                }
                None => naming.outside.push((*own).to_owned()),
            }
        }
        naming.prefix = prefix;
        naming
    }
}

/// A prefix that all names have and after which a wanted one stands.
fn shared(plain: &[(String, &str)], after: &HashMap<&str, BTreeSet<String>>) -> Option<String> {
    let of_all = |prefix: &&&str| plain.iter().all(|(name, _)| name.starts_with(**prefix));
    after
        .keys()
        .filter(of_all)
        .max_by_key(|prefix| (after[*prefix].len(), prefix.len()))
        .map(|prefix| (*prefix).to_owned())
}

/// Whether a key or prefix is that of averaged weights, which stand beside the trained ones.
pub(super) fn is_average(key: &str) -> bool {
    let key = key.to_lowercase();
    ["ema", "swa", "average", "shadow", "teacher", "momentum"].iter().any(|word| key.contains(word))
}

/// The wanted name that a name stands for: itself, or what older versions of torchvision call it.
fn meant(name: &str, wanted: &BTreeSet<&str>) -> Option<String> {
    if wanted.contains(name) {
        return Some(name.to_owned());
    }
    let mut parts: Vec<&str> = name.split('.').collect();
    // DenseNet's `norm.1` of a dense layer is `norm1`.
    let dense = parts.iter().position(|part| part.starts_with("denselayer"));
    if let Some(at) = dense.filter(|at| parts.len() > at + 2 && ["norm", "conv"].contains(&parts[at + 1])) {
        let joined = format!("{}{}", parts[at + 1], parts[at + 2]);
        parts.splice(at + 1..at + 3, [joined.as_str()]);
        return Some(parts.join(".")).filter(|name| wanted.contains(name.as_str()));
    }
    // The perceptron of a vision transformer.
    let of_mlp = |part: &&str| match *part {
        "linear_1" => Some("0"),
        "linear_2" => Some("3"),
        _ => None,
    };
    let at = parts.iter().position(|part| of_mlp(part).is_some())?;
    parts[at] = of_mlp(&parts[at])?;
    Some(parts.join(".")).filter(|name| wanted.contains(name.as_str()))
}

/// The name without the modules that only wrap another.
pub(super) fn unwrapped(name: &str) -> String {
    let parts = name.split('.').filter(|part| !WRAPPERS.contains(part));
    parts.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(wanted: &[&str], held: &[&str]) -> Naming {
        let wanted = wanted.iter().copied().collect();
        Naming::of(&wanted, &wanted, held.iter().copied())
    }

    #[test]
    fn any_prefix_is_found_that_makes_the_names_those_of_the_model() {
        for prefix in ["", "module.", "model.", "net.backbone.", "module.encoder_q.", "_orig_mod.", "model._orig_mod."]
        {
            let held = ["conv1.weight", "fc.weight"].map(|name| format!("{prefix}{name}"));
            let found = naming(&["conv1.weight", "fc.weight"], &[&held[0], &held[1]]);
            assert_eq!(found.names["conv1.weight"], held[0], "{prefix}");
            assert_eq!((found.names.len(), found.outside.len()), (2, 0), "{prefix}");
        }
        let found = naming(&["features.0.weight"], &["features.module.0.weight"]);
        assert_eq!(found.names["features.0.weight"], "features.module.0.weight");
    }

    #[test]
    fn what_stands_beside_the_model_is_outside_and_a_second_copy_is_told() {
        let held = ["n_averaged", "ema.a", "ema.b", "net.a", "net.b"];
        let found = naming(&["a", "b"], &held);
        assert_eq!((found.prefix.as_str(), found.others), ("net.", vec!["ema.".to_owned()]));
        assert_eq!(found.outside, ["n_averaged", "ema.a", "ema.b"]);
    }

    #[test]
    fn names_of_another_model_stay_as_they_are() {
        let found = naming(&["conv1.weight", "fc1.weight"], &["conv1.weight", "layer1.0.conv1.weight"]);
        assert_eq!((found.prefix.as_str(), found.names.len(), found.outside.len()), ("", 2, 0));
        let found = naming(&["conv1.weight", "fc1.weight"], &["model.conv1.weight", "model.fc1.offset"]);
        assert_eq!(found.names["fc1.offset"], "model.fc1.offset");
    }

    #[test]
    fn names_of_older_versions_are_known() {
        let dense = "features.denseblock1.denselayer2";
        let wanted = [format!("{dense}.norm1.weight"), format!("{dense}.conv2.weight")];
        let held = [format!("{dense}.norm.1.weight"), format!("module.{dense}.conv.2.weight")];
        let found = naming(&[&wanted[0], &wanted[1]], &[&held[0], &held[1]]);
        assert_eq!([&found.names[&wanted[0]], &found.names[&wanted[1]]], [&held[0], &held[1]]);
        let found = naming(
            &["layer_0.mlp.0.bias", "layer_0.mlp.3.bias"],
            &["layer_0.mlp.linear_1.bias", "layer_0.mlp.linear_2.bias"],
        );
        assert_eq!(found.names["layer_0.mlp.3.bias"], "layer_0.mlp.linear_2.bias");
    }
}
