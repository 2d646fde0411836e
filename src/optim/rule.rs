//! What an optimizer is made of, the list of them, and those of a program of its own.

use super::{Attribute, Optimizer, OptimizerError, Values, rules};
use crate::graph::{Graph, GraphError, Value};
use crate::kernel::Kernel;
use crate::registry::Registry;
use crate::tensor::Shape;

/// An update rule. Each is a file in `src/optim/rules` with a WGSL snippet in `shaders/optimizer`, and a line in [`ALL`];
/// a program [registers](register) rules of its own.
///
/// The rule says in which direction a parameter goes down, element by element, and a step is
/// p := p - lr * direction. Its state is what its shader binds: the names are those of the checkpoint, and each tensor has
/// the shape of the parameters.
pub trait Rule: Send + Sync + 'static {
    /// As it is written on the command line and in a recipe.
    fn name(&self) -> &'static str;

    /// What it does, and where it is from.
    fn about(&self) -> &'static str;

    /// What may be set of it.
    fn attributes(&self) -> &'static [Attribute];

    /// Refuses attributes that do not go together: `Ok`, or which is wrong, and what it must be.
    ///
    /// # Errors
    /// The attribute that is wrong, and what it must be.
    fn check(&self, _of: &Values) -> Result<(), (&'static str, &'static str)> {
        Ok(())
    }

    /// Where weight decay, if the rule has that attribute, comes in.
    fn decay(&self) -> Decay {
        Decay::Gradient
    }

    /// Adds to the kernel of the step: the rule's shader as its operands, constants and conditions. The shader
    /// defines `direction(i: u32, p: f32, g: f32) -> f32` of the element i, which also moves the state.
    fn kernel(&self, of: &Values, step: Kernel) -> Kernel;

    /// What that state tensor starts from.
    fn start(&self, _of: &Values, _state: &str) -> f32 {
        0.0
    }

    /// Three factors that depend on the step, counted from 0; the shader has them as `scalars[1]` to `scalars[3]`.
    fn factors(&self, _of: &Values, _step: u64) -> [f64; 3] {
        [0.0; 3]
    }

    /// The same rule in f64, for the CPU reference: the judge of the shader.
    fn reference(&self, of: &Values) -> Direction;

    /// Whether p := p - lr * direction is all there is to it; else [`Rule::finish`] has the directions.
    fn is_elementwise(&self, _of: &Values) -> bool {
        true
    }

    /// Adds what makes a step of the directions of all elements, where that is not p := p - lr * direction.
    ///
    /// # Errors
    /// What the graph refuses.
    fn finish(&self, _of: &Values, _graph: &mut Graph, _directed: &Directed<'_>) -> Result<(), GraphError> {
        Ok(())
    }

    /// The optimizer of the parameters that this rule does not take, and their rate as a factor of the run's.
    fn other(&self, _of: &Values) -> Option<(Optimizer, f64)> {
        None
    }

    /// Whether it updates a parameter that stands there; if not, [`Rule::other`] does.
    fn takes(&self, _place: &Place<'_>) -> bool {
        true
    }

    /// Attributes that `check` tries besides the defaults, as they are written after the name.
    fn cases(&self) -> &'static [&'static str] {
        &[]
    }
}

/// Where weight decay comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// g := g + decay * p, before the rule.
    Gradient,
    /// p := p - lr * decay * p, before the rule (Loshchilov and Hutter 2019).
    Parameter,
    /// The rule sees to it.
    Own,
}

/// One element, as a rule has it in f64.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// The parameter.
    pub p: f64,
    /// Its gradient, after clipping.
    pub g: f64,
    /// The learning rate, the rule's three [factors](Rule::factors), and 1 in the first step.
    pub scalars: [f64; 5],
}

/// Moves the state of an element, in the order in which the shader binds it, and gives the direction.
pub type Direction = Box<dyn Fn(&mut [f64], Element) -> f64>;

/// A pack of parameters whose directions are known.
#[derive(Clone, Copy, Debug)]
pub struct Directed<'a> {
    /// The pack.
    pub parameters: Value,
    /// Its parameters.
    pub members: &'a [Value],
    /// The first element of each.
    pub offsets: &'a [usize],
    /// As long as the pack.
    pub directions: Value,
    /// Input `[5]`, as [`Element::scalars`].
    pub scalars: Value,
    /// Times the learning rate: these parameters' own.
    pub rate: f32,
}

/// Adds to a kernel two constants, a share in [0, 1) and what it leaves of 1, each rounded once: in f32, 1 - 0.999 is off
/// in its fifth digit.
pub fn share(kernel: Kernel, [name, rest]: [&'static str; 2], value: f64) -> Kernel {
    kernel.constant(name, value as f32).constant(rest, (1.0 - value) as f32)
}

/// Where a parameter stands in its network.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The parameter's.
    pub shape: &'a Shape,
    /// Whether it is the first or the last of the parameters with two dimensions or more, in the order in which the
    /// network declares them: what the images go into, and what the logits come out of.
    pub is_end: bool,
}

/// Every optimizer of this crate.
pub const ALL: &[&dyn Rule] = &[
    &rules::Sgd,
    &rules::Adam,
    &rules::AdamW,
    &rules::NAdam,
    &rules::RAdam,
    &rules::Adamax,
    &rules::RmsProp,
    &rules::Adagrad,
    &rules::Adadelta,
    &rules::SignSgd,
    &rules::Lion,
    &rules::Lamb,
    &rules::Muon,
];

static OWN: Registry<&'static dyn Rule> = Registry::new();

/// Gives this program an optimizer of its own, under its name, which recipes and checkpoints then have. The last one of a
/// name holds; the names of this crate's optimizers keep their meaning.
pub fn register(rule: impl Rule) {
    OWN.register(rule.name(), Box::leak(Box::new(rule)));
}

/// Every optimizer, those of this program last.
pub(super) fn all() -> Vec<&'static dyn Rule> {
    ALL.iter().copied().chain(OWN.things()).collect()
}

/// The optimizer of that name.
pub(super) fn find(name: &str) -> Result<&'static dyn Rule, OptimizerError> {
    let unknown = || OptimizerError::Unknown { name: crate::attribute::excerpt(name) };
    all().into_iter().find(|rule| rule.name() == name).ok_or_else(unknown)
}
