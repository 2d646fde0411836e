// dx[p,i] = sum of dy[p,o] over the windows o with argmax[p,o] = i, in the order of o
//
// dx [planes, HEIGHT, WIDTH], dy and argmax [planes, OUT_HEIGHT, OUT_WIDTH]. One invocation a cell of
// CELL_Y x CELL_X pixels of the padded image: it loads each of the WINDOWS_Y x WINDOWS_X windows that
// can reach into the cell once, and adds it to the pixel it belongs to.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, PADDING_Y, PADDING_X};
import package::constants::{CELL_Y, CELL_X, CELLS_Y, CELLS_X, WINDOWS_Y, WINDOWS_X};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::pool::cells::{first_window_x, first_window_y};
import package::bindings::{argmax, dy, dx};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let cell = linear_index(id);
    if (cell >= arguments.count) {
        return;
    }
    let cell_x = cell % CELLS_X;
    let cell_y = cell / CELLS_X % CELLS_Y;
    let plane = cell / (CELLS_X * CELLS_Y);
    let left = cell_x * CELL_X - PADDING_X;
    let top = cell_y * CELL_Y - PADDING_Y;

    var sums: array<f32, CELL_Y * CELL_X>;
    for (var i = 0u; i < WINDOWS_Y; i++) {
        for (var j = 0u; j < WINDOWS_X; j++) {
            let oy = first_window_y(cell_y) + i;
            let ox = first_window_x(cell_x) + j;
            if (oy < OUT_HEIGHT && ox < OUT_WIDTH) {
                let o = (plane * OUT_HEIGHT + oy) * OUT_WIDTH + ox;
                let place = argmax[o];
                let gradient = dy[o];
                for (var pixel = 0u; pixel < CELL_Y * CELL_X; pixel++) {
                    let index = (top + pixel / CELL_X) * WIDTH + left + pixel % CELL_X;
                    // mutate `index == place` => `index + 1u == place` (max_pool2d: one pixel beside)
                    sums[pixel] += select(0.0, gradient, index == place);
                }
            }
        }
    }
    for (var pixel = 0u; pixel < CELL_Y * CELL_X; pixel++) {
        let row = top + pixel / CELL_X;
        let column = left + pixel % CELL_X;
        if (row < HEIGHT && column < WIDTH) {
            dx[(plane * HEIGHT + row) * WIDTH + column] = sums[pixel];
        }
    }
}
