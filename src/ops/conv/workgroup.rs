//! Convolution for GPUs: the classic tiled matrix product in workgroup memory, whose load functions
//! read the image where it lies (implicit GEMM, no im2col buffer).

use super::part::Part;
use super::plain::kernel;
use crate::ops::reduce::sum_parts;
use crate::plan::{Binding, DeviceProfile, Kernel, Launch, Operand};

/// Sums of one workgroup: `rows` x `columns`, by threads of `thread` x `thread` sums each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TileShape {
    rows: usize,
    columns: usize,
    /// Steps of the reduction that are in workgroup memory at a time.
    depth: usize,
    thread: usize,
}

impl TileShape {
    fn threads(&self) -> usize {
        self.rows * self.columns / (self.thread * self.thread)
    }

    /// Bytes of workgroup memory, one texel of padding a step included.
    fn memory(&self) -> usize {
        self.depth * (self.rows + self.columns + 8) * 4
    }
}

/// From large to small; all within WebGPU's default limits.
const TILE_SHAPES: [TileShape; 4] = [
    TileShape { rows: 128, columns: 128, depth: 8, thread: 8 },
    TileShape { rows: 64, columns: 64, depth: 16, thread: 4 },
    TileShape { rows: 32, columns: 64, depth: 16, thread: 4 },
    TileShape { rows: 32, columns: 32, depth: 16, thread: 4 },
];

/// Workgroups that keep a large GPU busy: a tile shape that makes fewer is too large.
const ENOUGH_WORKGROUPS: usize = 256;

/// The largest shape that wastes little of its rows and still makes enough workgroups; else the smallest.
fn tile_shape(profile: &DeviceProfile, rows: usize, columns: usize, groups: usize) -> TileShape {
    let suits = |shape: &&TileShape| {
        let tiles = rows.div_ceil(shape.rows) * columns.div_ceil(shape.columns) * groups;
        let covered = rows.next_multiple_of(shape.rows);
        shape.threads() <= profile.max_invocations as usize
            && shape.memory() <= profile.workgroup_memory as usize
            && tiles >= ENOUGH_WORKGROUPS
            && covered * 3 <= rows * 4
    };
    let [.., smallest] = TILE_SHAPES;
    TILE_SHAPES.iter().find(suits).copied().unwrap_or(smallest)
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
        shape: TileShape,
        bindings: impl IntoIterator<Item = Binding>,
    ) {
        let row_tiles = self.rows.div_ceil(shape.rows);
        let column_tiles = self.columns.div_ceil(shape.columns);
        let part_depth = self.depth.div_ceil(self.parts).next_multiple_of(shape.depth);
        let workgroups = (row_tiles * column_tiles * self.groups * self.parts) as u64;
        let grid_rows = workgroups.div_ceil(u64::from(launch.profile().max_workgroups));
        let grid_columns = workgroups.div_ceil(grid_rows);
        let kernel = kernel
            .constants([
                ("TILE_ROWS", shape.rows),
                ("TILE_COLUMNS", shape.columns),
                ("TILE_DEPTH", shape.depth),
                ("THREAD", shape.thread),
                ("THREADS", shape.threads()),
                ("GRID_COLUMNS", grid_columns as usize),
                ("ROW_TILES", row_tiles),
                ("COLUMN_TILES", column_tiles),
                ("GROUPS", self.groups),
                ("PARTS", self.parts),
                ("PART_DEPTH", part_depth),
            ])
            .constants([("ROWS", self.rows as i32), ("COLUMNS", self.columns as i32), ("DEPTH", self.depth as i32)]);
        launch.grid(kernel, [grid_columns as u32, grid_rows as u32, 1], bindings);
    }
}

pub(super) fn forward(launch: &mut Launch<'_>, part: &Part) {
    let g = &part.geometry;
    let product = Product {
        rows: g.group_filters(),
        columns: g.batch * g.out[0] * g.out[1],
        depth: g.group_channels() * g.kernel[0] * g.kernel[1],
        groups: g.groups,
        parts: 1,
    };
    let shape = tile_shape(launch.profile(), product.rows, product.columns, product.groups);
    let bias = launch.inputs() == 3;
    let kernel = kernel("conv/workgroup_tile", part).operands("conv/workgroup_forward").condition("bias", bias);
    let mut bindings = vec![Operand::Input(0).read(), part.weight(Operand::Input(1).read())];
    bindings.extend(bias.then(|| part.bias()));
    bindings.push(Operand::Output(0).write());
    product.launch(launch, kernel, shape, bindings);
}

pub(super) fn input_gradient(launch: &mut Launch<'_>, part: &Part, dx: Binding) {
    let g = &part.geometry;
    let product = Product {
        rows: g.group_channels(),
        columns: g.batch * g.size[0] * g.size[1],
        depth: g.group_filters() * g.kernel[0] * g.kernel[1],
        groups: g.groups,
        parts: 1,
    };
    let shape = tile_shape(launch.profile(), product.rows, product.columns, product.groups);
    let kernel = kernel("conv/workgroup_tile", part).operands("conv/workgroup_input_gradient");
    let bindings = [Operand::Input(0).read(), part.weight(Operand::Input(1).read()), dx];
    product.launch(launch, kernel, shape, bindings);
}

pub(super) fn weight_gradient(launch: &mut Launch<'_>, part: &Part) {
    let g = &part.geometry;
    let (rows, columns) = (g.group_filters(), g.group_channels() * g.kernel[0] * g.kernel[1]);
    let depth = g.batch * g.out[0] * g.out[1];
    // The reduction is long and the result small: parts of it run side by side, and are summed in order.
    let shape = tile_shape(launch.profile(), rows, columns, g.groups);
    let tiles = rows.div_ceil(shape.rows) * columns.div_ceil(shape.columns) * g.groups;
    let parts = ENOUGH_WORKGROUPS.div_ceil(tiles).min(depth.div_ceil(8 * shape.depth)).max(1);
    let parts = parts.min(part.most_splits(launch));
    let product = Product { rows, columns, depth, groups: g.groups, parts };
    let kernel = kernel("conv/workgroup_tile", part).operands("conv/workgroup_weight_gradient");
    let elements = part.weight_elements();
    let dw = part.weight(Operand::Output(0).write());
    let target = if parts == 1 { dw } else { launch.scratch(parts * elements).write() };
    product.launch(
        launch,
        kernel.constant("ELEMENTS", elements as i32),
        shape,
        [Operand::Input(0).read(), Operand::Input(1).read(), target],
    );
    if parts > 1 {
        sum_parts(launch, target.operand, elements, 1, elements, parts, dw);
    }
}
