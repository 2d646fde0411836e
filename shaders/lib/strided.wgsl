// Where step i of a walk lies in a tensor whose dimensions are `strides` elements apart. The walk has as
// many steps as the product of `sizes`, the last dimension running fastest; a stride of 0 repeats.
//
// Written out, so that the sizes and strides, which are constants, fold: a dimension of size 1 costs nothing.

fn strided(i: u32, sizes: array<u32, 6>, strides: array<u32, 6>) -> u32 {
    let i4 = i / sizes[5];
    let i3 = i4 / sizes[4];
    let i2 = i3 / sizes[3];
    let i1 = i2 / sizes[2];
    let i0 = i1 / sizes[1];
    // mutate `i0 * strides[0]` => `0u` (add: first of six dimensions ignored)
    // mutate `i1 % sizes[1] * strides[1]` => `0u` (add: second of six dimensions ignored)
    return i0 * strides[0] + i1 % sizes[1] * strides[1] + i2 % sizes[2] * strides[2]
        // mutate `i % sizes[5] * strides[5]` => `i % sizes[5]` (permute: innermost stride dropped)
        + i3 % sizes[3] * strides[3] + i4 % sizes[4] * strides[4] + i % sizes[5] * strides[5];
}
