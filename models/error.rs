//! Why a model cannot be built.

use crate::graph::GraphError;
use crate::tensor::Shape;

/// A model that is not known, or that cannot be built as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum ModelError {
    #[error("no model is named `{name}`{} (`tilewright models` lists all)", did_you_mean(close))]
    UnknownModel { name: String, close: Vec<&'static str> },
    #[error("there is a model `{name}` already: give yours another name")]
    NameTaken { name: &'static str },
    #[error("the model `{model}` has no attribute `{attribute}`: it takes {takes}{}", did_you_mean(close))]
    UnknownAttribute { model: &'static str, attribute: String, close: Vec<&'static str>, takes: String },
    #[error("the model `{model}` cannot take {attribute} = {value}: it must be {rule}; the model takes {takes}")]
    BadAttribute { model: &'static str, attribute: String, value: String, rule: String, takes: String },
    #[error("the model `{model}` takes images of shape [N, C, H, W], not {shape}")]
    NotImages { model: &'static str, shape: Shape },
    #[error("the model `{model}` was asked for images of {asked:?} (channels, height, width), but is given {shape}")]
    OtherImages { model: &'static str, shape: Shape, asked: [usize; 3] },
    #[error("the model `{model}` cannot be built for images {shape}: {reason}")]
    Build {
        model: &'static str,
        shape: Shape,
        #[source]
        reason: Box<GraphError>,
    },
}

pub(crate) fn did_you_mean(close: &[&'static str]) -> String {
    match close.split_last() {
        None => String::new(),
        Some((only, [])) => format!("; did you mean `{only}`?"),
        Some((last, others)) => {
            let others: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
            format!("; did you mean {} or `{last}`?", others.join(", "))
        }
    }
}
