//! Writes a model as ONNX: the inference graph, node by node, for any number of images. What a node is there, its op says
//! ([`Op::onnx`](crate::graph::Op::onnx)).

pub mod schema;

use self::schema::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto,
};
use super::export::{inference_graph, weights_of};
use super::{Definition, InteropError, StateDict};
use crate::atomic_file::replace_file;
use crate::checkpoint::Checkpoint;
use crate::graph::{Graph, OnnxGraph, Role};
use prost::Message;
use std::collections::HashSet;
use std::path::Path;

/// Version of the operators: the first with layer normalisation.
const OPSET: i64 = 17;
/// Version of the file format that came with it.
const IR_VERSION: i64 = 8;

/// Name of the model's input, `[N, C, H, W]`, normalised images.
const IMAGES: &str = "images";
/// Name of its output, `[N, classes]`.
const LOGITS: &str = "logits";

/// Writes the model of `checkpoint`, which was read from `path`, to `out`. With `fold_batch_norm`,
/// batch norms become part of the convolutions before them. What defines the network is in the file's metadata, as JSON:
/// `model`, `attributes`, `input_channels`, `image_size`, `classes`, `mean`, `std` and `preprocessing`.
///
/// # Errors
/// When a tensor is missing, an op has no counterpart in ONNX, or the file cannot be written.
pub fn export(checkpoint: &Checkpoint, path: &Path, out: &Path, fold_batch_norm: bool) -> Result<(), InteropError> {
    let bytes = model(checkpoint, path, fold_batch_norm)?.encode_to_vec();
    replace_file(out, &bytes).map_err(InteropError::file(out, "written"))
}

/// The model that [`export`] writes.
///
/// # Errors
/// As [`export`].
pub fn model(checkpoint: &Checkpoint, path: &Path, fold_batch_norm: bool) -> Result<ModelProto, InteropError> {
    let mut weights = weights_of(checkpoint, path)?;
    let [mut two, mut three] = [2, 3].map(|batch| inference_graph(checkpoint, batch).map(|built| built.graph));
    if fold_batch_norm {
        let fold = |graph: Graph, weights: Option<&mut StateDict>| {
            let folded = graph.fold_batch_norm();
            weights.into_iter().for_each(|weights| folded.apply(weights));
            folded.graph
        };
        two = two.map(|graph| fold(graph, Some(&mut weights)));
        three = three.map(|graph| fold(graph, None));
    }
    let graph = convert(&two?, &three?, &weights)?;
    let header = &checkpoint.header;
    let entries = Definition::of(header).entries().into_iter();
    let entries = entries.map(|(key, value)| StringStringEntryProto { key: key.to_owned(), value });
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "tilewright".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(GraphProto { name: header.config.model.clone(), ..graph }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: entries.collect(),
    })
}

/// The graph for two and for three images as one for any number.
fn convert(two: &Graph, three: &Graph, weights: &StateDict) -> Result<GraphProto, InteropError> {
    let mut onnx = OnnxGraph::new(two, three, IMAGES);
    let mut graph = GraphProto::default();
    for value in two.values() {
        let tensor = two.tensor(value);
        match tensor.role {
            Role::Input => {
                onnx.name(value, IMAGES);
                graph.input.push(ValueInfoProto::batch_of(IMAGES, &tensor.spec.shape[1..]));
            }
            Role::Parameter { .. } | Role::Buffer { .. } => onnx.name(value, &tensor.name),
            Role::Pack { .. } | Role::Node { .. } => {}
        }
    }
    for &(_, value) in two.outputs() {
        onnx.name(value, LOGITS);
        graph.output.push(ValueInfoProto::batch_of(LOGITS, &two.shape(value)[1..]));
    }
    for node in two.nodes().iter().zip(two.live_nodes()).filter_map(|(node, live)| live.then_some(node)) {
        onnx.add(node).map_err(|reason| InteropError::NotInOnnx {
            layer: node.layer.clone(),
            op: node.op.name().to_owned(),
            reason,
        })?;
    }
    drop_unread(&mut onnx);
    let read: HashSet<&str> = onnx.operators.iter().flat_map(|operator| &operator.inputs).map(String::as_str).collect();
    let weights = weights.iter().filter(|(name, _)| read.contains(name.as_str()));
    let weights = weights.map(|(name, (shape, data))| TensorProto::floats(name, shape, data));
    let constants = onnx.constants.iter().map(|(name, constant)| TensorProto::constant(name, constant));
    graph.initializer = weights.chain(constants).collect();
    graph.node = onnx.operators.into_iter().map(NodeProto::from).collect();
    Ok(graph)
}

/// Drops the operators whose results nobody reads: what an op computes here in several nodes may be one operator there.
fn drop_unread(onnx: &mut OnnxGraph<'_>) {
    let mut read = HashSet::from([LOGITS.to_owned()]);
    let mut kept = Vec::with_capacity(onnx.operators.len());
    for operator in std::mem::take(&mut onnx.operators).into_iter().rev() {
        if read.contains(&operator.output) {
            read.extend(operator.inputs.iter().cloned());
            kept.push(operator);
        }
    }
    kept.reverse();
    onnx.constants.retain(|name, _| read.contains(name));
    onnx.operators = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{self, ModelOptions};
    use crate::nn::Mode;

    #[test]
    fn every_model_is_a_graph_for_any_batch_whose_nodes_read_what_is_there() {
        for model in models::all() {
            let [two, three] = [2, 3].map(|batch| model.graph(&ModelOptions::new(), batch, Mode::Eval).unwrap().graph);
            for (two, three) in [(two.fold_batch_norm().graph, three.fold_batch_norm().graph), (two, three)] {
                let graph = convert(&two, &three, &StateDict::new()).unwrap_or_else(|e| panic!("{}: {e}", model.name));
                let mut known: HashSet<&str> =
                    two.parameters().chain(two.buffers()).map(|v| &*two.tensor(v).name).collect();
                known.extend(graph.initializer.iter().map(|tensor| tensor.name.as_str()));
                known.insert(IMAGES);
                for node in &graph.node {
                    for input in &node.input {
                        assert!(known.contains(input.as_str()), "{}: `{}` reads `{input}`", model.name, node.name);
                    }
                    assert!(known.insert(&node.output[0]), "{}: `{}` is computed twice", model.name, node.output[0]);
                }
                assert!(known.contains(LOGITS), "{}", model.name);
                let names: HashSet<&str> = graph.node.iter().map(|node| node.name.as_str()).collect();
                assert_eq!(names.len(), graph.node.len(), "{}: two nodes have one name", model.name);
            }
        }
    }

    #[test]
    fn a_normalisation_of_groups_is_one_of_instances_and_its_statistics_are_not_written_twice() {
        use crate::nn::Scope;
        use crate::tensor::TensorSpec;
        let [two, three] = [2, 3].map(|batch| {
            let mut graph = Graph::new();
            let x = graph.input("x", TensorSpec::f32([batch, 6, 3, 5])).unwrap();
            let y = Scope::new(&mut graph, Mode::Eval).group_norm("norm", x, 3).unwrap();
            graph.output("logits", y);
            graph
        });
        let vector = |value| (crate::tensor::Shape::from([6]), vec![value; 6]);
        let weights = [("norm.weight".to_owned(), vector(2.0)), ("norm.bias".to_owned(), vector(0.5))].into();
        let graph = convert(&two, &three, &weights).unwrap();
        let kinds: Vec<&str> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
        let expected = ["Reshape", "InstanceNormalization", "Reshape", "Reshape", "Reshape", "Mul", "Add"];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        use crate::graph::Graph;
        use crate::nn::Scope;
        use crate::ops::LocalResponseNorm;
        use crate::tensor::TensorSpec;
        let [two, three] = [2, 3].map(|batch| {
            let mut graph = Graph::new();
            let x = graph.input("x", TensorSpec::f32([batch, 4, 3, 3])).unwrap();
            let norm = LocalResponseNorm { size: 2, alpha: 1e-4, beta: 0.75, k: 1.0 };
            let y = Scope::new(&mut graph, Mode::Eval).scope("norm").local_response_norm(x, norm).unwrap();
            graph.output("logits", y);
            graph
        });
        let error = convert(&two, &three, &StateDict::new()).unwrap_err().to_string();
        assert!(error.starts_with("layer `norm`: local_response_norm cannot be written as ONNX"), "{error}");
    }
}
