// Where an element of a tile's right side lies: what its column says of that plus what its step says of it.

struct Place {
    // In its buffer.
    index: i32,
    // In its image (x, y), which it may miss.
    at: vec2<i32>,
}

fn together(column: Place, step: Place) -> Place {
    // mutate `column.at + step.at` => `column.at` (conv2d: taps beyond the image)
    return Place(column.index + step.index, column.at + step.at);
}
