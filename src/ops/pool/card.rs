//! The card of pooling.

use super::{AdaptiveAvgPool2d, AvgPool2d, MaxPool2d};
use crate::graph::Value;
use crate::ops::card::{
    Card, Case, Chapter, Entry, FOLDING, Fixture, FixtureError, INFINITY, NAN, NO_GRADIENT, Prepared, set,
};
use crate::tensor::Tensors;

pub(crate) static CARD: Card = Card::new(Chapter::Pooling, &[
    Entry {
        name: "max_pool2d",
        computes: "maximum of a window; of equal maxima the first in row-major order",
        shapes: "x [N, C, H, W]; y [N, C, OH, OW], OH = floor or ceil((H + 2 padding - dilation (k - 1) - 1) / stride) + 1; places of the maxima as u32",
        gradient: "max_pool2d_backward",
        shaders: &["pool/max_forward"],
        flops: "window elements of all outputs",
    },
    Entry {
        name: "max_pool2d_backward",
        computes: "dx[i] = sum of dy[o] over the windows o whose maximum is element i",
        shapes: "places and dy as y; dx as x",
        gradient: NO_GRADIENT,
        shaders: &["pool/max_backward", "pool/cells"],
        flops: "elements of dy",
    },
    Entry {
        name: "avg_pool2d",
        computes: "sum of a window's elements inside the image / the window's area, clipped as count_include_pad says",
        shapes: "as max_pool2d, without dilation",
        gradient: "avg_pool2d_backward",
        shaders: &["pool/average_forward", "pool/area"],
        flops: "window elements of all outputs",
    },
    Entry {
        name: "avg_pool2d_backward",
        computes: "dx[i] = sum of dy[o] / area of o over the windows o that cover element i",
        shapes: "dy as y; dx as x",
        gradient: NO_GRADIENT,
        shaders: &["pool/average_backward", "pool/area", "pool/cells"],
        flops: "window elements of all outputs",
    },
    Entry {
        name: "adaptive_avg_pool2d",
        computes: "mean over rows floor(o H / OH) .. ceil((o + 1) H / OH) - 1, columns alike; an output of 1x1 is global average pooling",
        shapes: "x [N, C, H, W]; y [N, C, OH, OW] as asked for",
        gradient: "adaptive_avg_pool2d_backward",
        shaders: &["pool/adaptive_forward", "reduce/partial_sum", "reduce/sum_parts", "reduce/sum_parts_together"],
        flops: "elements of x",
    },
    Entry {
        name: "adaptive_avg_pool2d_backward",
        computes: "dx[i] = sum of dy[o] / area of o over the windows o that cover element i",
        shapes: "dy as y; dx as x",
        gradient: NO_GRADIENT,
        shaders: &["pool/adaptive_backward", "layout/gather"],
        flops: "elements of dx",
    },
])
.cases(cases)
.slopes(slopes)
.conformance(&[
    ("max_pool2d", max_pool2d),
    ("avg_pool2d", avg_pool2d),
    ("adaptive_avg_pool2d", adaptive_avg_pool2d),
    ("global_avg_pool2d", |given| given.apply(AdaptiveAvgPool2d { output_size: [1, 1] }, &["in.x"])),
]);

fn max_pool2d(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let kernel = given.attributes.pair("kernel_size", None)?;
    let pool = MaxPool2d {
        kernel,
        stride: given.attributes.pair("stride", Some(kernel))?,
        padding: given.attributes.pair("padding", Some([0, 0]))?,
        dilation: given.attributes.pair("dilation", Some([1, 1]))?,
        ceil_mode: given.attributes.flag("ceil_mode", false)?,
    };
    given.apply(pool, &["in.x"])
}

fn avg_pool2d(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let kernel = given.attributes.pair("kernel_size", None)?;
    let pool = AvgPool2d {
        kernel,
        stride: given.attributes.pair("stride", Some(kernel))?,
        padding: given.attributes.pair("padding", Some([0, 0]))?,
        ceil_mode: given.attributes.flag("ceil_mode", false)?,
        count_include_pad: given.attributes.flag("count_include_pad", true)?,
    };
    given.apply(pool, &["in.x"])
}

fn adaptive_avg_pool2d(given: &mut Fixture<'_>) -> Result<Value, FixtureError> {
    let output_size = given.attributes.pair("output_size", None)?;
    given.apply(AdaptiveAvgPool2d { output_size }, &["in.x"])
}

fn max(pool: MaxPool2d, x: &[usize], what: &str) -> Case {
    let what = format!("x {x:?}{what}, {pool:?}");
    Case::differentiated("max_pool2d", what, vec![x.to_vec()], move |graph, x| graph.apply_one(pool, x))
}

fn average(pool: AvgPool2d, x: &[usize], what: &str) -> Case {
    let what = format!("x {x:?}{what}, {pool:?}");
    Case::differentiated("avg_pool2d", what, vec![x.to_vec()], move |graph, x| graph.apply_one(pool, x))
}

fn adaptive(output_size: [usize; 2], x: &[usize], what: &str) -> Case {
    let what = format!("x {x:?}{what} to {output_size:?}");
    Case::differentiated("adaptive_avg_pool2d", what, vec![x.to_vec()], move |graph, x| {
        graph.apply_one(AdaptiveAvgPool2d { output_size }, x)
    })
}

fn cases() -> Vec<Case> {
    let square = MaxPool2d::square;
    let maxima: [(&[usize], MaxPool2d); 10] = [
        (&[3, 2, 1, 1], square(1)),
        (&[1, 1, 7, 5], square(2)),
        (&[2, 3, 13, 11], square(3).stride(2).padding(1)),
        (&[1, 5, 8, 10], square(3).stride(2).ceil_mode()),
        (&[2, 2, 7, 9], square(3).stride(1).padding(1)),
        (&[1, 3, 11, 10], square(2).stride(3)),
        (&[1, 2, 9, 12], square(3).stride(2).padding(2).dilation(2)),
        (&[1, 2, 9, 7], square(2).stride(1).dilation(3)),
        (&[2, 64, 55, 55], square(3).stride(2)),
        (&FOLDING, square(2).stride(1)),
    ];
    let mut cases: Vec<Case> = maxima.into_iter().map(|(x, pool)| max(pool, x, "")).collect();
    // The gradient of a maximum that occurs more than once goes to the first.
    let tied = max(square(3).stride(2).padding(1), &[2, 3, 9, 8], " of equal maxima");
    cases.push(tied.prepare(|tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().iter_mut().for_each(|value| *value = value.round());
        }
    }));
    let square = AvgPool2d::square;
    let means: [(&[usize], AvgPool2d); 7] = [
        (&[3, 2, 1, 1], square(1)),
        (&[2, 3, 8, 9], square(2)),
        (&[2, 3, 9, 7], square(3).stride(2).padding(1)),
        (&[1, 3, 9, 8], square(3).stride(2).padding(1).without_padding_in_area()),
        (&[1, 3, 10, 9], square(3).stride(2).padding(1).ceil_mode()),
        (&[1, 2, 55, 55], square(11).stride(4)),
        (&FOLDING, square(2).stride(1)),
    ];
    cases.extend(means.into_iter().map(|(x, pool)| average(pool, x, "")));
    let of_size: [(&[usize], [usize; 2]); 7] = [
        (&[2, 3, 13, 9], [1, 1]),
        (&[2, 2, 13, 17], [6, 6]),
        (&[1, 3, 2, 2], [7, 7]),
        (&[1, 2, 1, 1], [1, 1]),
        (&[2, 512, 7, 7], [1, 1]),
        (&[1, 2, 55, 31], [7, 3]),
        (&[1, 3, 300, 301], [1, 1]),
    ];
    cases.extend(of_size.into_iter().map(|(x, size)| adaptive(size, x, "")));
    cases.extend(at_the_edge());
    cases
}

/// NaN and infinities, and a million equal terms, whose rounding errors are equal too and add up.
fn at_the_edge() -> Vec<Case> {
    let special: Prepared = (" with NaN and infinities", |tensors| {
        set(tensors, "x0", &[(0, NAN), (13, -NAN), (14, NAN), (40, INFINITY), (55, -INFINITY), (142, NAN), (857, NAN)]);
    });
    let nothing: Prepared = (" with -infinity in all but two", |tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().fill(-INFINITY);
        }
        set(tensors, "x0", &[(70, NAN), (200, -f32::MAX)]);
    });
    let x = [2, 3, 13, 11];
    let mut cases = Vec::new();
    for pool in [
        MaxPool2d::square(2),
        MaxPool2d::square(3).stride(2).padding(1),
        MaxPool2d::square(3).stride(1).padding(2).dilation(2),
        MaxPool2d::square(3).stride(2).ceil_mode(),
    ] {
        cases.extend([special, nothing].map(|(what, prepare)| max(pool, &x, what).prepare(prepare)));
    }
    cases.push(average(AvgPool2d::square(3).stride(2).padding(1), &x, special.0).prepare(special.1));
    cases.push(adaptive([5, 4], &x, special.0).prepare(special.1));
    let planes = adaptive([1, 1], &[1, 3, 50, 100], ", planes with infinities");
    cases.push(planes.prepare(|tensors| {
        set(tensors, "x0", &[(40, INFINITY), (5020, INFINITY), (9000, -INFINITY)]);
    }));
    let equal = adaptive([1, 1], &[1, 1, 1024, 1024], ", equal terms");
    let fill: fn(&mut Tensors) = |tensors| tensors.values_mut().for_each(|tensor| tensor.f32_mut().fill(0.1));
    cases.push(equal.prepare(fill).tolerance(2e-7, 0.0));
    cases
}

fn slopes() -> Vec<Case> {
    let maxima = [
        MaxPool2d::square(2),
        MaxPool2d::square(3).stride(2).padding(1).ceil_mode(),
        MaxPool2d::square(2).stride(1).dilation(2),
    ];
    // Values more than two steps apart, so that no maximum changes within a difference.
    let apart: fn(&mut Tensors) = |tensors| {
        if let Some(x) = tensors.get_mut("x0") {
            x.f32_mut().iter_mut().enumerate().for_each(|(index, x)| *x = (index * 37 % 60) as f32 * 0.05);
        }
    };
    let x = [1, 2, 5, 6];
    let mut cases: Vec<Case> = maxima.into_iter().map(|pool| max(pool, &x, "").prepare(apart)).collect();
    let uneven = AvgPool2d::square(3).stride(2).padding(1).ceil_mode();
    let means = [AvgPool2d::square(2), uneven, uneven.without_padding_in_area()];
    cases.extend(means.into_iter().map(|pool| average(pool, &x, "")));
    cases.extend([adaptive([2, 3], &[2, 1, 5, 7], ""), adaptive([1, 1], &[2, 3, 3, 2], "")]);
    cases
}
