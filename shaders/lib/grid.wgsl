// Where an invocation of a one-dimensional grid stands: the grid folds into x and y, since one
// dimension holds at most 65,535 workgroups.

import package::arguments::arguments;

fn linear_index(id: vec3<u32>) -> u32 {
    // mutate `id.y * arguments.grid_width +` => `` (add: second dimension of the grid ignored)
    return id.y * arguments.grid_width + id.x;
}
