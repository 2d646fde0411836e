//! A convolution whose weight is larger than a device binds is run in parts of its filters.

use super::ConvGeometry;
use crate::kernel::{DeviceProfile, Launch, Operand};

/// Some of a convolution's filters, with their memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// The convolution of these filters alone.
    pub geometry: ConvGeometry,
    /// The first of the filters, and the number of all.
    pub first_filter: usize,
    pub all_filters: usize,
}

/// Filters of a part are a multiple of this, so that its memory starts where a binding may: 256 bytes.
pub(super) const ALIGNMENT: usize = 64;

/// The filters in as few parts as this device can bind; one, but for very large weights.
pub(super) fn parts(launch: &Launch<'_>, geometry: &ConvGeometry) -> Vec<Part> {
    let all = geometry.filters;
    let of_filter = geometry.group_channels() * geometry.kernel[0] * geometry.kernel[1];
    let bindable = (launch.profile().max_binding_bytes / 4) as usize / of_filter.max(1) / ALIGNMENT * ALIGNMENT;
    // A filter that cannot be bound is refused by name when the plan resolves its binding.
    let filters = if all <= bindable || bindable == 0 || geometry.groups > 1 { all } else { bindable };
    let part = |first: usize| {
        let geometry = ConvGeometry { filters: filters.min(all - first), ..*geometry };
        Part { geometry, first_filter: first, all_filters: all }
    };
    (0..all).step_by(filters).map(part).collect()
}

impl Part {
    fn is_whole(&self) -> bool {
        self.geometry.filters == self.all_filters
    }

    /// Elements of the part's weight.
    pub(super) fn weight_elements(&self) -> usize {
        let g = &self.geometry;
        g.filters * g.group_channels() * g.kernel[0] * g.kernel[1]
    }

    /// How often the reduction of a weight gradient may be split: the splits' results lie side by side in
    /// one binding until they are summed.
    pub(super) fn most_splits(&self, profile: &DeviceProfile) -> usize {
        let bindable = (profile.max_binding_bytes / 4) as usize;
        (bindable / self.weight_elements().max(1)).max(1)
    }

    /// The part's range of the weight, or of its gradient.
    pub(super) fn weight(&self, operand: Operand) -> Operand {
        let of_filter = self.weight_elements() / self.geometry.filters;
        if self.is_whole() { operand } else { operand.slice(self.first_filter * of_filter, self.weight_elements()) }
    }

    /// The part's range of the bias, or of its gradient.
    pub(super) fn bias(&self, operand: Operand) -> Operand {
        if self.is_whole() { operand } else { operand.slice(self.first_filter, self.geometry.filters) }
    }
}
