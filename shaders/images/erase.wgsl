// y[n,c,i,j] = 0 within image n's box, else x[n,c,i,j]
//
// x, y [N, C, HEIGHT, WIDTH]; draws [N, 4]: the box's top, left, height and width, which may lie beyond the image. ELEMENTS
// are those of an image. One invocation per element of y.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, ELEMENTS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, draws, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let n = i / ELEMENTS;
    let first = vec2(draws[4u * n], draws[4u * n + 1u]);
    let place = vec2(f32(i / WIDTH % HEIGHT), f32(i % WIDTH)) - first;
    let size = vec2(draws[4u * n + 2u], draws[4u * n + 3u]);
    // mutate `place < size` => `place <= size` (images: a row and a column too many erased)
    y[i] = select(x[i], 0.0, all(place >= vec2(0.0)) && all(place < size));
}
