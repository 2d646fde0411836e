//! Convolution in plain loops: one output plane after another, f64 sums, threads over the planes.

use super::ConvGeometry;
use rayon::prelude::*;

/// y[n, k] = bias[k] + sum over the group's c and the taps of w[k, c, tap] * x[n, c, shifted by tap].
pub(super) fn forward(geometry: &ConvGeometry, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let g = geometry;
    let plane = g.size[0] * g.size[1];
    let taps = g.kernel[0] * g.kernel[1];
    y.par_chunks_mut(g.out[0] * g.out[1]).enumerate().for_each(|(index, y)| {
        let (n, k) = (index / g.filters, index % g.filters);
        let first_channel = k / g.group_filters() * g.group_channels();
        let mut sums = vec![bias.map_or(0.0, |bias| f64::from(bias[k])); y.len()];
        for c in 0..g.group_channels() {
            let x = &x[(n * g.channels + first_channel + c) * plane..][..plane];
            let weight = &weight[(k * g.group_channels() + c) * taps..][..taps];
            each_meeting(g, |tap, out, input, count| {
                let w = f64::from(weight[tap]);
                let x = x[input..].iter().step_by(g.stride[1]);
                for (sum, &x) in sums[out..out + count].iter_mut().zip(x) {
                    *sum += w * f64::from(x);
                }
            });
        }
        for (y, sum) in y.iter_mut().zip(sums) {
            *y = sum as f32;
        }
    });
}

/// dx[n, c] = sum over the group's k and the taps of w[k, c, tap] * dy[n, k], shifted back by tap.
pub(super) fn input_gradient(geometry: &ConvGeometry, dy: &[f32], weight: &[f32], dx: &mut [f32]) {
    let g = geometry;
    let plane = g.out[0] * g.out[1];
    let taps = g.kernel[0] * g.kernel[1];
    dx.par_chunks_mut(g.size[0] * g.size[1]).enumerate().for_each(|(index, dx)| {
        let (n, channel) = (index / g.channels, index % g.channels);
        let (group, c) = (channel / g.group_channels(), channel % g.group_channels());
        let mut sums = vec![0.0f64; dx.len()];
        for k in group * g.group_filters()..(group + 1) * g.group_filters() {
            let dy = &dy[(n * g.filters + k) * plane..][..plane];
            let weight = &weight[(k * g.group_channels() + c) * taps..][..taps];
            each_meeting(g, |tap, out, input, count| {
                let w = f64::from(weight[tap]);
                let sums = sums[input..].iter_mut().step_by(g.stride[1]);
                for (sum, &dy) in sums.zip(&dy[out..out + count]) {
                    *sum += w * f64::from(dy);
                }
            });
        }
        for (dx, sum) in dx.iter_mut().zip(sums) {
            *dx = sum as f32;
        }
    });
}

/// dw[k, c, tap] = sum over images and outputs of dy[n, k] * x[n, c, shifted by tap].
pub(super) fn weight_gradient(geometry: &ConvGeometry, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let g = geometry;
    let (plane, out_plane) = (g.size[0] * g.size[1], g.out[0] * g.out[1]);
    dw.par_chunks_mut(g.kernel[0] * g.kernel[1]).enumerate().for_each(|(index, dw)| {
        let (k, c) = (index / g.group_channels(), index % g.group_channels());
        let channel = k / g.group_filters() * g.group_channels() + c;
        let mut sums = vec![0.0f64; dw.len()];
        for n in 0..g.batch {
            let x = &x[(n * g.channels + channel) * plane..][..plane];
            let dy = &dy[(n * g.filters + k) * out_plane..][..out_plane];
            each_meeting(g, |tap, out, input, count| {
                let x = x[input..].iter().step_by(g.stride[1]);
                let pairs = dy[out..out + count].iter().zip(x);
                sums[tap] += pairs.map(|(&dy, &x)| f64::from(dy) * f64::from(x)).sum::<f64>();
            });
        }
        for (dw, sum) in dw.iter_mut().zip(sums) {
            *dw = sum as f32;
        }
    });
}

/// For every tap and every row of outputs: the tap, the first output inside, the input it meets
/// (both as flat indices into their planes), and how many outputs of the row lie inside.
fn each_meeting(g: &ConvGeometry, mut visit: impl FnMut(usize, usize, usize, usize)) {
    for ky in 0..g.kernel[0] {
        for kx in 0..g.kernel[1] {
            let columns = g.outputs_inside(1, kx);
            if columns.is_empty() {
                continue;
            }
            let first_column = g.input_at(1, columns.start, kx);
            for oy in g.outputs_inside(0, ky) {
                let out = oy * g.out[1] + columns.start;
                let input = g.input_at(0, oy, ky) * g.size[1] + first_column;
                visit(ky * g.kernel[1] + kx, out, input, columns.len());
            }
        }
    }
}
