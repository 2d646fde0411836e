//! Values for an input.

use crate::tensor::{ElementType, HostTensor};
use half::f16;
use std::borrow::Cow;

/// Values for an input, where they lie.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// For an input of floats.
    F32(&'a [f32]),
    /// For an input of whole numbers, such as labels.
    U32(&'a [u32]),
}

impl Data<'_> {
    pub(super) fn is_float(&self) -> bool {
        matches!(self, Data::F32(_))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Data::F32(values) => values.len(),
            Data::U32(values) => values.len(),
        }
    }

    /// As a device holds them: a multiple of four bytes.
    pub(super) fn bytes(&self, element: ElementType) -> Cow<'_, [u8]> {
        match (self, element) {
            (Data::F32(values), ElementType::F16) => {
                let halves = values.iter().map(|&value| f16::from_f32(value).to_ne_bytes());
                let end = if values.len() % 2 == 1 { &[0; 2][..] } else { &[] };
                Cow::Owned(halves.flatten().chain(end.iter().copied()).collect())
            }
            (Data::F32(values), _) => Cow::Borrowed(bytemuck::cast_slice(values)),
            (Data::U32(values), _) => Cow::Borrowed(bytemuck::cast_slice(values)),
        }
    }

    pub(super) fn to_tensor(self) -> HostTensor {
        match self {
            Data::F32(values) => HostTensor::F32(values.to_vec()),
            Data::U32(values) => HostTensor::U32(values.to_vec()),
        }
    }
}

impl<'a> From<&'a HostTensor> for Data<'a> {
    fn from(tensor: &'a HostTensor) -> Self {
        match tensor {
            HostTensor::F32(values) => Data::F32(values),
            HostTensor::U32(values) => Data::U32(values),
        }
    }
}

impl<'a> From<&'a [f32]> for Data<'a> {
    fn from(values: &'a [f32]) -> Self {
        Data::F32(values)
    }
}

impl<'a> From<&'a [u32]> for Data<'a> {
    fn from(values: &'a [u32]) -> Self {
        Data::U32(values)
    }
}

impl<'a> From<&'a Vec<f32>> for Data<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Data::F32(values)
    }
}

impl<'a> From<&'a Vec<u32>> for Data<'a> {
    fn from(values: &'a Vec<u32>) -> Self {
        Data::U32(values)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for Data<'a> {
    fn from(values: &'a [f32; N]) -> Self {
        Data::F32(values)
    }
}

impl<'a, const N: usize> From<&'a [u32; N]> for Data<'a> {
    fn from(values: &'a [u32; N]) -> Self {
        Data::U32(values)
    }
}
