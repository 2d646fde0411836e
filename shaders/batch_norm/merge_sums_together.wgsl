// As merge_sums.wgsl, by a workgroup for each channel: invocation t has the lanes t, t + WORKGROUP, ...

import package::constants::WORKGROUP;
import package::arguments::arguments;
import package::lib::sum::{no_terms, plus, total};
import package::lib::together::sum_of_all;
import package::batch_norm::coefficients::write_sums;
import package::bindings::part;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let c = id.y * (arguments.grid_width / WORKGROUP) + id.x;
    if (c >= arguments.count / WORKGROUP) {
        return;
    }
    var own_products = no_terms(id);
    var own_sum = no_terms(id);
    // mutate `lane = t` => `lane = 0u` (batch_norm: each invocation the first lanes)
    for (var lane = t; lane < arguments.lanes; lane += WORKGROUP) {
        let other = part[c * arguments.lanes + lane];
        own_products = plus(own_products, other.x);
        own_sum = plus(own_sum, other.y);
    }
    let products = sum_of_all(total(own_products), t, id);
    let sum = sum_of_all(total(own_sum), t, id);
    if (t == 0u) {
        write_sums(c, products, sum);
    }
}
