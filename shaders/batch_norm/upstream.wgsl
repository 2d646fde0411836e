// What a batch norm gives for a normalised x, and the gradient of that: dy, or with `gated`, where an activation f followed
// and dy is the gradient of what f gave, f'(y) dy, of a y that is computed anew.

import package::lib::element::Element;
@if(gated) import package::activation::functions::{activate_each, gradient_each};

fn scaled(normal: Element, factor: f32, shift: f32) -> Element {
    // mutate `Element(shift))` => `Element(0.0))` (batch_norm: dropped bias)
    @if(affine) return fma(normal, Element(factor), Element(shift));
    @if(!affine) return normal;
}

@if(gated)
fn upstream(y: Element, dy: Element) -> Element {
    // mutate `gradient_each(activate_each(y), dy)` => `dy` (batch_norm: merged gradient dropped)
    @if(from_output) return gradient_each(activate_each(y), dy);
    // mutate `gradient_each(y, dy)` => `dy` (batch_norm: merged gradient dropped, from the input)
    @if(!from_output) return gradient_each(y, dy);
}
