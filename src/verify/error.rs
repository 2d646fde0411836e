//! Why a case did not pass.

use crate::check::Difference;
use crate::graph::GraphError;
use crate::models::ModelError;
use crate::ops::card::FixtureError;
use crate::optim::OptimizerError;
use crate::optim::schedule::ScheduleError;
use crate::session::SessionError;
use crate::tensor::Shape;

/// Why a case did not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum CaseError {
    #[error("the file cannot be read: {reason}")]
    File { reason: String },
    #[error("the case cannot be read: {reason}")]
    Metadata { reason: String },
    #[error("the tensor `{tensor}` holds {found}, not {expected}")]
    ElementType { tensor: String, found: String, expected: &'static str },
    #[error("the file expects a tensor `{tensor}`, which this case of kind `{kind}` does not compute")]
    Unexpected { tensor: String, kind: String },
    #[error("`{tensor}` has the shape {got}, not {want}")]
    Shape { tensor: String, got: Shape, want: Shape },
    #[error("{}", told(differences))]
    Wrong { differences: Vec<Difference> },
    #[error("{what} cannot be run by this version")]
    Unsupported { what: String },
    #[error("the engine broke off, which is a defect of it: {message}")]
    Defect { message: String },
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl CaseError {
    pub(super) fn unsupported(what: impl Into<String>) -> Self {
        CaseError::Unsupported { what: what.into() }
    }

    /// Whether the case asks for what this engine or device does not have.
    pub(super) fn is_unsupported(&self) -> bool {
        match self {
            CaseError::Session(error) => error.is_unsupported(),
            _ => matches!(
                self,
                CaseError::Unsupported { .. }
                    | CaseError::Fixture(FixtureError::Unsupported { .. })
                    | CaseError::Model(ModelError::UnknownModel { .. })
                    | CaseError::Optimizer(OptimizerError::Unknown { .. })
                    | CaseError::Schedule(ScheduleError::UnknownSchedule { .. })
            ),
        }
    }
}

/// The worst tensor in full, and how many others are wrong.
fn told(differences: &[Difference]) -> String {
    match differences {
        [] => "no tensor differs".to_owned(),
        [one] => one.to_string(),
        [worst, others @ ..] => format!("{worst} (and {} other tensors are wrong)", others.len()),
    }
}
