// y[n,c,p] = x[n,c] at the place that image n's map takes p to, between pixels by their distances, and n's fill beyond the image
//
// Places are counted in pixels from the centre of the image, (across, down); draws [N, 7]: the map's rows (a, b, c) and
// (d, e, f), which take (u, v) to (a u + b v + c, d u + e v + f), and the fill. x, y [N, C, HEIGHT, WIDTH], ELEMENTS those of
// an image. One invocation per element of y.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, ELEMENTS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, draws, y};

fn pixel(plane: u32, row: i32, column: i32, fill: f32) -> f32 {
    let inner = vec2(clamp(row, 0, i32(HEIGHT) - 1), clamp(column, 0, i32(WIDTH) - 1));
    // mutate `all(inner == vec2(row, column))` => `true` (images: edges drawn out beyond the image)
    return select(fill, x[plane + u32(inner.x) * WIDTH + u32(inner.y)], all(inner == vec2(row, column)));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let first = 7u * (i / ELEMENTS);
    let plane = i / (HEIGHT * WIDTH) * (HEIGHT * WIDTH);
    // mutate `vec2(f32(WIDTH), f32(HEIGHT))` => `vec2(f32(HEIGHT), f32(WIDTH))` (images: centre of another shape)
    let center = 0.5 * (vec2(f32(WIDTH), f32(HEIGHT)) - 1.0);
    let seen = vec2(f32(i % WIDTH), f32(i / WIDTH % HEIGHT)) - center;
    let across = draws[first] * seen.x + draws[first + 1u] * seen.y + draws[first + 2u];
    let down = draws[first + 3u] * seen.x + draws[first + 4u] * seen.y + draws[first + 5u];
    // A place far beyond the image is as good as one just beyond it, and a whole number in any case.
    let place = clamp(vec2(across, down) + center, vec2(-2.0), vec2(f32(WIDTH), f32(HEIGHT)) + 1.0);
    let corner = floor(place);
    let share = place - corner;
    let column = i32(corner.x);
    let row = i32(corner.y);
    let fill = draws[first + 6u];
    let above = mix(pixel(plane, row, column, fill), pixel(plane, row, column + 1, fill), share.x);
    let below = mix(pixel(plane, row + 1, column, fill), pixel(plane, row + 1, column + 1, fill), share.x);
    // mutate `mix(above, below, share.y)` => `mix(above, below, share.x)` (images: share of the rows mistaken)
    y[i] = mix(above, below, share.y);
}
