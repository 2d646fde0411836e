//! From the names of a launch to the order of its shader's declaration, with all that is checked on the way.

use super::{Access, Binding, Condition, Content, DeviceProfile, Kernel, Launched, Operand, Site, Storage};
use crate::tensor::{ElementType, TensorSpec};

/// A launch that does not bind what its shader declares: a defect of the op, told when the plan is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer `{layer}`: {op} launches shader `{shader}`, and its binding `{binding}` {fault}")]
pub struct BindingError {
    /// Path of the layer.
    pub layer: String,
    /// Name of the op that launches.
    pub op: &'static str,
    /// Name of the shader that declares the binding.
    pub shader: &'static str,
    /// Its name in WGSL.
    pub binding: &'static str,
    /// What is wrong with it.
    pub fault: BindingFault,
}

/// What is wrong with a binding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum BindingFault {
    #[error("is given no operand")]
    Missing,
    #[error("is declared nowhere")]
    Undeclared,
    #[error("is there only where {0}")]
    Conditional(Condition),
    #[error("is given two operands")]
    Twice,
    #[error("is declared as {declared}, and given {given}")]
    Mistyped { declared: Content, given: Content },
    #[error("is declared as {declared}, and given {elements} elements, which is no multiple")]
    Torn { declared: Content, elements: usize },
    #[error("is given {0:?}, which the node does not have")]
    NoSuchOperand(Storage),
    #[error("is written, and given input {0}, which the op does not say that it updates")]
    NotUpdated(usize),
    #[error("is given {count} elements from element {first} on, of {elements} in all")]
    PastTheEnd { first: usize, count: usize, elements: usize },
    #[error("is given a slice from element {first} on, where this device binds from multiples of {alignment}")]
    Unaligned { first: usize, alignment: usize },
}

/// An operand for each of the kernel's bindings, in their order, and the names of those that hold f16.
pub(super) fn bind(
    site: &Site<'_>,
    launched: &Launched,
    profile: &DeviceProfile,
    kernel: &Kernel,
    operands: impl IntoIterator<Item = (&'static str, Operand)>,
) -> Result<(Vec<Operand>, Vec<&'static str>), BindingError> {
    let given: Vec<(&'static str, Operand)> = operands.into_iter().collect();
    let error = |binding, fault| BindingError {
        layer: site.layer.to_owned(),
        op: site.op,
        shader: kernel.operands.unwrap_or(kernel.shader).name,
        binding,
        fault,
    };
    let mut bound = Vec::with_capacity(given.len());
    let mut halves = Vec::new();
    for binding in kernel.bindings() {
        let operand = given.iter().find(|(name, _)| *name == binding.name).map(|(_, operand)| *operand);
        let operand = operand.ok_or_else(|| error(binding.name, BindingFault::Missing))?;
        let is_half = check(site, launched, profile, &binding, operand).map_err(|fault| error(binding.name, fault))?;
        halves.extend(is_half.then_some(binding.name));
        bound.push(operand);
    }
    match bound.len() == given.len() {
        true => Ok((bound, halves)),
        false => {
            let (name, fault) = surplus(kernel, &given);
            Err(error(name, fault))
        }
    }
}

/// The name that was given too much, where all that is declared was given.
fn surplus(kernel: &Kernel, given: &[(&'static str, Operand)]) -> (&'static str, BindingFault) {
    let is_there = |name: &str| kernel.bindings().any(|binding| binding.name == name);
    match given.iter().find(|(name, _)| !is_there(name)) {
        Some(&(name, _)) => {
            let operands = kernel.operands.map_or(&[][..], |operands| operands.bindings);
            let declared = kernel.shader.bindings.iter().chain(operands).find(|binding| binding.name == name);
            let condition = declared.and_then(|binding| binding.condition);
            (name, condition.map_or(BindingFault::Undeclared, BindingFault::Conditional))
        }
        None => {
            let again = |(index, (name, _)): &(usize, &(&str, Operand))| {
                given[..*index].iter().any(|(before, _)| before == name)
            };
            let name = given.iter().enumerate().find(again).map_or("", |(_, (name, _))| *name);
            (name, BindingFault::Twice)
        }
    }
}

/// Whether an operand that is what a binding declares is stored in f16.
fn check(
    site: &Site<'_>,
    launched: &Launched,
    profile: &DeviceProfile,
    binding: &Binding,
    operand: Operand,
) -> Result<bool, BindingFault> {
    let declared = binding.content;
    let (given, elements) = content(site, launched, operand.storage)?;
    let (lanes, stored) = match (declared, given) {
        (Content::Texture, Content::Texture) => return Ok(false),
        (Content::Buffer { element, lanes }, Content::Buffer { element: stored, .. })
            if element == stored || element == ElementType::F32 && stored.is_float() =>
        {
            (lanes, stored)
        }
        _ => return Err(BindingFault::Mistyped { declared, given }),
    };
    if let (Storage::Input(index), Access::Write) = (operand.storage, binding.access)
        && !site.updates.contains(&index)
    {
        return Err(BindingFault::NotUpdated(index));
    }
    let (first, count) = operand.range.unwrap_or((0, elements));
    let alignment = (profile.binding_alignment / stored.bytes()).max(1) as usize;
    if first.checked_add(count).is_none_or(|end| end > elements) {
        return Err(BindingFault::PastTheEnd { first, count, elements });
    }
    if !first.is_multiple_of(alignment) {
        return Err(BindingFault::Unaligned { first, alignment });
    }
    match count.is_multiple_of(lanes) {
        true => Ok(stored == ElementType::F16),
        false => Err(BindingFault::Torn { declared, elements: count }),
    }
}

/// What memory holds, and how many numbers of it.
fn content(site: &Site<'_>, launched: &Launched, storage: Storage) -> Result<(Content, usize), BindingFault> {
    let numbers = |element| Content::Buffer { element, lanes: 1 };
    let tensor = |spec: &&TensorSpec| (numbers(spec.element), spec.elements());
    let content = match storage {
        Storage::Input(index) => site.inputs.get(index).map(tensor),
        Storage::Output(index) => site.outputs.get(index).map(tensor),
        Storage::Scratch(index) => launched.scratch.get(index).map(|&elements| (numbers(ElementType::F32), elements)),
        Storage::Texture(index) => launched.textures.get(index).map(|_| (Content::Texture, 0)),
    };
    content.ok_or(BindingFault::NoSuchOperand(storage))
}
