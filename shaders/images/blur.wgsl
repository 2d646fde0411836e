// y[n,c,p] = sum of w(k) x[n,c,p + k] / sum of w(k), w(k) = exp(-(k / s)^2 / 2), over |k| <= REACH along a row or a column
//
// Beyond the image is its mirror image. Where s is 0, y is x. x, y [N, C, HEIGHT, WIDTH]; draws [N]: s. A line's pixels are STRIDE
// apart, and LENGTH many. ELEMENTS are those of an image. One invocation per element of y.

import package::constants::{WORKGROUP, STRIDE, LENGTH, ELEMENTS, REACH};
import package::arguments::arguments;
import package::images::reflected::reflected;
import package::lib::grid::linear_index;
import package::bindings::{x, draws, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let s = draws[i / ELEMENTS];
    let at = i / STRIDE % LENGTH;
    let first = i - at * STRIDE;
    let reach = select(0, i32(REACH), s > 0.0);
    var sum = 0.0;
    var weights = 0.0;
    // mutate `k <= reach` => `k < reach` (blur_images: last pixel left out)
    for (var k = -reach; k <= reach; k++) {
        let share = f32(k) / select(1.0, s, s > 0.0);
        // mutate `-0.5 * share` => `-share` (blur_images: too narrow)
        let weight = exp(-0.5 * share * share);
        sum += weight * x[first + u32(reflected(i32(at) + k, i32(LENGTH))) * STRIDE];
        weights += weight;
    }
    y[i] = sum / weights;
}
