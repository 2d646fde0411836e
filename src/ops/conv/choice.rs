//! Kernels that a table names for a convolution of exact sizes, in place of the written rule
//! (docs/decisions/0009-tune.md).

use super::part::Part;
use super::workgroup::{self, Body};
use super::{Conv2d, ConvGeometry, ConvInputGradient, ConvWeightGradient, Linear, Variant};
use super::{depthwise, loop_steps, texture};
use crate::graph::Node;
use crate::kernel::{ChoiceKey, DeviceProfile, Launch};
use crate::setting::as_text;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A pass of a convolution or linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConvPass {
    /// y of x and weight.
    Forward,
    /// dx of dy and weight.
    InputGradient,
    /// dw of x and dy, and the gradient of the bias.
    WeightGradient,
}

impl ConvPass {
    /// All three.
    pub const ALL: [ConvPass; 3] = [ConvPass::Forward, ConvPass::InputGradient, ConvPass::WeightGradient];

    fn name(self) -> &'static str {
        match self {
            ConvPass::Forward => "forward",
            ConvPass::InputGradient => "input gradient",
            ConvPass::WeightGradient => "weight gradient",
        }
    }
}

impl fmt::Display for ConvPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One pass of a convolution of exact sizes; a linear layer is one of 1x1 images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// What is computed.
    pub pass: ConvPass,
    /// Sizes of the convolution.
    pub geometry: ConvGeometry,
}

impl ConvShape {
    /// What a node computes, if it is a pass of a convolution or linear layer.
    pub fn of(node: &Node) -> Option<ConvShape> {
        let (pass, geometry) = if let Some((_, &geometry)) = node.inferred::<Conv2d>() {
            (ConvPass::Forward, geometry)
        } else if let Some((_, &geometry)) = node.inferred::<Linear>() {
            (ConvPass::Forward, geometry)
        } else if let Some(op) = node.op_as::<ConvInputGradient>() {
            (ConvPass::InputGradient, op.geometry)
        } else {
            (ConvPass::WeightGradient, node.op_as::<ConvWeightGradient>()?.geometry)
        };
        Some(ConvShape { pass, geometry })
    }

    /// Under which a device's measured choices have these sizes.
    pub fn key(&self) -> ChoiceKey {
        let ConvGeometry { batch, channels, size, filters, kernel, stride, padding, dilation, groups, out } =
            self.geometry;
        let mut sizes = vec![batch, channels, filters, groups];
        sizes.extend([size, kernel, stride, padding, dilation, out].into_iter().flatten());
        ChoiceKey { what: self.pass.name(), sizes }
    }

    /// The same for a batch of so many images, or rows of a linear layer.
    pub fn with_batch(self, batch: usize) -> ConvShape {
        ConvShape { geometry: ConvGeometry { batch, ..self.geometry }, ..self }
    }
}

impl fmt::Display for ConvShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let g = &self.geometry;
        match *g == ConvGeometry::linear(g.batch, g.channels, g.filters) {
            true => write!(f, "linear {}->{} b{}", g.channels, g.filters, g.batch)?,
            false => {
                let ([kh, kw], [height, width]) = (g.kernel, g.size);
                write!(f, "conv {kh}x{kw}/{} {}->{}", g.stride[0], g.channels, g.filters)?;
                write!(f, " g{} {height}x{width} b{}", g.groups, g.batch)?;
            }
        }
        write!(f, " {}", self.pass)
    }
}

/// Kernels that a convolution may take, all exact f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ConvKernels {
    /// One invocation per output: the measure of the others.
    Plain,
    /// Kernels of their own for convolutions of one channel a filter.
    Depthwise,
    /// Operands in textures; the largest register tile has `tile` x `tile` sums.
    Texture {
        /// Rows and columns of the tile.
        tile: usize,
    },
    /// Tiles of `rows` x `columns` sums in workgroup memory.
    Workgroup {
        /// Rows of the product that a workgroup computes.
        rows: usize,
        /// Columns of it.
        columns: usize,
    },
}

impl ConvKernels {
    /// Every one that there is.
    pub fn all() -> Vec<ConvKernels> {
        let mut all = vec![ConvKernels::Plain, ConvKernels::Depthwise];
        all.extend(texture::TILES.map(|tile| ConvKernels::Texture { tile }));
        all.extend(workgroup::SHAPES.map(|[rows, columns]| ConvKernels::Workgroup { rows, columns }));
        all
    }

    /// Whether these kernels compute `shape`, and a device runs them.
    pub fn suits(self, profile: &DeviceProfile, shape: &ConvShape) -> bool {
        let g = &shape.geometry;
        match (self, shape.pass) {
            (ConvKernels::Plain, ConvPass::Forward) => {
                loop_steps(g.group_channels(), g.kernel) <= profile.max_loop_steps
            }
            (ConvKernels::Plain, ConvPass::InputGradient) => {
                loop_steps(g.group_filters(), g.kernel) <= profile.max_loop_steps
            }
            (ConvKernels::Plain, ConvPass::WeightGradient) => true,
            (ConvKernels::Depthwise, ConvPass::InputGradient) => {
                depthwise::input_gradient_suits(g) && loop_steps(g.group_filters(), g.kernel) <= profile.max_loop_steps
            }
            (ConvKernels::Depthwise, _) => depthwise::suits(g),
            (ConvKernels::Texture { .. }, _) => texture::fits(profile, g),
            (ConvKernels::Workgroup { rows, columns }, pass) => workgroup::suits(profile, pass, g, [rows, columns]),
        }
    }
}

impl From<ConvKernels> for Variant {
    fn from(kernels: ConvKernels) -> Variant {
        match kernels {
            ConvKernels::Plain => Variant::Plain,
            ConvKernels::Depthwise => Variant::Depthwise,
            ConvKernels::Texture { tile } => Variant::Texture(tile),
            ConvKernels::Workgroup { rows, columns } => Variant::Workgroup(Body::Threads(Some([rows, columns]))),
        }
    }
}

impl fmt::Display for ConvKernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConvKernels::Plain => f.write_str("plain"),
            ConvKernels::Depthwise => f.write_str("depthwise"),
            ConvKernels::Texture { tile } => write!(f, "texture {tile}x{tile}"),
            ConvKernels::Workgroup { rows, columns } => write!(f, "workgroup {rows}x{columns}"),
        }
    }
}

impl FromStr for ConvKernels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = ConvKernels::all();
        let names = || all.iter().map(|kernels| format!("`{kernels}`")).collect::<Vec<_>>().join(", ");
        let found = all.iter().find(|kernels| kernels.to_string() == text);
        found.copied().ok_or_else(|| format!("there are no kernels `{text}`; there are {}", names()))
    }
}

as_text!(ConvKernels, String);

/// What the device's table says of the layer that `part` belongs to. It holds for exact f32 only, and not where
/// plain kernels are asked for.
pub(super) fn tabled(launch: &Launch<'_>, pass: ConvPass, part: &Part) -> Option<Variant> {
    let profile = launch.profile();
    if profile.plain_kernels || launch.is_half() || profile.tuned.is_empty() {
        return None;
    }
    let geometry = ConvGeometry { filters: part.all_filters, ..part.geometry };
    // Only names that parse are put into a table.
    let kernels = profile.tuned.get(&ConvShape { pass, geometry }.key())?.parse::<ConvKernels>();
    kernels.ok().map(Variant::from)
}
