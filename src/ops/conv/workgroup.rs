//! Convolution for GPUs: the classic tiled matrix product in workgroup memory, whose load functions
//! read the image where it lies (implicit GEMM, no im2col buffer).

use super::geometry::Phase;
use super::part::Part;
use super::plain::kernel;
use super::split::Split;
use super::{ConvGeometry, ConvPass, cooperative};
use crate::kernel::{DeviceProfile, Kernel, Launch, MatrixUnits, Operand, Shader, read, write};

/// Its bindings are those of the operands, which follow.
static TILE: Shader = Shader::new("conv/workgroup_tile", &[]);
static FORWARD: Shader =
    Shader::new("conv/workgroup_forward", &[read("x"), read("weight"), read("bias").when("bias"), write("y")]);
static INPUT_GRADIENT: Shader =
    Shader::new("conv/workgroup_input_gradient", &[read("dy"), read("weight"), write("dx")]);
static WEIGHT_GRADIENT: Shader = Shader::new(
    "conv/workgroup_weight_gradient",
    &[read("x"), read("dy"), write("dw"), write("db").when("bias_gradient")],
);

/// What computes a tile, from operands that are loaded and stored in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// Each thread some of the sums, in f32; a tile of these rows and columns, or what the rule picks.
    Threads(Option<[usize; 2]>),
    /// Each subgroup some matrices of sums, of factors in f16.
    MatrixUnits(MatrixUnits),
}

/// Sums of one workgroup: `rows` x `columns`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tile {
    pub rows: usize,
    pub columns: usize,
    /// Steps of the reduction that are in workgroup memory at a time.
    pub depth: usize,
    pub threads: usize,
    /// Bytes of workgroup memory.
    pub memory: usize,
    /// Invocations that keep a large GPU busy, as far as a reduction is split to have so many.
    pub enough: usize,
    pub shader: &'static Shader,
    /// Constants and conditions that this body alone has.
    pub constants: Vec<(&'static str, usize)>,
    pub conditions: Vec<&'static str>,
}

impl Tile {
    /// Steps of all loops of a thread over `depth` steps of the reduction, as if the compiler unrolled none.
    fn loop_steps(&self, depth: usize) -> usize {
        let quads = (self.rows * self.columns / self.threads.max(1)).isqrt().div_ceil(4);
        let loads = [self.rows, self.columns].map(|side| (self.depth * side / 4).div_ceil(self.threads.max(1)) * 5);
        let step = 1 + quads + quads * (1 + 4 * (1 + quads));
        depth.div_ceil(self.depth) * (1 + loads[0] + loads[1] + self.depth * step) + quads * quads * 64
    }
}

/// Rows and columns of the tiles of threads, from large to small; all are within WebGPU's default limits.
pub(super) const SHAPES: [[usize; 2]; 5] = [[128, 128], [64, 128], [64, 64], [32, 64], [32, 32]];

/// The tile of threads of that shape. Each keeps 8x8 sums, or 4x4 where the tile is small or registers are few. The memory
/// has one texel of padding for each step.
fn thread_tile(profile: &DeviceProfile, [rows, columns]: [usize; 2]) -> Tile {
    let (thread, depth) = if rows < 64 || profile.few_registers { (4, 16) } else { (8, 8) };
    Tile {
        rows,
        columns,
        depth,
        threads: rows * columns / (thread * thread),
        memory: depth * (rows + columns + 8) * 4,
        enough: 65_536,
        shader: &TILE,
        constants: vec![("THREAD", thread)],
        conditions: Vec::new(),
    }
}

/// The tiles of threads of a device, from large to small.
fn thread_tiles(profile: &DeviceProfile) -> impl Iterator<Item = Tile> {
    let largest = if profile.few_registers { 64 * 64 } else { usize::MAX };
    SHAPES.into_iter().filter(move |[rows, columns]| rows * columns <= largest).map(|shape| thread_tile(profile, shape))
}

impl Body {
    /// From large to small.
    fn tiles(self, profile: &DeviceProfile) -> Vec<Tile> {
        match self {
            Body::Threads(_) => thread_tiles(profile).collect(),
            Body::MatrixUnits(units) => cooperative::tiles(units).into(),
        }
    }

    /// The tile that is asked for, else the largest that wastes little of its rows and still makes enough
    /// workgroups, else the smallest. The reduction of a tile is run in at most `parts` parts.
    fn tile(
        self,
        profile: &DeviceProfile,
        [rows, columns, groups]: [usize; 3],
        parts: impl Fn(&Tile) -> usize,
    ) -> Tile {
        let suits = |tile: &Tile| {
            let tiles = rows.div_ceil(tile.rows) * columns.div_ceil(tile.columns) * groups * parts(tile);
            let covered = rows.next_multiple_of(tile.rows);
            tile.threads <= profile.max_invocations as usize
                && tile.memory <= profile.workgroup_memory as usize
                && tiles >= ENOUGH_WORKGROUPS
                && covered * 3 <= rows * 4
        };
        if let Body::Threads(Some(shape)) = self
            && let Some(tile) = thread_tiles(profile).find(|tile| [tile.rows, tile.columns] == shape)
        {
            return tile;
        }
        let mut tiles = self.tiles(profile);
        let first = tiles.iter().position(suits).unwrap_or(tiles.len() - 1);
        tiles.swap_remove(first)
    }
}

/// Workgroups that give each part of a large GPU one: a tile shape that makes fewer is too large.
const ENOUGH_WORKGROUPS: usize = 128;

/// Parts of a reduction beyond which it takes long to add them.
const MOST_PARTS: usize = 256;

/// Rows, columns and steps of the matrix product that a pass is for each group.
fn sizes(pass: ConvPass, g: &ConvGeometry) -> [usize; 3] {
    let taps = g.kernel[0] * g.kernel[1];
    let (inputs, outputs) = (g.batch * g.size[0] * g.size[1], g.batch * g.out[0] * g.out[1]);
    match pass {
        ConvPass::Forward => [g.group_filters(), outputs, g.group_channels() * taps],
        ConvPass::InputGradient => [g.group_channels(), inputs, g.group_filters() * taps],
        ConvPass::WeightGradient => [g.group_filters(), g.group_channels() * taps, outputs],
    }
}

/// Whether rows and columns of a pass fill the matrices of `units`: of fewer, threads waste less.
pub(super) fn fills(units: MatrixUnits, pass: ConvPass, g: &ConvGeometry) -> bool {
    let [rows, columns, _] = sizes(pass, g);
    rows.min(columns) >= units.edge as usize
}

/// Whether there is a tile of that shape which a device runs. One of which most would lie outside of the result is
/// left to the next smaller one.
pub(super) fn suits(profile: &DeviceProfile, pass: ConvPass, g: &ConvGeometry, shape: [usize; 2]) -> bool {
    let Some(tile) = thread_tiles(profile).find(|tile| [tile.rows, tile.columns] == shape) else { return false };
    let part = Part { geometry: *g, first_filter: 0, all_filters: g.filters };
    let [rows, columns, depth] = sizes(pass, g);
    let parts = if pass == ConvPass::WeightGradient { splits(profile, &part, &tile) } else { 1 };
    let is_smallest = SHAPES.last() == Some(&shape);
    tile.threads <= profile.max_invocations as usize
        && tile.memory <= profile.workgroup_memory as usize
        && tile.loop_steps(depth.div_ceil(parts)) <= profile.max_loop_steps
        && (is_smallest || (tile.rows < 2 * rows && tile.columns < 2 * columns))
}

/// A matrix product for each group: `rows` x `columns` sums over `depth` steps.
struct Product {
    rows: usize,
    columns: usize,
    depth: usize,
    groups: usize,
    parts: usize,
}

impl Product {
    fn launch(
        &self,
        launch: &mut Launch<'_>,
        kernel: Kernel,
        tile: &Tile,
        operands: impl IntoIterator<Item = (&'static str, Operand)>,
    ) {
        let row_tiles = self.rows.div_ceil(tile.rows);
        let column_tiles = self.columns.div_ceil(tile.columns);
        let part_depth = self.depth.div_ceil(self.parts).next_multiple_of(tile.depth);
        let workgroups = (row_tiles * column_tiles * self.groups * self.parts) as u64;
        let grid_rows = workgroups.div_ceil(u64::from(launch.profile().max_workgroups));
        let grid_columns = workgroups.div_ceil(grid_rows);
        let kernel = tile.conditions.iter().fold(kernel, |kernel, &name| kernel.condition(name, true));
        let kernel = kernel
            .constants(tile.constants.iter().cloned())
            .constants([
                ("TILE_ROWS", tile.rows),
                ("TILE_COLUMNS", tile.columns),
                ("TILE_DEPTH", tile.depth),
                ("THREADS", tile.threads),
                ("GRID_COLUMNS", grid_columns as usize),
                ("ROW_TILES", row_tiles),
                ("COLUMN_TILES", column_tiles),
                ("GROUPS", self.groups),
                ("PARTS", self.parts),
                ("PART_DEPTH", part_depth),
            ])
            .constants([("ROWS", self.rows as i32), ("COLUMNS", self.columns as i32), ("DEPTH", self.depth as i32)]);
        launch.grid(kernel, [grid_columns as u32, grid_rows as u32, 1], operands);
    }
}

pub(super) fn forward(launch: &mut Launch<'_>, part: &Part, body: Body) {
    let g = &part.geometry;
    let [rows, columns, depth] = sizes(ConvPass::Forward, g);
    let product = Product { rows, columns, depth, groups: g.groups, parts: 1 };
    let tile = body.tile(launch.profile(), [product.rows, product.columns, product.groups], |_| 1);
    let bias = launch.inputs() == 3;
    let kernel = kernel(tile.shader, part).operands(&FORWARD).condition("bias", bias);
    let kernel = launch.epilogue(kernel);
    let mut operands =
        vec![("x", Operand::input(0)), ("weight", part.weight(Operand::input(1))), ("y", Operand::output(0))];
    operands.extend(bias.then(|| ("bias", part.bias(Operand::input(2)))));
    product.launch(launch, kernel, &tile, operands);
}

/// Phases from which on a gradient is computed in one dispatch for all of them, most of whose products are with zero: a
/// dispatch for each would be many small ones.
const MANY_PHASES: usize = 9;

pub(super) fn input_gradient(launch: &mut Launch<'_>, part: &Part, dx: Operand, body: Body) {
    let g = &part.geometry;
    let strides = g.stride[0] * g.stride[1];
    let is_split = (2..MANY_PHASES).contains(&strides);
    let [down, across] = [0, 1].map(|axis| if is_split { g.phases(axis) } else { vec![g.whole(axis)] });
    for (y, x) in down.iter().flat_map(|y| across.iter().map(move |x| (y, x))) {
        let (rows, columns) = (g.group_channels(), g.batch * y.inputs * x.inputs);
        let product = Product { rows, columns, depth: g.group_filters() * y.taps * x.taps, groups: g.groups, parts: 1 };
        let tile = body.tile(launch.profile(), [rows, columns, g.groups], |_| 1);
        let kernel = kernel(tile.shader, part)
            .operands(&INPUT_GRADIENT)
            .condition("whole", !is_split)
            .condition("scattered", !is_split && strides > 1)
            .constants(phase_constants(["PHASE_HEIGHT", "FIRST_Y", "STEP_Y", "TAPS_Y", "FIRST_TAP_Y", "TAP_STEP_Y"], y))
            .constants(phase_constants(["PHASE_WIDTH", "FIRST_X", "STEP_X", "TAPS_X", "FIRST_TAP_X", "TAP_STEP_X"], x));
        let operands = [("dy", Operand::input(0)), ("weight", part.weight(Operand::input(1))), ("dx", dx)];
        product.launch(launch, kernel, &tile, operands);
    }
}

/// A phase that no tap meets has no steps; its taps are one, since a shader divides by them.
fn phase_constants(names: [&'static str; 6], phase: &Phase) -> impl Iterator<Item = (&'static str, i32)> {
    let Phase { first, step, inputs, tap, tap_step, taps } = *phase;
    names.into_iter().zip([inputs, first, step, taps.max(1), tap, tap_step].map(|value| value as i32))
}

/// Parts of a weight gradient's reduction that run side by side.
fn splits(profile: &DeviceProfile, part: &Part, tile: &Tile) -> usize {
    let [rows, columns, _] = sizes(ConvPass::WeightGradient, &part.geometry);
    let tiles = rows.div_ceil(tile.rows) * columns.div_ceil(tile.columns) * part.geometry.groups;
    tile.enough.div_ceil(tiles * tile.threads).min(most_parts(profile, part, tile)).max(1)
}

/// Parts that a weight gradient's reduction can be run in: each has some steps of a tile, and all fit a binding.
fn most_parts(profile: &DeviceProfile, part: &Part, tile: &Tile) -> usize {
    let [.., depth] = sizes(ConvPass::WeightGradient, &part.geometry);
    depth.div_ceil(8 * tile.depth).min(part.most_splits(profile)).min(MOST_PARTS)
}

pub(super) fn weight_gradient(launch: &mut Launch<'_>, part: &Part, db: Option<Operand>, body: Body) {
    let g = &part.geometry;
    let [rows, columns, depth] = sizes(ConvPass::WeightGradient, g);
    // The reduction is long and the result small: parts of it run side by side, and are summed in order.
    let profile = launch.profile();
    let tile = body.tile(profile, [rows, columns, g.groups], |tile| most_parts(profile, part, tile));
    let parts = splits(launch.profile(), part, &tile);
    let product = Product { rows, columns, depth, groups: g.groups, parts };
    let kernel = kernel(tile.shader, part).operands(&WEIGHT_GRADIENT);
    let elements = part.weight_elements();
    let kernel = kernel.constant("ELEMENTS", elements as i32).condition("bias_gradient", db.is_some());
    let dw = Split::new(launch, part.weight(Operand::output(0)), elements, parts);
    let db = db.map(|db| Split::new(launch, db, g.filters, parts));
    let mut operands = vec![("x", Operand::input(0)), ("dy", Operand::input(1)), ("dw", dw.target)];
    operands.extend(db.as_ref().map(|db| ("db", db.target)));
    product.launch(launch, kernel, &tile, operands);
    dw.merge(launch);
    db.into_iter().for_each(|db| db.merge(launch));
}
