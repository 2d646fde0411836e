//! A session: graphs that share tensors in any order, handles that cannot be misspelt, and state that is read at once.

use crate::need::trials;
use std::collections::BTreeSet;
use tilewright::gpu::DeviceOptions;
use tilewright::graph::{Graph, Init};
use tilewright::nn::{Mode, Scope};
use tilewright::ops::CrossEntropy;
use tilewright::optim::{Attached, AverageWeights, Optimizer, Sgd, UpdateConfig};
use tilewright::recipe::TrainConfig;
use tilewright::session::{Device, Program, Session, SessionError};
use tilewright::tensor::{HostTensor, TensorSpec};
use tilewright::train::{Batch, evaluation_graph, training_graph};

trials! {
    Nothing:
        what_is_not_saved_is_so_by_its_role_and_not_by_its_name,
        an_evaluation_graph_computes_logits_and_nothing_else;
    Adapter:
        a_program_sees_the_steps_of_another_whichever_was_prepared_first,
        a_training_graph_that_comes_after_its_tensors_were_laid_out_otherwise_is_refused,
        training_graphs_with_other_frozen_layers_do_not_share_a_pack,
        what_is_misspelt_or_misshapen_is_an_error_that_names_it,
        an_input_that_no_node_reads_may_be_given,
        state_comes_out_and_goes_in_by_name,
        an_output_can_be_awaited,
        a_run_that_was_begun_up_to_its_last_node_is_not_made_twice;
}

fn a_run_that_was_begun_up_to_its_last_node_is_not_made_twice() {
    let mut graph = Graph::new();
    let inputs = [("w", 1), ("share", 1)].map(|(name, size)| graph.input(name, TensorSpec::f32([size])).unwrap());
    let average = graph.buffer("average", [1], Init::ZEROS).unwrap();
    graph.apply(AverageWeights, &[average, inputs[0], inputs[1]]).unwrap();
    graph.output("average_now", average);
    for device in devices() {
        let session = Session::new(&device, 1);
        let [mut program] = session.prepare([&graph]).unwrap();
        for (name, value) in [("w", 8.0f32), ("share", 0.5)] {
            program.write(program.input(name).unwrap(), &[value]).unwrap();
        }
        let output = program.output("average_now").unwrap();
        for expected in [4.0, 6.0] {
            program.run_to(&[output]).unwrap();
            program.run_to(&[output]).unwrap();
            program.run().unwrap();
            let read = program.read(output).unwrap().wait().unwrap();
            assert_eq!(
                (read.f32(), session.get("average").unwrap()[0]),
                (&[expected][..], expected),
                "{}",
                device.name()
            );
        }
    }
}

/// The GPU and the reference.
fn devices() -> [Device; 2] {
    [Device::open("auto", DeviceOptions::default()).unwrap(), Device::reference()]
}

/// Two linear layers on `x` `[4, 3]`.
fn logits(graph: &mut Graph, mode: Mode) -> tilewright::graph::Value {
    let x = graph.input("x", TensorSpec::f32([4, 3])).unwrap();
    let mut net = Scope::new(graph, mode);
    let x = net.linear("first", x, 5).unwrap();
    let x = net.relu(x).unwrap();
    net.linear("second", x, 2).unwrap()
}

fn evaluation() -> Graph {
    let mut graph = Graph::new();
    let logits = logits(&mut graph, Mode::Eval);
    graph.output("logits", logits);
    graph
}

/// A step of SGD that leaves `frozen` as it is.
fn training(frozen: &[&str]) -> (Graph, Attached) {
    let mut graph = Graph::new();
    let patterns: Vec<String> = frozen.iter().map(|&name| name.to_owned()).collect();
    graph.freeze(&patterns, BTreeSet::new());
    let logits = logits(&mut graph, Mode::Train);
    let labels = graph.input("labels", TensorSpec::u32([4])).unwrap();
    let loss = graph.apply_one(CrossEntropy::default(), &[logits, labels]).unwrap();
    graph.output("loss", loss);
    let trainable: Vec<_> = graph.trainable().collect();
    let gradients = graph.gradients(loss, &trainable).unwrap();
    let attached = UpdateConfig::new(Optimizer::new(&Sgd)).attach(&mut graph, &gradients).unwrap();
    (graph, attached)
}

const X: [f32; 12] = [0.5, -1.0, 2.0, 1.0, 0.25, -0.5, -2.0, 1.5, 0.75, 3.0, -0.125, 1.0];

fn step(program: &mut Program, attached: &Attached) {
    program.write(program.input("x").unwrap(), &X).unwrap();
    program.write(program.input("labels").unwrap(), &[0u32, 1, 1, 0]).unwrap();
    for (name, values) in attached.inputs(0, 0.1) {
        program.write(program.input(name).unwrap(), &values).unwrap();
    }
    program.run().unwrap();
}

fn read(program: &mut Program) -> Vec<f32> {
    program.write(program.input("x").unwrap(), &X).unwrap();
    program.run().unwrap();
    program.read(program.output("logits").unwrap()).unwrap().wait().unwrap().f32().to_vec()
}

fn a_program_sees_the_steps_of_another_whichever_was_prepared_first() {
    let (training, attached) = training(&[]);
    let evaluation = evaluation();
    for device in devices() {
        let mut seen = Vec::new();
        for training_first in [true, false] {
            let session = Session::new(&device, 3);
            let (mut train, mut eval) = if training_first {
                let [train, eval] = session.prepare([&training, &evaluation]).unwrap();
                (train, eval)
            } else {
                let [eval, train] = session.prepare([&evaluation, &training]).unwrap();
                (train, eval)
            };
            let before = read(&mut eval);
            step(&mut train, &attached);
            let after = read(&mut eval);
            assert_ne!(before, after, "{}: the evaluation sees stale weights", device.name());
            seen.push([before, after]);
        }
        assert_eq!(seen[0], seen[1], "{}", device.name());
    }
}

fn a_training_graph_that_comes_after_its_tensors_were_laid_out_otherwise_is_refused() {
    let device = Device::open("auto", DeviceOptions::default()).unwrap();
    let session = Session::new(&device, 3);
    let [mut eval] = session.prepare([&evaluation()]).unwrap();
    let before = read(&mut eval);
    let error = session.prepare([&training(&[]).0]).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("`parameters.0`") && error.contains("`first.weight`"), "{error}");
    assert_eq!(read(&mut eval), before, "what was there has not moved");
}

fn training_graphs_with_other_frozen_layers_do_not_share_a_pack() {
    let device = Device::open("auto", DeviceOptions::default()).unwrap();
    let (all, some) = (training(&[]).0, training(&["first"]).0);
    let error = Session::new(&device, 3).prepare([&all, &some]).err().map(|error| error.to_string());
    assert!(error.as_ref().is_some_and(|error| error.contains("train the same parameters")), "{error:?}");
    let [mut one, mut two] = Session::new(&device, 3).prepare([&all, &training(&[]).0]).unwrap();
    let attached = training(&[]).1;
    step(&mut one, &attached);
    step(&mut two, &attached);
}

fn what_is_misspelt_or_misshapen_is_an_error_that_names_it() {
    for device in devices() {
        let session = Session::new(&device, 3);
        let [mut program, other] = session.prepare([&evaluation(), &evaluation()]).unwrap();
        let told = |error: SessionError| error.to_string();
        assert_eq!(program.input("y").map_err(told).unwrap_err(), "the graph has no input `y`; it has `x`");
        assert_eq!(program.output("y").map_err(told).unwrap_err(), "the graph has no output `y`; it has `logits`");
        let x = program.input("x").unwrap();
        let short = program.write(x, &[1.0f32; 11]).map_err(told).unwrap_err();
        assert!(short.contains("`x` [4, 3]") && short.contains("11"), "{short}");
        let wrong = program.write(x, &[1u32; 12]).map_err(told).unwrap_err();
        assert!(wrong.contains("U32"), "{wrong}");
        let theirs = program.write(other.input("x").unwrap(), &X).map_err(told).unwrap_err();
        assert!(theirs.contains("another program"), "{theirs}");
        assert!(session.get("third.weight").is_err() && session.set("first.bias", &[0.0; 4]).is_err());
    }
}

fn an_input_that_no_node_reads_may_be_given() {
    let mut graph = evaluation();
    graph.input("unread", TensorSpec::f32([2])).unwrap();
    for device in devices() {
        let [mut program] = Session::new(&device, 3).prepare([&graph]).unwrap();
        program.write(program.input("unread").unwrap(), &[1.0, 2.0]).unwrap();
        assert_eq!(read(&mut program).len(), 8);
    }
}

fn state_comes_out_and_goes_in_by_name() {
    let (graph, attached) = training(&["first"]);
    for device in devices() {
        let session = Session::new(&device, 3);
        let [mut program] = session.prepare([&graph]).unwrap();
        let shapes: Vec<_> = graph
            .tensors()
            .iter()
            .filter(|tensor| tensor.is_saved())
            .map(|tensor| (tensor.name.clone(), tensor.spec.shape.clone()))
            .collect();
        let export = || session.export(shapes.iter().map(|(name, shape)| (name, shape))).unwrap();
        let before = export();
        step(&mut program, &attached);
        let after = export();
        assert_eq!(before["first.weight"], after["first.weight"], "it is frozen");
        assert_ne!(before["second.weight"], after["second.weight"]);
        assert_eq!(after["second.bias"].1, session.get("second.bias").unwrap());
        session.import(&before).unwrap();
        assert_eq!(export(), before);
    }
}

fn what_is_not_saved_is_so_by_its_role_and_not_by_its_name() {
    let mut graph = Graph::new();
    graph.buffer("history.of.mine", [1], Init::ZEROS).unwrap();
    graph.transient_buffer("metrics", [1], Init::ZEROS).unwrap();
    let saved: Vec<&str> =
        graph.tensors().iter().filter(|tensor| tensor.is_saved()).map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(saved, ["history.of.mine"]);
}

fn an_evaluation_graph_computes_logits_and_nothing_else() {
    let config = TrainConfig::for_model("lenet5").unwrap();
    let batch = Batch { shape: [4, 1, 28, 28], classes: 10 };
    let graph = evaluation_graph(&config, batch).unwrap();
    assert_eq!(graph.outputs().len(), 1);
    assert!(graph.live_nodes().iter().all(|&live| live), "no node without a reader");
    let inputs = |graph: &Graph| graph.tensors().iter().filter(|t| t.role == tilewright::graph::Role::Input).count();
    assert_eq!(inputs(&graph), 1, "no labels, no step numbers");
    assert!(inputs(&training_graph(&config, batch).unwrap().0) > 1);
}

fn an_output_can_be_awaited() {
    // The reference has it at once; on a GPU somebody waits for the device meanwhile.
    for device in devices() {
        let [mut program] = Session::new(&device, 3).prepare([&evaluation()]).unwrap();
        let want = read(&mut program);
        let pending = program.read(program.output("logits").unwrap()).unwrap();
        program.finish().unwrap();
        assert_eq!(pollster::block_on(pending.arrive()).unwrap(), HostTensor::F32(want));
    }
}
