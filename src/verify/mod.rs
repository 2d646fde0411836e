//! Runs conformance cases: numbers that PyTorch computed in f64 and this engine must reproduce.
//!
//! One `.safetensors` file is one case. [`find_cases`] lists the files, [`run_case`] runs one of them
//! on a [`Device`] and judges every tensor that the file expects.

mod case;
mod error;
mod filling;
mod loss;
mod model;
mod op;
mod optimizer;
mod schedule;

pub use case::find_cases;
pub use error::CaseError;

use crate::check::{self, Tolerance};
use crate::graph::{Graph, Pass, Value};
use crate::ops::card::{Attributes, Fixture};
use crate::session::Device;
use crate::tensor::Shape;
use case::Case;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// How a case ended.
#[derive(Debug)]
pub enum Outcome {
    /// All numbers agree.
    Passed,
    /// Wrong numbers, a file that cannot be read, or an attribute out of its range.
    Failed(CaseError),
    /// This engine, or this device, does not have what the case asks for.
    Unsupported(CaseError),
}

/// Runs the case in `file`.
#[cfg(blocking)]
pub fn run_case(file: &Path, device: &Device) -> Outcome {
    // One defective case must not take the verdicts of all others with it.
    let run = catch_unwind(AssertUnwindSafe(|| pollster::block_on(judge_case(&Case::read(file)?, device))));
    let result = run.unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(CaseError::Defect { message: text.to_owned() })
    });
    result.into()
}

/// Runs the case in the bytes of a file, where nothing may wait.
pub async fn run_case_async(bytes: &[u8], device: &Device) -> Outcome {
    match Case::parse(bytes) {
        Ok(case) => judge_case(&case, device).await.into(),
        Err(error) => Outcome::Failed(error),
    }
}

impl From<Result<(), CaseError>> for Outcome {
    fn from(result: Result<(), CaseError>) -> Outcome {
        match result {
            Ok(()) => Outcome::Passed,
            Err(error) if error.is_unsupported() => Outcome::Unsupported(error),
            Err(error) => Outcome::Failed(error),
        }
    }
}

async fn judge_case(case: &Case, device: &Device) -> Result<(), CaseError> {
    let computed = match case.kind.as_str() {
        "op" => op::run(case, device).await?,
        "loss" => loss::run(case, device).await?,
        "model" => model::run(case, device).await?,
        "optimizer" => optimizer::run(case, device).await?,
        "schedule" => schedule::run(case)?,
        kind => return Err(CaseError::unsupported(format!("cases of kind `{kind}`"))),
    };
    judge(case, &computed)
}

/// Builds what a case of one op or loss names of what the case gives, and gives its output: the readers stand on the
/// [cards](crate::check::cards) of ops.
fn build(
    case: &Case,
    name: &str,
    train: bool,
    graph: &mut Graph,
    operands: BTreeMap<String, Value>,
) -> Result<Value, CaseError> {
    let readers = check::cards().flat_map(|card| card.conformance);
    let Some((_, reader)) = readers.into_iter().find(|(known, _)| *known == name) else {
        return Err(CaseError::unsupported(format!("the {} `{name}`", case.kind)));
    };
    graph.within(Pass::Forward, name, |graph| {
        let mut fixture = Fixture { graph, operands, train, attributes: Attributes::new(name, &case.attrs) };
        let out = reader(&mut fixture)?;
        fixture.attributes.finish()?;
        Ok(out)
    })
}

/// What the engine computed, under the names of a case's expected tensors.
#[derive(Default)]
struct Computed {
    tensors: BTreeMap<String, (Shape, Vec<f64>)>,
    /// Names that start so are given, not expected.
    given: &'static [&'static str],
}

impl Computed {
    fn of(given: &'static [&'static str]) -> Self {
        Computed { tensors: BTreeMap::new(), given }
    }

    fn insert(&mut self, name: impl Into<String>, shape: impl Into<Shape>, values: impl IntoIterator<Item = f64>) {
        self.tensors.insert(name.into(), (shape.into(), values.into_iter().collect()));
    }

    fn insert_f32(&mut self, name: impl Into<String>, shape: impl Into<Shape>, values: &[f32]) {
        self.insert(name, shape, values.iter().map(|&value| f64::from(value)));
    }
}

/// Holds every tensor that the case expects against what was computed.
fn judge(case: &Case, computed: &Computed) -> Result<(), CaseError> {
    let tolerance = Tolerance { relative: case.rtol, absolute: case.atol };
    let mut differences = Vec::new();
    for name in case.names().filter(|name| !computed.given.iter().any(|given| name.starts_with(given))) {
        let want = case.tensor(name)?;
        let Some((shape, got)) = computed.tensors.get(name) else {
            return Err(CaseError::Unexpected { tensor: name.to_owned(), kind: case.kind.clone() });
        };
        if *shape != want.shape {
            let (got, want) = (shape.clone(), want.shape.clone());
            return Err(CaseError::Shape { tensor: name.to_owned(), got, want });
        }
        if let Err(difference) = check::compare_values(name, got, &want.f64()?, tolerance) {
            differences.push(difference);
        }
    }
    // The worst first: it stands nearest to the cause.
    differences.sort_by(|a, b| (b.largest / b.bound).total_cmp(&(a.largest / a.bound)));
    match differences.is_empty() {
        true => Ok(()),
        false => Err(CaseError::Wrong { differences }),
    }
}
