//! What `--set` asks of a model reaches its layers, and a combination that cannot be built is refused with
//! the reason.

use serde_json::{Value as Json, json};
use tilewright::graph::Graph;
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;

/// The options that a JSON object names.
fn options(attributes: Json) -> ModelOptions {
    serde_json::from_value(attributes).unwrap()
}

fn graph(name: &str, attributes: Json) -> Graph {
    let built = models::find(name).unwrap().graph(&options(attributes), 2, Mode::Train);
    built.unwrap_or_else(|error| panic!("{error}")).graph
}

fn shape(graph: &Graph, tensor: &str) -> Vec<usize> {
    graph.shape(graph.find(tensor).unwrap_or_else(|| panic!("no `{tensor}`"))).to_vec()
}

/// Why a model cannot be built; the text after what every such message begins with.
fn reason(name: &str, attributes: Json) -> String {
    let model = models::find(name).unwrap();
    let message = model.graph(&options(attributes), 1, Mode::Train).expect_err("it was accepted").to_string();
    let [channels, height, width] = model.input;
    let start = format!("the model `{name}` cannot be built for images [1, {channels}, {height}, {width}]: ");
    message.strip_prefix(&start).unwrap_or_else(|| panic!("{message}")).to_owned()
}

/// Kept tensors of a graph, as names with shapes.
fn tensors(graph: &Graph) -> Vec<(String, Vec<usize>)> {
    let kept = graph.tensors().iter().filter(|tensor| tensor.is_kept());
    kept.map(|tensor| (tensor.name.clone(), tensor.spec.shape.to_vec())).collect()
}

/// Names and functions of a graph's ops, in order.
fn ops(graph: &Graph) -> Vec<String> {
    graph.nodes().iter().map(|node| format!("{} {}", node.layer, node.op.name())).collect()
}

#[test]
fn a_resnet_with_the_small_stem_is_the_one_for_cifar() {
    for (imagenet, cifar) in
        [("resnet18", "resnet18_cifar"), ("resnet50", "resnet50_cifar"), ("resnet152", "resnet152_cifar")]
    {
        let small = graph(imagenet, json!({ "stem": "cifar", "num_classes": 10, "image_size": 32 }));
        let other = graph(cifar, json!({}));
        assert_eq!((tensors(&small), ops(&small)), (tensors(&other), ops(&other)), "{imagenet}");
        let large = graph(cifar, json!({ "stem": "imagenet", "num_classes": 1000, "image_size": 224 }));
        let other = graph(imagenet, json!({}));
        assert_eq!((tensors(&large), ops(&large)), (tensors(&other), ops(&other)), "{cifar}");
    }
}

/// Height of what the layers with these parameters give, for an image of 32x32.
fn heights(name: &str, stem: &str, layers: [&str; 2]) -> [usize; 2] {
    let graph = graph(name, json!({ "stem": stem, "image_size": 32 }));
    let rows = graph.layers();
    layers.map(|layer| rows.iter().find(|row| row.layer == layer).unwrap_or_else(|| panic!("no `{layer}`")).output[2])
}

#[test]
fn the_small_stem_keeps_the_size_of_the_image() {
    for (name, layers, imagenet, cifar) in [
        ("resnext50_32x4d", ["conv1", "layer1.0.conv1"], [16, 8], [32, 32]),
        ("wide_resnet50_2", ["conv1", "layer1.0.conv1"], [16, 8], [32, 32]),
        ("se_resnet50", ["conv1", "layer1.0.conv1"], [16, 8], [32, 32]),
        ("densenet121", ["features.conv0", "features.denseblock1.denselayer1.conv1"], [16, 8], [32, 32]),
        ("squeezenet1_1", ["features.0", "features.3.squeeze"], [15, 7], [32, 32]),
        ("mobilenet_v2", ["features.0.0", "features.2.conv.0.0"], [16, 16], [32, 32]),
        ("mobilenet_v3_small", ["features.0.0", "features.1.block.0.0"], [16, 8], [32, 16]),
        ("mobilenet_v3_large", ["features.0.0", "features.1.block.0.0"], [16, 16], [32, 32]),
        ("shufflenet_v2_x1_0", ["conv1.0", "stage2.0.branch1.0"], [16, 4], [32, 16]),
        ("efficientnet_b0", ["features.0.0", "features.1.0.block.0.0"], [16, 16], [32, 32]),
    ] {
        assert_eq!(heights(name, "imagenet", layers), imagenet, "{name}");
        assert_eq!(heights(name, "cifar", layers), cifar, "{name}");
    }
}

#[test]
fn an_activation_takes_the_place_of_every_relu_of_a_resnet() {
    for (name, relus) in [("resnet18", 17), ("resnet50_cifar", 49), ("preact_resnet18_cifar", 17), ("alexnet", 7)] {
        let count = |graph: &Graph, op: &str| graph.nodes().iter().filter(|node| node.op.name() == op).count();
        let functions = if name == "alexnet" { vec!["tanh"] } else { vec!["leaky_relu", "elu", "silu", "gelu"] };
        assert_eq!(count(&graph(name, json!({})), "relu"), relus, "{name}");
        for function in functions {
            let other = graph(name, json!({ "activation": function }));
            assert_eq!((count(&other, "relu"), count(&other, function)), (0, relus), "{name} {function}");
        }
    }
    let leaky = graph("resnet18", json!({ "activation": "leaky_relu", "negative_slope": 0.2 }));
    assert!(leaky.to_text().contains("0.2"), "the slope reaches the op");
}

#[test]
fn a_width_is_that_of_the_first_stage() {
    let half = graph("resnet18", json!({ "width": 32 }));
    assert_eq!(shape(&half, "conv1.weight"), [32, 3, 7, 7]);
    assert_eq!(shape(&half, "layer4.1.conv2.weight"), [256, 256, 3, 3]);
    assert_eq!(shape(&half, "fc.weight"), [1000, 256]);
    let wide = graph("preact_resnet18_cifar", json!({ "width": 128 }));
    assert_eq!(shape(&wide, "layer1.0.conv1.weight"), [128, 128, 3, 3]);
    assert_eq!(shape(&wide, "fc.weight"), [10, 1024]);
    let thin = graph("vgg11_bn", json!({ "width": 16, "hidden": 512 }));
    assert_eq!(shape(&thin, "features.25.weight"), [128, 128, 3, 3]);
    assert_eq!(shape(&thin, "classifier.0.weight"), [512, 128 * 7 * 7]);
    assert_eq!(shape(&thin, "classifier.3.weight"), [512, 512]);
    let thin = graph("alexnet", json!({ "width": 8 }));
    assert_eq!(shape(&thin, "features.6.weight"), [48, 24, 3, 3]);
    assert_eq!(shape(&thin, "classifier.1.weight"), [4096, 32 * 6 * 6]);
    assert_eq!(shape(&graph("vgg13_cifar", json!({ "hidden": 64 })), "classifier.0.weight"), [64, 2048]);
}

#[test]
fn a_reduction_is_that_of_the_channels_which_weigh_the_others() {
    let of = |name, reduction, tensor| shape(&graph(name, json!({ "reduction": reduction })), tensor);
    assert_eq!(of("se_resnet50", 32, "layer1.0.se.fc1.weight"), [8, 256]);
    assert_eq!(of("efficientnet_b0", 8, "features.2.0.block.2.fc1.weight"), [2, 96, 1, 1]);
    assert_eq!(of("mobilenet_v3_large", 2, "features.4.block.2.fc1.weight"), [40, 72, 1, 1]);
    let squeeze = graph("squeezenet1_1", json!({ "squeeze_ratio": 0.5 }));
    assert_eq!(shape(&squeeze, "features.12.squeeze.weight"), [256, 512, 1, 1]);
}

/// Huang et al. 2017, table 2: parameters in millions.
#[test]
fn densenets_for_cifar_have_the_papers_number_of_parameters() {
    for (depth, growth_rate, bottleneck, millions) in [
        (40, 12, false, "1.0"),
        (100, 12, false, "7.0"),
        (100, 24, false, "27.2"),
        (100, 12, true, "0.8"),
        (250, 24, true, "15.3"),
        (190, 40, true, "25.6"),
    ] {
        let compression = if bottleneck { 0.5 } else { 1.0 };
        let network = graph(
            "densenet40_cifar",
            json!({ "depth": depth, "growth_rate": growth_rate, "bottleneck": bottleneck, "compression": compression }),
        );
        let count = network.parameter_count() as f64 / 1e6;
        assert_eq!(format!("{count:.1}"), millions, "{depth} layers, growth {growth_rate}, bottlenecks {bottleneck}");
    }
}

#[test]
fn scaling_one_efficientnet_or_convnext_gives_another() {
    for (name, attributes, other) in [
        ("efficientnet_b0", json!({ "width_mult": 1.1, "depth_mult": 1.2 }), "efficientnet_b2"),
        ("efficientnet_b7", json!({ "width_mult": 1.0, "depth_mult": 1.0 }), "efficientnet_b0"),
        ("convnext_tiny", json!({ "depths": [3, 3, 27, 3], "channels": 128 }), "convnext_base"),
        ("shufflenet_v2_x0_5", json!({ "channels": [244, 488, 976], "features": 2048 }), "shufflenet_v2_x2_0"),
    ] {
        assert_eq!(tensors(&graph(name, attributes)), tensors(&graph(other, json!({}))), "{name} as {other}");
    }
}

#[test]
fn a_vision_transformer_for_small_images_has_small_patches() {
    let small = json!({ "image_size": 32, "patch_size": 4, "hidden": 192, "heads": 3, "mlp": 768, "layers": 2 });
    let network = graph("vit_b_16", small);
    assert_eq!(shape(&network, "encoder.pos_embedding"), [1, 8 * 8 + 1, 192]);
    assert_eq!(shape(&network, "conv_proj.weight"), [192, 3, 4, 4]);
    assert!(network.find("encoder.layers.encoder_layer_2.ln_1.weight").is_none(), "two layers");
    let patches = graph("convnext_tiny", json!({ "image_size": 32, "patch_size": 1 }));
    assert_eq!(shape(&patches, "features.0.0.weight"), [96, 3, 1, 1]);
}

#[test]
fn a_combination_that_cannot_be_built_is_refused_with_the_reason() {
    for (name, attributes, why) in [
        ("vit_b_16", json!({ "heads": 7 }), "heads = 7 cannot be used: it divides hidden, which is 768"),
        (
            "vit_b_16",
            json!({ "patch_size": 15 }),
            "image_size = [224, 224] cannot be used: layer `conv_proj` cuts images into patches of 15x15",
        ),
        (
            "densenet40_cifar",
            json!({ "depth": 41 }),
            "depth = 41 cannot be used: without bottlenecks it is 4 and a multiple of 3, up to 1000",
        ),
        (
            "densenet40_cifar",
            json!({ "depth": 43, "bottleneck": true }),
            "depth = 43 cannot be used: with bottlenecks it is 4 and a multiple of 6, up to 1000",
        ),
        (
            "densenet121",
            json!({ "growth_rate": 40_000, "bn_size": 2 }),
            "growth_rate * bn_size = 80000 cannot be used: it is at most 65536",
        ),
        (
            "shufflenet_v2_x1_0",
            json!({ "channels": [116, 231, 464] }),
            "channels = [116, 231, 464] cannot be used: they are three even numbers: half of a unit's channels pass by",
        ),
        (
            "shufflenet_v2_x1_0",
            json!({ "channels": [116, 232] }),
            "channels = [116, 232] cannot be used: they are three even numbers: half of a unit's channels pass by",
        ),
        ("resnet18", json!({ "width": 8193 }), "width = 8193 cannot be used: it is at most 8192"),
        ("alexnet", json!({ "width": 10_923 }), "width = 10923 cannot be used: it is at most 10922"),
        (
            "convnext_tiny",
            json!({ "channels": 96, "depths": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] }),
            "depths = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] cannot be used: the last stage's channels, which double from \
             stage to stage, would be above 65536",
        ),
        ("vit_b_16", json!({ "layers": 1001 }), "layers = 1001 cannot be used: it is at most 1000"),
        (
            "convnext_tiny",
            json!({ "depths": [500, 501] }),
            "depths = [500, 501] cannot be used: the blocks of all stages are at most 1000",
        ),
        ("efficientnet_b0", json!({ "depth_mult": 17 }), "depth_mult = 17 cannot be used: it is from 0.05 to 16"),
    ] {
        assert_eq!(reason(name, attributes), why, "{name}");
    }
}

#[test]
fn a_value_out_of_its_range_is_refused_with_the_rule() {
    for (name, attributes, rule) in [
        ("resnet18", json!({ "stem": "small" }), "stem = \"small\": it must be one of imagenet, cifar"),
        (
            "resnet18",
            json!({ "activation": "tanh" }),
            "activation = \"tanh\": it must be one of relu, leaky_relu, elu, silu, gelu, selu, celu, gelu_tanh, mish, softplus, hardtanh",
        ),
        ("densenet121", json!({ "compression": 0 }), "compression = 0: it must be a number above 0 and up to 1"),
        (
            "squeezenet1_1",
            json!({ "squeeze_ratio": 1.5 }),
            "squeeze_ratio = 1.5: it must be a number above 0 and up to 1",
        ),
        ("vit_b_16", json!({ "layers": 0 }), "layers = 0: it must be a whole number from 1 to 65536"),
        ("convnext_tiny", json!({ "depths": [] }), "depths = []: it must be a list of whole numbers from 1 to 65536"),
    ] {
        let model = models::find(name).unwrap();
        let message = model.graph(&options(attributes), 1, Mode::Train).unwrap_err().to_string();
        let expected = format!("the model `{name}` cannot take {rule}; the model takes {}", model.takes());
        assert_eq!(message, expected);
    }
}
