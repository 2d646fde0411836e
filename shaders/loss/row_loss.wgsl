// losses[n] = (loss of row n, 1), or (0, 0) for a row whose target is no class, or one that is passed over. Where
// classes have weights the loss is the weight of the target times as much, and row_weights[n] is that weight, 0 for a
// row that does not count. With y the one-hot target t and p = softmax(z):
//
//   focal        -ALPHA (1 - p_t)^GAMMA log p_t
//   mse          sum of (z - y)^2 / CLASSES
//   mse_softmax  sum of (p - y)^2 / CLASSES
//   nll          -z_t
//
// The losses through softmax also leave numbers[n] = (m, log of the sum of exp(z - m), g) for the
// backward pass, m the largest logit, g = dloss / dlog p_t (focal) or sum of p (p - y) (mse_softmax).
// logits [N, CLASSES], targets and row_weights [N], weights [CLASSES],
// losses [N, 2], numbers [N, 3]. One invocation per row.

import package::constants::{WORKGROUP, CLASSES};
@if(focal) import package::constants::{ALPHA, GAMMA, SMALLEST_BASE};
@if(ignoring) import package::constants::IGNORED;
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::lib::nan::{exponential, logarithm};
import package::lib::sum::{no_terms, plus, total};
import package::loss::log_sum_exp::{largest_logit, sum_of_exponentials};
import package::bindings::{logits, targets, losses, numbers, weights, row_weights};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = linear_index(id);
    if (n >= arguments.count) {
        return;
    }
    let first = n * CLASSES;
    // A target that is no class reads any logit, and its loss is dropped below.
    let label = min(targets[n], CLASSES - 1u);
    var loss = 0.0;
    @if(softmax) {
        let largest = largest_logit(first);
        let sum = sum_of_exponentials(id, first, largest);
        let log_sum = logarithm(sum);
        var g = 0.0;
        @if(focal) {
            let log_p = logits[first + label] - largest - log_sum;
            let p = exponential(log_p);
            let base = max(1.0 - p, SMALLEST_BASE);
            let modulation = pow(base, GAMMA);
            // mutate `ALPHA * modulation` => `modulation` (focal: alpha dropped)
            loss = -ALPHA * modulation * log_p;
            // Of a class without probability: its logarithm is infinite, and the product 0.
            let product = select(p * log_p, 0.0, p == 0.0);
            // mutate `GAMMA * pow(base, GAMMA - 1.0)` => `pow(base, GAMMA - 1.0)` (focal: gradient through p)
            g = ALPHA * (GAMMA * pow(base, GAMMA - 1.0) * product - modulation);
        }
        @if(mse_softmax) {
            var squares = no_terms(id);
            var products = no_terms(id);
            for (var c = 0u; c < CLASSES; c++) {
                let p = exponential(logits[first + c] - largest) / sum;
                let error = p - select(0.0, 1.0, c == label);
                squares = plus(squares, error * error);
                products = plus(products, p * error);
            }
            // mutate `total(squares) / f32(CLASSES);` => `total(squares);` (mse_softmax: sum for mean)
            loss = total(squares) / f32(CLASSES);
            g = total(products);
        }
        numbers[3u * n] = largest;
        numbers[3u * n + 1u] = log_sum;
        numbers[3u * n + 2u] = g;
    }
    @if(mse) {
        var squares = no_terms(id);
        for (var c = 0u; c < CLASSES; c++) {
            let error = logits[first + c] - select(0.0, 1.0, c == label);
            squares = plus(squares, error * error);
        }
        // mutate `total(squares) / f32(CLASSES);` => `total(squares);` (mse: sum for mean)
        loss = total(squares) / f32(CLASSES);
    }
    @if(nll) {
        // mutate `loss = -logits` => `loss = logits` (nll: wrong sign)
        loss = -logits[first + label];
    }
    var counts = targets[n] < CLASSES;
    // mutate `label != IGNORED` => `true` (nll: class that is passed over counted)
    @if(ignoring) { counts = counts && label != IGNORED; }
    @if(weighted) {
        // mutate `loss *= weights[label];` => `` (focal,nll: weight of the loss dropped)
        loss *= weights[label];
        row_weights[n] = select(0.0, weights[label], counts);
    }
    losses[2u * n] = select(0.0, loss, counts);
    // mutate `select(0.0, 1.0, counts)` => `1.0` (focal,mse,nll: rows without a class counted)
    losses[2u * n + 1u] = select(0.0, 1.0, counts);
}
