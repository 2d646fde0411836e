//! The table that `tilewright tune` writes: the device that it holds for, and kernels by exact shape.

use crate::atomic_file::replace_file;
use crate::gpu::{AdapterInfo, Gpu};
use crate::kernel::Choices;
use crate::ops::{Conv2d, ConvGeometry, ConvKernels, ConvPass, ConvShape};
use crate::shader::SOURCES;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};
use toml::Spanned;

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum TableError {
    #[error("the table `{}` cannot be {action}: {reason}", path.display())]
    File { path: PathBuf, action: &'static str, reason: io::Error },
    #[error("`{}` is not a table of `tilewright tune`: line {line}: {reason}", path.display())]
    Syntax { path: PathBuf, line: usize, reason: String },
    #[error(
        "the table `{}` was measured with the {what} `{measured}`, but this is `{here}`: write one anew with \
         `tilewright tune`, or leave the table out", path.display()
    )]
    Other { path: PathBuf, what: &'static str, measured: String, here: String },
    #[error("the table `{}`, line {line}: {layer}: {reason}", path.display())]
    Layer { path: PathBuf, line: usize, layer: String, reason: String },
}

/// What measurements hold for: another device or driver has other times, and may have other faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredOn {
    /// Name of the adapter.
    pub device: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Version of this crate.
    pub version: String,
    /// Checksum of the shaders that convolutions run.
    pub shaders: String,
}

impl MeasuredOn {
    /// This program on the device of `info`.
    pub fn of(info: &AdapterInfo) -> Self {
        MeasuredOn {
            device: info.name.clone(),
            backend: info.backend.clone(),
            driver: info.driver.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            shaders: shaders(),
        }
    }

    /// What differs, in the table and here.
    fn difference<'a>(&'a self, here: &'a MeasuredOn) -> Option<(&'static str, &'a str, &'a str)> {
        let pairs = [
            ("device", &self.device, &here.device),
            ("backend", &self.backend, &here.backend),
            ("driver", &self.driver, &here.driver),
            ("version", &self.version, &here.version),
            ("shaders", &self.shaders, &here.shaders),
        ];
        pairs.into_iter().find(|(_, a, b)| a != b).map(|(what, a, b)| (what, a.as_str(), b.as_str()))
    }
}

/// Where `tilewright tune` writes when it is not told: `tune/DEVICE.toml`, the name in small letters and hyphens.
pub fn default_path(info: &AdapterInfo) -> PathBuf {
    let name = info.name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    Path::new("tune").join(format!("{}.toml", words.join("-")))
}

/// Checksum of the shaders that convolutions and linear layers run: a table is of these and no others.
fn shaders() -> String {
    let used = |name: &str| ["conv/", "lib/", "reduce/"].iter().any(|folder| name.starts_with(folder));
    let sum = SOURCES.iter().filter(|(name, _)| used(name)).fold(0, |sum, (name, text)| {
        crc32c::crc32c_append(crc32c::crc32c_append(sum, name.as_bytes()), text.as_bytes())
    });
    format!("{sum:08x}")
}

/// One layer's kernels, and why: median times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedLayer {
    /// Sizes and pass of the layer.
    pub shape: ConvShape,
    /// What was fastest.
    pub kernels: ConvKernels,
    /// Its median time.
    pub ms: f64,
    /// What the rule picks.
    pub rule: ConvKernels,
    /// The median time of that.
    pub rule_ms: f64,
}

/// Kernels for the layers of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct TunedTable {
    /// Where.
    pub measured_on: MeasuredOn,
    /// Each shape once.
    pub layers: Vec<TunedLayer>,
    /// The file, and the line of each layer in it.
    path: PathBuf,
    lines: Vec<usize>,
}

/// The file, with layers as `L`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<L> {
    measured_on: MeasuredOn,
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    layer: Vec<L>,
}

/// Only the part of a file that tells whether the rest can be understood.
#[derive(Deserialize)]
struct Head {
    measured_on: MeasuredOn,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    pass: ConvPass,
    batch: usize,
    channels: usize,
    size: [usize; 2],
    filters: usize,
    window: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
    kernels: ConvKernels,
    ms: f64,
    rule: ConvKernels,
    rule_ms: f64,
}

const HEADING: &str = "\
# Kernels that are faster than the rule's on one device. `tilewright tune` measured them, after each had
# reproduced the plain kernels' numbers there. A run takes them as its setting `tuned`, for exactly these sizes.

";

impl TunedTable {
    /// A table that is in no file yet.
    pub fn new(measured_on: MeasuredOn, layers: Vec<TunedLayer>) -> Self {
        let lines = vec![0; layers.len()];
        TunedTable { measured_on, layers, path: PathBuf::new(), lines }
    }

    /// Reads a table.
    ///
    /// # Errors
    /// When the file cannot be read, is of another version of this crate, or has an entry that makes no sense; the
    /// error names the line.
    pub fn read(path: &Path) -> Result<TunedTable, TableError> {
        let text = crate::regular_file::read_to_string(path).map_err(TableError::file(path, "read"))?;
        let line = |span: Range<usize>| 1 + text.get(..span.start).unwrap_or_default().matches('\n').count();
        let syntax = |error: toml::de::Error| TableError::Syntax {
            path: path.to_owned(),
            line: line(error.span().unwrap_or_default()),
            reason: error.message().to_owned(),
        };
        let head: Head = toml::from_str(&text).map_err(syntax)?;
        let version = env!("CARGO_PKG_VERSION");
        if head.measured_on.version != version {
            return Err(TableError::Other {
                path: path.to_owned(),
                what: "version",
                measured: head.measured_on.version,
                here: version.to_owned(),
            });
        }
        let file: File<Spanned<Row>> = toml::from_str(&text).map_err(syntax)?;
        let mut table = TunedTable { path: path.to_owned(), ..TunedTable::new(file.measured_on, Vec::new()) };
        let mut known = HashSet::new();
        for (index, row) in file.layer.into_iter().enumerate() {
            let line = line(row.span());
            let fail = |layer: String, reason: String| TableError::Layer { path: path.to_owned(), line, layer, reason };
            let row = row.into_inner();
            let layer = row.layer().map_err(|reason| fail(format!("layer {}", index + 1), reason))?;
            if !known.insert(layer.shape) {
                return Err(fail(layer.shape.to_string(), "it is in the table twice".to_owned()));
            }
            table.layers.push(layer);
            table.lines.push(line);
        }
        Ok(table)
    }

    /// The table in `path` that a new one for the device of `info` adds to: `None` where there is none, or where its
    /// times no longer hold since the driver or this program has changed.
    ///
    /// # Errors
    /// When what is there is no table, or one of another device: nobody's file is overwritten.
    pub fn earlier(path: &Path, info: &AdapterInfo) -> Result<Option<TunedTable>, TableError> {
        // A device or a pipe holds no table: it is only written to.
        if !path.is_file() && !path.is_dir() {
            return Ok(None);
        }
        let table = match TunedTable::read(path) {
            Err(TableError::Other { .. }) => return Ok(None),
            table => table?,
        };
        match table.measured_on.difference(&MeasuredOn::of(info)) {
            None => Ok(Some(table)),
            Some((what @ ("device" | "backend"), measured, here)) => Err(table.other(what, measured, here)),
            Some(_) => Ok(None),
        }
    }

    fn other(&self, what: &'static str, measured: &str, here: &str) -> TableError {
        TableError::Other { path: self.path.clone(), what, measured: measured.to_owned(), here: here.to_owned() }
    }

    /// Writes the table in whole or not at all; makes its folder.
    ///
    /// # Errors
    /// When the file cannot be written; an older one is then kept.
    pub fn write(&self, path: &Path) -> Result<(), TableError> {
        let failed = TableError::file(path, "written");
        match self.to_toml() {
            Err(reason) => Err(failed(io::Error::other(reason))),
            Ok(text) => {
                let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
                folder.and_then(|()| replace_file(path, text.as_bytes())).map_err(failed)
            }
        }
    }

    fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let layer = self.layers.iter().map(Row::of).collect();
        Ok(format!("{HEADING}{}", toml::to_string(&File { measured_on: self.measured_on.clone(), layer })?))
    }

    /// The kernels by shape, as a plan takes them.
    pub fn kernels(&self) -> Choices {
        self.layers.iter().map(|layer| (layer.shape.key(), layer.kernels.to_string())).collect()
    }

    /// `gpu`, with the kernels of this table.
    ///
    /// # Errors
    /// When the table is of another device, driver or set of shaders, or names kernels that this device does not
    /// run for that layer.
    pub fn apply(&self, gpu: &Gpu) -> Result<Gpu, TableError> {
        if let Some((what, measured, here)) = self.measured_on.difference(&MeasuredOn::of(gpu.info())) {
            return Err(self.other(what, measured, here));
        }
        let profile = gpu.profile();
        for (TunedLayer { shape, kernels, .. }, &line) in self.layers.iter().zip(&self.lines) {
            if !kernels.suits(profile, shape) {
                let reason = format!("this device does not run the kernels `{kernels}` for it");
                return Err(TableError::Layer { path: self.path.clone(), line, layer: shape.to_string(), reason });
            }
        }
        Ok(gpu.with_kernels(self.kernels().into()))
    }

    /// What this table says of shapes that were measured now, and what `older` says of all others.
    pub fn with_rest_of(mut self, older: &TunedTable, measured: &[ConvShape]) -> TunedTable {
        let rest = older.layers.iter().filter(|layer| !measured.contains(&layer.shape)).cloned();
        self.layers.extend(rest);
        TunedTable::new(self.measured_on, self.layers)
    }
}

impl TableError {
    fn file(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> TableError {
        let path = path.to_owned();
        move |reason| TableError::File { path, action, reason }
    }
}

impl Row {
    fn of(layer: &TunedLayer) -> Row {
        let ConvGeometry { batch, channels, size, filters, kernel, stride, padding, dilation, groups, .. } =
            layer.shape.geometry;
        // A thousandth of a microsecond is more than a clock tells.
        let rounded = |ms: f64| (ms * 1e6).round() / 1e6;
        Row {
            pass: layer.shape.pass,
            batch,
            channels,
            size,
            filters,
            window: kernel,
            stride,
            padding,
            dilation,
            groups,
            kernels: layer.kernels,
            ms: rounded(layer.ms),
            rule: layer.rule,
            rule_ms: rounded(layer.rule_ms),
        }
    }

    fn layer(&self) -> Result<TunedLayer, String> {
        let Row { batch, channels, size, filters, window, stride, padding, dilation, groups, .. } = *self;
        let pairs = [size, window, stride, padding, dilation, [batch, channels], [filters, groups]];
        if let Some(large) = pairs.as_flattened().iter().find(|number| i32::try_from(**number).is_err()) {
            return Err(format!("{large} is more than any layer has"));
        }
        if [batch, channels, size[0], size[1], groups].contains(&0) {
            return Err("batch, channels, size and groups are at least 1".to_owned());
        }
        let op = Conv2d { stride, padding, dilation, groups };
        let x = [batch, channels, size[0], size[1]].into();
        let geometry = op.geometry(&x, &[filters, channels / groups, window[0], window[1]].into())?;
        let shape = ConvShape { pass: self.pass, geometry };
        Ok(TunedLayer { shape, kernels: self.kernels, ms: self.ms, rule: self.rule, rule_ms: self.rule_ms })
    }
}
