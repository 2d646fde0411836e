//! Depthwise convolution, where every filter sees one channel: memory bounds it, so it loads each
//! element once for several outputs, and never goes through the GEMM tiles.

use super::ConvGeometry;
use super::part::Part;
use super::plain::kernel;
use super::split::Split;
use crate::kernel::{
    DeviceClass, DeviceProfile, LINEAR_WORKGROUP, Launch, MAX_LOOP_STEPS, Operand, Shader, read, write,
};

static FORWARD: Shader =
    Shader::new("conv/depthwise", &[read("x"), read("weight"), read("bias").when("bias"), write("y")]);
static INPUT_GRADIENT: Shader =
    Shader::new("conv/depthwise_input_gradient", &[read("dy"), read("weight"), write("dx")]);
static WEIGHT_GRADIENT: Shader = Shader::new(
    "conv/depthwise_weight_gradient",
    &[read("x"), read("dy"), write("dw"), write("db").when("bias_gradient")],
);
static WEIGHT_GRADIENT_TOGETHER: Shader = Shader::new(
    "conv/depthwise_weight_gradient_together",
    &[read("x"), read("dy"), write("dw"), write("db").when("bias_gradient")],
);

/// Neighbours of a row that one invocation computes at most.
const RUN: usize = 8;

/// The same on a GPU, where neighbouring invocations want to load neighbours.
const GPU_RUN: usize = 2;

/// The same on a device, for rows of `width`.
fn run(profile: &DeviceProfile, width: usize) -> usize {
    match profile.class {
        DeviceClass::Gpu => GPU_RUN.min(width),
        DeviceClass::Cpu => RUN.min(width),
    }
}

/// Workgroups of the weight gradient that keep a large GPU busy.
const MANY_WORKGROUPS: usize = 4096;

/// Invocations of the weight gradient that keep a CPU busy.
const MANY_INVOCATIONS: usize = 2048;

/// Pixels of an invocation below which adding up a workgroup's sums takes longer than they do.
const FEWEST_PIXELS: usize = 16;

/// Taps whose sums an invocation of the weight gradient keeps.
const MOST_TAPS: usize = 49;

/// Whether a convolution is depthwise, of a kernel that these shaders take.
pub(super) fn suits(g: &ConvGeometry) -> bool {
    g.groups > 1 && g.group_channels() == 1 && g.kernel[0] * g.kernel[1] <= MOST_TAPS
}

/// Whether the input gradient is: an invocation computes at least as many neighbours as a stride is long.
pub(super) fn input_gradient_suits(g: &ConvGeometry) -> bool {
    suits(g) && g.stride[1] <= RUN
}

pub(super) fn forward(launch: &mut Launch<'_>, part: &Part) {
    let g = &part.geometry;
    let bias = launch.inputs() == 3;
    let run = run(launch.profile(), g.out[1]);
    let runs = g.out[1].div_ceil(run);
    let kernel = kernel(&FORWARD, part)
        .constants([
            ("RUN", run as i32),
            ("RUNS", runs as i32),
            ("REACH", ((run - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1) as i32),
        ])
        .condition("bias", bias);
    let kernel = launch.epilogue(kernel);
    let mut operands = vec![("x", Operand::input(0)), ("weight", Operand::input(1)), ("y", Operand::output(0))];
    operands.extend(bias.then(|| ("bias", part.bias(Operand::input(2)))));
    launch.linear(kernel, g.batch * g.filters * g.out[0] * runs, operands);
}

pub(super) fn input_gradient(launch: &mut Launch<'_>, part: &Part, dx: Operand) {
    let g = &part.geometry;
    let (stride, padding) = (g.stride[1], g.padding[1] as isize);
    let run = run(launch.profile(), g.size[1]).next_multiple_of(stride);
    let runs = g.size[1].div_ceil(run);
    // Outputs that meet the first of the neighbours at the last tap, and the last of them at tap 0.
    let taps = ((g.kernel[1] - 1) * g.dilation[1]) as isize;
    let first = (padding - taps).div_euclid(stride as isize);
    let last = (run as isize - 1 + padding) / stride as isize;
    let kernel = kernel(&INPUT_GRADIENT, part).constants([
        ("RUN", run as i32),
        ("RUNS", runs as i32),
        ("FIRST", first as i32),
        ("REACH", (last - first + 1) as i32),
    ]);
    let operands = [("dy", Operand::input(0)), ("weight", Operand::input(1)), ("dx", dx)];
    launch.linear(kernel, g.batch * g.channels * g.size[0] * runs, operands);
}

pub(super) fn weight_gradient(launch: &mut Launch<'_>, part: &Part, db: Option<Operand>) {
    let g = &part.geometry;
    let rows = g.batch * g.out[0];
    let (shader, invocations, splits) = match launch.profile().class {
        DeviceClass::Gpu => {
            let workgroup = LINEAR_WORKGROUP as usize;
            let most = (rows * g.out[1]).div_ceil(workgroup * FEWEST_PIXELS);
            (&WEIGHT_GRADIENT_TOGETHER, workgroup, MANY_WORKGROUPS.div_ceil(g.filters).min(most))
        }
        DeviceClass::Cpu => {
            let steps_of_row = g.out[1] * (1 + g.kernel[0] + g.kernel[0] * g.kernel[1]) + 1;
            let fewest = (rows * steps_of_row).div_ceil(MAX_LOOP_STEPS);
            (&WEIGHT_GRADIENT, 1, (MANY_INVOCATIONS / g.filters.min(MANY_INVOCATIONS)).max(fewest))
        }
    };
    let split_rows = rows.div_ceil(splits.clamp(1, rows));
    let splits = rows.div_ceil(split_rows);
    let elements = part.weight_elements();
    let kernel = kernel(shader, part)
        .constants([("ROWS", rows as i32), ("PART_ROWS", split_rows as i32)])
        .condition("bias_gradient", db.is_some());
    let dw = Split::new(launch, Operand::output(0), elements, splits);
    let db = db.map(|db| Split::new(launch, db, g.filters, splits));
    let mut operands = vec![("x", Operand::input(0)), ("dy", Operand::input(1)), ("dw", dw.target)];
    operands.extend(db.as_ref().map(|db| ("db", db.target)));
    launch.linear(kernel, splits * g.filters * invocations, operands);
    dw.merge(launch);
    db.into_iter().for_each(|db| db.merge(launch));
}
