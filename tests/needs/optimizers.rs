//! Optimizers on the device against the CPU reference, and their text form.

use crate::need::trials;
use std::collections::HashMap;
use tilewright::check::{Tolerance, check_graph};
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu};
use tilewright::graph::{Graph, Init, Value};
use tilewright::optim::{Averaging, GradientTransform, Optimizer, UpdateConfig};
use tilewright::reference::random_tensors;
use tilewright::tensor::{HostTensor, TensorSpec};

trials! {
    Nothing:
        the_text_form_names_every_attribute_and_reads_back,
        a_wrong_optimizer_is_refused_with_the_reason;
    Adapter:
        every_optimizer_agrees_with_the_reference_in_its_first_and_a_later_step;
}

/// Parameters of awkward sizes with given gradients, and their update.
fn update_graph(config: UpdateConfig) -> (Graph, tilewright::optim::Attached) {
    let mut graph = Graph::new();
    let mut gradients: HashMap<Value, Value> = HashMap::new();
    for (name, shape) in [("a", vec![13, 7, 3, 3]), ("b", vec![1]), ("d", vec![8, 3, 3, 3]), ("c", vec![5, 31])] {
        let parameter = graph.parameter(name, shape.clone(), Init::ONES).unwrap();
        let gradient = graph.input(&format!("gradient of {name}"), TensorSpec::f32(shape)).unwrap();
        gradients.insert(parameter, gradient);
    }
    let attached = config.attach(&mut graph, &gradients).unwrap();
    if let Some(norm) = attached.norm {
        graph.output("norm", norm);
    }
    (graph, attached)
}

fn every_optimizer_agrees_with_the_reference_in_its_first_and_a_later_step() {
    let transforms = [
        GradientTransform::default(),
        GradientTransform {
            l1: 0.02,
            clip_grad_value: Some(0.4),
            clip_grad_norm: Some(1.5),
            ..GradientTransform::default()
        },
    ];
    for checked in [true, false] {
        let gpu = Gpu::open(&DeviceSelector::Auto, DeviceOptions::default().checked(checked)).unwrap();
        for text in Optimizer::cases() {
            for transform in transforms {
                for step in [0, 6] {
                    let averaging = Some(Averaging::Swa { start: 2, every: 1 });
                    let optimizer: Optimizer = text.parse().unwrap();
                    let (graph, attached) =
                        update_graph(UpdateConfig { transform, averaging, ..UpdateConfig::new(optimizer) });
                    let mut tensors = random_tensors(&graph, 4, 2);
                    for (name, tensor) in &mut tensors {
                        // Averages of squares are not negative, and above the square of the average.
                        if name.starts_with("optimizer.grad_avg") {
                            tensor.f32_mut().iter_mut().for_each(|value| *value *= 0.5);
                        } else if name.starts_with("optimizer.") && !name.contains("momentum") {
                            tensor.f32_mut().iter_mut().for_each(|value| *value = value.abs() + 1.0);
                        }
                    }
                    for (name, values) in attached.inputs(step, 0.05) {
                        tensors.insert(name.to_owned(), HostTensor::F32(values));
                    }
                    check_graph(&gpu, &graph, &tensors, Tolerance { relative: 2e-6, absolute: 1e-7 })
                        .unwrap_or_else(|error| panic!("{text}, {transform:?}, step {step}: {error}"));
                }
            }
        }
    }
}

fn the_text_form_names_every_attribute_and_reads_back() {
    for text in Optimizer::cases() {
        let optimizer: Optimizer = text.parse().unwrap();
        assert_eq!(optimizer.to_string().parse::<Optimizer>().unwrap(), optimizer, "{optimizer}");
    }
    let written = ["0.8,0.99", "[0.8, 0.99]", "0.8+0.99"].map(|betas| format!("adam:betas={betas},amsgrad=true"));
    let read = written.map(|text| text.parse::<Optimizer>().unwrap().to_string());
    assert_eq!(read, [(); 3].map(|()| "adam:betas=0.8+0.99,eps=1e-8,weight_decay=0,amsgrad=true"));
}

fn a_wrong_optimizer_is_refused_with_the_reason() {
    for (text, part) in [
        ("sdg", "known are sgd, adam"),
        ("sgd:momentm=0.9", "no attribute `momentm`; it has momentum, dampening"),
        ("sgd:momentum=fast", "momentum is \"fast\", but must be a finite number of at least 0"),
        ("adam:betas=1.5+0.9", "betas is [1.5,0.9], but must be two numbers, each a number of at least 0 and below 1"),
        ("sgd:nesterov=true", "above 0"),
        ("sgd:momentum", "no `=`"),
    ] {
        let error = text.parse::<Optimizer>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}
