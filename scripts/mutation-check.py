#!/usr/bin/env python3
"""Breaks every shader in one place at a time, and sees whether `tilewright check` notices.

    cargo build --release
    python3 scripts/mutation-check.py                  # all; --write puts the table into docs/mutation.md
    python3 scripts/mutation-check.py pool/            # only the files whose path holds this

A mutation is killed when the check of the ops that use the file fails. No build is needed between
mutations: `tilewright check --shaders` takes the changed file in place of the program's. Ends with status 1
when a mutation survives, a text to be replaced is not in its file, or a shader file has no mutation. What needs
matrix units is counted as not run on a device without them.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHADERS = ROOT / "shaders"

# File, text, what stands in its place (first occurrence outside of comments), the ops to check, what is broken.
MUTATIONS = [
    ("activation/epilogue", "activate(value)", "value", "linear", "merged activation dropped"),
    ("activation/forward", "activate(x[i])", "activate(x[i] + 1e-3)", "relu", "shifted input"),
    ("activation/backward", ", dy[i])", ", 1.0)", "relu", "upstream gradient ignored"),
    ("activation/functions", "rectified(x)", "abs(x)", "relu", "relu of negative numbers"),
    ("activation/functions", "rectified(x)", "max(x, 0.0)", "relu", "NaN lost in relu"),
    ("activation/functions", "not_above_zero(seen)); }", "seen < 0.0); }", "relu", "relu's gradient at 0"),
    ("activation/functions", "capped(x, 6.0)", "rectified(x)", "relu6", "no upper bound"),
    ("activation/functions", "|| at_least(seen, 6.0)", "|| seen > 6.0", "relu6", "relu6's gradient at 6"),
    ("activation/functions", "1.0, above_zero(seen)", "1.0, seen >= 0.0", "leaky_relu", "leaky relu's gradient at 0"),
    ("activation/functions", "SLOPE * expm1(x)", "SLOPE * exp(x)", "elu", "elu without its -1"),
    ("activation/functions", "SLOPE * exp(seen)", "exp(seen)", "elu", "elu's gradient without alpha"),
    ("activation/functions", "select(e, 1.0, x >= 0.0)", "e", "sigmoid", "sigmoid of positive numbers"),
    ("activation/functions", "seen * (1.0 - seen)", "seen * (1.0 - seen * seen)", "sigmoid", "sigmoid's gradient"),
    ("activation/functions", "1.0 - seen * seen)", "1.0 - seen)", "tanh", "tanh's gradient"),
    ("activation/functions", "(1.0 - e) / (1.0 + e)", "(1.0 - e) / (1.0 - e * e)", "tanh", "tanh away from 0"),
    ("activation/functions", "1.0 + seen * (1.0 - s)", "1.0 + (1.0 - s)", "silu", "silu's gradient"),
    ("activation/functions", "0.5 * erfc_positive", "0.49 * erfc_positive", "gelu", "gelu's distribution"),
    ("activation/functions", "exp(-0.5 * seen * seen)", "exp(-seen * seen)", "gelu", "gelu's gradient"),
    ("activation/functions", "capped(x / 6.0 + 0.5, 1.0); }\n    @if(hardswish)",
     "capped(x / 6.0 + 0.5, 2.0); }\n    @if(hardswish)", "hardsigmoid", "hardsigmoid's upper bound"),
    ("activation/functions", "upstream / 6.0, within(seen, 3.0)", "upstream / 6.0, abs(seen) <= 3.0", "hardsigmoid",
     "hardsigmoid's gradient at 3"),
    ("activation/functions", "seen / 3.0 + 0.5", "seen / 6.0 + 0.5", "hardswish", "hardswish's gradient"),
    ("batch_norm/partial_statistics", "- shift;\n        sum", ";\n        sum", "batch_norm", "sums that are not shifted"),
    ("batch_norm/partial_statistics", "e % INNER]", "e % INNER + 1u]", "batch_norm", "one element too far"),
    ("batch_norm/partial_statistics", "max(min(first, middle), min(max(first, middle), last))", "first", "batch_norm",
     "sums shifted by an element far from all others"),
    ("batch_norm/merge_statistics", "count * offset * offset", "count * offset", "batch_norm", "merged deviations"),
    ("batch_norm/merge_statistics", "part[i] - centre", "part[i]", "batch_norm", "means of lanes that are not centred"),
    ("batch_norm/merge_statistics", " * offset) / elements", " * offset) / (elements - 1.0)", "batch_norm",
     "unbiased for biased variance"),
    ("batch_norm/normalize", "variance[c] + EPS", "variance[c]", "batch_norm", "no epsilon"),
    ("batch_norm/normalize", "factor, shift)", "factor, 0.0)", "batch_norm", "dropped bias"),
    ("batch_norm/partial_sums", "x[i] - centre", "x[i]", "batch_norm", "sums that are not centred"),
    ("batch_norm/merge_sums", "total(products) / sqrt(variance[c] + EPS)", "total(products)", "batch_norm", "weight gradient not scaled"),
    ("batch_norm/input_gradient", "sum + normal", "normal", "batch_norm", "mean of dy not taken off"),
    ("batch_norm/input_gradient", "gradient *= factor", "gradient *= 1.0", "batch_norm", "dropped weight"),
    ("batch_norm/input_gradient_running", "% arguments.channels", "% max(arguments.channels - 1u, 1u)",
     "batch_norm", "wrong channel"),
    ("batch_norm/normalize", "e = index % arguments.lanes", "e = 0u", "batch_norm", "every lane the whole plane"),
    ("batch_norm/input_gradient", "e < arguments.inner", "e < arguments.inner - 1u", "batch_norm",
     "last element left out"),
    ("batch_norm/update_running", "arguments.correction * variance[c]", "variance[c]", "batch_norm",
     "biased for unbiased variance"),
    ("batch_norm/update_running", "(1.0 - MOMENTUM) * running_mean[c]", "running_mean[c]", "batch_norm",
     "old mean not decayed"),
    ("bench/multiply_adds", "c = 0u; c < CHAINS", "c = 1u; c < CHAINS", "multiply_adds", "a chain left out"),
    ("bench/multiply_adds", "step < STEPS", "step + 1 < STEPS", "multiply_adds", "a step left out"),
    ("conv/plain_forward", "sum += bias[k]", "sum += 0.0", "conv2d", "dropped bias"),
    ("conv/plain_forward", "oy * STRIDE_Y", "oy * STRIDE_X", "conv2d", "horizontal for vertical stride"),
    ("conv/plain_forward", "ky < KERNEL_HEIGHT", "ky < KERNEL_HEIGHT - 1", "conv2d", "last row of taps left out"),
    ("conv/plain_input_gradient", "y % STRIDE_Y != 0 ||", "", "conv2d", "outputs between strides"),
    ("conv/plain_input_gradient", "kx * DILATION_X", "kx", "conv2d", "no dilation"),
    ("conv/plain_weight_gradient", "row_sum += upstream(row, k, ox);", "row_sum += 1.0;", "conv2d", "bias gradient"),
    ("conv/plain_weight_gradient", "ix < WIDTH", "ix < WIDTH - 1", "conv2d", "last column left out"),
    ("conv/plain_weight_gradient", "k / GROUP_FILTERS * GROUP_CHANNELS + c", "c", "conv2d", "first group for all"),
    ("conv/cooperative_tile", "workgroupBarrier();", "", "linear", "missing barrier before the products"),
    ("conv/cooperative_tile", "left_matrix(block_row + EDGE, step)", "left_matrix(block_row, step)", "linear",
     "first matrix for the second"),
    ("conv/cooperative_tile", "subgroup % BLOCK_COLUMNS * BLOCK", "0u", "conv2d", "first column of blocks for all"),
    ("conv/cooperative_tile", "i32(first + step)", "i32(step)", "linear", "first steps again"),
    ("conv/cooperative_tile", "store_results(place, thread, EDGE, 0)", "store_results(place, thread, 0, 0)", "linear",
     "third matrix in the place of the first"),
    ("conv/cooperative_emulated", "others.y + lane % EDGE", "others.y", "linear", "first column for all"),
    ("conv/cooperative_emulated", "sum += f32(a) * f32(b)", "sum = f32(f16(sum + f32(a) * f32(b)))", "linear",
     "sums kept in f16"),
    ("conv/cooperative_units", "coopLoadT<Left>", "coopLoad<Left>", "linear", "left matrices transposed"),
    ("conv/cooperative_units", "coopStoreT", "coopStore", "linear", "sums transposed"),
    ("conv/depthwise", "k / GROUP_FILTERS", "k", "conv2d", "filter for channel"),
    ("conv/depthwise", "start + sums[o]", "sums[o]", "conv2d", "dropped bias"),
    ("conv/depthwise_input_gradient", "x % STRIDE_X == 0", "x >= 0", "conv2d", "columns of outputs between strides"),
    ("conv/depthwise_input_gradient", "y % STRIDE_Y != 0 || ", "", "conv2d", "rows of outputs between strides"),
    ("conv/depthwise_input_gradient", "c * GROUP_FILTERS + f", "c * GROUP_FILTERS", "conv2d", "first filter of a channel only"),
    ("conv/depthwise_weight_gradient", "plus(gradients, gradient)", "plus(no_terms(id), gradient)", "conv2d",
     "bias gradient not summed"),
    ("conv/depthwise_weight_gradient", "(part + 1) * PART_ROWS, ROWS", "(part + 1) * PART_ROWS - 1, ROWS", "conv2d",
     "last row of each part left out"),
    ("conv/depthwise_weight_gradient", "ky * DILATION_Y - PADDING_Y", "ky * DILATION_Y - PADDING_X", "conv2d",
     "horizontal for vertical padding"),
    ("conv/pack_pixels", "row_sum += texel", "row_sum = texel", "conv2d", "bias gradient not summed"),
    ("conv/pack_pixels", "(part + 1) * arguments.part_rows", "(part + 1) * arguments.part_rows - 1", "conv2d",
     "last row of a part left out"),
    ("conv/pack_pixels", "x < arguments.width", "x <= arguments.width", "conv2d", "one column beyond the image"),
    ("conv/pack_pixels", "c + 3 < arguments.channels", "c + 4 < arguments.channels", "conv2d", "last channel left out"),
    ("conv/pack_weights", " && kx < arguments.kernel_width", "", "conv2d", "weights beyond a row of taps"),
    ("conv/pack_weights", "weight(r + 3, other", "weight(r + 2, other", "conv2d", "third filter for the fourth"),
    ("conv/texture_tile", "i < STEPS", "i < max(STEPS, 2) - 1", "conv2d", "last step left out"),
    ("conv/texture_tile", "block < length", "block + BLOCKS < length", "conv2d", "last block of a run left out"),
    ("conv/texture_tile", "(block + b)", "block", "conv2d", "columns of the first of two blocks for both"),
    ("conv/texture_tile", "p == part", "p + 1 == part", "conv2d", "sums of one part stored in another's place"),
    ("conv/texture_pixels", "j % TILE_WIDTH)", "j % TILE_HEIGHT)", "conv2d", "columns of a tile mixed up"),
    ("conv/texture_pixels", "quad / arguments.group_quads *", "0 *", "conv2d", "channels of the first group for all"),
    ("conv/texture_pixels", "texel / WEIGHT_ROW)", "0)", "conv2d", "weights of the first row only"),
    ("conv/texture_forward", "run.kx * arguments.dilation_x", "run.kx", "conv2d", "no dilation"),
    ("conv/texture_forward", "row >= arguments.height", "row > arguments.height", "conv2d",
     "a row beyond the image is stored"),
    ("conv/texture_forward", "start[i] = bias[channel];", "start[i] = 0.0;", "conv2d", "no bias"),
    ("conv/texture_input_gradient", "* arguments.dilation_x) / arguments.stride_x", "* arguments.dilation_x)", "conv2d",
     "no stride"),
    ("conv/texture_input_gradient", "run.x - arguments.shift_x", "run.x - 1", "conv2d", "no dilation"),
    ("conv/texture_input_gradient", "residue % arguments.stride_x", "residue / arguments.stride_x", "conv2d",
     "residues mixed up"),
    ("conv/texture_weight_gradient", "(arguments.filters - 1) / 4", "arguments.filters / 8", "conv2d",
     "last filters repeated"),
    ("conv/texture_weight_gradient", "tile.quad / arguments.group_quads", "0", "conv2d",
     "channels of the first group for all"),
    ("conv/texture_weight_gradient", "tile.end - run.row", "tile.end - run.row - 1", "linear",
     "last vector of a part left out"),
    ("conv/texture_weight_gradient", "* arguments.part_rows, arguments.all_rows)",
     "* arguments.part_rows - 1, arguments.all_rows)", "conv2d", "last row of each part left out"),
    ("conv/workgroup_tile", "row_sums[i / THREADS] += texel", "row_sums[i / THREADS] = texel", "conv2d",
     "bias gradient of the last steps alone"),
    ("conv/workgroup_tile", "step < TILE_DEPTH; step++) {\n                sum", "step < TILE_DEPTH - 1; step++) {\n                sum",
     "conv2d", "bias gradient of all threads of a row but one"),
    ("conv/workgroup_tile", "workgroupBarrier();", "", "conv2d", "missing barrier before the products"),
    ("conv/workgroup_tile", "        workgroupBarrier();\n    }", "    }", "conv2d", "missing barrier after the products"),
    ("conv/workgroup_tile", "column + lane < COLUMNS", "column + lane < COLUMNS - 1", "conv2d", "last column left out"),
    ("conv/workgroup_forward", "sum + bias[k]", "sum", "conv2d", "dropped bias"),
    ("conv/workgroup_forward", "ix >= WIDTH", "ix > WIDTH", "conv2d", "one column beyond the image"),
    ("conv/workgroup_input_gradient", "x % STRIDE_X != 0 ||", "", "conv2d", "outputs between strides"),
    ("conv/workgroup_input_gradient", "oy >= OUT_HEIGHT", "oy >= OUT_HEIGHT - 1", "conv2d", "last row left out"),
    ("conv/workgroup_weight_gradient", "part * ELEMENTS", "0", "conv2d", "all parts in one place"),
    ("conv/workgroup_weight_gradient", "ky * DILATION_Y - PADDING_Y", "ky * DILATION_Y", "conv2d", "no padding"),
    ("dropout/dropout", "* SCALE", "", "dropout", "what is kept is not scaled"),
    ("dropout/dropout", "scramble(key ^ scramble(i))", "scramble(i)", "dropout", "seed and step ignored"),
    ("dropout/dropout", "numbers[2]", "numbers[1]", "dropout", "step ignored"),
    ("elementwise/add", "+ b[i]", "- b[i]", "add", "wrong sign"),
    ("elementwise/mul", "* b[i]", "* a[i]", "mul", "first factor twice"),
    ("elementwise/broadcast", "left * right", "left + right", "mul", "sum for product"),
    ("elementwise/broadcast", "left + right", "left", "add", "second term dropped"),
    ("elementwise/copy", "i < arguments.count", "i + 1 < arguments.count", "optimizer", "last element not written"),
    ("elementwise/fill", "i < arguments.count", "i + 1 < arguments.count", "zero_pad2d", "last element not written"),
    ("elementwise/scale", "FACTOR * x[i]", "x[i]", "scale", "factor dropped"),
    ("layout/gather", "OFFSET +", "", "slice", "offset dropped"),
    ("layout/gather", "FACTOR *", "", "mean", "factor dropped"),
    ("layout/scatter", "OFFSET +", "", "concat", "offset dropped"),
    ("lib/grid", "id.y * arguments.grid_width +", "", "add", "second dimension of the grid ignored"),
    ("lib/nan", "bitcast<u32>(x) & ~SIGN) > INFINITY", "bitcast<u32>(x)) > INFINITY", "max_pool2d",
     "negative numbers taken for NaN"),
    ("lib/nan", "select(bits, 0u, bits - SIGN <= INFINITY)", "select(bits, 0u, bits >= SIGN)", "relu",
     "negative NaN lost"),
    ("lib/nan", "bits - limit <= INFINITY - limit", "bits >= limit", "relu6", "NaN cut off at the top"),
    ("lib/sum", "added - wanted, sum.plain", "0.0, sum.plain", "mean", "what is lost is not kept"),
    ("lib/sum", "select(sum.plain, sum.value, finite)", "sum.value", "adaptive_avg_pool2d,mean", "infinite sums"),
    ("lib/sum", "added - wanted, sums.plain", "0.0, sums.plain", "conv2d", "what is lost of four sums is not kept"),
    ("lib/strided", "i % sizes[5] * strides[5]", "i % sizes[5]", "permute", "innermost stride dropped"),
    ("lib/strided", "i1 % sizes[1] * strides[1]", "0u", "add", "second of six dimensions ignored"),
    ("lib/strided", "i0 * strides[0]", "0u", "add", "first of six dimensions ignored"),
    ("local_response_norm/forward", "SIZE / 2u", "(SIZE - 1u) / 2u", "local_response_norm", "window of even size moved"),
    ("local_response_norm/forward", "unless_nan(s, pow(s, -BETA))", "pow(s, -BETA)", "local_response_norm",
     "NaN lost in a power"),
    ("local_response_norm/forward", "fma(ALPHA, squares, K)", "ALPHA * squares", "local_response_norm", "dropped k"),
    ("local_response_norm/backward", "(SIZE - 1u) / 2u", "SIZE / 2u", "local_response_norm",
     "window of even size not turned"),
    ("local_response_norm/backward", "2.0 * ALPHA", "ALPHA", "local_response_norm", "half of the second term"),
    ("local_response_norm/backward_terms", "-BETA - 1.0", "-BETA", "local_response_norm", "wrong power"),
    ("loss/cross_entropy_rows", "(1.0 - SMOOTHING) * own", "own", "cross_entropy", "smoothing of the target"),
    ("loss/cross_entropy_rows", "- largest;\n        exponentials", ";\n        exponentials", "cross_entropy", "exponentials overflow"),
    ("loss/cross_entropy_rows", "losses[n] = vec2(0.0);", "losses[n] = vec2(0.0, 1.0);", "cross_entropy",
     "ignored rows counted"),
    ("loss/cross_entropy_backward", "upstream[0] /", "1.0 /", "cross_entropy", "upstream gradient ignored"),
    ("loss/cross_entropy_backward", "- SMOOTHING / f32(CLASSES)", "", "cross_entropy", "smoothing of the others"),
    ("loss/correct_rows", "larger < K", "larger <= K", "cross_entropy", "one place too many"),
    ("loss/correct_rows", " || is_nan(z)", "", "cross_entropy", "right beside NaN"),
    ("loss/mean_of_rows", "n = 0u", "n = 1u", "mse", "first row left out"),
    ("loss/record_metrics", "row + 2", "row + 1", "record_metrics", "rows for correct"),
    ("loss/row_loss", "ALPHA * modulation", "modulation", "focal", "alpha dropped"),
    ("loss/row_loss", "total(squares) / f32(CLASSES);\n            g", "total(squares);\n            g", "mse_softmax", "sum for mean"),
    ("loss/row_loss", "total(squares) / f32(CLASSES);\n    }", "total(squares);\n    }", "mse", "sum for mean"),
    ("loss/row_loss", "loss = -logits", "loss = logits", "nll", "wrong sign"),
    ("loss/row_loss", "GAMMA * pow(base, GAMMA - 1.0)", "pow(base, GAMMA - 1.0)", "focal", "gradient through p"),
    ("loss/row_loss", "select(0.0, 1.0, counts)", "1.0", "focal,mse,nll", "rows without a class counted"),
    ("loss/row_loss_backward", "(hot - p)", "(p - hot)", "focal", "wrong sign"),
    ("loss/row_loss_backward", "(p - hot - g)", "(p - hot)", "mse_softmax", "softmax's own gradient"),
    ("loss/row_loss_backward", "upstream[0] /", "1.0 /", "mse", "upstream gradient ignored"),
    ("loss/row_loss_backward", "dlogits[i] = 0.0;", "", "nll", "rows without a class not written"),
    ("matmul/batched", "pair * (M * K)", "0u", "matmul", "first pair for all"),
    ("matmul/batched", "columns[j] < N", "columns[j] <= N", "matmul", "a column beyond the matrix is stored"),
    ("optimizer/average", "(1.0 - share[0]) * average[i]", "average[i]", "optimizer", "old average not decayed"),
    ("optimizer/clip_scale", "min(1.0,", "max(1.0,", "optimizer", "largest for least"),
    ("optimizer/squared_norm", "part[FIRST + lane] = total(sum)", "part[FIRST + lane] = sqrt(total(sum))", "optimizer",
     "root of each part"),
    ("optimizer/step", "g *= scale[0]", "g *= 1.0", "optimizer", "norm clipping dropped"),
    ("optimizer/step", "g += WEIGHT_DECAY * p", "g += WEIGHT_DECAY", "optimizer", "weight decay without the weight"),
    ("optimizer/step", "1.0 - lr * WEIGHT_DECAY", "1.0 - WEIGHT_DECAY", "optimizer", "decoupled decay without lr"),
    ("optimizer/step", "direction = g + ALPHA * direction", "direction = g + direction", "optimizer", "Nesterov"),
    ("optimizer/step", "ONE_LESS_BETA * g, g,", "g, g,", "optimizer", "dampening dropped"),
    ("optimizer/step", "max(state_c[i], square)))", "square))", "optimizer", "AMSGrad"),
    ("optimizer/step", "scalars[3] * g", "g", "optimizer", "NAdam's share of the gradient"),
    ("optimizer/step", "square - average * average", "square", "optimizer", "RMSprop that is not centred"),
    ("optimizer/step", "direction += GAMMA * state_b[i]", "direction += state_b[i]", "optimizer", "RMSprop's momentum"),
    ("optimizer/step", "let sum = state_a[i] + g * g", "let sum = g * g", "optimizer", "Adagrad forgets"),
    ("optimizer/step", "lr * unless_nan(average, sign(average))", "lr * average", "optimizer", "SignSGD without the sign"),
    ("optimizer/step", "BETA * average + ONE_LESS_BETA * g;\n", "ALPHA * average + ONE_LESS_ALPHA * g;\n", "optimizer",
     "Lion's second average"),
    ("optimizer/transform", "L1 * unless_nan(p, sign(p))", "L1 * p", "optimizer", "L1 as L2"),
    ("optimizer/transform", "clamp(g, -CLIP_VALUE,", "clamp(g, 0.0,", "optimizer", "negative gradients cut off"),
    ("pool/adaptive_forward", "+ OUT_WIDTH - 1u", "", "adaptive_avg_pool2d", "window ends rounded down"),
    ("pool/adaptive_backward", "+ WIDTH - 1u", "", "adaptive_avg_pool2d", "last window left out"),
    ("pool/area", "size + 2u * padding", "size + padding", "avg_pool2d", "padding counted once"),
    ("pool/area", "max(start, padding)", "start", "avg_pool2d", "padding before the image counted"),
    ("pool/average_forward", "- PADDING_Y;", ";", "avg_pool2d", "no padding"),
    ("pool/average_backward", "below < KERNEL_Y", "below <= KERNEL_Y", "avg_pool2d", "one row too many"),
    ("pool/cells", "+ 1u - extent", "- extent", "max_pool2d,avg_pool2d", "one window too early"),
    ("pool/max_forward", "value > best", "value >= best", "max_pool2d", "last of equal maxima"),
    ("pool/max_forward", "(nan | (", "((", "max_pool2d", "NaN lost in maxima"),
    ("pool/max_forward", "i * DILATION_Y", "i", "max_pool2d", "no dilation"),
    ("pool/max_forward", "var none = true", "var none = false", "max_pool2d", "negative maxima"),
    ("pool/max_backward", "index == place", "index + 1u == place", "max_pool2d", "one pixel beside"),
    ("reduce/channel_partial", "e += LANES", "e += LANES + 1u", "conv2d", "lanes overlap"),
    ("reduce/partial_sum", "FACTOR * total(sum)", "total(sum)", "mean", "factor dropped"),
    ("reduce/sum_parts", "p < arguments.parts", "p + 1 < arguments.parts", "mean", "last part left out"),
    ("softmax/row_sums", " - largest));", "));", "softmax", "exponentials overflow"),
    ("softmax/row_sums", "i = 1u; i < SIZE", "i = 1u; i < 1u", "softmax", "first for largest"),
    ("softmax/forward", "let sum = sums[2u * r + 1u]", "let sum = sums[2u * r]", "softmax", "largest for sum"),
    ("softmax/forward", "* INNER + i % INNER", "* INNER", "softmax", "first row of a block for all"),
    ("softmax/row_gradients", "plus(sum, y[at] * dy[at])", "plus(sum, dy[at])", "softmax", "not weighted"),
    ("softmax/backward", "exp(y[i]) * sum", "y[i] * sum", "log_softmax", "logarithm for probability"),
]


# How to check the files of which a device may not have the kernels, and what it then says.
OPTIONS = {
    "conv/cooperative_tile": ["--precision", "f16", "--emulate"],
    "conv/cooperative_emulated": ["--precision", "f16", "--emulate"],
    "conv/cooperative_units": ["--precision", "f16"],
}
LACKING = "error: `--precision f16` runs on matrix units"


def checked(program, device, folder, ops, options, seconds):
    """What the check of `ops` reports first with the shaders in `folder`, None when it passes."""
    for op in ops.split(","):
        command = [program, "check", "--op", op, "--shaders", str(folder), "--device", device, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        last = ""
        started = time.monotonic()
        for line in process.stdout:
            last = line.strip() or last
            if line.startswith("FAILED") or time.monotonic() - started > seconds:
                process.kill()
                process.wait()
                return last
        if process.wait() != 0:
            return last or f"status {process.returncode}"
    return None


def mutate(program, device, mutation, seconds):
    """The verdict on a mutation, and its reason."""
    file, text, other, ops, _ = mutation
    source = (SHADERS / f"{file}.wgsl").read_text()
    start = source.find(text)
    while start >= 0 and source[source.rfind("\n", 0, start) + 1 :].startswith("//"):
        start = source.find(text, start + 1)
    if start < 0 or text == other:
        return "NOT APPLIED", "the text to be replaced is not in the code"
    with tempfile.TemporaryDirectory() as folder:
        target = pathlib.Path(folder) / f"{file}.wgsl"
        target.parent.mkdir(parents=True)
        target.write_text(source[:start] + other + source[start + len(text) :])
        failure = checked(program, device, folder, ops, OPTIONS.get(file, []), seconds)
    if failure is None:
        return "SURVIVED", failure
    if failure.startswith(LACKING):
        return "not run", failure
    return "killed" if "element" in failure else "NOT APPLIED", failure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="", help="only files whose path holds this")
    parser.add_argument("--program", default=str(ROOT / "target/release/tilewright"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=600, help="a check that takes longer counts as killed")
    parser.add_argument("--write", action="store_true", help="write the table into docs/mutation.md")
    arguments = parser.parse_args()
    if not shutil.which(arguments.program):
        sys.exit(f"there is no {arguments.program}: run cargo build --release, or name it with --program")

    files = {path.relative_to(SHADERS).with_suffix("").as_posix() for path in SHADERS.rglob("*.wgsl")}
    chosen = [mutation for mutation in MUTATIONS if arguments.part in mutation[0]]
    rows, survivors, missed, wrong = [], 0, 0, sorted(files - {mutation[0] for mutation in MUTATIONS})
    for file in wrong:
        print(f"NO MUTATION of {file}", flush=True)
    for mutation in chosen:
        verdict, by = mutate(arguments.program, arguments.device, mutation, arguments.seconds)
        file, _, _, ops, what = mutation
        survivors += verdict == "SURVIVED"
        missed += verdict == "not run"
        wrong += [file] * (verdict == "NOT APPLIED")
        print(f"{verdict}: {file}, {what}: {by}", flush=True)
        rows.append((file, what, ops, verdict))
    print(f"{len(rows)} mutations, {survivors} survived, {missed} not run, {len(wrong)} wrong entries")
    if arguments.write:
        write(rows)
    sys.exit(1 if survivors or wrong else 0)


def write(rows):
    """Puts the table below the marker of docs/mutation.md."""
    page = ROOT / "docs/mutation.md"
    marker = "| shader | broken | checked | |\n"
    head = page.read_text().split(marker)[0]
    table = "".join(
        f"| [{file}](../shaders/{file}.wgsl) | {what} | {ops.replace(',', ', ')} | {verdict} |\n"
        for file, what, ops, verdict in rows
    )
    page.write_text(head + marker + "| --- | --- | --- | --- |\n" + table)


main()
