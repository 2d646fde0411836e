//! Shapes, element types and tensors in host memory: the words every other part speaks in.

use half::f16;
use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;

/// Sizes of a tensor's dimensions, outermost first (images are `[N, C, H, W]`).
///
/// ```
/// use tilewright::tensor::Shape;
///
/// let images = Shape::from([32, 3, 28, 28]);
/// assert_eq!((images[1], images.elements()), (3, 32 * 3 * 28 * 28));
/// assert_eq!(images.to_string(), "[32, 3, 28, 28]");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Number of elements: the product of all dimensions, 1 for a scalar. A product that cannot be counted is the
    /// largest number there is, which nothing can hold.
    pub fn elements(&self) -> usize {
        match self.0.contains(&0) {
            true => 0,
            false => self.0.iter().fold(1, |product: usize, &size| product.saturating_mul(size)),
        }
    }

    /// `[N, C, H, W]`, when the shape has four dimensions.
    pub fn nchw(&self) -> Option<[usize; 4]> {
        self.0.as_slice().try_into().ok()
    }

    /// Number of elements in one index step of `dimension`.
    pub fn stride(&self, dimension: usize) -> usize {
        self.0[dimension + 1..].iter().fold(1, |product: usize, &size| product.saturating_mul(size))
    }
}

impl<T: Into<Vec<usize>>> From<T> for Shape {
    fn from(sizes: T) -> Self {
        Shape(sizes.into())
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What one element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElementType {
    /// A float.
    F32,
    /// A float that a device stores in two bytes, and every kernel computes with as f32. On the host it is an f32 whose
    /// value f16 has.
    F16,
    /// A whole number, such as a label.
    U32,
}

impl ElementType {
    /// Bytes of one element on a device.
    pub fn bytes(self) -> u64 {
        match self {
            ElementType::F32 | ElementType::U32 => 4,
            ElementType::F16 => 2,
        }
    }

    /// Whether kernels compute with it as f32.
    pub fn is_float(self) -> bool {
        matches!(self, ElementType::F32 | ElementType::F16)
    }
}

/// Shape and element type of a tensor.
///
/// ```
/// use tilewright::tensor::TensorSpec;
///
/// let labels = TensorSpec::u32([32]);
/// assert_eq!((labels.elements(), labels.bytes()), (32, 128));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TensorSpec {
    /// Sizes, the slowest dimension first.
    pub shape: Shape,
    /// Type of one element.
    pub element: ElementType,
}

impl TensorSpec {
    /// Floats of that shape.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        TensorSpec { shape: shape.into(), element: ElementType::F32 }
    }

    /// Whole numbers of that shape.
    pub fn u32(shape: impl Into<Shape>) -> Self {
        TensorSpec { shape: shape.into(), element: ElementType::U32 }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.elements()
    }

    /// Size in a device's memory, in bytes: a multiple of four.
    pub fn bytes(&self) -> u64 {
        (self.elements() as u64).saturating_mul(self.element.bytes()).checked_next_multiple_of(4).unwrap_or(u64::MAX)
    }
}

/// The shapes an op works on.
pub struct Shapes<'a> {
    /// Of its inputs, in their order.
    pub inputs: Vec<&'a Shape>,
    /// Of its outputs, in their order.
    pub outputs: Vec<&'a Shape>,
    bytes: u64,
}

impl<'a> Shapes<'a> {
    /// Of these inputs and outputs.
    pub fn of(inputs: &[&'a TensorSpec], outputs: &[&'a TensorSpec]) -> Shapes<'a> {
        let shapes = |specs: &[&'a TensorSpec]| specs.iter().map(|spec| &spec.shape).collect();
        let bytes = inputs.iter().chain(outputs).map(|spec| spec.elements() as u64 * spec.element.bytes()).sum();
        Shapes { inputs: shapes(inputs), outputs: shapes(outputs), bytes }
    }

    /// Bytes of all inputs and outputs.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Tensors by name.
pub type Tensors = HashMap<String, HostTensor>;

/// A tensor in host memory, row-major.
///
/// ```
/// use tilewright::tensor::{HostTensor, TensorSpec};
///
/// let mut row = HostTensor::zeros(&TensorSpec::f32([1, 3]));
/// row.f32_mut()[2] = 1.5;
/// assert_eq!(row, HostTensor::F32(vec![0.0, 0.0, 1.5]));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum HostTensor {
    /// Floats.
    F32(Vec<f32>),
    /// Whole numbers.
    U32(Vec<u32>),
}

impl HostTensor {
    /// Zeros of that shape and type.
    pub fn zeros(spec: &TensorSpec) -> Self {
        match spec.element {
            ElementType::F32 | ElementType::F16 => HostTensor::F32(vec![0.0; spec.elements()]),
            ElementType::U32 => HostTensor::U32(vec![0; spec.elements()]),
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            HostTensor::F32(data) => data.len(),
            HostTensor::U32(data) => data.len(),
        }
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements as floats. The graph's shape rules have checked the type, so a mismatch is a
    /// defect of this crate.
    pub fn f32(&self) -> &[f32] {
        match self {
            HostTensor::F32(data) => data,
            HostTensor::U32(_) => unreachable!("a tensor of u32 was used as f32"),
        }
    }

    /// As [`HostTensor::f32`], to be written.
    pub fn f32_mut(&mut self) -> &mut [f32] {
        match self {
            HostTensor::F32(data) => data,
            HostTensor::U32(_) => unreachable!("a tensor of u32 was used as f32"),
        }
    }

    /// The elements as unsigned integers.
    pub fn u32(&self) -> &[u32] {
        match self {
            HostTensor::U32(data) => data,
            HostTensor::F32(_) => unreachable!("a tensor of f32 was used as u32"),
        }
    }

    /// As [`HostTensor::u32`], to be written.
    pub fn u32_mut(&mut self) -> &mut [u32] {
        match self {
            HostTensor::U32(data) => data,
            HostTensor::F32(_) => unreachable!("a tensor of f32 was used as u32"),
        }
    }

    /// The bytes as they are uploaded.
    pub fn bytes(&self) -> &[u8] {
        match self {
            HostTensor::F32(data) => bytemuck::cast_slice(data),
            HostTensor::U32(data) => bytemuck::cast_slice(data),
        }
    }

    /// The tensor that `bytes`, read back from a device, hold.
    pub fn from_bytes(spec: &TensorSpec, bytes: &[u8]) -> Self {
        match spec.element {
            ElementType::F32 => HostTensor::F32(bytemuck::pod_collect_to_vec(bytes)),
            ElementType::F16 => {
                let halves: Vec<f16> = bytemuck::pod_collect_to_vec(bytes);
                HostTensor::F32(halves[..spec.elements()].iter().map(|half| half.to_f32()).collect())
            }
            ElementType::U32 => HostTensor::U32(bytemuck::pod_collect_to_vec(bytes)),
        }
    }

    /// Rounds floats to what memory of that type holds, to the nearest, of two the even one.
    pub fn round_to(&mut self, element: ElementType) {
        if let (HostTensor::F32(values), ElementType::F16) = (self, element) {
            values.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32());
        }
    }
}
