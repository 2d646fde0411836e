//! Holds the GPU against the CPU reference: the same graph, the same inputs, every element compared.

mod case;
mod sweep;
mod table;

pub use crate::ops::card::{Case, Tolerance};
pub use case::add_gradients;
#[cfg(blocking)]
pub use sweep::sweep;
pub use sweep::{CheckFailure, Variant, Verdict, sweep_async};
#[cfg(blocking)]
pub(crate) use sweep::{reproduces, same_dispatches};
pub use table::{Row, Table, half_kernels};

use crate::gpu::Gpu;
use crate::graph::Graph;
use crate::ops::card::Card;
use crate::reference::{self, Tensors};
use crate::session::SessionError;
#[cfg(blocking)]
use crate::session::run_once;
use crate::tensor::HostTensor;
use crate::{nn, ops, optim};
use std::fmt;

/// Every card: of ops, of what is made of several ops, and of updates.
pub fn cards() -> impl Iterator<Item = &'static Card> {
    ops::ALL.iter().chain(nn::ALL).copied().chain([&optim::CARD])
}

/// Every op on awkward shapes and on numbers at the edge: what `tilewright check` runs.
pub fn cases() -> Vec<Case> {
    cards().flat_map(|card| (card.cases)()).collect()
}

/// Where a tensor is wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference {
    /// Name of the output, or of the state.
    pub tensor: String,
    /// Flat index of the first element beyond the bound.
    pub index: usize,
    /// That element on the device.
    pub got: f64,
    /// That element by the reference.
    pub want: f64,
    /// Largest difference in the tensor, and its bound.
    pub largest: f64,
    /// The most that it may be.
    pub bound: f64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}`: element {} is {:e}, not {:e}; largest error {:.3e}, bound {:.3e}",
            self.tensor, self.index, self.got, self.want, self.largest, self.bound
        )
    }
}

/// Compares two tensors: NaN agrees with NaN alone, an infinity with the same one.
///
/// # Errors
/// The first wrong element.
pub fn compare(tensor: &str, got: &HostTensor, want: &HostTensor, tolerance: Tolerance) -> Result<(), Difference> {
    let values = |tensor: &HostTensor| -> Vec<f64> {
        match tensor {
            HostTensor::F32(data) => data.iter().map(|&value| f64::from(value)).collect(),
            HostTensor::U32(data) => data.iter().map(|&value| f64::from(value)).collect(),
        }
    };
    compare_values(tensor, &values(got), &values(want), tolerance)
}

/// As [`compare`], of numbers.
///
/// # Errors
/// The first wrong element.
pub fn compare_values(tensor: &str, got: &[f64], want: &[f64], tolerance: Tolerance) -> Result<(), Difference> {
    let finite = want.iter().filter(|value| value.is_finite());
    let scale = finite.fold(0.0f64, |largest, value| largest.max(value.abs()));
    let bound = tolerance.absolute + tolerance.relative * scale;
    let first = match got.len() == want.len() {
        true => got.iter().zip(want).position(|(&got, &want)| distance(got, want) > bound),
        false => Some(got.len().min(want.len())),
    };
    let Some(index) = first else { return Ok(()) };
    let largest = got.iter().zip(want).map(|(&got, &want)| distance(got, want)).fold(0.0, f64::max);
    let at = |values: &[f64]| values.get(index).copied().unwrap_or(f64::NAN);
    Err(Difference { tensor: tensor.to_owned(), index, got: at(got), want: at(want), largest, bound })
}

/// How far two results are apart: not at all where both are NaN or the same infinity, infinitely where only one is.
fn distance(got: f64, want: f64) -> f64 {
    if got == want || got.is_nan() && want.is_nan() {
        return 0.0;
    }
    let difference = (got - want).abs();
    if difference.is_nan() { f64::INFINITY } else { difference }
}

/// A graph that could not be run, or ran wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum CheckError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("{0}")]
    Wrong(Difference),
}

/// Runs `graph` once on the device and once on the CPU reference, and compares every output and
/// every tensor of its state.
///
/// # Errors
/// The first tensor that differs, or the device's failure.
#[cfg(blocking)]
pub fn check_graph(gpu: &Gpu, graph: &Graph, tensors: &Tensors, tolerance: Tolerance) -> Result<(), CheckError> {
    let mut state = tensors.clone();
    let want = reference::run(graph, tensors, &mut state);
    let (got, got_state) = run_once(&gpu.clone().into(), graph, tensors)?;
    for ((name, _), (got, want)) in graph.outputs().iter().zip(got.iter().zip(&want)) {
        compare(name, got, want, tolerance).map_err(CheckError::Wrong)?;
    }
    for (name, got) in &got_state {
        compare(name, got, &state[name], tolerance).map_err(CheckError::Wrong)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(got: &[f64], want: &[f64]) -> bool {
        compare_values("y", got, want, Tolerance { relative: 0.1, absolute: 0.0 }).is_ok()
    }

    #[test]
    fn nan_agrees_with_nan_alone() {
        assert!(agree(&[f64::NAN, 1.0], &[-f64::NAN, 1.0]));
        assert!(!agree(&[f64::NAN], &[1.0]));
        assert!(!agree(&[1.0], &[f64::NAN]));
        assert!(!agree(&[f64::NAN], &[f64::INFINITY]));
    }

    #[test]
    fn an_infinity_agrees_with_itself_alone_and_sets_no_bound() {
        let infinity = f64::INFINITY;
        assert!(agree(&[infinity, 1.0], &[infinity, 1.05]));
        assert!(!agree(&[1e300], &[infinity]));
        assert!(!agree(&[-infinity], &[infinity]));
        assert!(!agree(&[infinity], &[1.0]));
        assert!(!agree(&[infinity, 2.0], &[infinity, 1.0]), "an infinity beside it excuses no error");
    }

    #[test]
    fn a_difference_names_what_is_no_number() {
        let wrong = compare_values("y", &[2.0, 7.0], &[2.0, f64::NAN], Tolerance::default());
        let told = wrong.map_err(|difference| difference.to_string());
        assert_eq!(told, Err("`y`: element 1 is 7e0, not NaN; largest error inf, bound 2.100e-5".to_owned()));
    }
}
