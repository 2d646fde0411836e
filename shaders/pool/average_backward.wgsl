// dx[p,i] = sum of dy[p,o] / area of window o, over the windows o that cover pixel i, in the order of o
//
// dx [planes, HEIGHT, WIDTH], dy [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation a cell of
// CELL_Y x CELL_X pixels of the padded image: it loads each of the WINDOWS_Y x WINDOWS_X windows that
// can reach into the cell once, and adds it to the pixels it covers.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, PADDING_Y, PADDING_X};
import package::constants::{KERNEL_Y, KERNEL_X, STRIDE_Y, STRIDE_X};
import package::constants::{CELL_Y, CELL_X, CELLS_Y, CELLS_X, WINDOWS_Y, WINDOWS_X};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::pool::area::area;
import package::pool::cells::{first_window_x, first_window_y};
import package::bindings::{dy, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let cell = linear_index(id);
    if (cell >= arguments.count) {
        return;
    }
    let cell_x = cell % CELLS_X;
    let cell_y = cell / CELLS_X % CELLS_Y;
    let plane = cell / (CELLS_X * CELLS_Y);

    var sums: array<f32, CELL_Y * CELL_X>;
    for (var i = 0u; i < WINDOWS_Y; i++) {
        for (var j = 0u; j < WINDOWS_X; j++) {
            let oy = first_window_y(cell_y) + i;
            let ox = first_window_x(cell_x) + j;
            if (oy < OUT_HEIGHT && ox < OUT_WIDTH) {
                let share = dy[(plane * OUT_HEIGHT + oy) * OUT_WIDTH + ox] / area(oy, ox);
                for (var pixel = 0u; pixel < CELL_Y * CELL_X; pixel++) {
                    // Pixels before the window wrap around to huge distances from its start.
                    let below = cell_y * CELL_Y + pixel / CELL_X - oy * STRIDE_Y;
                    let right = cell_x * CELL_X + pixel % CELL_X - ox * STRIDE_X;
                    // mutate `below < KERNEL_Y` => `below <= KERNEL_Y` (avg_pool2d: one row too many)
                    sums[pixel] += select(0.0, share, (below < KERNEL_Y) & (right < KERNEL_X));
                }
            }
        }
    }
    for (var pixel = 0u; pixel < CELL_Y * CELL_X; pixel++) {
        let row = cell_y * CELL_Y + pixel / CELL_X - PADDING_Y;
        let column = cell_x * CELL_X + pixel % CELL_X - PADDING_X;
        if (row < HEIGHT && column < WIDTH) {
            dx[(plane * HEIGHT + row) * WIDTH + column] = sums[pixel];
        }
    }
}
