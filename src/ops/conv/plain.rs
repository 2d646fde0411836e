//! One invocation an output, storage loads only: what the fast kernels are measured against.

use super::part::Part;
use super::split::Split;
use crate::kernel::{Binding, Kernel, Launch, MAX_LOOP_STEPS, Operand};

pub(super) fn forward(launch: &mut Launch<'_>, part: &Part) {
    let bias = launch.inputs() == 3;
    let g = &part.geometry;
    let kernel = launch.epilogue(kernel("conv/plain_forward", part).condition("bias", bias));
    let mut bindings = vec![Operand::Input(0).read(), part.weight(Operand::Input(1).read())];
    bindings.extend(bias.then(|| part.bias(Operand::Input(2).read())));
    bindings.push(Operand::Output(0).write());
    launch.linear(kernel, g.batch * g.filters * g.out[0] * g.out[1], bindings);
}

pub(super) fn input_gradient(launch: &mut Launch<'_>, part: &Part, dx: Binding) {
    let kernel = kernel("conv/plain_input_gradient", part);
    let bindings = [Operand::Input(0).read(), part.weight(Operand::Input(1).read()), dx];
    launch.linear(kernel, launch.output(0).elements(), bindings);
}

pub(super) fn weight_gradient(launch: &mut Launch<'_>, part: &Part, db: Option<Binding>) {
    let geometry = &part.geometry;
    let rows = geometry.batch * geometry.out[0];
    let splits = (rows * (geometry.out[1] + 1)).div_ceil(MAX_LOOP_STEPS).min(rows);
    let split_rows = rows.div_ceil(splits);
    let splits = rows.div_ceil(split_rows);
    let elements = part.weight_elements();
    let kernel = kernel("conv/plain_weight_gradient", part)
        .constants([("ROWS", rows as i32), ("PART_ROWS", split_rows as i32), ("PARTS", splits as i32)])
        .condition("bias_gradient", db.is_some());
    let dw = Split::new(launch, part.weight(Operand::Output(0).write()), elements, splits);
    let db = db.map(|db| Split::new(launch, db, geometry.filters, splits));
    let biases = if db.is_some() { geometry.filters } else { 0 };
    let mut bindings = vec![Operand::Input(0).read(), Operand::Input(1).read(), dw.target];
    bindings.extend(db.as_ref().map(|db| db.target));
    launch.linear(kernel, splits * (elements + biases), bindings);
    dw.merge(launch);
    db.into_iter().for_each(|db| db.merge(launch));
}

/// A kernel with all sizes of the convolution.
pub(super) fn kernel(shader: &'static str, part: &Part) -> Kernel {
    let g = &part.geometry;
    Kernel::new(shader).constants([
        ("BATCH", g.batch as i32),
        ("CHANNELS", g.channels as i32),
        ("HEIGHT", g.size[0] as i32),
        ("WIDTH", g.size[1] as i32),
        ("FILTERS", g.filters as i32),
        ("FIRST_FILTER", part.first_filter as i32),
        ("ALL_FILTERS", part.all_filters as i32),
        ("OUT_HEIGHT", g.out[0] as i32),
        ("OUT_WIDTH", g.out[1] as i32),
        ("KERNEL_HEIGHT", g.kernel[0] as i32),
        ("KERNEL_WIDTH", g.kernel[1] as i32),
        ("STRIDE_Y", g.stride[0] as i32),
        ("STRIDE_X", g.stride[1] as i32),
        ("PADDING_Y", g.padding[0] as i32),
        ("PADDING_X", g.padding[1] as i32),
        ("DILATION_Y", g.dilation[0] as i32),
        ("DILATION_X", g.dilation[1] as i32),
        ("GROUP_CHANNELS", g.group_channels() as i32),
        ("GROUP_FILTERS", g.group_filters() as i32),
    ])
}
