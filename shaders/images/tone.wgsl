// Of the pixels of an image, from 0 to 255.

// The grey of a colour.
fn grey_of(rgb: vec3<f32>) -> f32 {
    // mutate `0.587` => `0.114` (colour_images: green weighed as blue)
    return dot(rgb, vec3(0.2989, 0.587, 0.114));
}

// The whole number of a pixel.
fn level_of(x: f32) -> u32 {
    // mutate `floor(x + 0.5)` => `x` (colour_images: levels cut off)
    return u32(clamp(floor(x + 0.5), 0.0, 255.0));
}
