// y[n,c,p] = s x[n,c,p] + (1 - s) x[n - 1,c,p] within the box, else x[n,c,p]; before the first image comes the last
//
// x, y [IMAGES, C, HEIGHT, WIDTH]; numbers [5]: the box's top, left, height and width, and s. ELEMENTS are those of an image.
// One invocation per element of y.

import package::constants::{WORKGROUP, IMAGES, HEIGHT, WIDTH, ELEMENTS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, numbers, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let n = i / ELEMENTS;
    // mutate `n == 0u` => `n == IMAGES` (images: the first image with itself)
    let before = select(n - 1u, IMAGES - 1u, n == 0u) * ELEMENTS + i % ELEMENTS;
    let place = vec2(f32(i / WIDTH % HEIGHT), f32(i % WIDTH)) - vec2(numbers[0], numbers[1]);
    let is_within = all(place >= vec2(0.0)) && all(place < vec2(numbers[2], numbers[3]));
    // mutate `1.0 - numbers[4]` => `numbers[4]` (images: share of the other image mistaken)
    let mixed = numbers[4] * x[i] + (1.0 - numbers[4]) * x[before];
    y[i] = select(x[i], mixed, is_within);
}
