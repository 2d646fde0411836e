//! The card of what a device's peak is measured with.

use super::MultiplyAdds;
use crate::ops::card::{Card, Case, Chapter, Entry, NO_INPUT};

pub(crate) static CARD: Card = Card::new(Chapter::Measurement, &[
Entry {
    name: "multiply_adds",
    computes: "chains of multiply-adds that nothing but the arithmetic units limits: the peak that `bench` and `profile` measure",
    shapes: "no input; y [invocations]",
    gradient: NO_INPUT,
    shaders: &["bench/multiply_adds"],
    flops: "2 * 256 rounds elements of y",
}])
.cases(|| {
    vec![Case::new("multiply_adds", "1000 invocations of 2 rounds", |graph| {
        let y = graph.apply_one(MultiplyAdds { invocations: 1000, rounds: 2 }, &[])?;
        graph.output("y", y);
        Ok(())
    })]
});
