// y[p,m,n] = sum over k of A[p,m,k] B[p,k,n] for each pair p of matrices
//
// A[p,m,k] = a[p * M * K + m * A_ROW + k * A_COLUMN] and B[p,k,n] = b[p * K * N + k * B_ROW + n *
// B_COLUMN], so that either may be stored transposed; y [pairs, M, N]. One invocation per tile of 4 x 4
// elements of y in registers: 16 multiply-adds for 8 loads. A tile past the border reads the last row or
// column again, and does not store it.

import package::constants::{WORKGROUP, M, N, K, A_ROW, A_COLUMN, B_ROW, B_COLUMN};
import package::arguments::arguments;
import package::lib::grid::linear_index;
import package::bindings::{a, b, y};

const TILES_M: u32 = (M + 3u) / 4u;
const TILES_N: u32 = (N + 3u) / 4u;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let tile = linear_index(id);
    if (tile >= arguments.count) {
        return;
    }
    let pair = tile / (TILES_M * TILES_N);
    let rows = tile / TILES_N % TILES_M * 4u + vec4(0u, 1u, 2u, 3u);
    let columns = tile % TILES_N * 4u + vec4(0u, 1u, 2u, 3u);
    // mutate `pair * (M * K)` => `0u` (matmul: first pair for all)
    let a_first = pair * (M * K) + min(rows, vec4(M - 1u)) * A_ROW;
    let b_first = pair * (K * N) + min(columns, vec4(N - 1u)) * B_COLUMN;
    var sums: mat4x4<f32>;
    for (var k = 0u; k < K; k++) {
        let a_at = a_first + k * A_COLUMN;
        let b_at = b_first + k * B_ROW;
        let right = vec4(b[b_at.x], b[b_at.y], b[b_at.z], b[b_at.w]);
        sums[0] = fma(vec4(a[a_at.x]), right, sums[0]);
        sums[1] = fma(vec4(a[a_at.y]), right, sums[1]);
        sums[2] = fma(vec4(a[a_at.z]), right, sums[2]);
        sums[3] = fma(vec4(a[a_at.w]), right, sums[3]);
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            // mutate `columns[j] < N` => `columns[j] <= N` (matmul: a column beyond the matrix is stored)
            if (rows[i] < M && columns[j] < N) {
                y[(pair * M + rows[i]) * N + columns[j]] = sums[i][j];
            }
        }
    }
}
