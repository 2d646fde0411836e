//! The model zoo: parameter counts and names, cost, options, and what is refused.

use serde_json::Value as Json;
use std::time::{Duration, Instant};
use tilewright::graph::{Graph, Role};
use tilewright::models::{self, Model, ModelOptions};
use tilewright::nn::{Mode, Scope};
use tilewright::random::fnv1a64;
use tilewright::tensor::TensorSpec;

/// Parameters with default options: torchvision's documentation, and the project's own list.
const PARAMETERS: &[(&str, usize)] = &[
    ("lenet5", 61_706),
    ("lenet5_modern", 61_706),
    ("mnist_small", 19_386),
    ("mnist_m3", 1_124_180),
    ("cifar_cnn", 2_603_274),
    ("cs231n_cnn", 308_234),
    ("airbench94", 1_972_792),
    ("alexnet", 61_100_840),
    ("alexnet_cifar", 5_341_514),
    ("vgg11", 132_863_336),
    ("vgg13", 133_047_848),
    ("vgg16", 138_357_544),
    ("vgg19", 143_667_240),
    ("vgg11_bn", 132_868_840),
    ("vgg13_bn", 133_053_736),
    ("vgg16_bn", 138_365_992),
    ("vgg19_bn", 143_678_248),
    ("vgg_a_cifar", 9_750_922),
    ("vgg13_cifar", 10_793_290),
    ("nin_cifar", 966_986),
    ("resnet18", 11_689_512),
    ("resnet34", 21_797_672),
    ("resnet50", 25_557_032),
    ("resnet101", 44_549_160),
    ("resnet152", 60_192_808),
    ("resnet50_v1", 25_557_032),
    ("resnet101_v1", 44_549_160),
    ("resnet152_v1", 60_192_808),
    ("wide_resnet50_2", 68_883_240),
    ("wide_resnet101_2", 126_886_696),
    ("resnext50_32x4d", 25_028_904),
    ("resnext101_32x8d", 88_791_336),
    ("resnet18_cifar", 11_173_962),
    ("resnet34_cifar", 21_282_122),
    ("resnet50_cifar", 23_520_842),
    ("resnet101_cifar", 42_512_970),
    ("resnet152_cifar", 58_156_618),
    ("resnext29_cifar", 4_775_754),
    ("se_resnet18_cifar", 11_263_042),
    ("se_resnet50", 28_088_024),
    ("preact_resnet18_cifar", 11_172_170),
    ("googlenet", 6_624_904),
    ("googlenet_cifar", 5_871_914),
    ("densenet121", 7_978_856),
    ("densenet169", 14_149_480),
    ("densenet201", 20_013_928),
    ("densenet40_cifar", 1_019_722),
    ("squeezenet1_1", 1_235_496),
    ("mobilenet_v2", 3_504_872),
    ("mobilenet_v3_small", 2_542_856),
    ("mobilenet_v3_large", 5_483_032),
    ("shufflenet_v2_x0_5", 1_366_792),
    ("shufflenet_v2_x1_0", 2_278_604),
    ("shufflenet_v2_x1_5", 3_503_624),
    ("shufflenet_v2_x2_0", 7_393_996),
    ("efficientnet_b0", 5_288_548),
    ("efficientnet_b1", 7_794_184),
    ("efficientnet_b2", 9_109_994),
    ("efficientnet_b3", 12_233_232),
    ("efficientnet_b4", 19_341_616),
    ("efficientnet_b5", 30_389_784),
    ("efficientnet_b6", 43_040_704),
    ("efficientnet_b7", 66_347_960),
    ("vit_b_16", 86_567_656),
    ("convnext_tiny", 28_589_128),
    ("convnext_small", 50_223_688),
    ("convnext_base", 88_591_464),
];

/// FNV-1a of torchvision 0.29's state_dict: a line `NAME [SHAPE]` for each tensor, in its order,
/// `num_batches_tracked` left out.
const STATE_DICTS: &[(&str, u64)] = &[
    ("alexnet", 0xdaa92965c506c256),
    ("vgg11", 0xd0f95bcd62109985),
    ("vgg11_bn", 0xd15e864d4844a04b),
    ("vgg13", 0x7f00c296e8f510fa),
    ("vgg13_bn", 0xf4fa8633d483151a),
    ("vgg16", 0x8c129676128fe282),
    ("vgg16_bn", 0xe9a14fdf2dec0acf),
    ("vgg19", 0x95cb94c667c855d2),
    ("vgg19_bn", 0x089b126f9edf8466),
    ("googlenet", 0x06f4947aa4e20efd),
    ("resnet18", 0x8d2cd3b9fcaa012a),
    ("resnet34", 0x2bd7843beb261de4),
    ("resnet50", 0x7132945cc6728711),
    ("resnet101", 0xce47ea09cd3bd3c2),
    ("resnet152", 0x3e6e76d476cb56b0),
    ("resnext50_32x4d", 0x23d7598da94e9a8c),
    ("wide_resnet50_2", 0x04dc12398cad798d),
    ("densenet121", 0x797f864c5fb17dfb),
    ("densenet169", 0x0e23c61b12ef43e3),
    ("densenet201", 0x4627132f14614ce1),
    ("mobilenet_v2", 0xa5f7d42eb1cf68c9),
    ("mobilenet_v3_small", 0x601e628b2bc85feb),
    ("mobilenet_v3_large", 0x7defd988980224a6),
    ("shufflenet_v2_x0_5", 0xc5680b2759f8c73f),
    ("shufflenet_v2_x1_0", 0xd23fd2f9b5282401),
    ("shufflenet_v2_x1_5", 0x4182f15e3a4b051b),
    ("shufflenet_v2_x2_0", 0x9c206ae7ec5c6304),
    ("resnext101_32x8d", 0x31cbe983299faa19),
    ("wide_resnet101_2", 0xab0d1590b34514fa),
    ("efficientnet_b0", 0x77a679435641d5be),
    ("efficientnet_b1", 0x4890590102bb6048),
    ("efficientnet_b2", 0x9c68bfec9a2142ad),
    ("efficientnet_b3", 0xacb698c83532ef47),
    ("efficientnet_b4", 0x46dab87c45bbbbd1),
    ("efficientnet_b5", 0x93e08d6a44c07a67),
    ("efficientnet_b6", 0xfccf831057cc3115),
    ("efficientnet_b7", 0xc1b6c3836fcb9e27),
    ("squeezenet1_1", 0x78008db3a5504382),
    ("vit_b_16", 0x10126eb43cbcc97e),
    ("convnext_tiny", 0x8f94ea0a71a44bfd),
    ("convnext_small", 0x03e98d6e92a9f8f8),
    ("convnext_base", 0xfdd5696bde73d337),
];

/// As [`STATE_DICTS`], of a model with attributes set.
const CONFIGURED: &[(&str, &str, u64)] = &[
    ("googlenet", r#"{"aux_logits": true}"#, 0x84002eb610d97c2b),
    ("mobilenet_v2", r#"{"width_mult": 0.35}"#, 0xe7212bb15ff140e6),
    ("mobilenet_v2", r#"{"width_mult": 1.4}"#, 0x65483089fa3ebae4),
    ("mobilenet_v3_small", r#"{"width_mult": 0.75}"#, 0x48192a6c495522d5),
    ("resnet50", r#"{"width_per_group": 96}"#, 0x87b35b4291c063c3),
    ("resnet101", r#"{"groups": 2}"#, 0x8874a4d13af9507d),
    ("densenet121", r#"{"growth_rate": 16, "num_init_features": 32, "bn_size": 2}"#, 0xc899dcf15c11adf5),
    ("efficientnet_b0", r#"{"width_mult": 0.75, "depth_mult": 0.5}"#, 0xb6b261563effa23d),
    ("shufflenet_v2_x0_5", r#"{"channels": [32, 64, 128], "features": 512}"#, 0xc313ecc715068e6c),
    // vit_l_16, vit_b_32 and convnext_large.
    ("vit_b_16", r#"{"layers": 24, "heads": 16, "hidden": 1024, "mlp": 4096}"#, 0xf9e8b7e2f7f7cf30),
    ("vit_b_16", r#"{"patch_size": 32}"#, 0xa277db954747e0ac),
    ("convnext_base", r#"{"channels": 192}"#, 0x7920d40a3d048128),
    ("convnext_tiny", r#"{"channels": 40, "depths": [2, 2, 6]}"#, 0x57ca82765e28452e),
];

fn built(model: &Model, mode: Mode) -> Graph {
    model.graph(&ModelOptions::new(), 2, mode).unwrap_or_else(|error| panic!("{error}")).graph
}

#[test]
fn every_model_has_the_published_number_of_parameters() {
    for model in models::all() {
        let want = PARAMETERS.iter().find(|(name, _)| *name == model.name);
        let (_, want) = want.unwrap_or_else(|| panic!("no published count stands here for {}", model.name));
        assert_eq!(built(model, Mode::Train).parameter_count(), *want, "{}", model.name);
    }
    assert_eq!(models::all().count(), PARAMETERS.len());
}

#[test]
fn names_shapes_and_order_are_those_of_torchvisions_state_dict() {
    let plain = STATE_DICTS.iter().map(|&(name, want)| (name, ModelOptions::new(), want));
    let configured = CONFIGURED
        .iter()
        .map(|&(name, attributes, want)| (name, serde_json::from_str::<ModelOptions>(attributes).unwrap(), want));
    for (name, options, want) in plain.chain(configured) {
        let graph = models::find(name).unwrap().graph(&options, 2, Mode::Train).unwrap().graph;
        let kept = graph.tensors().iter().filter(|tensor| tensor.is_kept());
        let text: String = kept.map(|tensor| format!("{} {}\n", tensor.name, tensor.spec.shape)).collect();
        assert_eq!(fnv1a64(text.as_bytes()), want, "{name} {:?}:\n{text}", options.attributes());
    }
}

#[test]
fn a_model_gives_logits_of_its_classes_and_the_same_tensors_in_both_modes() {
    for model in models::all() {
        let [train, eval] = [Mode::Train, Mode::Eval].map(|mode| built(model, mode));
        let names = |graph: &Graph| -> Vec<String> {
            graph.parameters().chain(graph.buffers()).map(|value| graph.tensor(value).name.clone()).collect()
        };
        assert_eq!(names(&train), names(&eval), "{}", model.name);
        for graph in [train, eval] {
            let (_, logits) = &graph.outputs()[0];
            assert_eq!(graph.shape(*logits)[..], [2, model.num_classes], "{}", model.name);
        }
    }
}

#[test]
fn the_largest_model_is_built_in_a_tenth_of_a_second() {
    for model in models::all() {
        let best = (0..3)
            .map(|_| {
                let start = Instant::now();
                built(model, Mode::Train);
                start.elapsed()
            })
            .min();
        assert!(best < Some(Duration::from_millis(100)), "{} took {best:?}", model.name);
    }
}

#[test]
fn layers_add_up_to_the_graph() {
    for model in models::all() {
        let graph = built(model, Mode::Eval);
        let rows = graph.layers();
        assert_eq!(rows.iter().map(|row| row.parameters).sum::<usize>(), graph.parameter_count(), "{}", model.name);
        let flops: u64 = graph.nodes().iter().map(|node| node.op.cost(&graph.shapes(node)).flops).sum();
        assert_eq!(rows.iter().map(|row| row.flops).sum::<u64>(), flops, "{}", model.name);
    }
    let graph = built(models::find("resnet18").unwrap(), Mode::Train);
    let rows = graph.layers();
    let row = rows.iter().find(|row| row.layer == "layer1.0.bn1").unwrap();
    assert_eq!((row.parameters, &row.output[..]), (128, &[2, 64, 56, 56][..]));
    assert_eq!(rows.iter().filter(|row| row.layer == "layer1.0.bn1").count(), 1, "batch norm is one row");
}

/// Multiply-adds of convolutions and products for one image, in units of 10^9.
fn multiply_adds(name: &str) -> f64 {
    let graph = models::find(name).unwrap().graph(&ModelOptions::new(), 1, Mode::Eval).unwrap().graph;
    let products = graph.nodes().iter().filter(|node| ["conv2d", "linear", "matmul"].contains(&node.op.name()));
    products.map(|node| node.op.cost(&graph.shapes(node)).flops / 2).sum::<u64>() as f64 / 1e9
}

#[test]
fn multiply_adds_are_those_of_the_papers() {
    for (name, want) in [
        ("resnet50", 4.09),
        ("resnet18", 1.81),
        ("resnext50_32x4d", 4.23),
        ("vgg16", 15.47),
        ("alexnet", 0.71),
        ("mobilenet_v2", 0.30),
    ] {
        let got = multiply_adds(name);
        assert!((got - want).abs() < 0.012 * want, "{name}: {got} billion multiply-adds, not {want}");
    }
}

fn refusal(name: &str, options: &[(&str, Json)]) -> String {
    let options = options.iter().fold(ModelOptions::new(), |all, (name, value)| all.with(name, value.clone()));
    models::find(name).unwrap().graph(&options, 1, Mode::Eval).expect_err("it was accepted").to_string()
}

fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

#[test]
fn an_unknown_model_is_refused_with_the_names_that_are_close() {
    assert_says(&models::find("resnet81").unwrap_err().to_string(), &["resnet81", "did you mean", "`resnet18`"]);
    assert_says(&models::find("Lenet-5").unwrap_err().to_string(), &["`lenet5`"]);
    assert!(!models::find("xyzzy").unwrap_err().to_string().contains("did you mean"));
}

#[test]
fn a_bad_attribute_is_refused_with_what_the_model_takes() {
    let message = refusal("lenet5", &[("activatoin", "relu".into())]);
    assert_says(&message, &["`activatoin`", "did you mean `activation`", "out_activation (false)", "num_classes (10)"]);
    let message = refusal("lenet5", &[("activation", "gelu".into())]);
    assert_says(&message, &["\"gelu\"", "one of sigmoid, relu, tanh"]);
    assert_says(&refusal("cifar_cnn", &[("dropout", 1.0.into())]), &["dropout = 1.0", "less than 1"]);
    assert_says(&refusal("cifar_cnn", &[("filters", vec![64, 0].into())]), &["[64,0]", "from 1 to 65536"]);
    assert_says(&refusal("resnet18", &[("num_classes", 0.into())]), &["num_classes = 0", "from 1 to 65536"]);
    assert_says(&refusal("resnet18", &[("image_size", (-1).into())]), &["image_size = -1", "[height, width]"]);
    assert_says(&refusal("resnet18", &[("dropout", 0.5.into())]), &["no attribute `dropout`", "zero_init_residual"]);
    assert_says(&refusal("resnext29_cifar", &[("groups", 3.5.into())]), &["groups = 3.5", "whole number"]);
    assert_says(&refusal("resnet18", &[("groups", 2.into())]), &["no attribute `groups`", "zero_init_residual"]);
    assert_says(&refusal("resnet50", &[("groups", 7.into()), ("width_per_group", 9363.into())]), &["at most 65536"]);
    assert_says(&refusal("se_resnet18_cifar", &[("reduction", 65.into())]), &["reduction = 65", "at most the 64"]);
    assert_says(&refusal("mobilenet_v2", &[("width_mult", 0.into())]), &["width_mult = 0", "from 0.05 to 16"]);
    let wide = [("groups", 65_536.into()), ("width_per_group", 65_536.into())];
    assert_says(&refusal("resnext29_cifar", &wide), &["4294967296", "at most 65536"]);
}

#[test]
fn images_that_are_too_small_are_refused_by_the_layer() {
    let message = refusal("lenet5", &[("image_size", 6.into())]);
    assert_says(&message, &["lenet5", "[1, 1, 6, 6]", "`conv2`"]);
    let message = refusal("cs231n_cnn", &[("image_size", 3.into())]);
    assert_says(&message, &["`10`", "max_pool2d"]);
    let message = refusal("vit_b_16", &[("image_size", 100.into())]);
    assert_says(&message, &["[100, 100]", "`conv_proj`", "16x16"]);
}

#[test]
fn images_other_than_asked_for_are_refused() {
    let mut graph = Graph::new();
    let x = graph.input("x", TensorSpec::f32([1, 3, 28, 28])).unwrap();
    let mut net = Scope::new(&mut graph, Mode::Eval);
    let options = ModelOptions::new().image_size(32, 32);
    let message = models::find("lenet5").unwrap().build(&mut net, x, &options).unwrap_err().to_string();
    assert_says(&message, &["[1, 32, 32]", "[1, 3, 28, 28]"]);
}

#[test]
fn options_reach_the_layers() {
    let shape = |name: &str, options: ModelOptions, tensor: &str| -> Vec<usize> {
        let graph = models::find(name).unwrap().graph(&options, 1, Mode::Train).unwrap().graph;
        graph.shape(graph.find(tensor).unwrap()).to_vec()
    };
    let options = ModelOptions::new();
    assert_eq!(shape("resnet18", options.clone().num_classes(7), "fc.weight"), [7, 512]);
    assert_eq!(shape("resnet18", options.clone().input_channels(1), "conv1.weight"), [64, 1, 7, 7]);
    assert_eq!(shape("lenet5", options.clone().image_size(32, 40), "fc1.weight"), [120, 16 * 6 * 8]);
    assert_eq!(shape("resnext29_cifar", options.clone().with("groups", 8), "layer3.0.conv2.weight"), [128, 16, 3, 3]);
    assert_eq!(shape("cifar_cnn", options.with("filters", vec![8, 4]), "classifier.0.weight"), [512, 4 * 64]);
    let frozen = ModelOptions::new().with("zero_init_residual", true);
    let graph = models::find("resnet50").unwrap().graph(&frozen, 1, Mode::Train).unwrap().graph;
    let starts_at_zero = |name: &str| match &graph.tensor(graph.find(name).unwrap()).role {
        Role::Parameter { init, .. } => init.values(name, 1, 1)[0] == 0.0,
        _ => false,
    };
    assert!(starts_at_zero("layer1.0.bn3.weight") && !starts_at_zero("layer1.0.bn2.weight"));
}
