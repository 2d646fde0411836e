//! Colours that stand for numbers: viridis (Smith and van der Walt 2015), whose lightness changes evenly, so that it is read
//! in grey and by the colour-blind.

/// From dark to light, evenly apart.
const VIRIDIS: [[u8; 3]; 11] = [
    [68, 1, 84],
    [72, 36, 117],
    [65, 68, 135],
    [53, 95, 141],
    [42, 120, 142],
    [33, 145, 140],
    [34, 168, 132],
    [68, 191, 112],
    [122, 209, 81],
    [189, 223, 38],
    [253, 231, 37],
];

/// The colour at a place from 0, dark, to 1, light.
pub fn viridis(place: f64) -> [u8; 3] {
    let place = place.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let first = (place as usize).min(VIRIDIS.len() - 2);
    let share = place - first as f64;
    let [from, to] = [VIRIDIS[first], VIRIDIS[first + 1]];
    [0, 1, 2].map(|channel| {
        let [from, to] = [from, to].map(|colour| f64::from(colour[channel]));
        (from + share * (to - from)).round() as u8
    })
}

#[cfg(feature = "plots")]
/// The colour of a share of the largest number: white for nothing, else the darker the more.
pub(super) fn shade(share: f64) -> [u8; 3] {
    if share > 0.0 { viridis(1.0 - share) } else { [255; 3] }
}

#[cfg(feature = "plots")]
/// A colour of letters that is read on `ground`. Neither is quite black or white: a page that is dark changes those.
pub(super) fn ink_on([red, green, blue]: [u8; 3]) -> plotters::style::RGBColor {
    use plotters::style::RGBColor;
    let linear = |channel: u8| (f64::from(channel) / 255.0).powf(2.2);
    let luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
    // Where black and white stand out alike.
    if luminance > 0.18 { RGBColor(1, 1, 1) } else { RGBColor(254, 254, 254) }
}

#[cfg(all(test, feature = "plots"))]
mod tests {
    use super::*;

    #[test]
    fn more_is_darker_and_nothing_is_white() {
        let light = |share: f64| shade(share).iter().map(|&channel| u32::from(channel)).sum::<u32>();
        let shades: Vec<u32> = [0.0, 0.01, 0.25, 0.5, 0.75, 1.0].map(light).to_vec();
        assert!(shades.is_sorted_by(|a, b| a > b), "{shades:?}");
        assert_eq!((shade(0.0), shade(1.0)), ([255; 3], [68, 1, 84]));
    }
}
