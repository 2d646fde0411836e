// scale = min(1, MAX_NORM / (norm + 1e-6)), norm = sqrt(square). One invocation.

import package::constants::{WORKGROUP, MAX_NORM};
import package::lib::nan::unless_nan;
import package::bindings::{square, scale, norm};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x != 0 || id.y != 0) {
        return;
    }
    let root = sqrt(square[0]);
    norm[0] = root;
    // mutate `min(1.0,` => `max(1.0,` (optimizer: largest for least)
    scale[0] = unless_nan(root, min(1.0, MAX_NORM / (root + 1e-6)));
}
