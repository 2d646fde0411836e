//! Writes a graph as text, for Graphviz and for Mermaid.

use super::{Graph, Role, Value};
use std::fmt::Write as _;

impl Graph {
    /// One line per node: outputs, op with its attributes, inputs.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for value in self.values() {
            let tensor = self.tensor(value);
            let role = match &tensor.role {
                Role::Input => "input",
                Role::Parameter { trainable: true, .. } => "parameter",
                Role::Parameter { trainable: false, .. } => "frozen parameter",
                Role::Buffer { .. } => "buffer",
                Role::Pack { .. } => "pack",
                Role::Node { .. } => continue,
            };
            line(&mut text, format_args!("%{} = {role} {} {}", value.0, tensor.name, tensor.spec.shape));
        }
        for node in &self.nodes {
            let outputs: Vec<String> =
                node.outputs.iter().map(|&value| format!("%{} {}", value.0, self.shape(value))).collect();
            let inputs: Vec<String> = node.inputs.iter().map(|value| format!("%{}", value.0)).collect();
            line(
                &mut text,
                format_args!(
                    "{} = {:?}({})  # {:?}, {}",
                    outputs.join(", "),
                    node.op,
                    inputs.join(", "),
                    node.pass,
                    node.layer
                ),
            );
        }
        for (name, value) in &self.outputs {
            line(&mut text, format_args!("output {name} = %{}", value.0));
        }
        text
    }

    /// Graphviz's DOT language.
    pub fn to_dot(&self) -> String {
        let mut text = String::from("digraph model {\n  node [shape=box, fontname=\"sans-serif\"];\n");
        for (index, node) in self.nodes.iter().enumerate() {
            let label = format!("{}\\n{}", node.op.name(), node.layer);
            line(&mut text, format_args!("  n{index} [label=\"{label}\"];"));
        }
        self.edges(
            |text, from, to, label| line(text, format_args!("  {from} -> {to} [label=\"{label}\"];")),
            &mut text,
        );
        text.push_str("}\n");
        text
    }

    /// A Mermaid flow chart, as shown by many Markdown viewers.
    pub fn to_mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        for (index, node) in self.nodes.iter().enumerate() {
            line(&mut text, format_args!("  n{index}[\"{}<br/>{}\"]", node.op.name(), node.layer));
        }
        self.edges(|text, from, to, label| line(text, format_args!("  {from} -->|\"{label}\"| {to}")), &mut text);
        text
    }

    /// Calls `edge` with the source, the target and the shape of every edge between nodes and inputs.
    fn edges(&self, edge: impl Fn(&mut String, &str, &str, &str), text: &mut String) {
        let name = |value: Value| match &self.tensor(value).role {
            Role::Node { node, .. } => Some(format!("n{node}")),
            Role::Input => Some(self.tensor(value).name.clone()),
            _ => None,
        };
        for (index, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                if let Some(from) = name(input) {
                    edge(text, &from, &format!("n{index}"), &self.shape(input).to_string());
                }
            }
        }
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string does not fail");
    text.push('\n');
}
