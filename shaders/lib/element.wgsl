// What an invocation takes at once: an element, or in a `wide` kernel four neighbours.

@if(wide) alias Element = vec4<f32>;
@if(!wide) alias Element = f32;

// mutate `WIDTH: u32 = 4` => `WIDTH: u32 = 1` (batch_norm: elements of a mean counted by fours)
@if(wide) const WIDTH: u32 = 4;
@if(!wide) const WIDTH: u32 = 1;

fn first_of(x: Element) -> f32 {
    @if(wide) { return x.x; }
    @else { return x; }
}

fn sum_of(x: Element) -> f32 {
    // mutate `(x.x + x.y) + (x.z + x.w)` => `(x.x + x.y) + (x.z + x.x)` (batch_norm: last of four left out of a sum)
    @if(wide) { return (x.x + x.y) + (x.z + x.w); }
    @else { return x; }
}
