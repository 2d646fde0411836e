//! A file with weights, and the model's tensors in it.

use super::names::{Naming, is_average, unwrapped};
use super::pretrained::caution;
use super::state_dict::{Element, StateDict, is_counter, is_training_state};
use super::torch::view::View;
use super::torch::{self, Storages};
use super::{Definition, InteropError, Misfit, finite, fit, head_of, model_tensors};
use crate::checkpoint::{Header, verify_checksums};
use crate::models::{Model, ModelOptions};
use crate::setting::{BadSetting, Setting};
use crate::tensor::Shape;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A dict of tensors in a file.
pub(super) struct Dict {
    /// The keys that lead to it, joined by points; empty for the outermost.
    pub key: String,
    pub entries: BTreeMap<String, Entry>,
}

/// What is known of a tensor before it is read.
pub(super) struct Entry {
    pub shape: Shape,
    /// Where it lies; or why it is not one that a network computes with.
    pub content: Result<Stored, String>,
}

/// Where a tensor lies.
pub(super) struct Stored {
    pub storage: String,
    /// Bytes of the storage before the tensor's own.
    pub start: usize,
    pub view: View,
    pub element: Element,
}

/// A .safetensors file, or one that `torch.save` wrote; the kind is seen from the content. Nothing in it is executed.
pub struct WeightsFile {
    path: PathBuf,
    bytes: Vec<u8>,
    dicts: Vec<Dict>,
    /// Where a file of `torch.save` has its storages.
    storages: Option<Storages>,
    definition: Option<Definition>,
}

/// A model's tensors of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// Shape and elements by name, as the file has them.
    pub tensors: StateDict,
    /// What was chosen, and what was left out, in sentences for people.
    pub notes: Vec<String>,
}

/// One dict of a file, under the model's names.
struct Chosen<'a> {
    entries: BTreeMap<String, &'a Entry>,
    notes: Vec<String>,
}

impl WeightsFile {
    /// Opens a file and reads what tensors it has.
    ///
    /// # Errors
    /// When the file is missing, damaged or of another kind.
    pub fn open(path: &Path) -> Result<WeightsFile, InteropError> {
        let bytes = crate::regular_file::read(path).map_err(InteropError::file(path, "read"))?;
        let opened = match &bytes[..bytes.len().min(4)] {
            [b'P', b'K', 3, 4] => torch::open_archive(&bytes).map(|(dicts, storages)| (dicts, Some(storages), None)),
            [0x80, 1..=5, ..] => torch::open_legacy(&bytes).map(|(dicts, storages)| (dicts, Some(storages), None)),
            _ => open_safetensors(&bytes).map(|(dict, definition)| (vec![dict], None, definition)),
        };
        let format = |reason| InteropError::Format { path: path.to_owned(), reason };
        let (dicts, storages, definition) = opened.map_err(format)?;
        Ok(WeightsFile { path: path.to_owned(), bytes, dicts, storages, definition })
    }

    /// Steps of training that the checkpoint in `path` has seen; none where it is no checkpoint.
    pub fn trained_steps(path: &Path) -> Option<u64> {
        let metadata = metadata(path).ok()?;
        Some(serde_json::from_str::<Header>(metadata.get("tilewright")?).ok()?.progress.step)
    }

    /// What a file says of the network that it is of. Its weights are not read: a file that is damaged there, or of
    /// another kind, says nothing.
    ///
    /// # Errors
    /// When there is no such file, or it says what cannot be.
    pub fn definition_in(path: &Path) -> Result<Option<Definition>, InteropError> {
        let metadata = metadata(path).map_err(InteropError::file(path, "read"))?;
        Definition::read(&metadata).map_err(|reason| InteropError::Format { path: path.to_owned(), reason })
    }

    /// What the file says of the network that it is of: a checkpoint, or one that `export` wrote.
    pub fn definition(&self) -> Option<&Definition> {
        self.definition.as_ref()
    }

    /// The tensors of `model` under `options`, except those named in `fresh`. Of several dicts of tensors that is taken
    /// which suits the model, or what `key` names: a dict by its keys, joined by points, or a prefix of the names. The
    /// number of classes is that of the weights where the options say none.
    ///
    /// # Errors
    /// When there is no such key, tensors are missing, of another shape, too many or not finite, or the file is damaged.
    pub fn weights(
        &self,
        model: &Model,
        options: &ModelOptions,
        fresh: &BTreeSet<String>,
        key: Option<&str>,
    ) -> Result<Weights, InteropError> {
        let mut wanted = model_tensors(model, options)?;
        let head = head_of(model, options)?;
        let chosen = self.choose(model, &wanted, fresh, key)?;
        let classes = match options.get("num_classes") {
            Some(_) => None,
            None => head.iter().find_map(|name| chosen.entries.get(name)?.shape.first().copied()),
        };
        if let Some(classes) = classes {
            wanted = model_tensors(model, &options.clone().num_classes(classes))?;
        }
        let shapes = chosen.entries.iter().map(|(name, entry)| (name.clone(), entry.shape.clone())).collect();
        fit(&wanted, &shapes, fresh).map_err(|misfit| self.misfit(model, misfit, key))?;
        let mut tensors = StateDict::new();
        for (name, _) in wanted.iter().filter(|(name, _)| !fresh.contains(name)) {
            if let Some(entry) = chosen.entries.get(name) {
                tensors.insert(name.clone(), (entry.shape.clone(), self.read(name, entry)?));
            }
        }
        finite(&tensors).map_err(|reason| InteropError::NotFinite { path: self.path.clone(), reason })?;
        Ok(Weights { tensors, notes: chosen.notes })
    }

    /// Every tensor of the first dict, under its own name less the modules that only wrap another.
    ///
    /// # Errors
    /// When a tensor cannot be read, or all of them together are far larger than the file.
    pub fn all(&self) -> Result<StateDict, InteropError> {
        let entries = self.dicts.first().into_iter().flat_map(|dict| &dict.entries);
        let mut left = self.bytes.len().saturating_add(LARGEST_EXPANSION);
        let mut tensors = StateDict::new();
        for (name, entry) in entries.filter(|(name, entry)| entry.content.is_ok() && !is_counter(name)) {
            left = left.checked_sub(entry.shape.elements()).ok_or_else(|| {
                self.format("its tensors repeat what is stored so often that they do not fit into memory".to_owned())
            })?;
            tensors.insert(unwrapped(name), (entry.shape.clone(), self.read(name, entry)?));
        }
        Ok(tensors)
    }

    /// The dict to take, and its tensors under the model's names.
    fn choose(
        &self,
        model: &Model,
        wanted: &[(String, Shape)],
        fresh: &BTreeSet<String>,
        key: Option<&str>,
    ) -> Result<Chosen<'_>, InteropError> {
        let names: BTreeSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let needed: BTreeSet<&str> = names.iter().copied().filter(|name| !fresh.contains(*name)).collect();
        let naming = |dict: &Dict, prefix: &str| {
            // What holds no numbers to compute with, such as a counter, does not matter.
            let held = dict.entries.iter().filter(|(_, entry)| entry.content.is_ok());
            let held = held.filter(|(name, _)| name.starts_with(prefix) && !is_counter(name));
            Naming::of(&names, &needed, held.map(|(name, _)| name.as_str()))
        };
        let (dicts, prefix) = self.asked(key)?;
        let mut found: Vec<(&Dict, Naming)> = dicts.into_iter().map(|dict| (dict, naming(dict, &prefix))).collect();
        let missing = |naming: &Naming| needed.iter().filter(|name| !naming.names.contains_key(**name)).count();
        // Of those that lack the same number, trained weights come before their averages, and the outer before the inner.
        found.sort_by_key(|(dict, naming)| (missing(naming), is_average(&dict.key)));
        let suiting = found.iter().filter(|(_, naming)| missing(naming) == 0).skip(1);
        let others: Vec<String> = suiting.map(|(dict, _)| quoted(&dict.key)).collect();
        let Some((dict, naming)) = found.into_iter().next() else {
            return Err(self.format("it holds no tensors".to_owned()));
        };
        let mut notes = Vec::new();
        if self.definition.is_none() {
            notes.extend(caution(model, &self.path));
        }
        if !others.is_empty() {
            let taken = quoted(&dict.key);
            notes.push(format!("the weights under {taken} are taken; {} suit too: {}", others.join(", "), choice()));
        } else if !dict.key.is_empty() && self.dicts.len() > 1 && key.is_none() {
            notes.push(format!("the weights under {} are taken", quoted(&dict.key)));
        }
        if !naming.others.is_empty() {
            let others: Vec<String> = naming.others.iter().map(|prefix| quoted(prefix.trim_end_matches('.'))).collect();
            let taken = quoted(naming.prefix.trim_end_matches('.'));
            notes.push(format!(
                "the weights with the prefix {taken} are taken; those of {} suit too: {}",
                others.join(", "),
                choice()
            ));
        } else if let Some(first) = naming.outside.first() {
            let count = naming.outside.len();
            notes.push(format!("{count} tensors that are not the model's are left out, such as {}", quoted(first)));
        }
        let mut entries = BTreeMap::new();
        let mut left = 0;
        for (name, own) in &naming.names {
            match dict.entries.get(own) {
                Some(_) if !names.contains(name.as_str()) && model.is_optional(name) => left += 1,
                Some(entry) => drop(entries.insert(name.clone(), entry)),
                None => {}
            }
        }
        if left > 0 {
            notes.push(format!(
                "{left} tensors of auxiliary classifiers, which the model is built without, are left out"
            ));
        }
        Ok(Chosen { entries, notes })
    }

    /// The dicts that `key` means, and the prefix of the names in them.
    fn asked(&self, key: Option<&str>) -> Result<(Vec<&Dict>, String), InteropError> {
        let Some(key) = key else { return Ok((self.dicts.iter().collect(), String::new())) };
        if let Some(dict) = self.dicts.iter().find(|dict| dict.key == key) {
            return Ok((vec![dict], String::new()));
        }
        let prefix = format!("{}.", key.trim_end_matches('.'));
        let has_prefix = |dict: &&Dict| dict.entries.keys().any(|name| name.starts_with(&prefix));
        let dicts: Vec<&Dict> = self.dicts.iter().filter(has_prefix).collect();
        match dicts.is_empty() {
            false => Ok((dicts, prefix)),
            true => {
                let rule =
                    format!("a prefix of the names in `{}`, or one of its keys: {}", self.path.display(), self.keys());
                Err(BadSetting::new("key", quoted(key), rule).into())
            }
        }
    }

    /// The keys of the dicts of tensors, for people.
    fn keys(&self) -> String {
        let keys: Vec<String> = self.dicts.iter().take(MOST_TOLD).map(|dict| quoted(&dict.key)).collect();
        match self.dicts.len().saturating_sub(MOST_TOLD) {
            0 => keys.join(", "),
            more => format!("{} and {more} more", keys.join(", ")),
        }
    }

    fn read(&self, name: &str, entry: &Entry) -> Result<Vec<f32>, InteropError> {
        let read = || {
            let stored = entry.content.as_ref().map_err(String::clone)?;
            let (bytes, big_endian) = match &self.storages {
                Some(storages) => (storages.bytes(&self.bytes, &stored.storage)?, storages.big_endian()),
                None => (&self.bytes[..], false),
            };
            let bytes = bytes.get(stored.start..).unwrap_or_default();
            stored.view.read(bytes, stored.element, big_endian)
        };
        read().map_err(|reason| self.format(format!("{} {reason}", quoted(name))))
    }

    fn format(&self, reason: String) -> InteropError {
        InteropError::Format { path: self.path.clone(), reason }
    }

    /// The differences, unless a tensor that is missing is there in a form that cannot be read.
    fn misfit(&self, model: &Model, misfit: Misfit, key: Option<&str>) -> InteropError {
        let unread = self.dicts.iter().flat_map(|dict| &dict.entries).filter_map(|(own, entry)| {
            let reason = entry.content.as_ref().err()?;
            misfit.missing.iter().any(|name| unwrapped(own).ends_with(name.as_str())).then_some((own, reason))
        });
        if let Some((name, reason)) = unread.take(1).next() {
            return self.format(format!("{} {reason}", quoted(name)));
        }
        let mut misfit = misfit;
        if key.is_none() && self.dicts.len() > 1 {
            misfit.keys = Some(self.keys());
        }
        InteropError::Misfit { path: self.path.clone(), model: model.name.to_owned(), misfit: Box::new(misfit) }
    }
}

/// How others are taken.
fn choice() -> String {
    format!("{} takes others, {} in training", Setting("key").to("NAME"), Setting("init_key").to("NAME"))
}

/// Keys that are listed before the others are only counted.
const MOST_TOLD: usize = 8;

/// Bytes that the header of a safetensors file has at most, as its format says.
const LONGEST_HEADER: u64 = 100_000_000;

/// Elements that the tensors of a file may have beyond its bytes, where no model says which are wanted.
const LARGEST_EXPANSION: usize = 1 << 24;

fn quoted(name: &str) -> String {
    match name {
        "" => "the top".to_owned(),
        name => format!("`{}`", name.escape_debug()),
    }
}

/// The metadata of a safetensors file; nothing of a file of another kind.
fn metadata(path: &Path) -> io::Result<HashMap<String, String>> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "__metadata__", default)]
        metadata: HashMap<String, String>,
    }
    let mut file = crate::regular_file::open(path)?;
    let mut length = Vec::new();
    (&mut file).take(8).read_to_end(&mut length)?;
    let length = length.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
    let mut header = Vec::new();
    if length <= LONGEST_HEADER {
        file.take(length).read_to_end(&mut header)?;
    }
    Ok(serde_json::from_slice::<Named>(&header).map(|named| named.metadata).unwrap_or_default())
}

/// The tensors of a safetensors file as a dict, and what it says of its network.
fn open_safetensors(bytes: &[u8]) -> Result<(Dict, Option<Definition>), String> {
    let kinds = "it is neither a safetensors file nor one that torch.save wrote";
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(|reason| format!("{kinds} ({reason})"))?;
    // Holds the length of the file against what the header says.
    SafeTensors::deserialize(bytes).map_err(|reason| reason.to_string())?;
    let metadata = header.metadata().as_ref();
    let is_checkpoint = metadata.is_some_and(|metadata| metadata.contains_key("tilewright"));
    if is_checkpoint {
        verify_checksums(bytes).map_err(|what| format!("it is damaged: {what} is not what was written"))?;
    }
    let definition = metadata.map(Definition::read).transpose()?.flatten();
    // After the length of the header in eight bytes, and the header.
    let start = 8 + length;
    let mut entries = BTreeMap::new();
    for (name, info) in header.tensors() {
        if is_checkpoint && is_training_state(&name) {
            continue;
        }
        let element = match info.dtype {
            Dtype::F16 => Ok(Element::F16),
            Dtype::BF16 => Ok(Element::Bf16),
            Dtype::F32 => Ok(Element::F32),
            Dtype::F64 => Ok(Element::F64),
            other => Err(format!("holds {other:?}, not F16, BF16, F32 or F64")),
        };
        let (begin, _) = info.data_offsets;
        let content = element.map(|element| {
            let storage = String::new();
            Stored { storage, element, view: View::whole(info.shape.clone()), start: start + begin }
        });
        entries.insert(name, Entry { shape: info.shape.clone().into(), content });
    }
    Ok((Dict { key: String::new(), entries }, definition))
}
