//! A program on the reference.

use super::SessionError;
use super::state::State;
use crate::graph::Graph;
use crate::reference::{self, Tensors};
use crate::tensor::HostTensor;
use std::sync::{Arc, Mutex, PoisonError};

/// A graph with its inputs, the tensors of its session, and the last run.
pub(super) struct OnReference {
    graph: Graph,
    pub inputs: Tensors,
    state: Arc<Mutex<State>>,
    /// The last run, or the one under way.
    run: Option<reference::Run>,
    is_under_way: bool,
}

impl OnReference {
    pub(super) fn new(graph: &Graph, state: &Arc<Mutex<State>>) -> OnReference {
        let (graph, state) = (graph.clone(), Arc::clone(state));
        OnReference { graph, inputs: Tensors::new(), state, run: None, is_under_way: false }
    }

    /// Goes on with the run under way up to and with node `last`, or begins one, which is over then or not.
    pub(super) fn run_to(&mut self, last: usize, is_over: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Reference { tensors, .. } = &mut *state {
            let under_way = self.run.take().filter(|_| self.is_under_way);
            let mut run = under_way.unwrap_or_else(|| reference::Run::new(&self.graph));
            run.go_on(&self.graph, last, &self.inputs, tensors);
            self.run = Some(run);
            self.is_under_way = !is_over;
        }
    }

    /// Outputs of the last run, one after another, by their places.
    ///
    /// # Errors
    /// When one is not there yet.
    pub(super) fn read(&self, outputs: impl Iterator<Item = usize>) -> Result<HostTensor, SessionError> {
        let run = self.run.as_ref().ok_or(SessionError::NotRun)?;
        let given = outputs.map(|output| run.outputs[output].as_ref().ok_or(SessionError::NotRun));
        match &given.collect::<Result<Vec<_>, _>>()?[..] {
            [one] => Ok((*one).clone()),
            several => Ok(HostTensor::F32(several.iter().flat_map(|tensor| tensor.f32()).copied().collect())),
        }
    }
}
