// Where an element of a tile's right side lies: what its column says of that plus what its step says of it.

struct Place {
    // In its buffer.
    index: i32,
    // In its image (x, y), which it may miss.
    at: vec2<i32>,
}

// Whether it lies in an image of that size (width, height).
fn inside(place: Place, size: vec2<i32>) -> bool {
    // mutate `all(` => `any(` (conv2d: beyond the image in one direction)
    return all(vec2<u32>(place.at) < vec2<u32>(size));
}

fn together(column: Place, step: Place) -> Place {
    // mutate `column.at + step.at` => `column.at` (conv2d: taps beyond the image)
    return Place(column.index + step.index, column.at + step.at);
}
