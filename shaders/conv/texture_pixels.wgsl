// Tiles of pixels, for the passes whose columns are pixels: a tile covers tile_images x tile_height x
// tile_width of them. Tiles run along pixels first, so that lanes share their weights.

import package::constants::{ROW_QUADS, WEIGHT_ROW};
import package::arguments::arguments;

struct PixelTile {
    // First image, row and column.
    n: i32,
    y: i32,
    x: i32,
    // First texel of four result channels.
    quad: i32,
}

// A pixel within a tile.
struct Pixel {
    n: i32,
    y: i32,
    x: i32,
}

fn pixel_tile_at(index: i32) -> PixelTile {
    let columns = arguments.grid_columns;
    let rows = arguments.grid_rows;
    let images = arguments.grid_images;
    return PixelTile(
        index / (columns * rows) % images * arguments.tile_images,
        index / columns % rows * arguments.tile_height,
        index % columns * arguments.tile_width,
        index / (columns * rows * images) * ROW_QUADS,
    );
}

// Along a row, then along the rows, then along the images, and beyond the tile.
fn next_pixel(pixel: Pixel) -> Pixel {
    let ends_row = pixel.x + 1 == arguments.tile_width;
    let ends_image = ends_row && pixel.y + 1 == arguments.tile_height;
    let y = select(pixel.y, pixel.y + 1, ends_row);
    return Pixel(
        select(pixel.n, pixel.n + 1, ends_image),
        select(y, 0, ends_image),
        select(pixel.x + 1, 0, ends_row),
    );
}

// First row of a pixel's image in the packed images; columns beyond the tile repeat its last image.
fn image_row(tile: PixelTile, pixel: Pixel) -> i32 {
    return (tile.n + min(pixel.n, arguments.tile_images - 1)) * arguments.padded_height;
}

fn is_beyond(tile: PixelTile, pixel: Pixel) -> bool {
    return pixel.n >= arguments.tile_images || tile.n + pixel.n >= arguments.batch;
}

// Where conv/pack_weights put four result channels at one step of a block.
fn weight_texel(quad: i32, block: i32, step: i32) -> vec2<i32> {
    let texel = quad * arguments.steps + 4 * block + step;
    return vec2(texel % WEIGHT_ROW, texel / WEIGHT_ROW);
}
