//! Sums over all but the channel dimension, in two stages of fixed order.

use super::card::{Card, Case, Chapter, Entry, INFINITY, NO_GRADIENT, set};
use super::expect_inputs;
use crate::graph::{Cost, Op};
use crate::kernel::{
    DeviceClass, DeviceProfile, Kernel, LINEAR_WORKGROUP, Launch, MAX_LOOP_STEPS, Operand, Shader, Unsupported, WIDE,
    read, write,
};
use crate::tensor::{HostTensor, Shapes, TensorSpec};

static CHANNEL_PARTIAL: Shader = Shader::new("reduce/channel_partial", &[read("x"), write("part")]);
static SUM_PARTS: Shader = Shader::new("reduce/sum_parts", &[read("x"), write("y")]);
static SUM_PARTS_TOGETHER: Shader = Shader::new("reduce/sum_parts_together", &[read("x"), write("y")]);

/// `y[c]` = sum over o and i of `x[o, c, i]`: the gradient of a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelSum {
    /// Number of o.
    pub outer: usize,
    /// Number of c.
    pub channels: usize,
    /// Number of i.
    pub inner: usize,
}

impl Op for ChannelSum {
    type Geometry = ();

    fn name(&self) -> &'static str {
        "channel_sum"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 1)?;
        if inputs[0].elements() != self.outer * self.channels * self.inner {
            return Err(format!("it sums {} x {} x {} elements", self.outer, self.channels, self.inner));
        }
        Ok((vec![TensorSpec::f32([self.channels])], ()))
    }

    fn reference(&self, (): &(), inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        self.sum(inputs[0].f32(), outputs[0].f32_mut());
    }

    fn launch(&self, (): &(), launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        self.dispatch(launch, Operand::input(0), Operand::output(0));
        Ok(())
    }

    fn cost(&self, (): &(), shapes: &Shapes<'_>) -> Cost {
        Cost { flops: shapes.inputs[0].elements() as u64, bytes: shapes.bytes() }
    }
}

impl ChannelSum {
    /// The reference, of which other ops' references are made.
    pub(super) fn sum(&self, x: &[f32], y: &mut [f32]) {
        let mut sums = vec![0.0f64; self.channels];
        for (index, plane) in x.chunks_exact(self.inner).enumerate() {
            sums[index % self.channels] += plane.iter().map(|&x| f64::from(x)).sum::<f64>();
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = sum as f32;
        }
    }

    /// The kernels, as a part of any node.
    pub(super) fn dispatch(&self, launch: &mut Launch<'_>, x: Operand, y: Operand) {
        let lanes = channel_lanes(launch.profile(), self.channels, self.outer * self.inner);
        let partial = launch.scratch(self.channels * lanes);
        let kernel = Kernel::new(&CHANNEL_PARTIAL).constants([
            ("OUTER", self.outer),
            ("CHANNELS", self.channels),
            ("INNER", self.inner),
            ("LANES", lanes),
        ]);
        launch.linear(kernel, self.channels * lanes, [("x", x), ("part", partial)]);
        sum_parts(launch, partial, self.channels, lanes, 1, lanes, y);
    }
}

/// Invocations that share the reduction of one channel: enough to fill the device, at least 16
/// elements each, and neither their loops nor the loop over them too long.
pub(super) fn channel_lanes(profile: &DeviceProfile, channels: usize, elements: usize) -> usize {
    let wanted = match profile.class {
        DeviceClass::Gpu => 65_536,
        DeviceClass::Cpu => 1024,
    };
    let lanes = (wanted / channels.clamp(1, wanted)).min(elements.div_ceil(16));
    lanes.max(elements.div_ceil(MAX_LOOP_STEPS)).clamp(1, MAX_LOOP_STEPS)
}

/// A kernel whose results are the elements of planes of `inner` elements: it gets arguments `inner` and `lanes`, the number
/// of invocations that share a plane, each of which takes every so many elements of it.
///
/// A GPU has one invocation per element, or per four ([`WIDE`]: `inner` and `lanes` count fours then), and divides by constants. On CPU adapters a load of what a plane has in common
/// costs as much as an element, so that few invocations share one, and layers share the pipeline.
pub(super) fn launch_by_planes(
    launch: &mut Launch<'_>,
    kernel: Kernel,
    [planes, inner]: [usize; 2],
    operands: impl IntoIterator<Item = (&'static str, Operand)>,
) {
    let class = launch.profile().class;
    let by = launch.width(inner);
    let (kernel, inner) = (kernel.condition(WIDE, by > 1), inner / by);
    let lanes = match class {
        DeviceClass::Gpu => inner,
        DeviceClass::Cpu => 1024usize.div_ceil(planes.max(1)).max(inner.div_ceil(MAX_LOOP_STEPS)).min(inner),
    };
    let lanes = lanes.max(1);
    let kernel = kernel.arguments([("inner", inner), ("lanes", lanes)]).specialise(class == DeviceClass::Gpu);
    launch.linear(kernel, planes * lanes, operands);
}

/// y[i] = sum over p below `parts` of x[i * `stride` + p * `part_stride`], in the order of p.
pub(crate) fn sum_parts(
    launch: &mut Launch<'_>,
    x: Operand,
    count: usize,
    stride: usize,
    part_stride: usize,
    parts: usize,
    y: Operand,
) {
    // One invocation for each element would leave a GPU idle while it goes through many parts.
    let is_long = launch.profile().class == DeviceClass::Gpu && parts >= 32 && count <= 16_384;
    let lanes = if part_stride == 1 { LINEAR_WORKGROUP as usize } else { 8 };
    let (kernel, lanes) = match is_long {
        true => {
            let kernel = Kernel::new(&SUM_PARTS_TOGETHER).constant("LANES", lanes);
            (kernel.constant("PARTS_LIE_SIDE_BY_SIDE", part_stride == 1), lanes)
        }
        false => (Kernel::new(&SUM_PARTS), 1),
    };
    let kernel = kernel.arguments([("stride", stride), ("part_stride", part_stride), ("parts", parts)]);
    launch.linear(kernel, count * lanes, [("x", x), ("y", y)]);
}

pub(crate) static CARD: Card = Card::new(
    Chapter::Elementwise,
    &[Entry {
        name: "channel_sum",
        computes: "y[c] = sum over o and i of x[o, c, i], in two stages of fixed order: a bias's gradient",
        shapes: "x of outer * C * inner elements; y [C]",
        gradient: NO_GRADIENT,
        shaders: &["reduce/channel_partial", "reduce/sum_parts", "reduce/sum_parts_together"],
        flops: "elements of x",
    }],
)
.cases(cases);

fn case([outer, channels, inner]: [usize; 3], what: &str) -> Case {
    Case::new("channel_sum", what, move |graph| {
        let x = graph.input("x0", TensorSpec::f32([outer, channels, inner]))?;
        let y = graph.apply_one(ChannelSum { outer, channels, inner }, &[x])?;
        graph.output("y", y);
        Ok(())
    })
}

/// Many equal terms, whose rounding errors are equal too and add up; infinities of one sign and of both.
fn cases() -> Vec<Case> {
    let equal = case([16, 2, 65_536], "1048576 equal terms per channel").tolerance(2e-7, 0.0);
    let infinite = case([4, 3, 256], "channels with infinities");
    vec![
        equal.prepare(|tensors| tensors.values_mut().for_each(|tensor| tensor.f32_mut().fill(0.1))),
        infinite.prepare(|tensors| set(tensors, "x0", &[(40, -INFINITY), (260, INFINITY), (1030, -INFINITY)])),
    ]
}
