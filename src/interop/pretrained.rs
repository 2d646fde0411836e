//! What images weights from elsewhere were trained on: torchvision's transforms, model by model.

use crate::data::{Interpolation, Normalization, Preprocessing};
use crate::models::{Model, ModelOptions};
use crate::setting::Setting;
use std::path::Path;

/// The names of models, pixels of the shorter side, pixels of the crop, and the interpolation: the transforms of
/// torchvision's `IMAGENET1K_V1` weights. Models of ImageNet that are not named have 256 and 224 pixels, bilinear.
const TRANSFORMS: [(&[&str], usize, usize, Interpolation); 11] = [
    (&["efficientnet_b0"], 256, 224, Interpolation::Bicubic),
    (&["efficientnet_b1"], 256, 240, Interpolation::Bicubic),
    (&["efficientnet_b2"], 288, 288, Interpolation::Bicubic),
    (&["efficientnet_b3"], 320, 300, Interpolation::Bicubic),
    (&["efficientnet_b4"], 384, 380, Interpolation::Bicubic),
    (&["efficientnet_b5"], 456, 456, Interpolation::Bicubic),
    (&["efficientnet_b6"], 528, 528, Interpolation::Bicubic),
    (&["efficientnet_b7"], 600, 600, Interpolation::Bicubic),
    (&["convnext_tiny"], 236, 224, Interpolation::Bilinear),
    (&["convnext_small"], 230, 224, Interpolation::Bilinear),
    (&["convnext_base", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"], 232, 224, Interpolation::Bilinear),
];

/// torchvision's other weights of the same models, by the names of their files.
const FILES: [(&str, usize, usize, Interpolation); 12] = [
    ("resnet50-11ad3fa6", 232, 224, Interpolation::Bilinear),
    ("resnet101-cd907fc2", 232, 224, Interpolation::Bilinear),
    ("resnet152-f82ba261", 232, 224, Interpolation::Bilinear),
    ("resnext50_32x4d-1a0047aa", 232, 224, Interpolation::Bilinear),
    ("resnext101_32x8d-110c445d", 232, 224, Interpolation::Bilinear),
    ("wide_resnet50_2-9ba9bcbe", 232, 224, Interpolation::Bilinear),
    ("wide_resnet101_2-d733dc28", 232, 224, Interpolation::Bilinear),
    ("mobilenet_v2-7ebf99e0", 232, 224, Interpolation::Bilinear),
    ("mobilenet_v3_large-5c1a4163", 232, 224, Interpolation::Bilinear),
    ("efficientnet_b1-c27df63c", 255, 240, Interpolation::Bilinear),
    ("vit_b_16_swag-9ac1b537", 384, 384, Interpolation::Bicubic),
    ("vit_b_16_lc_swag-4e70ced5", 224, 224, Interpolation::Bicubic),
];

/// torchvision's weights of GoogLeNet, which the model sees through its `transform_input`.
const TRANSFORMS_INPUT: &str = "googlenet-1378be20";

/// What to know of weights of `model` that do not say of themselves what they are.
pub(super) fn caution(model: &Model, file: &Path) -> Option<String> {
    let named = file.file_stem().is_some_and(|stem| stem == TRANSFORMS_INPUT);
    (model.name == "googlenet" && !named).then(|| {
        format!(
            "weights that torchvision's googlenet has with transform_input=True, those of ImageNet and what was trained on \
             from them, need {}",
            Setting("normalize").to("0.5/0.5")
        )
    })
}

/// Classes of ImageNet's networks, by which they are told from those for small images.
const IMAGENET_CLASSES: usize = 1000;

/// What weights of `model` from elsewhere, read from `file`, expect of the images `input`, `[C, H, W]`. Images of three
/// channels have ImageNet's mean and deviation, others none but the division by 255; a model for another image size than
/// torchvision's sees the same share of an image; models that are not of ImageNet, or have the stem for small images, have their images stretched.
pub fn expected_images(
    model: &Model,
    options: &ModelOptions,
    input: [usize; 3],
    file: &Path,
) -> (Normalization, Preprocessing) {
    let [channels, height, width] = input;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let normalization = match (channels, stem) {
        // Its `transform_input` turns ImageNet's normalisation into this one.
        (3, TRANSFORMS_INPUT) => Normalization { mean: vec![0.5; 3], std: vec![0.5; 3] },
        (3, _) => Normalization::imagenet(),
        _ => Normalization { mean: vec![0.0; channels], std: vec![1.0; channels] },
    };
    let small_stem = options.get("stem").is_some_and(|stem| stem == "cifar");
    if model.num_classes != IMAGENET_CLASSES || small_stem {
        return (normalization, Preprocessing::default());
    }
    let of_file = FILES.iter().find(|(name, ..)| *name == stem).map(|&(_, resize, crop, kind)| (resize, crop, kind));
    let of_model = || TRANSFORMS.iter().find(|(names, ..)| names.contains(&model.name));
    let (resize, crop, interpolation) = of_file
        .or_else(|| of_model().map(|&(_, resize, crop, kind)| (resize, crop, kind)))
        .unwrap_or((256, 224, Interpolation::Bilinear));
    let trained = Preprocessing { resize: Some(resize), interpolation };
    (normalization, trained.scaled((crop, crop), (height, width)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    fn resize(name: &str, size: usize, file: &str) -> (Option<usize>, Interpolation) {
        let (_, found) =
            expected_images(models::find(name).unwrap(), &ModelOptions::new(), [3, size, size], Path::new(file));
        (found.resize, found.interpolation)
    }

    #[test]
    fn the_transforms_are_torchvisions() {
        use Interpolation::{Bicubic, Bilinear};
        assert_eq!(resize("resnet18", 224, "resnet18-f37072fd.pth"), (Some(256), Bilinear));
        assert_eq!(resize("resnet50", 224, "x/resnet50-11ad3fa6.pth"), (Some(232), Bilinear));
        assert_eq!(resize("efficientnet_b3", 300, "w.pth"), (Some(320), Bicubic));
        assert_eq!(resize("efficientnet_b1", 240, "efficientnet_b1-c27df63c.pth"), (Some(255), Bilinear));
        assert_eq!(resize("convnext_tiny", 224, "w.pth"), (Some(236), Bilinear));
        assert_eq!(resize("resnet18", 112, "w.pth"), (Some(128), Bilinear), "the same share of a smaller image");
        assert_eq!(resize("resnet18_cifar", 32, "w.pth"), (None, Bilinear));
    }

    #[test]
    fn googlenets_input_is_transformed_where_torchvision_does_it() {
        let normalization = |file: &str| {
            expected_images(models::find("googlenet").unwrap(), &ModelOptions::new(), [3, 224, 224], Path::new(file)).0
        };
        assert_eq!(normalization("googlenet-1378be20.pth").mean, [0.5; 3]);
        assert_eq!(normalization("mine.pth"), Normalization::imagenet());
        let caution = |file| caution(models::find("googlenet").unwrap(), Path::new(file));
        assert!(caution("mine.pth").is_some() && caution("googlenet-1378be20.pth").is_none());
    }

    #[test]
    fn every_name_of_the_tables_is_that_of_a_model() {
        let names = TRANSFORMS.iter().flat_map(|(names, ..)| names.iter().copied());
        let unknown: Vec<&str> = names.filter(|name| models::find(name).is_err()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
