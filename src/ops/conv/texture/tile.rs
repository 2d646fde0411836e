//! Shapes of the register tile, and which of its kernels are compiled for their sizes.

use super::pack::signed;
use crate::kernel::{Argument, Kernel, Shader};
use crate::ops::conv::ConvGeometry;

/// Its bindings are those of the operands.
static TILE: Shader = Shader::new("conv/texture_tile", &[]);

/// Rows and columns of the largest register tile, and of the one for small problems, which compiles
/// in a fraction of the time.
pub(super) const LARGE_TILE: usize = 16;
const SMALL_TILE: usize = 8;

/// Rows and columns of the largest tiles that there are.
pub(crate) const TILES: [usize; 2] = [LARGE_TILE, SMALL_TILE];

/// Multiply-adds below which the small tile is used.
const SMALL_PROBLEM: u64 = 8_000_000;

/// Multiply-adds below which a convolution's kernels are compiled for its sizes: it spends much of its time
/// on finding its texels. The others read their sizes when they run, and share pipelines. What has a pipeline
/// of its own takes the small tile: a large one costs half a second in the first step (docs/rejected.md).
const SPECIALISED_PROBLEM: u64 = 20_000_000;

/// Pixels that a tile covers.
#[derive(Clone, Copy)]
pub(super) struct PixelTile {
    /// Images, rows and columns of pixels, each a power of two: few shapes, since each is a pipeline.
    pub size: [usize; 3],
    /// Tiles over images, rows and columns.
    pub grid: [usize; 3],
}

impl PixelTile {
    /// The least waste, loads of rows that a small tile spreads over few columns included; of equals the one
    /// of fewest images, and of those the squarest.
    pub(super) fn of(largest: usize, images: usize, [height, width]: [usize; 2]) -> PixelTile {
        let powers = |limit: usize| (0..=limit.ilog2()).map(|power| 1 << power);
        let sizes = powers(largest.min(images)).flat_map(|n| {
            powers((largest / n).min(height))
                .flat_map(move |y| powers((largest / n / y).min(width)).map(move |x| [n, y, x]))
        });
        let tiles = sizes.map(|[n, y, x]| PixelTile {
            size: [n, y, x],
            grid: [images.div_ceil(n), height.div_ceil(y), width.div_ceil(x)],
        });
        let order = |tile: &PixelTile| {
            let [n, y, x] = tile.size;
            (tile.tiles() * (tile.columns() + 4), n, y.abs_diff(x))
        };
        tiles.min_by_key(order).unwrap_or(PixelTile { size: [1; 3], grid: [images, height, width] })
    }

    pub(super) fn columns(&self) -> usize {
        self.size.iter().product()
    }

    pub(super) fn tiles(&self) -> usize {
        self.grid.iter().product()
    }

    /// Pixels along (height, width) that the tiles reach over.
    pub(super) fn reach(&self) -> [usize; 2] {
        [self.grid[1] * self.size[1], self.grid[2] * self.size[2]]
    }

    pub(super) fn constants(&self) -> [(&'static str, i32); 3] {
        let [images, height, width] = self.size.map(|size| size as i32);
        [("TILE_IMAGES", images), ("TILE_HEIGHT", height), ("TILE_WIDTH", width)]
    }

    pub(super) fn arguments(&self) -> [(&'static str, Argument); 3] {
        let [images, rows, columns] = self.grid;
        signed([("grid_images", images), ("grid_rows", rows), ("grid_columns", columns)])
    }
}

/// Texels of four channels in a tile, of `quads` in all: the least waste, loads of the other side that
/// a small tile spreads over few channels included. A power of two, as a tile's pixels are.
pub(super) fn tile_quads(quads: usize, largest: usize) -> usize {
    let sizes = [4, 2, 1].into_iter().filter(|&size| size <= largest / 4);
    sizes.min_by_key(|size| quads.div_ceil(*size) * (size + 1)).unwrap_or(1)
}

/// As [`tile_quads`] for `channels` in `groups`: a tile lies within its group.
pub(super) fn group_tile_quads(channels: usize, groups: usize, largest: usize) -> usize {
    let quads = (channels / groups).div_ceil(4);
    match groups {
        1 => tile_quads(quads, largest),
        _ => [4, 2, 1].into_iter().find(|size| *size <= largest / 4 && quads.is_multiple_of(*size)).unwrap_or(1),
    }
}

/// The rule: rows and columns of the largest tile.
pub(crate) fn tile_size(geometry: &ConvGeometry) -> usize {
    let is_small = geometry.multiply_adds() < SMALL_PROBLEM || is_specialised(geometry);
    if is_small { SMALL_TILE } else { LARGE_TILE }
}

pub(super) fn is_specialised(geometry: &ConvGeometry) -> bool {
    !geometry.is_product() && geometry.multiply_adds() < SPECIALISED_PROBLEM
}

/// What the four numbers of a texel of the columns are.
#[derive(Clone, Copy)]
pub(super) enum Texel {
    /// Four steps of the reduction for one column.
    Steps,
    /// One step for each of four columns, of which so many steps are taken at once.
    Columns { at_once: usize },
}

/// The tile body with `operands`' load and store functions: `row_quads` x 4 rows, and the columns of `texels`
/// texels.
pub(super) fn tile_kernel(operands: &'static Shader, row_quads: usize, texels: usize, texel: Texel) -> Kernel {
    let (columns, steps, blocks) = match texel {
        Texel::Steps => (1, 4, 1),
        Texel::Columns { at_once } => (4, 1, at_once),
    };
    Kernel::new(&TILE)
        .operands(operands)
        .constants([
            ("ROW_QUADS", row_quads as i32),
            ("COLUMN_TEXELS", texels as i32),
            ("TEXEL_COLUMNS", columns),
            ("TEXEL_STEPS", steps),
            ("BLOCKS", blocks as i32),
            ("STEPS", steps * blocks as i32),
        ])
        .condition("steps_in_texel", matches!(texel, Texel::Steps))
}
