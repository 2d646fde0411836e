//! Adds an optimizer to a training graph.

use super::loss_scale::{OF_STEP, STEPS_BEFORE, unscaled};
use super::{
    AverageWeights, Averaging, ClipScale, Directed, GradientTransform, Groups, Optimizer, OptimizerError,
    OptimizerStep, Share, Shares, SquaredNorm,
};
use crate::graph::{Graph, GraphError, Init, PACK_ALIGNMENT, Pass, Role, Value};
use crate::ops::{Add, Copy};
use crate::tensor::TensorSpec;
use std::collections::{HashMap, HashSet};

/// Input of a graph with an optimizer, `[5]` of f32: [`Optimizer::scalars`] of the step. Where steps may be skipped,
/// `[64, 5]`: also those of the steps before.
pub const SCALARS: &str = "optimizer_scalars";

/// Input of a graph with weight averaging, `[1]` of f32: [`Averaging::share`] of the step.
const SHARE: &str = "average_share";

/// Input of a graph whose weights become their average now and then, `[1]` of f32: 1 in such a step, else 0.
const TAKES_BACK: &str = "average_takes_back";

/// Input of a graph that [accumulates](accumulate) gradients, `[1]` of f32: 1 / (k + 1) in the k-th part
/// of a batch, counted from 0.
pub const PART_SHARE: &str = "part_share";

/// Before the name of a parameter: the mean of its gradients over the parts of a batch.
pub const ACCUMULATED: &str = "accumulated.";

/// Elements that go into one pack at most: 128 MiB, what every device binds. A larger parameter has a
/// pack of its own, which the kernels take in parts.
const PACK_ELEMENTS: usize = 32 << 20;

/// How parameters are updated.
///
/// ```
/// use tilewright::optim::{GradientTransform, UpdateConfig};
///
/// let transform = GradientTransform { clip_grad_norm: Some(1.0), ..GradientTransform::default() };
/// let update = UpdateConfig { transform, ..UpdateConfig::new("sgd:momentum=0.9".parse()?) };
/// assert_eq!((update.optimizer.name(), update.averaging), ("sgd", None));
/// # Ok::<(), tilewright::optim::OptimizerError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateConfig {
    /// The rule, with its attributes.
    pub optimizer: Optimizer,
    /// What becomes of gradients before the rule sees them.
    pub transform: GradientTransform,
    /// An average of the weights that is kept beside them.
    pub averaging: Option<Averaging>,
    /// What becomes of a step whose gradients are not finite.
    pub not_finite: NotFinite,
}

/// What becomes of a step one of whose gradients is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotFinite {
    /// It is made as it is.
    #[default]
    Applied,
    /// It changes nothing, and is counted.
    Skipped,
    /// The same. The gradients are those of a loss that was multiplied by [`loss_scale`](super::loss_scale()), which then
    /// follows them.
    Scaled,
}

/// The update of a training graph.
#[derive(Clone, Debug)]
pub struct Attached {
    /// What was attached.
    pub config: UpdateConfig,
    /// Name of the average of each parameter, when one is kept.
    pub averages: Vec<(String, String)>,
    /// The norm of all gradients before clipping, when they are clipped by it.
    pub norm: Option<Value>,
}

impl Attached {
    /// The inputs that a step needs, by name: step `step`, counted from 0, with learning rate `lr`.
    pub fn inputs(&self, step: u64, lr: f64) -> Vec<(&'static str, Vec<f32>)> {
        let steps = if self.config.not_finite == NotFinite::Applied { 1 } else { STEPS_BEFORE };
        let scalars = |before: u64| self.config.optimizer.scalars(step.saturating_sub(before), lr);
        let mut inputs = vec![(SCALARS, (0..steps as u64).flat_map(scalars).collect())];
        inputs.extend(self.config.averaging.map(|averaging| (SHARE, vec![averaging.share(step) as f32])));
        let back = self.config.averaging.and_then(|averaging| averaging.takes_back(step));
        inputs.extend(back.map(|back| (TAKES_BACK, vec![f32::from(u8::from(back))])));
        inputs
    }

    /// Lets the average be of these buffers of the `graph` too, as a node after all others leaves them; without an average it adds
    /// nothing.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn average_too(&mut self, graph: &mut Graph, held: &[Value]) -> Result<(), GraphError> {
        let Some(share) = graph.find(SHARE).filter(|_| self.config.averaging.is_some() && !held.is_empty()) else {
            return Ok(());
        };
        graph.within(Pass::Update, "optimizer", |graph| {
            let buffers = buffers(graph, "average.", held, Init::ZEROS)?;
            let names = held.iter().zip(&buffers).map(|(&held, &average)| [held, average]);
            self.averages.extend(names.map(|pair| pair.map(|value| graph.tensor(value).name.clone()).into()));
            let held = graph.pack("averaged_too", held)?;
            let average = graph.pack("average_too", &buffers)?;
            graph.apply(AverageWeights, &[average, held, share]).map(|_| ())
        })
    }
}

impl UpdateConfig {
    /// By that rule, of gradients as they are, without an average.
    pub fn new(optimizer: Optimizer) -> Self {
        UpdateConfig {
            optimizer,
            transform: GradientTransform::default(),
            averaging: None,
            not_finite: NotFinite::Applied,
        }
    }

    /// Adds the update of every parameter that has a gradient. State tensors are buffers named
    /// `optimizer.STATE.PARAMETER`, averages `average.PARAMETER`; an average starts at zero, so the
    /// caller sets it to the parameter.
    ///
    /// # Errors
    /// When a setting is out of its range, or a name is taken.
    pub fn attach(&self, graph: &mut Graph, gradients: &HashMap<Value, Value>) -> Result<Attached, GraphError> {
        let shares = Groups::default().shares(graph, &self.optimizer);
        self.attach_with(graph, gradients, &shares)
    }

    /// As [`UpdateConfig::attach`], of parameters that have rates and weight decays of their own.
    ///
    /// # Errors
    /// As [`UpdateConfig::attach`].
    pub fn attach_with(
        &self,
        graph: &mut Graph,
        gradients: &HashMap<Value, Value>,
        shares: &Shares,
    ) -> Result<Attached, GraphError> {
        self.validate()?;
        graph.within(Pass::Update, "optimizer", |graph| self.attach_here(graph, gradients, shares))
    }

    fn validate(&self) -> Result<(), GraphError> {
        let refused = |reason: OptimizerError| match reason {
            OptimizerError::OutOfRange { attribute, value, expected } => {
                GraphError::attribute(attribute, value, format!("it must be {expected}"))
            }
            reason => GraphError::attribute("optimizer", self.optimizer.name(), reason.to_string()),
        };
        self.transform.validate().map_err(refused)?;
        match self.averaging {
            Some(Averaging::Ema { decay, .. } | Averaging::Lookahead { decay, .. })
                if !(0.0..=1.0).contains(&decay) =>
            {
                Err(GraphError::attribute("decay", decay, "it lies in [0, 1]"))
            }
            _ => Ok(()),
        }
    }

    fn attach_here(
        &self,
        graph: &mut Graph,
        gradients: &HashMap<Value, Value>,
        shares: &Shares,
    ) -> Result<Attached, GraphError> {
        let share = match self.averaging {
            Some(_) => Some(graph.input(SHARE, TensorSpec::f32([1]))?),
            None => None,
        };
        let back = match self.averaging.and_then(|averaging| averaging.takes_back(0)) {
            Some(_) => Some(graph.input(TAKES_BACK, TensorSpec::f32([1]))?),
            None => None,
        };
        let parameters: Vec<Value> = graph.trainable().filter(|value| gradients.contains_key(value)).collect();
        let mut packs = Vec::new();
        let mut taken = HashSet::new();
        let mut packed_shares = Vec::new();
        for (index, (share, members)) in in_packs(graph, &parameters, shares).into_iter().enumerate() {
            packed_shares.push(share);
            let own = own_gradients(graph, &members, gradients, &mut taken)?;
            let weights = graph.pack(&format!("parameters.{index}"), &members)?;
            let gradients = graph.pack(&format!("gradients.{index}"), &own)?;
            packs.push((members, weights, gradients));
        }
        let gradients: Vec<Value> = packs.iter().map(|&(.., gradients)| gradients).collect();
        let scalars = match self.not_finite {
            NotFinite::Applied => graph.input(SCALARS, TensorSpec::f32([OF_STEP]))?,
            NotFinite::Skipped => unscaled(graph, &gradients, false)?,
            NotFinite::Scaled => unscaled(graph, &gradients, true)?,
        };
        let (scale, norm) = self.clip(graph, &packs)?.unzip();
        let mut averages = Vec::new();
        for (index, (members, weights, gradients)) in packs.into_iter().enumerate() {
            let mut inputs = vec![weights];
            let (optimizer, rate) = self.optimizer.of_share(packed_shares[index]);
            let rule = optimizer.rule();
            for (state, start) in optimizer.state() {
                let buffers = buffers(graph, &format!("optimizer.{state}."), &members, Init::Constant(start))?;
                inputs.push(graph.pack(&format!("optimizer.{state}.{index}"), &buffers)?);
            }
            inputs.extend([gradients, scalars]);
            inputs.extend(scale);
            let rate = rate as f32;
            let step = OptimizerStep { optimizer: optimizer.clone(), transform: self.transform, rate };
            if let [directions] = graph.apply(step, &inputs)?[..] {
                let offsets = offsets(graph, weights);
                let directed =
                    Directed { parameters: weights, members: &members, offsets: &offsets, directions, scalars, rate };
                rule.finish(optimizer.values(), graph, &directed)?;
            }
            if let Some(share) = share {
                let buffers = buffers(graph, "average.", &members, Init::ZEROS)?;
                averages.extend(members.iter().zip(&buffers).map(|(&parameter, &average)| {
                    (graph.tensor(parameter).name.clone(), graph.tensor(average).name.clone())
                }));
                let average = graph.pack(&format!("average.{index}"), &buffers)?;
                graph.apply(AverageWeights, &[average, weights, share])?;
                if let Some(back) = back {
                    graph.apply(AverageWeights, &[weights, average, back])?;
                }
            }
        }
        Ok(Attached { config: self.clone(), averages, norm })
    }

    /// The scale of all gradients, and their norm, when they are clipped by it.
    fn clip(
        &self,
        graph: &mut Graph,
        packs: &[(Vec<Value>, Value, Value)],
    ) -> Result<Option<(Value, Value)>, GraphError> {
        let (Some(max_norm), false) = (self.transform.clip_grad_norm, packs.is_empty()) else { return Ok(None) };
        let mut total = None;
        for &(_, weights, gradients) in packs {
            let square = graph.apply_one(SquaredNorm(self.transform), &[gradients, weights])?;
            total = Some(match total {
                None => square,
                Some(total) => graph.apply_one(Add, &[total, square])?,
            });
        }
        let Some(total) = total else { return Ok(None) };
        let outputs = graph.apply(ClipScale { max_norm: max_norm as f32 }, &[total])?;
        Ok(Some((outputs[0], outputs[1])))
    }
}

/// Adds to the graph of one part of a batch: the mean of each gradient over the parts so far, in a buffer.
/// After the last part it is the gradient of the whole batch, which [`accumulated_gradients`] takes.
///
/// # Errors
/// When a name is taken.
pub fn accumulate(graph: &mut Graph, gradients: &HashMap<Value, Value>, shares: &Shares) -> Result<(), GraphError> {
    graph.within(Pass::Update, "accumulate", |graph| {
        let share = graph.input(PART_SHARE, TensorSpec::f32([1]))?;
        let parameters: Vec<Value> = graph.trainable().filter(|value| gradients.contains_key(value)).collect();
        let mut taken = HashSet::new();
        for (index, (_, members)) in in_packs(graph, &parameters, shares).into_iter().enumerate() {
            let own = own_gradients(graph, &members, gradients, &mut taken)?;
            let part = graph.pack(&format!("part_gradients.{index}"), &own)?;
            let buffers = buffers(graph, ACCUMULATED, &members, Init::ZEROS)?;
            // The update packs the same buffers under the same name, and so shares their memory.
            let mean = graph.pack(&format!("gradients.{index}"), &buffers)?;
            graph.apply(AverageWeights, &[mean, part, share])?;
        }
        Ok(())
    })
}

/// Declares in an empty graph the trainable parameters of `part`, a graph that [accumulates](accumulate),
/// and gives their gradients.
///
/// # Errors
/// Never for a graph without those names.
pub fn accumulated_gradients(graph: &mut Graph, part: &Graph) -> Result<HashMap<Value, Value>, GraphError> {
    let mut gradients = HashMap::new();
    for value in part.trainable() {
        let tensor = part.tensor(value);
        let name = format!("{ACCUMULATED}{}", tensor.name);
        if let (Role::Parameter { init, .. }, Some(_)) = (&tensor.role, part.find(&name)) {
            let parameter = graph.parameter(&tensor.name, tensor.spec.shape.clone(), *init)?;
            gradients.insert(parameter, graph.transient_buffer(&name, tensor.spec.shape.clone(), Init::ZEROS)?);
        }
    }
    Ok(gradients)
}

/// Where the members of a pack begin.
fn offsets(graph: &Graph, pack: Value) -> Vec<usize> {
    match &graph.tensor(pack).role {
        Role::Pack { offsets, .. } => offsets.clone(),
        _ => Vec::new(),
    }
}

/// A buffer `PREFIX PARAMETER` of each parameter's shape.
pub(super) fn buffers(
    graph: &mut Graph,
    prefix: &str,
    parameters: &[Value],
    init: Init,
) -> Result<Vec<Value>, GraphError> {
    let make = |&parameter: &Value| {
        let name = format!("{prefix}{}", graph.tensor(parameter).name);
        let shape = graph.shape(parameter).clone();
        match prefix {
            // After the step they are of no use.
            ACCUMULATED => graph.transient_buffer(&name, shape, init),
            _ => graph.buffer(&name, shape, init),
        }
    };
    parameters.iter().map(make).collect()
}

/// The gradients of a pack's members, each in memory of its own.
pub(super) fn own_gradients(
    graph: &mut Graph,
    members: &[Value],
    gradients: &HashMap<Value, Value>,
    taken: &mut HashSet<Value>,
) -> Result<Vec<Value>, GraphError> {
    members.iter().map(|member| own_memory(graph, gradients[member], taken)).collect()
}

/// The gradient, or a copy of it where its memory is not its own to be laid into a pack.
fn own_memory(graph: &mut Graph, gradient: Value, taken: &mut HashSet<Value>) -> Result<Value, GraphError> {
    let is_own = match graph.tensor(gradient).role {
        Role::Node { node, .. } => !graph.nodes()[node].op.is_view(),
        Role::Buffer { .. } => true,
        _ => false,
    };
    match is_own && taken.insert(gradient) {
        true => Ok(gradient),
        false => graph.apply_one(Copy, &[gradient]),
    }
}

/// Parameters with one share, in packs of no more than [`PACK_ELEMENTS`]; the shares in the order in which they come.
fn in_packs(graph: &Graph, parameters: &[Value], shares: &Shares) -> Vec<(Share, Vec<Value>)> {
    let mut packs: Vec<(Share, Vec<Value>)> = Vec::new();
    for (share, members) in shares.part(graph, parameters) {
        let mut room = 0usize;
        for parameter in members {
            let elements = graph.shape(parameter).elements().next_multiple_of(PACK_ALIGNMENT);
            match packs.last_mut() {
                Some((_, pack)) if elements <= room => {
                    pack.push(parameter);
                    room -= elements;
                }
                _ => {
                    packs.push((share, vec![parameter]));
                    room = PACK_ELEMENTS.saturating_sub(elements);
                }
            }
        }
    }
    packs
}
