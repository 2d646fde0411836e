// y[n,c,i,j] = x[n,c,i + top, j' + left], where j' is j, or WIDTH - 1 - j in an image that is mirrored
//
// Beyond the image is what the border says. x, y [N, C, HEIGHT, WIDTH]; draws [N, 3]: top, left, and 1 where image n is
// mirrored. ELEMENTS are those of an image. One invocation per element of y.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, ELEMENTS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
@if(reflect) import package::images::reflected::reflected;
import package::bindings::{x, draws, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let n = i / ELEMENTS;
    let column = i32(i % WIDTH);
    let row = i32(i / WIDTH % HEIGHT) + i32(draws[3u * n]);
    // mutate `draws[3u * n + 2u] > 0.0` => `draws[3u * n + 2u] > 1.0` (images: none mirrored)
    let seen = select(column, i32(WIDTH) - 1 - column, draws[3u * n + 2u] > 0.0) + i32(draws[3u * n + 1u]);
    let plane = i / (HEIGHT * WIDTH) * (HEIGHT * WIDTH);
    @if(reflect) {
        y[i] = x[plane + u32(reflected(row, i32(HEIGHT))) * WIDTH + u32(reflected(seen, i32(WIDTH)))];
    }
    @else {
        let inner = vec2(clamp(row, 0, i32(HEIGHT) - 1), clamp(seen, 0, i32(WIDTH) - 1));
        let value = x[plane + u32(inner.x) * WIDTH + u32(inner.y)];
        @if(edge) { y[i] = value; }
        // mutate `all(inner == vec2(row, seen))` => `inner.x == row` (images: no border at the sides)
        @else { y[i] = select(0.0, value, all(inner == vec2(row, seen))); }
    }
}
