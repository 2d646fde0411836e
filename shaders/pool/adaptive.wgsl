// Windows of adaptive pooling. A line of FROM places meets a line of TO places: place `at` of the one spans those of the other
// from floor(at TO / FROM) on, and before ceil((at + 1) TO / FROM). So an output finds the pixels of its window, and a pixel
// the windows that cover it.

// First of what place `at` spans, and the first after it.
fn span(at: u32, places: u32, other: u32) -> vec2<u32> {
    // mutate `+ places - 1u` => `` (adaptive_avg_pool2d,adaptive_max_pool2d: ends rounded down)
    return vec2(at * other / places, ((at + 1u) * other + places - 1u) / places);
}

struct Spans {
    // First element of the plane of the other size.
    plane: u32,
    rows: vec2<u32>,
    columns: vec2<u32>,
}

// What element `i` of planes of `size` (height, width) spans in planes of `other`.
fn spans(i: u32, size: vec2<u32>, other: vec2<u32>) -> Spans {
    let plane = i / (size.x * size.y) * (other.x * other.y);
    return Spans(plane, span(i / size.y % size.x, size.x, other.x), span(i % size.y, size.y, other.y));
}
