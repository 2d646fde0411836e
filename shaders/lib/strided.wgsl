// Where step i of a walk lies in a tensor whose dimensions are `strides` elements apart. The walk has
// sizes.x * sizes.y * sizes.z * sizes.w steps, w running fastest; a stride of 0 repeats.

fn strided(i: u32, sizes: vec4<u32>, strides: vec4<u32>) -> u32 {
    let xyz = i / sizes.w;
    let xy = xyz / sizes.z;
    return dot(vec4(xy / sizes.y, xy % sizes.y, xyz % sizes.z, i % sizes.w), strides);
}
