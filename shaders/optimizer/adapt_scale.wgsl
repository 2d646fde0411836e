// The loss scale of the next step, and the scalars of this one: those of the step that it would be if none had been
// skipped, then 1 where it is to be skipped, since gradients are not finite. One invocation.

import package::constants::{WORKGROUP, STEPS_BEFORE, OF_STEP, GROWTH_INTERVAL, SMALLEST, LARGEST};
import package::bindings::{scale, good_steps, skipped_steps, not_finite, steps, scalars};

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x != 0 || id.y != 0) {
        return;
    }
    let skips = not_finite[0] != 0.0;
    // mutate `min(u32(skipped_steps[0]), STEPS_BEFORE - 1)` => `0u` (optimizer: bias correction of steps that were skipped)
    let row = min(u32(skipped_steps[0]), STEPS_BEFORE - 1);
    for (var i = 0u; i < OF_STEP; i++) {
        scalars[i] = steps[row * OF_STEP + i];
    }
    scalars[OF_STEP] = select(0.0, 1.0, skips);
    // mutate `good_steps[0] + 1.0 >= GROWTH_INTERVAL` => `good_steps[0] >= GROWTH_INTERVAL` (optimizer: scale doubled a step late)
    let grows = !skips && good_steps[0] + 1.0 >= GROWTH_INTERVAL;
    if (skips) {
        // mutate `scale[0] * 0.5` => `scale[0]` (optimizer: scale kept where gradients overflow)
        scale[0] = max(scale[0] * 0.5, SMALLEST);
        skipped_steps[0] += 1.0;
    }
    if (grows) {
        scale[0] = min(scale[0] * 2.0, LARGEST);
    }
    good_steps[0] = select(good_steps[0] + 1.0, 0.0, skips || grows);
}
