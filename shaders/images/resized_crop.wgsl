// y[n,c] = image n's box of x[n,c], resized to OUT_HEIGHT x OUT_WIDTH
//
// A pixel of y is a mean of pixels of the box, whose weights fall linearly with their distance from its place there. They
// reach one pixel far, or where the box is larger than y, as many as there are for one pixel of y: so every pixel
// counts. x [N, C, HEIGHT, WIDTH], y [N, C, OUT_HEIGHT, OUT_WIDTH]; draws [N, 4]: the box's top, left, height and
// width, whole numbers. ELEMENTS are those of an image of y. One invocation per element of y.

import package::constants::{WORKGROUP, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, ELEMENTS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{x, draws, y};

// Where a pixel's weights begin and end in a line, where they are centred, and how far they reach. The centre is `part`
// beyond pixel `whole`, so that it is as exact in a long line as in a short one.
struct Taps {
    first: u32,
    end: u32,
    whole: u32,
    part: f32,
    reach: f32,
}

// Of pixel `at` of `size`, in a line of `length` pixels.
fn taps(at: u32, size: u32, length: u32) -> Taps {
    let center = (2u * at + 1u) * length;
    let whole = center / (2u * size);
    let part = f32(center % (2u * size)) / f32(2u * size);
    // mutate `max(f32(length) / f32(size), 1.0)` => `1.0` (images: pixels left out where an image shrinks)
    let reach = max(f32(length) / f32(size), 1.0);
    let first = max(f32(whole) + part - reach + 0.5, 0.0);
    let end = min(f32(whole) + part + reach + 0.5, f32(length));
    return Taps(u32(first), u32(end), whole, part, reach);
}

fn weight(taps: Taps, at: u32) -> f32 {
    // mutate `+ 0.5 - taps.part` => `- taps.part` (images: half a pixel off)
    return max(1.0 - abs((f32(i32(at) - i32(taps.whole)) + 0.5 - taps.part) / taps.reach), 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let first = 4u * (i / ELEMENTS);
    let rows = taps(i / OUT_WIDTH % OUT_HEIGHT, OUT_HEIGHT, u32(draws[first + 2u]));
    let columns = taps(i % OUT_WIDTH, OUT_WIDTH, u32(draws[first + 3u]));
    let corner = i / (OUT_HEIGHT * OUT_WIDTH) * (HEIGHT * WIDTH) + u32(draws[first]) * WIDTH + u32(draws[first + 1u]);
    var sum = 0.0;
    var weights = 0.0;
    for (var row = rows.first; row < rows.end; row++) {
        let share = weight(rows, row);
        for (var column = columns.first; column < columns.end; column++) {
            let factor = share * weight(columns, column);
            sum += factor * x[corner + row * WIDTH + column];
            weights += factor;
        }
    }
    y[i] = sum / weights;
}
