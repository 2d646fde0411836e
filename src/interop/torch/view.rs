//! Where the elements of a tensor lie in its storage.

use crate::interop::state_dict::Element;
use crate::tensor::Shape;

/// Dimensions that a tensor of a network has at most.
const MOST_DIMENSIONS: usize = 16;

/// A tensor as a window on a storage, in elements. It may be transposed, strided, or repeat elements (a stride of 0).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub offset: usize,
    pub sizes: Vec<usize>,
    pub strides: Vec<usize>,
}

impl View {
    /// All of a storage, in the order it is kept.
    pub(crate) fn whole(sizes: Vec<usize>) -> View {
        let mut strides = vec![1; sizes.len()];
        for axis in (1..sizes.len()).rev() {
            strides[axis - 1] = sizes[axis].saturating_mul(strides[axis]);
        }
        View { offset: 0, sizes, strides }
    }

    /// The shape, where its elements can be counted and lie in a storage of `stored` elements.
    pub(crate) fn shape(&self, stored: usize) -> Result<Shape, String> {
        if self.sizes.len() != self.strides.len() || self.sizes.len() > MOST_DIMENSIONS {
            return Err("has a shape that cannot be read".to_owned());
        }
        let outside = || format!("reaches past the {stored} elements of its storage");
        let count = self.sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).ok_or_else(outside)?;
        let last = self.sizes.iter().zip(&self.strides).try_fold(self.offset, |last, (&size, &stride)| {
            size.saturating_sub(1).checked_mul(stride).and_then(|step| last.checked_add(step))
        });
        match count > 0 && last.is_none_or(|last| last >= stored) {
            true => Err(outside()),
            false => Ok(self.sizes.clone().into()),
        }
    }

    /// The elements in row-major order, of a storage in `bytes`. What they take is decided by the shape alone: who
    /// reads a tensor knows first that its shape is one that is wanted.
    pub(crate) fn read(&self, bytes: &[u8], element: Element, big_endian: bool) -> Result<Vec<f32>, String> {
        let count = self.shape(bytes.len() / element.size())?.elements();
        if count == 0 {
            return Ok(Vec::new());
        }
        let size = element.size();
        let decode = |place: usize, count: usize| {
            let bytes = &bytes[place * size..][..count * size];
            match big_endian {
                false => element.decode(bytes),
                true => element
                    .decode(&bytes.chunks_exact(size).flat_map(|one| one.iter().rev().copied()).collect::<Vec<u8>>()),
            }
        };
        if self.is_row_major() {
            return Ok(decode(self.offset, count));
        }
        let mut elements = Vec::with_capacity(count);
        let mut index = vec![0; self.sizes.len()];
        let mut place = self.offset;
        loop {
            elements.extend(decode(place, 1));
            // The next index, the last axis first.
            let mut axis = self.sizes.len();
            loop {
                let Some(before) = axis.checked_sub(1) else { return Ok(elements) };
                axis = before;
                index[axis] += 1;
                // Of an axis with one index, the stride may be any number: it is taken back again.
                place = place.wrapping_add(self.strides[axis]);
                if index[axis] < self.sizes[axis] {
                    break;
                }
                place = place.wrapping_sub(self.strides[axis].wrapping_mul(self.sizes[axis]));
                index[axis] = 0;
            }
        }
    }

    fn is_row_major(&self) -> bool {
        let mut stride = 1;
        self.sizes.iter().zip(&self.strides).rev().all(|(&size, &own)| {
            let fits = size == 1 || own == stride;
            stride *= size;
            fits
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(view: &View) -> Result<Vec<f32>, String> {
        let stored: Vec<u8> = (0..7u8).flat_map(|x| f32::from(x).to_le_bytes()).collect();
        view.read(&stored, Element::F32, false)
    }

    #[test]
    fn a_tensor_is_read_in_row_major_order_however_it_lies() {
        let transposed = View { offset: 1, sizes: vec![2, 3], strides: vec![1, 2] };
        assert_eq!(read(&transposed).unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        let one = View { offset: 1, sizes: vec![2, 1, 3], strides: vec![3, 99, 1] };
        assert_eq!(read(&one).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let odd = View { offset: 1, sizes: vec![1, 2], strides: vec![usize::MAX, 2] };
        assert_eq!(read(&odd).unwrap(), [1.0, 3.0]);
        let expanded = View { offset: 4, sizes: vec![3, 2], strides: vec![0, 1] };
        assert_eq!(read(&expanded).unwrap(), [4.0, 5.0, 4.0, 5.0, 4.0, 5.0]);
        let overlapping = View { offset: 0, sizes: vec![3, 4], strides: vec![1, 1] };
        assert_eq!(read(&overlapping).unwrap()[4..8], [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(read(&View::whole(vec![7])).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(read(&View { offset: 3, sizes: vec![], strides: vec![] }).unwrap(), [3.0]);
        assert!(read(&View { offset: 99, sizes: vec![0, 2], strides: vec![2, 1] }).unwrap().is_empty());
    }

    #[test]
    fn a_tensor_outside_of_its_storage_is_refused() {
        for (offset, sizes, strides) in [
            (0, vec![4], vec![3]),
            (7, vec![1], vec![1]),
            (0, vec![usize::MAX, 2], vec![1, 1]),
            (0, vec![usize::MAX, usize::MAX], vec![0, 0]),
            (usize::MAX, vec![2], vec![1]),
            (0, vec![2], vec![usize::MAX]),
            (0, vec![2, 2], vec![1]),
            (0, vec![1; 99], vec![1; 99]),
        ] {
            assert!(read(&View { offset, sizes: sizes.clone(), strides }).is_err(), "{offset} {sizes:?}");
        }
    }
}
