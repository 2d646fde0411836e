// What an invocation takes at once: an element, or in a `wide` kernel four neighbours.

@if(wide) alias Element = vec4<f32>;
@if(!wide) alias Element = f32;

// mutate `WIDTH: u32 = 4` => `WIDTH: u32 = 1` (batch_norm: elements of a mean counted by fours)
@if(wide) const WIDTH: u32 = 4;
@if(!wide) const WIDTH: u32 = 1;
