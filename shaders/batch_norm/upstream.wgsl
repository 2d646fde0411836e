// The gradient of what a batch norm gave, of a normalised x: dy, or with `gated`, where an activation f followed and dy is
// the gradient of what f gave, f'(y) dy, of a y = normal * factor + shift that is computed anew.

import package::lib::element::Element;
@if(gated) import package::activation::functions::{activate_each, gradient_each};

fn upstream(normal: Element, factor: f32, shift: f32, dy: Element) -> Element {
    @if(!gated) return dy;
    // mutate `Element(shift))` => `Element(0.0))` (batch_norm: bias not seen by the activation)
    @if(gated) let y = fma(normal, Element(factor), Element(shift));
    // mutate `gradient_each(activate_each(y), dy)` => `dy` (batch_norm: merged gradient dropped)
    @if(gated && from_output) return gradient_each(activate_each(y), dy);
    // mutate `gradient_each(y, dy)` => `dy` (batch_norm: merged gradient dropped, from the input)
    @if(gated && !from_output) return gradient_each(y, dy);
}
