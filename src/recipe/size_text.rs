//! Sizes of images in recipes: written as on the command line, `32x48`; read as a list of height and width too.

use crate::data::ImageSize;
use serde::{Deserialize, Deserializer, Serializer};

/// How a size may stand.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected height and width, such as \"32x48\"")]
enum Written {
    Text(String),
    Sides(usize, usize),
}

pub(super) fn serialize<S: Serializer>(size: &Option<(usize, usize)>, to: S) -> Result<S::Ok, S::Error> {
    match *size {
        Some((height, width)) => to.serialize_some(&ImageSize { height, width }.to_string()),
        None => to.serialize_none(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<(usize, usize)>, D::Error> {
    Option::<Written>::deserialize(from)?
        .map(|written| match written {
            Written::Text(text) => text.parse().map(|ImageSize { height, width }| (height, width)),
            Written::Sides(height, width) if height > 0 && width > 0 => Ok((height, width)),
            Written::Sides(..) => Err("write it like 32x32".to_owned()),
        })
        .transpose()
        .map_err(serde::de::Error::custom)
}
