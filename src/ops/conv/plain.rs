//! One invocation per output, storage loads only: what the fast kernels are measured against.

use super::part::Part;
use super::split::Split;
use crate::kernel::{Kernel, Launch, MAX_LOOP_STEPS, Operand, Shader, read, write};

static FORWARD: Shader =
    Shader::new("conv/plain_forward", &[read("x"), read("weight"), read("bias").when("bias"), write("y")]);
static INPUT_GRADIENT: Shader = Shader::new("conv/plain_input_gradient", &[read("dy"), read("weight"), write("dx")]);
static WEIGHT_GRADIENT: Shader =
    Shader::new("conv/plain_weight_gradient", &[read("x"), read("dy"), write("dw"), write("db").when("bias_gradient")]);

pub(super) fn forward(launch: &mut Launch<'_>, part: &Part) {
    let bias = launch.inputs() == 3;
    let g = &part.geometry;
    let kernel = launch.epilogue(kernel(&FORWARD, part).condition("bias", bias));
    let mut operands =
        vec![("x", Operand::input(0)), ("weight", part.weight(Operand::input(1))), ("y", Operand::output(0))];
    operands.extend(bias.then(|| ("bias", part.bias(Operand::input(2)))));
    launch.linear(kernel, g.batch * g.filters * g.out[0] * g.out[1], operands);
}

pub(super) fn input_gradient(launch: &mut Launch<'_>, part: &Part, dx: Operand) {
    let kernel = kernel(&INPUT_GRADIENT, part);
    let operands = [("dy", Operand::input(0)), ("weight", part.weight(Operand::input(1))), ("dx", dx)];
    launch.linear(kernel, launch.output(0).elements(), operands);
}

pub(super) fn weight_gradient(launch: &mut Launch<'_>, part: &Part, db: Option<Operand>) {
    let geometry = &part.geometry;
    let rows = geometry.batch * geometry.out[0];
    let splits = (rows * (geometry.out[1] + 1)).div_ceil(MAX_LOOP_STEPS).min(rows);
    let split_rows = rows.div_ceil(splits);
    let splits = rows.div_ceil(split_rows);
    let elements = part.weight_elements();
    let kernel = kernel(&WEIGHT_GRADIENT, part)
        .constants([("ROWS", rows as i32), ("PART_ROWS", split_rows as i32), ("PARTS", splits as i32)])
        .condition("bias_gradient", db.is_some());
    let dw = Split::new(launch, part.weight(Operand::output(0)), elements, splits);
    let db = db.map(|db| Split::new(launch, db, geometry.filters, splits));
    let biases = if db.is_some() { geometry.filters } else { 0 };
    let mut operands = vec![("x", Operand::input(0)), ("dy", Operand::input(1)), ("dw", dw.target)];
    operands.extend(db.as_ref().map(|db| ("db", db.target)));
    launch.linear(kernel, splits * (elements + biases), operands);
    dw.merge(launch);
    db.into_iter().for_each(|db| db.merge(launch));
}

/// A kernel with all sizes of the convolution.
pub(super) fn kernel(shader: &'static Shader, part: &Part) -> Kernel {
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
