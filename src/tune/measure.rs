//! One layer: every kernel that a device can run for it, held against the plain one and timed beside the rule's.

use super::TuneError;
use crate::check::{CheckFailure, Tolerance, compare, reproduces, same_dispatches};
use crate::gpu::{Gpu, GpuError};
use crate::graph::{Graph, GraphError, Init, Op, Value};
use crate::kernel::{Choices, DeviceClass, DeviceProfile};
use crate::ops::{Conv2d, ConvGeometry, ConvInputGradient, ConvKernels, ConvPass, ConvShape, ConvWeightGradient};
use crate::plan::Plan;
use crate::reference::{Tensors, random_tensors};
use crate::session::{Program, Session, SessionError, run_once};
use crate::tensor::HostTensor;
use std::sync::Arc;
use std::time::Instant;

/// Kernels and the median time of one run, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// What was run.
    pub kernels: ConvKernels,
    /// Median of one run.
    pub seconds: f64,
}

/// What was measured of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// What the written rule picks.
    pub rule: Timed,
    /// The rule's kernels, unless others are right and clearly faster, or the rule's are wrong.
    pub best: Timed,
    /// Batch at which the kernels were held against the plain ones: smaller than the layer's where those would
    /// take too long.
    pub checked_batch: usize,
}

/// All that is known of a layer.
#[derive(Debug)]
pub struct Finding {
    /// The layer.
    pub shape: ConvShape,
    /// `None` where the plain kernels, which all others are held against, do not run.
    pub measured: Option<Measured>,
    /// Kernels that did not reproduce the plain ones' numbers, and where.
    pub wrong: Vec<(ConvKernels, CheckFailure)>,
}

/// Rounds of a series: in each, all candidates run in turn, so that what slows the machine slows all of them.
const ROUNDS: usize = 9;

/// Shortest time of one sample, in seconds: as many runs as that takes.
const SAMPLE: f64 = 0.01;

/// A candidate that takes so many times as long as the rule's kernels is dropped: after its first run, in which
/// memory is touched for the first time, and after its second.
const HOPELESS: [f64; 2] = [5.0, 1.5];

/// Seconds below which a first run tells nothing.
const SHORT: f64 = 0.02;

/// A candidate must be faster by more than this share.
const MARGIN: f64 = 0.05;

/// Multiply-adds that plain kernels do in about a second.
fn most_checked(profile: &DeviceProfile) -> u64 {
    match profile.class {
        DeviceClass::Gpu => 100_000_000_000,
        DeviceClass::Cpu => 500_000_000,
    }
}

/// Holds every kernel that `gpu` can run for `shape` against the plain one, and times it beside the rule's.
///
/// # Errors
/// When the device fails.
pub fn measure_layer(gpu: &Gpu, shape: &ConvShape) -> Result<Finding, TuneError> {
    let gpu = &gpu.with_kernels(Arc::default());
    let mut finding = Finding { shape: *shape, measured: None, wrong: Vec::new() };
    let graph = graph_of(shape)?;
    let session = Session::new(&gpu.clone().into(), 1);
    let Some((mut rule, others)) = contenders(gpu, shape, &graph, &session, &mut finding.wrong)? else {
        return Ok(finding);
    };
    let judge = Judge::new(gpu, shape)?;
    let mut right = Vec::new();
    for other in others {
        match judge.verdict(other.kernels)? {
            Ok(()) => right.push(other),
            Err(failure) => finding.wrong.push((other.kernels, failure)),
        }
    }
    let best = match judge.verdict(rule.kernels)? {
        Ok(()) => winner(&judge, shape, &mut rule, right, &mut finding.wrong)?,
        // A right kernel is better than a wrong one, however slow.
        Err(failure) => {
            finding.wrong.push((rule.kernels, failure));
            race(&mut rule, &mut right)?;
            let fastest = right.iter().map(Contender::timed).min_by(|a, b| a.seconds.total_cmp(&b.seconds));
            Some(fastest.map_or_else(|| plain(gpu, shape, &graph, &session), Ok)?)
        }
    };
    let rule = rule.timed();
    let checked_batch = judge.shape.geometry.batch;
    finding.measured = Some(Measured { rule, best: best.unwrap_or(rule), checked_batch });
    Ok(finding)
}

/// The rule's kernels, and all others that run and are not hopeless; none where the plain kernels do not run. What
/// a driver does not compile is `wrong`.
fn contenders(
    gpu: &Gpu,
    shape: &ConvShape,
    graph: &Graph,
    session: &Session,
    wrong: &mut Vec<(ConvKernels, CheckFailure)>,
) -> Result<Option<(Contender, Vec<Contender>)>, TuneError> {
    let (Ok(rule), true) = (Plan::new(graph, gpu.profile()), ConvKernels::Plain.suits(gpu.profile(), shape)) else {
        return Ok(None);
    };
    let mut plans = candidates(gpu, shape, graph);
    let Some(place) = plans.iter().position(|(_, plan)| same_dispatches(&plan.steps, &rule.steps)) else {
        return Ok(None);
    };
    let (rule, _) = plans.remove(place);
    let mut rule = Contender::new(&forced(gpu, shape, rule), rule, graph, session)?;
    rule.warm_up()?;
    let mut others = Vec::new();
    for (kernels, _) in plans {
        match Contender::new(&forced(gpu, shape, kernels), kernels, graph, session) {
            Ok(mut other) => others.extend((!other.is_hopeless(rule.once)?).then_some(other)),
            // There is no room for it beside the rule's kernels.
            Err(error) if error.is_too_large() => {}
            Err(error @ SessionError::Gpu(GpuError::Pipeline { .. })) => wrong.push((kernels, error.into())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some((rule, others)))
}

/// Who is clearly faster than the rule's kernels in two series, if anyone is.
fn winner(
    judge: &Judge,
    shape: &ConvShape,
    rule: &mut Contender,
    mut others: Vec<Contender>,
    wrong: &mut Vec<(ConvKernels, CheckFailure)>,
) -> Result<Option<Timed>, TuneError> {
    race(rule, &mut others)?;
    others.retain(|other| is_clearly_faster(&other.samples, &rule.samples));
    let fastest = others.into_iter().min_by(|a, b| a.timed().seconds.total_cmp(&b.timed().seconds));
    let Some(mut fastest) = fastest else { return Ok(None) };
    // Once more, since one of many candidates may have been lucky.
    race(rule, std::slice::from_mut(&mut fastest))?;
    if !is_clearly_faster(&fastest.samples, &rule.samples) {
        return Ok(None);
    }
    match judge.at_full_size(shape, &fastest, rule)? {
        Ok(()) => Ok(Some(fastest.timed())),
        Err(failure) => {
            wrong.push((fastest.kernels, failure));
            Ok(None)
        }
    }
}

/// The kernels that a device can run for a shape, those of equal plans once.
fn candidates(gpu: &Gpu, shape: &ConvShape, graph: &Graph) -> Vec<(ConvKernels, Plan)> {
    let mut plans: Vec<(ConvKernels, Plan)> = Vec::new();
    for kernels in ConvKernels::all().into_iter().filter(|kernels| kernels.suits(gpu.profile(), shape)) {
        let Ok(plan) = Plan::new(graph, forced(gpu, shape, kernels).profile()) else { continue };
        if !plans.iter().any(|(_, known)| same_dispatches(&known.steps, &plan.steps)) {
            plans.push((kernels, plan));
        }
    }
    plans
}

/// `gpu`, with these kernels for one shape.
fn forced(gpu: &Gpu, shape: &ConvShape, kernels: ConvKernels) -> Gpu {
    gpu.with_kernels(Arc::new(Choices::from_iter([(shape.key(), kernels.to_string())])))
}

/// A graph of one node, whose operands are parameters: programs of one store share them. A weight's gradient
/// comes with the bias's, so that both are held against the plain kernels.
fn graph_of(shape: &ConvShape) -> Result<Graph, GraphError> {
    let ConvShape { pass, geometry } = *shape;
    let ConvGeometry { batch, channels, size, filters, kernel, stride, padding, dilation, groups, out } = geometry;
    let x = [batch, channels, size[0], size[1]];
    let weight = [filters, geometry.group_channels(), kernel[0], kernel[1]];
    let dy = [batch, filters, out[0], out[1]];
    match pass {
        ConvPass::Forward => binary(x, weight, Conv2d { stride, padding, dilation, groups }),
        ConvPass::InputGradient => binary(dy, weight, ConvInputGradient { geometry, shape: x.into() }),
        ConvPass::WeightGradient => binary(x, dy, ConvWeightGradient { geometry, shape: weight.into(), bias: true }),
    }
}

fn binary(a: [usize; 4], b: [usize; 4], op: impl Op) -> Result<Graph, GraphError> {
    let mut graph = Graph::new();
    let random = Init::Uniform { bound: 1.0 };
    let inputs: [Value; 2] = [graph.parameter("a", a, random)?, graph.parameter("b", b, random)?];
    for (index, y) in graph.apply(op, &inputs)?.into_iter().enumerate() {
        graph.output(&format!("y{index}"), y);
    }
    Ok(graph)
}

/// Kernels that are timed.
struct Contender {
    kernels: ConvKernels,
    program: Program,
    /// Seconds of one run, about.
    once: f64,
    /// Seconds of a run, a sample a round.
    samples: Vec<f64>,
}

impl Contender {
    fn new(gpu: &Gpu, kernels: ConvKernels, graph: &Graph, session: &Session) -> Result<Self, SessionError> {
        let program = session.prepare_with(&gpu.clone().into(), graph)?;
        Ok(Contender { kernels, program, once: f64::NAN, samples: Vec::new() })
    }

    /// Seconds of one of `runs` runs.
    fn time(&mut self, runs: u32) -> Result<f64, SessionError> {
        let begin = Instant::now();
        for _ in 0..runs {
            self.program.run()?;
        }
        self.program.finish()?;
        Ok(begin.elapsed().as_secs_f64() / f64::from(runs))
    }

    fn warm_up(&mut self) -> Result<(), SessionError> {
        self.time(1)?;
        self.once = self.time(1)?.min(self.time(1)?);
        Ok(())
    }

    /// The median of the last series.
    fn timed(&self) -> Timed {
        Timed { kernels: self.kernels, seconds: median(&self.samples) }
    }

    /// Whether there is no hope that it is faster than kernels that take `rule` seconds.
    fn is_hopeless(&mut self, rule: f64) -> Result<bool, SessionError> {
        let first = self.time(1)?;
        Ok(first > SHORT && first > HOPELESS[0] * rule || self.time(1)?.min(first) > HOPELESS[1] * rule)
    }
}

/// Takes a series of samples anew, of all in turn.
fn race(rule: &mut Contender, others: &mut [Contender]) -> Result<(), SessionError> {
    let runs = (SAMPLE / rule.once).clamp(1.0, 1000.0) as u32;
    rule.samples.clear();
    others.iter_mut().for_each(|other| other.samples.clear());
    for _ in 0..ROUNDS {
        for contender in std::iter::once(&mut *rule).chain(others.iter_mut()) {
            let sample = contender.time(runs)?;
            contender.samples.push(sample);
        }
    }
    Ok(())
}

/// The plain kernels, where nothing else is right.
fn plain(gpu: &Gpu, shape: &ConvShape, graph: &Graph, session: &Session) -> Result<Timed, TuneError> {
    let kernels = ConvKernels::Plain;
    let mut plain = Contender::new(&forced(gpu, shape, kernels), kernels, graph, session)?;
    plain.time(1)?;
    Ok(Timed { kernels, seconds: plain.time(1)? })
}

/// Whether a candidate took less than the rule's time by more than the margin in three quarters of the rounds that
/// they ran in turn.
fn is_clearly_faster(candidate: &[f64], rule: &[f64]) -> bool {
    let mut ratios: Vec<f64> = candidate.iter().zip(rule).map(|(candidate, rule)| candidate / rule).collect();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() * 3 / 4).is_some_and(|upper_quartile| upper_quartile * (1.0 + MARGIN) < 1.0)
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Holds kernels against the plain ones.
struct Judge {
    gpu: Gpu,
    /// The layer, of as many images as the plain kernels take in about a second.
    shape: ConvShape,
    graph: Graph,
    tensors: Tensors,
    /// Of the plain kernels.
    outputs: Vec<HostTensor>,
}

impl Judge {
    /// Runs the plain kernels on random inputs.
    fn new(gpu: &Gpu, shape: &ConvShape) -> Result<Judge, TuneError> {
        let of_image = shape.with_batch(1).geometry.multiply_adds().max(1);
        let images = (most_checked(gpu.profile()) / of_image).clamp(1, shape.geometry.batch as u64);
        let shape = shape.with_batch(images as usize);
        let graph = graph_of(&shape)?;
        let tensors = random_tensors(&graph, 7, 2);
        let (outputs, _) = run_once(&gpu.with_plain_kernels().into(), &graph, &tensors)?;
        Ok(Judge { gpu: gpu.clone(), shape, graph, tensors, outputs })
    }

    /// Whether kernels reproduce the plain ones' numbers, with the same bits in two runs.
    fn verdict(&self, kernels: ConvKernels) -> Result<Result<(), CheckFailure>, TuneError> {
        if kernels == ConvKernels::Plain {
            return Ok(Ok(()));
        }
        match reproduces(&forced(&self.gpu, &self.shape, kernels), &self.graph, &self.tensors, &self.outputs) {
            Err(CheckFailure::Session(error)) => Err(error.into()),
            verdict => Ok(verdict),
        }
    }

    /// Where the plain kernels did not run at the layer's own batch: whether two contenders agree there.
    fn at_full_size(
        &self,
        shape: &ConvShape,
        winner: &Contender,
        rule: &Contender,
    ) -> Result<Result<(), CheckFailure>, TuneError> {
        if self.shape == *shape {
            return Ok(Ok(()));
        }
        for (name, _) in self.graph.outputs() {
            let read = |program: &Program| program.read(program.output(name)?)?.wait();
            let (got, want) = (read(&winner.program)?, read(&rule.program)?);
            if let Err(difference) = compare(name, &got, &want, Tolerance::default()) {
                let kernels = winner.program.kernels().iter().map(|kernel| kernel.shader).collect();
                return Ok(Err(CheckFailure::Wrong { difference, kernels }));
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_wins_only_beyond_the_margin_and_the_spread() {
        let rule = [1.0; 9];
        let faster = |times: [f64; 9]| is_clearly_faster(&times, &rule);
        assert!(faster([0.9; 9]));
        assert!(!faster([0.96; 9]), "within the margin");
        assert!(faster([0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.2, 1.2]), "two disturbed rounds of nine");
        assert!(!faster([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0]), "a median that is mostly luck");
        assert!(!faster([f64::NAN; 9]));
        // A machine that slows down slows both.
        let drifting = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0];
        assert!(is_clearly_faster(&drifting.map(|time| 0.9 * time), &drifting));
        assert!(!is_clearly_faster(&drifting, &drifting));
    }
}
