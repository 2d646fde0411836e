// What is stored for a value: its activation, where a plan has merged one into the kernel.

@if(activated) import package::activation::functions::activate;
import package::lib::element::Element;

fn epilogue(value: f32) -> f32 {
    // mutate `activate(value)` => `value` (linear: merged activation dropped)
    @if(activated) return activate(value);
    @if(!activated) return value;
}

fn epilogue_each(value: Element) -> Element {
    // mutate `epilogue(value.w)` => `value.w` (add: merged activation dropped in the last of four)
    @if(wide) return vec4(epilogue(value.x), epilogue(value.y), epilogue(value.z), epilogue(value.w));
    @if(!wide) return epilogue(value);
}
