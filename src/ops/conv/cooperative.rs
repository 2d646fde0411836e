//! Tiles on matrix units (tensor cores): factors in f16, sums in f32. Passes, operands and the rule that
//! picks a tile are those of [`super::workgroup`].

use super::workgroup::Tile;
use crate::kernel::{MatrixUnits, Shader};

/// Its bindings are those of the operands.
static TILE: Shader = Shader::new("conv/cooperative_tile", &[]);

/// Steps in workgroup memory at a time.
const DEPTH: usize = 32;

/// Elements beside each row of factors in workgroup memory.
const PADDING: usize = 8;

/// From large to small. Of matrices of 16x16 and subgroups of 32, all but the first two are within WebGPU's
/// default limits.
pub(super) fn tiles(units: MatrixUnits) -> [Tile; 5] {
    [[4, 4], [2, 4], [2, 2], [1, 2], [1, 1]].map(|[down, across]| tile(units, down, across))
}

/// A tile of `down` x `across` blocks, each of one subgroup, which keeps 2x2 matrices of sums.
fn tile(units: MatrixUnits, down: usize, across: usize) -> Tile {
    let edge = units.edge as usize;
    let (rows, columns) = (down * 2 * edge, across * 2 * edge);
    let threads = down * across * units.largest_subgroup as usize;
    // Subgroups that there may be, each with room for one of its matrices.
    let slots = threads.div_ceil(units.smallest_subgroup.max(1) as usize);
    // Factors lie along the rows or along the steps, whichever takes more.
    let factors = |side: usize| (side * DEPTH + PADDING * side.max(DEPTH)) * 2;
    let mut conditions = Vec::new();
    conditions.extend((edge == 8).then_some("edge_8"));
    conditions.extend(units.emulated.then_some("emulated"));
    Tile {
        rows,
        columns,
        depth: DEPTH,
        threads,
        memory: factors(rows) + factors(columns) + slots * edge * edge * 4,
        // A tile has twice the invocations of one of threads.
        enough: 131_072,
        shader: &TILE,
        constants: vec![("EDGE", edge), ("SLOTS", slots)],
        conditions,
    }
}
