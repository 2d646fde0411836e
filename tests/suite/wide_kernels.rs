//! Kernels that take four elements at once: `tilewright check` must try them with four and with one.

use std::collections::{BTreeMap, BTreeSet};
use tilewright::check;
use tilewright::kernel::{DeviceClass, DeviceProfile, WIDE};
use tilewright::plan::Plan;

#[test]
fn what_takes_four_elements_at_once_is_checked_with_four_and_with_one() {
    let mut widths: BTreeMap<(&str, Vec<&str>), BTreeSet<usize>> = BTreeMap::new();
    for class in [DeviceClass::Gpu, DeviceClass::Cpu] {
        let profile = DeviceProfile::webgpu_defaults(class);
        for case in check::cases() {
            // What needs more than WebGPU's default limits is no matter here.
            let Ok(plan) = Plan::new(&case.graph().unwrap(), &profile) else { continue };
            for kernel in plan.steps.iter().map(|step| &step.kernel) {
                if kernel.shader.bindings.iter().any(|binding| binding.wide) {
                    let (wide, form): (Vec<_>, Vec<_>) = kernel.conditions.iter().partition(|name| **name == WIDE);
                    let width = if wide.is_empty() { 1 } else { 4 };
                    widths.entry((kernel.shader.name, form)).or_default().insert(width);
                }
            }
        }
    }
    assert!(widths.len() > 50, "only these forms were met: {:?}", widths.keys());
    widths.retain(|_, widths| *widths != BTreeSet::from([1, 4]));
    assert!(widths.is_empty(), "no case of `check` has the other width of {widths:?}");
}
