// x[n,e] = byte e of image n, from 0 to 255. An image's bytes [ELEMENTS] begin at a word of their own, the first in its
// lowest bits. bytes [N, WORDS], x [N, ELEMENTS]. One invocation per element of x.

import package::constants::{WORKGROUP, ELEMENTS, WORDS};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{bytes, x};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let element = i % ELEMENTS;
    // mutate `i / ELEMENTS * WORDS` => `i / ELEMENTS * (ELEMENTS / 4u)` (images: bytes after an image's last not left out)
    let word = bytes[i / ELEMENTS * WORDS + element / 4u];
    // mutate `8u * (element % 4u)` => `24u - 8u * (element % 4u)` (images: bytes of a word from the other end)
    x[i] = f32((word >> (8u * (element % 4u))) & 255u);
}
