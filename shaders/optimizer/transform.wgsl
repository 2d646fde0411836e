// A gradient before the optimizer sees it: plus L1 * sign(p), then each element within CLIP_VALUE, then turned around where
// the loss is to become large.

import package::constants::{L1, CLIP_VALUE};
import package::lib::nan::unless_nan;

fn transformed(gradient: f32, p: f32) -> f32 {
    var g = gradient;
    @if(l1) {
        // mutate `L1 * unless_nan(p, sign(p))` => `L1 * p` (optimizer: L1 as L2)
        g += L1 * unless_nan(p, sign(p));
    }
    @if(clip_value) {
        // mutate `clamp(g, -CLIP_VALUE,` => `clamp(g, 0.0,` (optimizer: negative gradients cut off)
        g = unless_nan(g, clamp(g, -CLIP_VALUE, CLIP_VALUE));
    }
    // mutate `g = -g;` => `` (optimizer: not turned around)
    @if(maximize) { g = -g; }
    return g;
}
