// y[n,c,p] = x[n,c,p] as image n's change makes it by its amount, cut off at 0 and 255
//
// x, y [N, CHANNELS, HEIGHT, WIDTH], PLANE = HEIGHT * WIDTH; draws [N, 2]: the change and its amount a; table
// [N, CHANNELS, 256] as colour_table.wgsl writes it. One invocation per element of y.

import package::constants::{WORKGROUP, CHANNELS, HEIGHT, WIDTH, PLANE};
import package::constants::{BRIGHTNESS, CONTRAST, SATURATION, HUE, GREY, INVERT};
import package::constants::{POSTERIZE, SOLARIZE, AUTOCONTRAST, EQUALIZE, SHARPNESS};
import package::arguments::arguments;
import package::images::tone::{grey_of, level_of};
import package::lib::grid::linear_index;
import package::bindings::{x, draws, table, y};

@if(coloured)
fn rgb(i: u32) -> vec3<f32> {
    let image = i / (3u * PLANE) * (3u * PLANE) + i % PLANE;
    return vec3(x[image], x[image + PLANE], x[image + 2u * PLANE]);
}

fn grey(i: u32) -> f32 {
    @if(coloured) { return grey_of(rgb(i)); }
    @else { return x[i]; }
}

// The pixel with a hue further by `turn`, by way of hue, saturation and value.
fn turned(i: u32, turn: f32) -> f32 {
    @if(!coloured) { return x[i]; }
    @else {
        let color = rgb(i);
        let most = max(max(color.r, color.g), color.b);
        let span = most - min(min(color.r, color.g), color.b);
        let share = (most - color) / select(span, 1.0, span == 0.0);
        // mutate `2.0 + share.r - share.b` => `2.0 + share.b - share.r` (colour_images: hue of green turned around)
        var hue = select(4.0 + share.g - share.r, 2.0 + share.r - share.b, color.g == most);
        hue = 6.0 * fract(select(hue, share.b - share.g, color.r == most) / 6.0 + 1.0 + turn);
        // Each channel is at its greatest for a third of the circle, and falls away from it to both sides.
        let c = i / PLANE % 3u;
        let place = hue + select(select(2.0, 4.0, c == 1u), 0.0, c == 0u);
        let distance = abs(place - select(0.0, 6.0, place >= 6.0) - 3.0) - 1.0;
        return most - span * (1.0 - clamp(distance, 0.0, 1.0));
    }
}

// The mean of the pixel five times and its eight neighbours; the pixel itself at the edge.
fn smoothed(i: u32) -> f32 {
    let column = i % WIDTH;
    let row = i / WIDTH % HEIGHT;
    let is_edge = column == 0u || row == 0u || column + 1u >= WIDTH || row + 1u >= HEIGHT;
    if (is_edge) {
        return x[i];
    }
    var sum = 4.0 * x[i];
    for (var line = i - WIDTH; line <= i + WIDTH; line += WIDTH) {
        sum += x[line - 1u] + x[line] + x[line + 1u];
    }
    // mutate `sum / 13.0` => `sum / 12.0` (colour_images: mean of twelve)
    return sum / 13.0;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = linear_index(id);
    if (i >= arguments.count) {
        return;
    }
    let n = i / (CHANNELS * PLANE);
    let amount = draws[2u * n + 1u];
    let value = x[i];
    let channel = i / PLANE * 256u;
    var changed = value;
    switch u32(draws[2u * n]) {
        case BRIGHTNESS: { changed = amount * value; }
        case CONTRAST: { changed = amount * value + (1.0 - amount) * table[n * CHANNELS * 256u]; }
        // mutate `1.0 - amount` => `amount` (colour_images: saturation of the grey)
        case SATURATION: { changed = amount * value + (1.0 - amount) * grey(i); }
        case HUE: { changed = turned(i, amount); }
        case GREY: { changed = grey(i); }
        case INVERT: { changed = 255.0 - value; }
        case POSTERIZE: {
            let dropped = 8u - min(u32(amount), 8u);
            changed = f32((level_of(value) >> dropped) << dropped);
        }
        // mutate `value >= amount` => `value > amount` (colour_images: threshold itself not inverted)
        case SOLARIZE: { changed = select(value, 255.0 - value, value >= amount); }
        case AUTOCONTRAST: { changed = (value - table[channel]) * table[channel + 1u]; }
        case EQUALIZE: { changed = table[channel + level_of(value)]; }
        case SHARPNESS: { changed = amount * value + (1.0 - amount) * smoothed(i); }
        default: {
            y[i] = value;
            return;
        }
    }
    // mutate `clamp(changed, 0.0, 255.0)` => `changed` (colour_images: nothing cut off)
    y[i] = clamp(changed, 0.0, 255.0);
}
