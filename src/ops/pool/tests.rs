//! Pooling held against numbers worked out by hand.

use super::{AvgPool2d, MaxPool2d};
use crate::graph::{Graph, Op};
use crate::reference::{self, Tensors};
use crate::tensor::{HostTensor, Shape, TensorSpec};

/// y and dx of one image of one channel, for an upstream gradient of 1, 2, 3, ...
fn run(op: impl Op, size: [usize; 2], x: &[f32]) -> (Shape, Vec<f32>, Vec<f32>) {
    let mut graph = Graph::new();
    let image = graph.input("x", TensorSpec::f32([1, 1, size[0], size[1]])).unwrap();
    let y = graph.apply_one(op, &[image]).unwrap();
    let shape = graph.shape(y).clone();
    let upstream = graph.input("dy", TensorSpec::f32(shape.to_vec())).unwrap();
    let gradients = graph.backward(&[(y, upstream)], &[image]).unwrap();
    graph.output("y", y);
    graph.output("dx", gradients[&image]);
    let dy = (1..=shape.elements()).map(|i| i as f32).collect();
    let inputs = Tensors::from([("x".to_owned(), HostTensor::F32(x.to_vec())), ("dy".to_owned(), HostTensor::F32(dy))]);
    let outputs = reference::run(&graph, &inputs, &mut Tensors::new());
    (shape, outputs[0].f32().to_vec(), outputs[1].f32().to_vec())
}

fn rule(op: impl Op, size: [usize; 2]) -> String {
    op.infer(&[&TensorSpec::f32([1, 1, size[0], size[1]])]).unwrap_err()
}

#[test]
fn of_equal_maxima_the_first_in_row_major_order_takes_the_gradient() {
    let (_, y, dx) = run(MaxPool2d::square(2), [2, 4], &[1.0, 5.0, 0.0, 0.0, 5.0, 5.0, 0.0, 0.0]);
    assert_eq!(y, [5.0, 0.0]);
    assert_eq!(dx, [0.0, 1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn overlapping_maxima_add_their_gradients() {
    let (_, y, dx) = run(MaxPool2d::square(2).stride(1), [2, 3], &[0.0, 9.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(y, [9.0, 9.0]);
    assert_eq!(dx, [0.0, 3.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn padding_is_never_a_maximum() {
    let (_, y, _) = run(MaxPool2d::square(2).padding(1), [2, 2], &[-4.0, -3.0, -2.0, -1.0]);
    assert_eq!(y, [-4.0, -3.0, -2.0, -1.0]);
}

#[test]
fn ceil_mode_keeps_a_partial_last_window() {
    let (shape, y, dx) = run(MaxPool2d::new([1, 2]).ceil_mode(), [1, 5], &[1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(shape[..], [1, 1, 1, 3]);
    assert_eq!(y, [2.0, 4.0, 5.0]);
    assert_eq!(dx, [0.0, 1.0, 0.0, 2.0, 3.0]);
    let (shape, ..) = run(MaxPool2d::new([1, 2]), [1, 5], &[0.0; 5]);
    assert_eq!(shape[..], [1, 1, 1, 2]);
}

#[test]
fn ceil_mode_drops_a_last_window_that_starts_past_the_left_padding_and_the_image() {
    // ceil((4 + 2 - 2) / 3) + 1 = 3 windows, the third from padded row 6: past 4 + 1.
    let pool = MaxPool2d { kernel: [1, 2], stride: [1, 3], padding: [0, 1], ..MaxPool2d::square(1).ceil_mode() };
    let (shape, y, dx) = run(pool, [1, 4], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(shape[..], [1, 1, 1, 2]);
    assert_eq!(y, [1.0, 4.0]);
    assert_eq!(dx, [1.0, 0.0, 0.0, 2.0]);
}

#[test]
fn a_dilated_window_skips_elements() {
    let pool = MaxPool2d { stride: [1, 1], dilation: [1, 2], ..MaxPool2d::new([1, 2]) };
    let (_, y, dx) = run(pool, [1, 4], &[1.0, 9.0, 2.0, 3.0]);
    assert_eq!(y, [2.0, 9.0]);
    assert_eq!(dx, [0.0, 2.0, 1.0, 0.0]);
}

#[test]
fn padding_counts_in_the_area_only_when_asked_to() {
    let pool = AvgPool2d { padding: [0, 1], stride: [1, 2], ..AvgPool2d::new([1, 3]) };
    let (_, y, dx) = run(pool, [1, 3], &[3.0, 6.0, 9.0]);
    assert_eq!(y, [3.0, 5.0]);
    assert_eq!(dx, [1.0 / 3.0, 1.0, 2.0 / 3.0]);
    let (_, y, dx) = run(pool.without_padding_in_area(), [1, 3], &[3.0, 6.0, 9.0]);
    assert_eq!(y, [4.5, 7.5]);
    assert_eq!(dx, [0.5, 1.5, 1.0]);
}

#[test]
fn the_area_of_a_partial_last_window_ends_with_the_padded_image() {
    // Padded columns 0 .. 5, windows of 3 from 0 and 3: the second is cut to two columns, one of them
    // padding.
    let pool = AvgPool2d { kernel: [1, 3], stride: [1, 3], padding: [0, 1], ..AvgPool2d::square(1).ceil_mode() };
    let (shape, y, _) = run(pool, [1, 3], &[3.0, 6.0, 8.0]);
    assert_eq!(shape[..], [1, 1, 1, 2]);
    assert_eq!(y, [3.0, 4.0]);
    let (_, y, _) = run(pool.without_padding_in_area(), [1, 3], &[3.0, 6.0, 8.0]);
    assert_eq!(y, [4.5, 8.0]);
}

#[test]
fn a_window_that_cannot_be_is_refused_with_its_rule() {
    assert_eq!(rule(MaxPool2d::square(4), [3, 3]), "a window of 4 does not fit into 3 with padding 0");
    assert_eq!(rule(MaxPool2d::square(3).padding(2), [9, 9]), "padding 2 passes half of the window's 3");
    assert_eq!(rule(AvgPool2d::square(0), [3, 3]), "kernel, stride and dilation are at least 1");
    let hollow = MaxPool2d::square(2).dilation(3).padding(2);
    assert_eq!(rule(hollow, [1, 1]), "a window of 4 holds no element of the 1 with padding 2");
}
