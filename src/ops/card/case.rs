//! One op on one shape: what is built, and the values that go in.

use crate::graph::{Graph, GraphError, Value};
use crate::tensor::{TensorSpec, Tensors};

/// More elements than 65,535 workgroups of 64 invocations have: the grid folds into a second dimension.
pub(crate) const FOLDING: [usize; 4] = [1, 1, 2049, 2049];

pub(crate) const INFINITY: f32 = f32::INFINITY;
pub(crate) const NAN: f32 = f32::NAN;

/// Two results agree when each element's difference is within `absolute` + `relative` * the largest
/// finite magnitude of the expected tensor.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Share of the expected tensor's largest finite magnitude.
    pub relative: f64,
    /// What is allowed besides, in the tensor's own unit.
    pub absolute: f64,
}

impl Default for Tolerance {
    /// Room for the rounding of a few thousand f32 additions.
    fn default() -> Self {
        Tolerance { relative: 1e-5, absolute: 1e-6 }
    }
}

/// What is done to a case's tensors, and how it is called.
pub(crate) type Prepared = (&'static str, fn(&mut Tensors));

/// One op on one shape, with all its gradients.
///
/// `Case::graph` builds it and adds the gradients, [`sweep`](crate::check::sweep) runs it.
pub struct Case {
    /// The op's row in the report.
    pub op: &'static str,
    /// Shapes and attributes.
    pub what: String,
    /// How far the device may be from the reference.
    pub tolerance: Tolerance,
    pub(crate) build: Box<Build>,
    pub(crate) prepare: fn(&mut Tensors),
    pub(crate) classes: u32,
    pub(crate) only_exact: bool,
}

/// Gives what is differentiated by what, if anything is.
type Build = dyn Fn(&mut Graph) -> Result<Option<Slope>, GraphError> + Send + Sync;

/// y, and what its gradient is taken by.
pub(crate) struct Slope {
    pub(crate) y: Value,
    pub(crate) by: Vec<Value>,
}

impl Case {
    /// `op` of what `build` makes and names as the graph's outputs.
    pub fn new(
        op: &'static str,
        what: impl Into<String>,
        build: impl Fn(&mut Graph) -> Result<(), GraphError> + Send + Sync + 'static,
    ) -> Self {
        Case::of(op, what, move |graph| build(graph).map(|()| None))
    }

    /// What `build` makes of inputs of the given shapes, `x0`, `x1`, ..., with the gradients by them and by
    /// every parameter that it declares.
    pub fn differentiated(
        op: &'static str,
        what: impl Into<String>,
        shapes: Vec<Vec<usize>>,
        build: impl Fn(&mut Graph, &[Value]) -> Result<Value, GraphError> + Send + Sync + 'static,
    ) -> Self {
        Case::of(op, what, move |graph| {
            let mut by = Vec::new();
            for (index, shape) in shapes.iter().enumerate() {
                by.push(graph.input(&format!("x{index}"), TensorSpec::f32(shape.clone()))?);
            }
            let y = build(graph, &by)?;
            by.extend(graph.parameters());
            Ok(Some(Slope { y, by }))
        })
    }

    /// What `build` makes, y, and its gradient by the values that `build` gives beside it. The upstream gradient is an
    /// input, `dout`, like any other.
    pub fn of_gradient(
        op: &'static str,
        what: impl Into<String>,
        build: impl Fn(&mut Graph) -> Result<(Value, Vec<Value>), GraphError> + Send + Sync + 'static,
    ) -> Self {
        Case::of(op, what, move |graph| build(graph).map(|(y, by)| Some(Slope { y, by })))
    }

    fn of(
        op: &'static str,
        what: impl Into<String>,
        build: impl Fn(&mut Graph) -> Result<Option<Slope>, GraphError> + Send + Sync + 'static,
    ) -> Self {
        let tolerance = Tolerance::default();
        Case {
            op,
            what: what.into(),
            tolerance,
            build: Box::new(build),
            prepare: |_| {},
            classes: 2,
            only_exact: false,
        }
    }

    /// Changes the random inputs before they are used.
    pub fn prepare(mut self, prepare: fn(&mut Tensors)) -> Self {
        self.prepare = prepare;
        self
    }

    /// How far the device may be from the reference.
    pub fn tolerance(mut self, relative: f64, absolute: f64) -> Self {
        self.tolerance = Tolerance { relative, absolute };
        self
    }

    /// Only for kernels in f32: it computes factors on the way, and what f16 makes of those is past its tolerance.
    pub(crate) fn only_exact(mut self) -> Self {
        self.only_exact = true;
        self
    }

    /// Bound of the random class targets.
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = u32::try_from(classes).unwrap_or(u32::MAX);
        self
    }
}

/// One case for each shape: `build` of an input of that shape.
pub(crate) fn unary(
    op: &'static str,
    shapes: &[Vec<usize>],
    build: impl Fn(&mut Graph, Value) -> Result<Value, GraphError> + Send + Sync + Copy + 'static,
) -> Vec<Case> {
    let case = |shape: &Vec<usize>| {
        let what = format!("x {shape:?}");
        Case::differentiated(op, what, vec![shape.clone()], move |graph, x| build(graph, x[0]))
    };
    shapes.iter().map(case).collect()
}

/// One case for each shape: `build` of two inputs of that shape.
pub(crate) fn binary(
    op: &'static str,
    shapes: &[Vec<usize>],
    build: impl Fn(&mut Graph, &[Value]) -> Result<Value, GraphError> + Send + Sync + Copy + 'static,
) -> Vec<Case> {
    let case =
        |shape: &Vec<usize>| Case::differentiated(op, format!("a and b {shape:?}"), vec![shape.clone(); 2], build);
    shapes.iter().map(case).collect()
}

/// Sets elements of a tensor, where there is one of that name.
pub(crate) fn set(tensors: &mut Tensors, name: &str, elements: &[(usize, f32)]) {
    if let Some(tensor) = tensors.get_mut(name) {
        for &(index, value) in elements {
            tensor.f32_mut()[index] = value;
        }
    }
}

/// Makes variances, or scales, of what is random in [-1, 1), where there are tensors of these names.
pub(crate) fn positive(tensors: &mut Tensors, names: &[&str]) {
    for name in names {
        if let Some(tensor) = tensors.get_mut(*name) {
            tensor.f32_mut().iter_mut().for_each(|value| *value = value.abs() + 0.5);
        }
    }
}
