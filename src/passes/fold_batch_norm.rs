//! Batch norms with running statistics as part of the convolution before them.
//!
//! y = (conv(x, w) + b - mean) * s + beta with s = gamma / sqrt(var + eps) is the convolution with
//! w' = w * s and b' = (b - mean) * s + beta, s by filter: one pass over the activations less, and
//! two tensors of the store less.

use crate::graph::{Graph, Init, Node, Role, Tensor, Value};
use crate::ops::{BatchNormalize, Conv2d, Linear};
use crate::tensor::{Shape, TensorSpec};
use std::collections::{BTreeMap, HashMap};

/// A graph whose batch norms are folded, and how its parameters come from those of the original.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The graph without them.
    pub graph: Graph,
    /// One for each batch norm that is gone.
    pub folds: Vec<Fold>,
}

/// One batch norm that became part of a convolution or linear layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Names of the layer's weight, `[K, ...]`, and of its bias, `[K]`.
    pub weight: String,
    /// Of the layer; a new one, where it had none.
    pub bias: String,
    /// Names of the batch norm's weight, bias, running mean and running variance, each `[K]`.
    pub norm: [String; 4],
    /// What the batch norm added to the variance.
    pub eps: f32,
}

impl Folded {
    /// Replaces the tensors of the original graph, by name, with those of the folded one; what is
    /// missing there is left alone.
    pub fn apply(&self, tensors: &mut BTreeMap<String, (Shape, Vec<f32>)>) {
        for fold in &self.folds {
            fold.apply(tensors);
        }
    }
}

impl Fold {
    fn apply(&self, tensors: &mut BTreeMap<String, (Shape, Vec<f32>)>) -> Option<()> {
        let vectors = self.norm.each_ref().map(|name| tensors.remove(name));
        let [Some((shape, gamma)), Some((_, beta)), Some((_, mean)), Some((_, var))] = vectors else { return None };
        let bias = tensors.remove(&self.bias).map_or_else(|| vec![0.0; gamma.len()], |(_, bias)| bias);
        let (_, weight) = tensors.get_mut(&self.weight)?;
        let filter = weight.len() / gamma.len().max(1);
        let scale = |k: usize| f64::from(gamma[k]) / (f64::from(var[k]) + f64::from(self.eps)).sqrt();
        for (k, filter) in weight.chunks_exact_mut(filter.max(1)).enumerate() {
            filter.iter_mut().for_each(|w| *w = (f64::from(*w) * scale(k)) as f32);
        }
        let shifted = |k: usize| (f64::from(bias[k]) - f64::from(mean[k])) * scale(k) + f64::from(beta[k]);
        let bias = (0..gamma.len()).map(|k| shifted(k) as f32).collect();
        tensors.insert(self.bias.clone(), (shape, bias));
        Some(())
    }
}

/// A batch norm and the layer it goes into.
struct Pair {
    layer: usize,
    fold: Fold,
}

impl Graph {
    /// Folds each batch norm that normalises by running statistics into the convolution or linear
    /// layer before it, where nothing else reads that layer or its weight. The other nodes stay. A graph
    /// that trains, which has packs, is given back as it is.
    pub fn fold_batch_norm(&self) -> Folded {
        let has_packs = self.tensors().iter().any(|tensor| matches!(tensor.role, Role::Pack { .. }));
        let pairs = if has_packs { HashMap::new() } else { self.pairs() };
        if pairs.is_empty() {
            return Folded { graph: self.clone(), folds: Vec::new() };
        }
        let dropped: Vec<&String> = pairs.values().flat_map(|pair| &pair.fold.norm).collect();
        let layers: HashMap<usize, &Fold> = pairs.values().map(|pair| (pair.layer, &pair.fold)).collect();
        let mut graph = Graph::new();
        let mut now: HashMap<Value, Value> = HashMap::new();
        for value in self.values() {
            let tensor = self.tensor(value);
            if !matches!(tensor.role, Role::Node { .. }) && !dropped.contains(&&tensor.name) {
                now.insert(value, graph.copy_tensor(tensor));
            }
        }
        for (index, node) in self.nodes().iter().enumerate() {
            if pairs.contains_key(&index) {
                now.insert(node.outputs[0], now[&node.inputs[0]]);
                continue;
            }
            let mut inputs: Vec<Value> = node.inputs.iter().map(|input| now[input]).collect();
            if let (Some(fold), 2) = (layers.get(&index), inputs.len()) {
                let filters = self.shape(node.inputs[1])[0];
                let role = Role::Parameter { init: Init::ZEROS, trainable: true };
                let spec = TensorSpec::f32([filters]);
                inputs.push(graph.copy_tensor(&Tensor { name: fold.bias.clone(), spec, role }));
            }
            for (&old, new) in node.outputs.iter().zip(graph.copy_node(self, node, inputs)) {
                now.insert(old, new);
            }
        }
        self.outputs().iter().for_each(|(name, value)| graph.output(name, now[value]));
        let mut folds: Vec<(usize, Fold)> = pairs.into_values().map(|pair| (pair.layer, pair.fold)).collect();
        folds.sort_by_key(|(layer, _)| *layer);
        Folded { graph, folds: folds.into_iter().map(|(_, fold)| fold).collect() }
    }

    /// The batch norms that can be folded, by node.
    fn pairs(&self) -> HashMap<usize, Pair> {
        let readers = self.readers();
        let only = |value: Value| readers[value.index()] == 1;
        let pair = |node: &Node| {
            let norm = node.op_as::<BatchNormalize>().filter(|norm| norm.affine && !norm.batch_statistics)?;
            let &[x, gamma, beta, mean, var] = &node.inputs[..] else { return None };
            let Role::Node { node: index, .. } = self.tensor(x).role else { return None };
            let layer = &self.nodes()[index];
            let is_layer =
                layer.op_as::<Conv2d>().is_some() || layer.op_as::<Linear>().is_some() && self.shape(x).len() == 2;
            let vectors = [gamma, beta, mean, var];
            let kept = |value: Value| only(value) && self.tensor(value).is_kept();
            let own = layer.inputs.get(1..)?.iter().chain(&vectors).all(|&value| kept(value));
            let name = |value: Value| self.tensor(value).name.clone();
            let bias = layer.inputs.get(2).map_or_else(|| format!("{}.bias", layer.layer), |&bias| name(bias));
            let is_free = layer.inputs.len() == 3 || self.find(&bias).is_none();
            (is_layer && only(x) && own && is_free).then(|| Pair {
                layer: index,
                fold: Fold { weight: name(layer.inputs[1]), bias, norm: vectors.map(name), eps: norm.eps },
            })
        };
        self.nodes().iter().enumerate().filter_map(|(index, node)| Some((index, pair(node)?))).collect()
    }
}
