// What is stored for a value: its activation, where a plan has merged one into the kernel.

@if(activated) import package::activation::functions::activate;

fn epilogue(value: f32) -> f32 {
    // mutate `activate(value)` => `value` (linear: merged activation dropped)
    @if(activated) return activate(value);
    @if(!activated) return value;
}
