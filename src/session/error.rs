//! What can go wrong in a session.

use crate::gpu::GpuError;
use crate::plan::PlanError;
use crate::reference::NoMemory;
use crate::tensor::{ElementType, Shape};

/// A graph that cannot be run, or what it was given wrongly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum SessionError {
    #[error(transparent)]
    Gpu(#[from] GpuError),
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
    #[error("the graph has no {kind} `{name}`; it has {}", list(known))]
    Unknown { kind: &'static str, name: String, known: Vec<String> },
    #[error("there is no tensor named `{name}`: no graph that was prepared here has it")]
    UnknownTensor { name: String },
    #[error("`{name}` holds {expected} values, not {given}")]
    WrongSize { name: String, expected: usize, given: usize },
    #[error("the input `{name}` {shape} is of {expected:?} and takes {} of them, not {given} of {element:?}", shape.elements())]
    WrongInput { name: String, shape: Shape, expected: ElementType, given: usize, element: ElementType },
    #[error("the output `{name}` is of {element:?}: only those of F32 are read together")]
    NotF32 { name: String, element: ElementType },
    #[error("the {kind} is that of another program")]
    OtherProgram { kind: &'static str },
    #[error("the program has not run yet: there is no output to read")]
    NotRun,
}

impl SessionError {
    /// Whether the device lacks what the graph needs.
    pub fn is_unsupported(&self) -> bool {
        use PlanError::{NoHalf, TensorTooLarge, Unsupported};
        matches!(self, SessionError::Gpu(GpuError::Plan(Unsupported(_) | TensorTooLarge { .. } | NoHalf { .. })))
    }

    /// Whether a smaller graph may run.
    pub fn is_too_large(&self) -> bool {
        matches!(
            self,
            SessionError::Gpu(GpuError::OutOfMemory { .. } | GpuError::TooLarge { .. }) | SessionError::NoMemory(_)
        )
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        _ => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
