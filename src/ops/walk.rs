//! A walk over a tensor's elements in any order that strides can say: what broadcasting, slicing and
//! transposing have in common.

use crate::tensor::Shape;

/// Dimensions of a walk: as many as `lib/strided.wgsl` takes.
const DIMENSIONS: usize = 6;

/// Visits the product of `sizes` elements, the last dimension running fastest; neighbours in
/// dimension d are `strides[d]` elements apart, 0 to repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    pub sizes: [usize; DIMENSIONS],
    pub strides: [usize; DIMENSIONS],
}

impl Walk {
    /// A walk of any number of dimensions, neighbouring ones merged where one stride serves both.
    ///
    /// # Errors
    /// The rule, when more than six dimensions are left.
    pub(super) fn new(sizes: &[usize], strides: &[usize]) -> Result<Walk, String> {
        let [walk] = Walk::together(sizes, [strides])?;
        Ok(walk)
    }

    /// Walks over several tensors side by side, with the same sizes.
    ///
    /// # Errors
    /// As [`Walk::new`].
    pub(super) fn together<const N: usize>(sizes: &[usize], strides: [&[usize]; N]) -> Result<[Walk; N], String> {
        let mut walks = [Walk { sizes: [1; DIMENSIONS], strides: [0; DIMENSIONS] }; N];
        // The innermost dimension comes first, and takes the last place.
        let mut place = DIMENSIONS;
        for dimension in (0..sizes.len()).rev().filter(|&dimension| sizes[dimension] != 1) {
            let size = sizes[dimension];
            let merges = place < DIMENSIONS
                && (0..N).all(|n| strides[n][dimension] == walks[n].strides[place] * walks[n].sizes[place]);
            if !merges {
                place = place.checked_sub(1).ok_or("its dimensions do not merge into six")?;
            }
            for (walk, strides) in walks.iter_mut().zip(strides) {
                walk.sizes[place] *= size;
                if !merges {
                    walk.strides[place] = strides[dimension];
                }
            }
        }
        Ok(walks)
    }

    /// The same walk from the element `offset` on in steps of four neighbours, if it has such: they are the same element, or
    /// lie side by side, and then sizes and strides count fours.
    pub(super) fn by_four(self, offset: usize) -> Option<Walk> {
        let Walk { mut sizes, mut strides } = self;
        let (outer, last) = strides.split_at_mut(DIMENSIONS - 1);
        let sides = sizes[DIMENSIONS - 1].is_multiple_of(4);
        sizes[DIMENSIONS - 1] /= 4;
        match last[0] {
            0 if sides => Some(Walk { sizes, strides }),
            1 if sides && offset.is_multiple_of(4) && outer.iter().all(|stride| stride.is_multiple_of(4)) => {
                outer.iter_mut().for_each(|stride| *stride /= 4);
                Some(Walk { sizes, strides })
            }
            _ => None,
        }
    }

    /// Whether neighbours in the last dimension are the same element.
    pub(super) fn repeats(self) -> bool {
        self.strides[DIMENSIONS - 1] == 0
    }

    /// Where the walk's steps lie, in their order.
    pub(super) fn steps(self) -> impl Iterator<Item = usize> {
        (0..self.sizes.iter().product()).map(move |mut rest: usize| {
            let mut at = 0;
            for (size, stride) in self.sizes.into_iter().zip(self.strides).rev() {
                at += rest % size * stride;
                rest /= size;
            }
            at
        })
    }
}

/// Elements between neighbours in each dimension of a row-major tensor.
pub(super) fn row_major(shape: &Shape) -> Vec<usize> {
    (0..shape.len()).map(|dimension| shape.stride(dimension)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_dimensions_with_one_stride_become_one() {
        let walk = Walk::new(&[2, 3, 1, 4, 5], &[60, 20, 20, 5, 1]).unwrap();
        assert_eq!(walk, Walk { sizes: [1, 1, 1, 1, 1, 120], strides: [0, 0, 0, 0, 0, 1] });
        let transposed = Walk::new(&[2, 3], &[1, 2]).unwrap();
        assert_eq!(transposed.steps().collect::<Vec<_>>(), [0, 2, 4, 1, 3, 5]);
    }

    #[test]
    fn walks_together_keep_one_size() {
        let [a, b] = Walk::together(&[2, 3, 4], [&[12, 4, 1], &[0, 1, 0]]).unwrap();
        assert_eq!((a.sizes, b.sizes), ([1, 1, 1, 2, 3, 4], [1, 1, 1, 2, 3, 4]));
        assert_eq!(a.steps().collect::<Vec<_>>(), (0..24).collect::<Vec<_>>());
        assert_eq!(b.steps().nth(23), Some(2));
    }

    #[test]
    fn a_walk_by_four_repeats_or_goes_side_by_side() {
        let of = |sizes: &[usize], strides: &[usize]| Walk::new(sizes, strides).unwrap();
        let planes = of(&[3, 8], &[1, 0]).by_four(5).unwrap();
        assert_eq!(planes.steps().collect::<Vec<_>>(), [0, 0, 1, 1, 2, 2]);
        let slice = of(&[2, 8], &[12, 1]);
        assert_eq!(slice.by_four(4).unwrap().steps().collect::<Vec<_>>(), [0, 1, 3, 4]);
        assert_eq!(slice.by_four(2), None);
        for (sizes, strides) in [([2, 8], [10, 1]), ([2, 6], [12, 1]), ([8, 2], [1, 8]), ([3, 6], [1, 0])] {
            assert_eq!(of(&sizes, &strides).by_four(0), None, "{sizes:?} {strides:?}");
        }
    }

    #[test]
    fn seven_dimensions_that_do_not_merge_are_refused() {
        assert!(Walk::new(&[2; 6], &[1, 2, 4, 8, 16, 32]).is_ok());
        assert!(Walk::new(&[2; 7], &[1, 2, 4, 8, 16, 32, 64]).is_err());
    }
}
