//! Which adapters multiply matrices of f16 as the kernels want them to.

use crate::kernel::MatrixUnits;

/// What the kernels need, and how it is called where it is missing. The feature of matrices is experimental in
/// wgpu, so a device is opened with these only by who means to use them.
const FEATURES: [(wgpu::Features, &str); 3] = [
    (wgpu::Features::SHADER_F16, "f16 in shaders"),
    (wgpu::Features::SUBGROUP, "subgroups"),
    (wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, "cooperative matrices"),
];

/// Rows and columns that a matrix may have in WGSL, the better first.
const EDGES: [u32; 2] = [16, 8];

/// All features that the kernels need.
pub(super) fn features() -> wgpu::Features {
    FEATURES.iter().fold(wgpu::Features::empty(), |all, (feature, _)| all | *feature)
}

/// An adapter's units for products of f16 with sums in f32, or what is missing.
pub(super) fn of(adapter: &wgpu::Adapter) -> Result<MatrixUnits, Vec<&'static str>> {
    let offered = adapter.features();
    let missing = FEATURES.iter().filter(|(feature, _)| !offered.contains(*feature));
    let missing: Vec<&'static str> = missing.map(|(_, name)| *name).collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let shapes = adapter.cooperative_matrix_properties();
    let has = |edge: u32| {
        shapes.iter().any(|shape| {
            [shape.m_size, shape.n_size, shape.k_size] == [edge; 3]
                && shape.ab_type == wgpu::CooperativeScalarType::F16
                && shape.cr_type == wgpu::CooperativeScalarType::F32
        })
    };
    let edge = EDGES.into_iter().find(|&edge| has(edge));
    let edge = edge.ok_or_else(|| vec!["matrices of 16x16 or 8x8 f16 with sums in f32"])?;
    let info = adapter.get_info();
    Ok(MatrixUnits {
        edge,
        smallest_subgroup: info.subgroup_min_size,
        largest_subgroup: info.subgroup_max_size,
        emulated: false,
    })
}
