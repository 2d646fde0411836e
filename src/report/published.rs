//! Parameters and multiply-adds that others publish for the models of this crate.

/// Published numbers of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    /// Number of parameters at the model's own number of classes.
    pub parameters: Option<usize>,
    /// 10^9 multiply-adds for one image of the model's input size, with the digits that are published.
    pub giga_multiply_adds: Option<&'static str>,
}

/// What is published for a model; nothing for those that this project sizes itself.
pub fn published(model: &str) -> Published {
    let torchvision = TORCHVISION.iter().find(|(name, ..)| *name == model);
    let paper = HE_2015.iter().find(|(name, _)| *name == model);
    Published {
        parameters: torchvision.map(|&(_, parameters, _)| parameters),
        giga_multiply_adds: torchvision.map(|&(_, _, count)| count).or(paper.map(|&(_, count)| count)),
    }
}

/// torchvision's documentation of its pretrained weights: `num_params` and `GFLOPS`, which counts a
/// multiply-add as one.
const TORCHVISION: &[(&str, usize, &str)] = &[
    ("alexnet", 61_100_840, "0.71"),
    ("convnext_base", 88_591_464, "15.36"),
    ("convnext_small", 50_223_688, "8.68"),
    ("convnext_tiny", 28_589_128, "4.46"),
    ("densenet121", 7_978_856, "2.83"),
    ("densenet169", 14_149_480, "3.36"),
    ("densenet201", 20_013_928, "4.29"),
    ("efficientnet_b0", 5_288_548, "0.39"),
    ("efficientnet_b1", 7_794_184, "0.69"),
    ("efficientnet_b2", 9_109_994, "1.09"),
    ("efficientnet_b3", 12_233_232, "1.83"),
    ("efficientnet_b4", 19_341_616, "4.39"),
    ("efficientnet_b5", 30_389_784, "10.27"),
    ("efficientnet_b6", 43_040_704, "19.07"),
    ("efficientnet_b7", 66_347_960, "37.75"),
    ("googlenet", 6_624_904, "1.50"),
    ("mobilenet_v2", 3_504_872, "0.30"),
    ("mobilenet_v3_large", 5_483_032, "0.22"),
    ("mobilenet_v3_small", 2_542_856, "0.06"),
    ("resnet18", 11_689_512, "1.81"),
    ("resnet34", 21_797_672, "3.66"),
    ("resnet50", 25_557_032, "4.09"),
    ("resnet101", 44_549_160, "7.80"),
    ("resnet152", 60_192_808, "11.51"),
    ("resnext101_32x8d", 88_791_336, "16.41"),
    ("resnext50_32x4d", 25_028_904, "4.23"),
    ("shufflenet_v2_x0_5", 1_366_792, "0.04"),
    ("shufflenet_v2_x1_0", 2_278_604, "0.14"),
    ("shufflenet_v2_x1_5", 3_503_624, "0.30"),
    ("shufflenet_v2_x2_0", 7_393_996, "0.58"),
    ("squeezenet1_1", 1_235_496, "0.35"),
    ("vgg11", 132_863_336, "7.61"),
    ("vgg11_bn", 132_868_840, "7.61"),
    ("vgg13", 133_047_848, "11.31"),
    ("vgg13_bn", 133_053_736, "11.31"),
    ("vgg16", 138_357_544, "15.47"),
    ("vgg16_bn", 138_365_992, "15.47"),
    ("vgg19", 143_667_240, "19.63"),
    ("vgg19_bn", 143_678_248, "19.63"),
    ("vit_b_16", 86_567_656, "17.56"),
    ("wide_resnet101_2", 126_886_696, "22.75"),
    ("wide_resnet50_2", 68_883_240, "11.40"),
];

/// He et al. 2015, table 1: the networks as published, with the stride in the first convolution of a
/// bottleneck.
const HE_2015: &[(&str, &str)] = &[("resnet50_v1", "3.8"), ("resnet101_v1", "7.6"), ("resnet152_v1", "11.3")];
