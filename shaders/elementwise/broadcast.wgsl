// y[i] = f(a[j] + b[k]), f an activation or none, or a[j] * b[k], j and k being where i lies in the
// broadcast a and b. One invocation per element of y, or per four neighbours, which have one element of an a or b that repeats.

import package::constants::{WORKGROUP, SIZES, A_STRIDES, B_STRIDES};
import package::arguments::arguments;
import package::lib::element::Element;
import package::lib::grid::linear_index;
import package::lib::strided::strided;
import package::activation::epilogue::epilogue_each;
import package::bindings::{a, b, y};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let left = Element(a[strided(i, SIZES, A_STRIDES)]);
    let right = Element(b[strided(i, SIZES, B_STRIDES)]);
    // mutate `left * right` => `left + right` (mul: sum for product)
    @if(mul) { y[i] = left * right; }
    // mutate `left + right` => `left` (add: second term dropped)
    @else { y[i] = epilogue_each(left + right); }
}
