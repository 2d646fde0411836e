//! The recipes that are part of this program: the files of models/recipes, under their names.

use super::{About, RecipeError, TrainConfig};
use serde::Deserialize;
use std::path::PathBuf;

/// A recipe of this program.
///
/// ```
/// use tilewright::recipe::Recipe;
///
/// let recipe = Recipe::find("resnet18_cifar")?;
/// assert_eq!((recipe.config()?.batch, recipe.about()?.source.is_empty()), (128, false));
/// assert!(Recipe::named("cifar_cnn_study:sgd")?.optimizer.to_string().starts_with("sgd"));
/// # Ok::<(), tilewright::recipe::RecipeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// That of its file, without the ending. A recipe with the name of a model is the model's own.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
}

macro_rules! recipes {
    ($($name:literal),* $(,)?) => {
        &[$(Recipe { name: $name, text: include_str!(concat!("../../models/recipes/", $name, ".toml")) }),*]
    };
}

/// Every recipe, in the order in which they are listed.
static ALL: &[Recipe] = recipes![
    "lenet5",
    "mnist_small",
    "mnist_m3",
    "fashion_mnist",
    "cifar_cnn",
    "cifar_cnn_study",
    "resnet18_cifar",
    "resnet18_cifar_200",
    "airbench94",
    "resnet50_imagenet",
    "resnet50_imagenet_v2",
    "mobilenet_v3_imagenet",
    "efficientnet_b0_imagenet",
    "convnext_tiny_imagenet",
    "vit_b_16_imagenet",
];

/// Parts the name of a recipe from that of its variant.
const OF: char = ':';

/// What a recipe of another name must be like to be named in an error.
const LIKENESS: f64 = 0.5;

impl Recipe {
    /// Every recipe.
    pub fn all() -> &'static [Recipe] {
        ALL
    }

    /// The recipe of that name.
    ///
    /// # Errors
    /// When there is none; the error names those whose names are close.
    pub fn find(name: &str) -> Result<&'static Recipe, RecipeError> {
        ALL.iter().find(|recipe| recipe.name == name).ok_or_else(|| {
            let likeness = |known: &str| strsim::normalized_damerau_levenshtein(name, known);
            let mut close: Vec<&str> = ALL.iter().map(|recipe| recipe.name).collect();
            close.retain(|known| likeness(known) >= LIKENESS || known.starts_with(name));
            close.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
            close.truncate(3);
            RecipeError::Unknown { name: name.to_owned(), close }
        })
    }

    /// The settings of the recipe `NAME`, or of the variant `NAME:VARIANT`.
    ///
    /// # Errors
    /// When there is no such recipe or variant.
    pub fn named(name: &str) -> Result<TrainConfig, RecipeError> {
        match name.split_once(OF) {
            None => Recipe::find(name)?.config(),
            Some((recipe, variant)) => Recipe::find(recipe)?.variant(variant),
        }
    }

    /// Its settings.
    ///
    /// # Errors
    /// Never for the recipes of this crate, which a test reads.
    pub fn config(&self) -> Result<TrainConfig, RecipeError> {
        let config = TrainConfig::from_toml(self.text).map_err(|reason| self.unreadable(reason))?;
        Ok(TrainConfig { about: None, ..config })
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// Never for the recipes of this crate, which a test reads.
    pub fn about(&self) -> Result<About, RecipeError> {
        let config = TrainConfig::from_toml(self.text).map_err(|reason| self.unreadable(reason))?;
        Ok(config.about.unwrap_or_default())
    }

    /// The settings of one of its variants: those of the recipe, with the variant's in their place. Attributes of the model
    /// that the variant does not name stay.
    ///
    /// # Errors
    /// When it has no variant of that name.
    pub fn variant(&self, name: &str) -> Result<TrainConfig, RecipeError> {
        let mut about = self.about()?;
        let known = about.variant.keys().cloned().collect();
        let Some(variant) = about.variant.remove(name) else {
            return Err(RecipeError::UnknownVariant { recipe: self.name, name: name.to_owned(), known });
        };
        let unreadable = |error: toml::de::Error| self.unreadable(error.message().to_owned());
        let mut settings: toml::Table = toml::from_str(self.text).map_err(unreadable)?;
        settings.remove("recipe");
        for (key, value) in variant.settings {
            match (settings.get_mut(&key), value) {
                (Some(toml::Value::Table(attributes)), toml::Value::Table(own)) if key == "set" => {
                    attributes.extend(own)
                }
                (_, value) => drop(settings.insert(key, value)),
            }
        }
        TrainConfig::deserialize(settings).map_err(unreadable)
    }

    /// Its file in the repository.
    pub fn path(&self) -> PathBuf {
        format!("models/recipes/{}.toml", self.name).into()
    }

    fn unreadable(&self, reason: String) -> RecipeError {
        RecipeError::Unreadable { path: self.path(), reason }
    }
}
