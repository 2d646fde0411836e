//! Matrix products of many pairs of matrices, as attention needs them. Layers use
//! [`super::Linear`], whose kernels are the fast ones.

mod card;

pub(crate) use card::CARD;

use super::expect_inputs;
use crate::graph::{Backward, Cost, GraphError, OnnxAttribute, OnnxNode, Op, Value};
use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::{ElementType, HostTensor, Shape, Shapes, TensorSpec};

static BATCHED: Shader = Shader::new("matmul/batched", &[read("a"), read("b"), write("y")]);

/// y = A B for each pair of matrices in the last two dimensions of a and b, whose other dimensions are
/// equal. A is `[M, K]`, stored so or transposed; B is `[K, N]`, stored so or transposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatMul {
    /// Whether a holds `[K, M]`.
    pub transpose_a: bool,
    /// Whether b holds `[N, K]`.
    pub transpose_b: bool,
}

/// Rows and columns of y that one invocation computes.
const TILE: usize = 4;

/// Sizes of the product, and the elements between neighbours of A and of B in each of their dimensions.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    a: [usize; 2],
    b: [usize; 2],
}

impl MatMul {
    fn sizes(&self, a: &Shape, b: &Shape) -> Option<Sizes> {
        let (a_batch, &[a_rows, a_columns]) = a.split_last_chunk()?;
        let (b_batch, &[b_rows, b_columns]) = b.split_last_chunk()?;
        let (m, k) = if self.transpose_a { (a_columns, a_rows) } else { (a_rows, a_columns) };
        let (b_k, n) = if self.transpose_b { (b_columns, b_rows) } else { (b_rows, b_columns) };
        let steps = |columns: usize, transposed: bool| if transposed { [1, columns] } else { [columns, 1] };
        (a_batch == b_batch && k == b_k).then_some(Sizes {
            batch: a_batch.iter().product(),
            m,
            n,
            k,
            a: steps(a_columns, self.transpose_a),
            b: steps(b_columns, self.transpose_b),
        })
    }
}

impl Op for MatMul {
    type Geometry = Sizes;

    fn name(&self) -> &'static str {
        "matmul"
    }

    fn infer(&self, inputs: &[&TensorSpec]) -> Result<(Vec<TensorSpec>, Self::Geometry), String> {
        expect_inputs(inputs, 2)?;
        let sizes = self.sizes(&inputs[0].shape, &inputs[1].shape);
        match (sizes, inputs.iter().all(|input| input.element == ElementType::F32)) {
            (Some(sizes), true) => {
                let mut shape = inputs[0].shape.to_vec();
                shape.truncate(shape.len() - 2);
                shape.extend([sizes.m, sizes.n]);
                Ok((vec![TensorSpec::f32(shape)], sizes))
            }
            _ => Err("it multiplies f32 of shapes [..., M, K] and [..., K, N], as transposed".to_owned()),
        }
    }

    fn gradient(&self, _: &Sizes, backward: &mut Backward<'_>) -> Result<Vec<Option<Value>>, GraphError> {
        let Some(dy) = backward.upstream() else { return Ok(vec![None; 2]) };
        let (a, b) = (backward.input(0), backward.input(1));
        let mut product = |input: usize, factors: [Value; 2], transpose_a, transpose_b| match backward.wants(input) {
            true => backward.apply_one(MatMul { transpose_a, transpose_b }, &factors).map(Some),
            false => Ok(None),
        };
        // dA = dy B^T and dB = A^T dy, each transposed where its input is stored so.
        let da = match self.transpose_a {
            false => product(0, [dy, b], false, !self.transpose_b)?,
            true => product(0, [b, dy], self.transpose_b, true)?,
        };
        let db = match self.transpose_b {
            false => product(1, [a, dy], !self.transpose_a, false)?,
            true => product(1, [dy, a], true, self.transpose_a)?,
        };
        Ok(vec![da, db])
    }

    fn reference(&self, s: &Sizes, inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
        let (a, b) = (inputs[0].f32(), inputs[1].f32());
        for (index, y) in outputs[0].f32_mut().iter_mut().enumerate() {
            let (batch, row, column) = (index / (s.m * s.n), index / s.n % s.m, index % s.n);
            let a = |k: usize| f64::from(a[batch * s.m * s.k + row * s.a[0] + k * s.a[1]]);
            let b = |k: usize| f64::from(b[batch * s.k * s.n + k * s.b[0] + column * s.b[1]]);
            *y = (0..s.k).map(|k| a(k) * b(k)).sum::<f64>() as f32;
        }
    }

    fn keeps_half(&self) -> bool {
        true
    }

    fn launch(&self, s: &Sizes, launch: &mut Launch<'_>) -> Result<(), Unsupported> {
        let kernel = Kernel::new(&BATCHED).constants([
            ("M", s.m),
            ("N", s.n),
            ("K", s.k),
            ("A_ROW", s.a[0]),
            ("A_COLUMN", s.a[1]),
            ("B_ROW", s.b[0]),
            ("B_COLUMN", s.b[1]),
        ]);
        launch.expect_loop(s.k)?;
        let tiles = s.batch * s.m.div_ceil(TILE) * s.n.div_ceil(TILE);
        launch.linear(kernel, tiles, [("a", Operand::input(0)), ("b", Operand::input(1)), ("y", Operand::output(0))]);
        Ok(())
    }

    fn cost(&self, s: &Sizes, shapes: &Shapes<'_>) -> Cost {
        Cost { flops: 2 * (s.batch * s.m * s.n * s.k) as u64, bytes: shapes.bytes() }
    }

    fn onnx(&self, node: &mut OnnxNode<'_, '_>) -> Result<(), String> {
        let mut inputs = node.inputs();
        for (index, transposed) in [self.transpose_a, self.transpose_b].into_iter().enumerate() {
            if transposed {
                let rank = node.input_shape(index).len();
                let mut order: Vec<usize> = (0..rank).collect();
                order.swap(rank - 2, rank - 1);
                let input = vec![inputs[index].clone()];
                inputs[index] = node.step("Transpose", input, vec![OnnxAttribute::ints("perm", order)]);
            }
        }
        node.give("MatMul", inputs, vec![]);
        Ok(())
    }
}
