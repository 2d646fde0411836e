// coefficients[c] = (mean, sqrt(variance + EPS), weight, bias, dweight, dbias) of channel c, [channels, 6]: what
// input_gradient.wgsl has to know of it.

import package::constants::EPS;
@if(tabled) import package::bindings::coefficients;
import package::bindings::{mean, variance, weight, bias, dweight, dbias};

fn write_sums(c: u32, products: f32, sum: f32) {
    // mutate `sqrt(variance[c] + EPS)` => `1.0` (batch_norm: weight gradient not scaled)
    let deviation = sqrt(variance[c] + EPS);
    dweight[c] = products / deviation;
    dbias[c] = sum;
    @if(tabled) {
        let first = 6u * c;
        coefficients[first] = mean[c];
        coefficients[first + 1u] = deviation;
        @if(affine) {
            coefficients[first + 2u] = weight[c];
            coefficients[first + 3u] = bias[c];
        }
        @if(!affine) {
            coefficients[first + 2u] = 1.0;
            coefficients[first + 3u] = 0.0;
        }
        coefficients[first + 4u] = products / deviation;
        coefficients[first + 5u] = sum;
    }
}
