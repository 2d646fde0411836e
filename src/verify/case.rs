//! One case file: its JSON, and its tensors.

use super::CaseError;
use crate::ops::IGNORED_TARGET;
use crate::ops::card::FixtureError;
use crate::tensor::Shape;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Every `*.safetensors` file under `folders` (or named by them), sorted within each.
///
/// # Errors
/// When a folder cannot be read.
pub fn find_cases(folders: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in folders {
        let told = |reason: io::Error| io::Error::new(reason.kind(), format!("`{}`: {reason}", folder.display()));
        if fs::metadata(folder).map_err(told)?.is_dir() {
            let first = files.len();
            collect(folder, &mut files).map_err(told)?;
            files[first..].sort();
        } else {
            files.push(folder.clone());
        }
    }
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A link to a folder is not followed: it could lead in a circle.
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else if entry.path().extension().is_some_and(|extension| extension == "safetensors") {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The JSON object of a case; what depends on its kind stays in `rest`.
#[derive(Deserialize)]
struct Header {
    format: u64,
    kind: String,
    rtol: f64,
    atol: f64,
    #[serde(default)]
    attrs: Map<String, Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub(super) struct Case {
    pub kind: String,
    pub rtol: f64,
    pub atol: f64,
    pub attrs: Map<String, Value>,
    rest: Map<String, Value>,
    tensors: BTreeMap<String, CaseTensor>,
}

impl Case {
    pub(super) fn read(file: &Path) -> Result<Case, CaseError> {
        let unreadable = |reason: std::io::Error| CaseError::File { reason: reason.to_string() };
        Case::parse(&crate::regular_file::read(file).map_err(unreadable)?)
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Case, CaseError> {
        let unreadable = |reason: String| CaseError::File { reason };
        let not_safetensors = |reason| unreadable(format!("it is not a whole safetensors file ({reason})"));
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
        let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get("case"));
        let text = text.ok_or_else(|| unreadable("its header has no `case` in `__metadata__`".to_owned()))?;
        let metadata_error = |reason: String| CaseError::Metadata { reason };
        let header: Header = serde_json::from_str(text).map_err(|reason| metadata_error(reason.to_string()))?;
        if header.format != 1 {
            return Err(metadata_error(format!("its format is {}, and only 1 is known", header.format)));
        }
        let content = SafeTensors::deserialize(bytes).map_err(not_safetensors)?;
        let tensors = content.iter().map(|(name, view)| {
            let tensor = CaseTensor {
                name: name.to_owned(),
                shape: view.shape().to_vec().into(),
                dtype: view.dtype(),
                data: view.data().to_vec(),
            };
            (name.to_owned(), tensor)
        });
        let Header { kind, rtol, atol, attrs, rest, .. } = header;
        let mut case = Case { kind, rtol, atol, attrs, rest, tensors: tensors.collect() };
        case.take_weights();
        Ok(case)
    }

    /// Makes inputs of the weights that stand among the attributes.
    fn take_weights(&mut self) {
        for name in ["weight", "pos_weight"] {
            let list = self.attrs.get(name).and_then(Value::as_array);
            let numbers = list.and_then(|list| list.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>());
            let Some(numbers) = numbers else { continue };
            self.attrs.remove(name);
            let data = numbers.iter().flat_map(|&number| (number as f32).to_ne_bytes()).collect();
            let name = format!("in.{name}");
            let tensor = CaseTensor { name: name.clone(), shape: [numbers.len()].into(), dtype: Dtype::F32, data };
            self.tensors.insert(name, tensor);
        }
    }

    /// A string beside the attributes, such as the op's name.
    pub(super) fn text(&self, key: &str) -> Result<&str, CaseError> {
        self.rest
            .get(key)
            .and_then(Value::as_str)
            .ok_or_else(|| CaseError::Metadata { reason: format!("it has no text `{key}`") })
    }

    /// A value beside the attributes.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.rest.get(key)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(super) fn tensor(&self, name: &str) -> Result<&CaseTensor, CaseError> {
        self.tensors.get(name).ok_or_else(|| FixtureError::MissingTensor { tensor: name.to_owned() }.into())
    }
}

pub(super) struct CaseTensor {
    name: String,
    pub shape: Shape,
    dtype: Dtype,
    data: Vec<u8>,
}

impl CaseTensor {
    pub(super) fn f32(&self) -> Result<Vec<f32>, CaseError> {
        match self.dtype {
            Dtype::F32 => Ok(bytemuck::pod_collect_to_vec(&self.data)),
            _ => Err(self.holds_not("float32")),
        }
    }

    pub(super) fn is_f32(&self) -> bool {
        self.dtype == Dtype::F32
    }

    /// Class indices, which files hold as int32 or int64; the negative number `ignored` is [`IGNORED_TARGET`].
    pub(super) fn classes(&self, ignored: i64) -> Result<Vec<u32>, CaseError> {
        let indices: Vec<i64> = match self.dtype {
            Dtype::I32 => bytemuck::pod_collect_to_vec::<u8, i32>(&self.data).into_iter().map(i64::from).collect(),
            Dtype::I64 => bytemuck::pod_collect_to_vec(&self.data),
            _ => return Err(self.holds_not("int32 or int64")),
        };
        let class = |index: i64| match u32::try_from(index) {
            Ok(class) => Ok(class),
            Err(_) if index == ignored => Ok(IGNORED_TARGET),
            Err(_) => Err(self.holds_not("class indices of at least 0")),
        };
        indices.into_iter().map(class).collect()
    }

    /// The elements as numbers to compare with.
    pub(super) fn f64(&self) -> Result<Vec<f64>, CaseError> {
        Ok(match self.dtype {
            Dtype::F32 => bytemuck::pod_collect_to_vec::<u8, f32>(&self.data).into_iter().map(f64::from).collect(),
            Dtype::F64 => bytemuck::pod_collect_to_vec(&self.data),
            Dtype::I32 => bytemuck::pod_collect_to_vec::<u8, i32>(&self.data).into_iter().map(f64::from).collect(),
            Dtype::I64 => {
                bytemuck::pod_collect_to_vec::<u8, i64>(&self.data).into_iter().map(|value| value as f64).collect()
            }
            _ => return Err(self.holds_not("numbers of 32 or 64 bits")),
        })
    }

    fn holds_not(&self, expected: &'static str) -> CaseError {
        CaseError::ElementType { tensor: self.name.clone(), found: format!("{:?}", self.dtype), expected }
    }
}
