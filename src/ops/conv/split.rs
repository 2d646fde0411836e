//! Long reductions run in parts side by side, whose results are then summed in their order.

use crate::kernel::{Launch, Operand};
use crate::ops::reduce::sum_parts;

/// A result that a kernel computes in parts.
pub(super) struct Split {
    result: Operand,
    elements: usize,
    parts: usize,
    /// What the kernel writes: `[parts, elements]`, the result itself where there is one part.
    pub target: Operand,
}

impl Split {
    pub(super) fn new(launch: &mut Launch<'_>, result: Operand, elements: usize, parts: usize) -> Split {
        let target = if parts == 1 { result } else { launch.scratch(parts * elements) };
        Split { result, elements, parts, target }
    }

    /// Adds the dispatch that sums the parts, if there are several.
    pub(super) fn merge(self, launch: &mut Launch<'_>) {
        if self.parts > 1 {
            sum_parts(launch, self.target, self.elements, 1, self.elements, self.parts, self.result);
        }
    }
}
