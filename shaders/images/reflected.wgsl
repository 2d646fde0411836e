// Where `at` lies in a line of `size` whose ends are mirrors: the pixel at an end is not seen twice.
fn reflected(at: i32, size: i32) -> i32 {
    // mutate `2 * (size - 1) - at` => `2 * size - 1 - at` (images: the last pixel seen twice)
    return select(abs(at), 2 * (size - 1) - at, at >= size);
}
