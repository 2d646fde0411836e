//! What `torch.save` writes since PyTorch 1.6: a zip archive with a pickle, `NAME/data.pkl`, and one
//! file for each storage, `NAME/data/KEY`.

use super::StateDict;
use super::pickle::{Id, Object, Pickle};
use super::state_dict::{Element, is_counter};
use crate::tensor::Shape;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};
use std::collections::HashMap;
use std::io::Read;

/// Keys under which a training script keeps the state_dict beside other things.
const WRAPPERS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// Reads the state_dict of an archive; the reason where there is none.
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, String> {
    let mut archive = Archive::open(bytes)?;
    let pickle = Pickle::read(&archive.file("data.pkl")?)?;
    let entries = state_dict(&pickle)?;
    let mut tensors = StateDict::new();
    for &(key, value) in entries {
        let name = pickle.text(key).ok_or("its state_dict has a key that is no text")?;
        if is_counter(name) {
            continue;
        }
        let tensor = tensor(&pickle, value, &mut archive).map_err(|reason| format!("`{name}` {reason}"))?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

/// The dict with the tensors: the root, or one under a usual key of it.
fn state_dict(pickle: &Pickle) -> Result<&[(Id, Id)], String> {
    let root = match pickle.get(pickle.root) {
        Object::Dict(entries) => entries,
        Object::Call { function, .. } => {
            let class = pickle.global(*function).unwrap_or_else(|| "object".to_owned());
            return Err(format!("it holds a `{class}`; save its state_dict() instead"));
        }
        _ => return Err("it holds no state_dict".to_owned()),
    };
    let wrapped = WRAPPERS.iter().find_map(|wrapper| {
        let entry = root.iter().find(|(key, _)| pickle.text(*key) == Some(wrapper));
        entry.and_then(|(_, value)| match pickle.get(*value) {
            Object::Dict(entries) => Some(entries),
            _ => None,
        })
    });
    Ok(wrapped.unwrap_or(root))
}

/// The tensor that a pickled call would rebuild.
fn tensor(pickle: &Pickle, id: Id, archive: &mut Archive<'_>) -> Result<(Shape, Vec<f32>), String> {
    let mut call = call(pickle, id)?;
    if let ("torch._utils._rebuild_parameter", &[data, ..]) = (call.0.as_str(), call.1) {
        call = self::call(pickle, data)?;
    }
    match (call.0.as_str(), call.1) {
        ("torch._utils._rebuild_tensor_v2", &[storage, offset, sizes, strides, ..]) => {
            let damaged = || "has a shape that cannot be read".to_owned();
            let view = View {
                offset: pickle.size(offset).ok_or_else(damaged)?,
                sizes: pickle.sizes(sizes).ok_or_else(damaged)?,
                strides: pickle.sizes(strides).ok_or_else(damaged)?,
            };
            let (element, key, count) = storage_of(pickle, storage)?;
            let data = view.read(archive.storage(key, element, count)?)?;
            Ok((view.sizes.into(), data))
        }
        (other, _) => Err(format!("is a `{other}`, not a dense tensor")),
    }
}

/// The function of a pickled call, and its arguments.
fn call(pickle: &Pickle, id: Id) -> Result<(String, &[Id]), String> {
    let Object::Call { function, arguments } = *pickle.get(id) else { return Err("is no tensor".to_owned()) };
    let function = pickle.global(function).unwrap_or_default();
    Ok((function, pickle.sequence(arguments).unwrap_or_default()))
}

/// Element type, key and number of elements of a storage, which the pickle only names.
fn storage_of(pickle: &Pickle, id: Id) -> Result<(Element, &str, usize), String> {
    let damaged = || "has a storage that cannot be read".to_owned();
    let Object::Persistent(id) = *pickle.get(id) else { return Err(damaged()) };
    let &[_, class, key, _, count] = pickle.sequence(id).unwrap_or_default() else { return Err(damaged()) };
    let element = match pickle.global(class).ok_or_else(damaged)?.as_str() {
        "torch.HalfStorage" => Element::F16,
        "torch.BFloat16Storage" => Element::Bf16,
        "torch.FloatStorage" => Element::F32,
        "torch.DoubleStorage" => Element::F64,
        other => return Err(format!("is of `{other}`, not of f16, bf16, f32 or f64")),
    };
    Ok((element, pickle.text(key).ok_or_else(damaged)?, pickle.size(count).ok_or_else(damaged)?))
}

/// Where a tensor's elements lie in its storage.
struct View {
    offset: usize,
    sizes: Vec<usize>,
    strides: Vec<usize>,
}

impl View {
    /// The elements in row-major order.
    fn read(&self, stored: &[f32]) -> Result<Vec<f32>, String> {
        let outside = || format!("reaches past the {} elements of its storage", stored.len());
        if self.sizes.len() != self.strides.len() {
            return Err(outside());
        }
        let count = self.sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).ok_or_else(outside)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let last = self.sizes.iter().zip(&self.strides).try_fold(self.offset, |last, (&size, &stride)| {
            (size - 1).checked_mul(stride).and_then(|step| last.checked_add(step))
        });
        // A tensor that repeats its storage could be larger than memory.
        if count > stored.len() || last.is_none_or(|last| last >= stored.len()) {
            return Err(outside());
        }
        if self.is_row_major() {
            return Ok(stored[self.offset..self.offset + count].to_vec());
        }
        let mut places = vec![self.offset];
        for (&size, &stride) in self.sizes.iter().zip(&self.strides) {
            places = places.iter().flat_map(|&place| (0..size).map(move |index| place + index * stride)).collect();
        }
        Ok(places.into_iter().map(|place| stored[place]).collect())
    }

    fn is_row_major(&self) -> bool {
        let mut stride = 1;
        self.sizes.iter().zip(&self.strides).rev().all(|(&size, &own)| {
            let fits = size == 1 || own == stride;
            stride *= size;
            fits
        })
    }
}

/// The zip archive and the storage that was read last.
struct Archive<'a> {
    zip: ZipSliceArchive<&'a [u8]>,
    /// Where each file lies, by its path.
    files: HashMap<String, ZipArchiveEntryWayfinder>,
    /// Folder in the archive that all files are in.
    folder: String,
    big_endian: bool,
    /// Kept for the next tensor, since tensors that share a storage stand one after another.
    last: Option<(String, Vec<f32>)>,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Archive<'a>, String> {
        let damaged = |reason: rawzip::Error| format!("its zip archive is damaged: {reason}");
        let zip = ZipArchive::from_slice(bytes).map_err(damaged)?;
        let mut files = HashMap::new();
        let mut entries = zip.entries();
        while let Some(entry) = entries.next_entry().map_err(damaged)? {
            // torch.save compresses nothing, and so no file is larger than the archive.
            if entry.compression_method() == CompressionMethod::STORE {
                let path = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
                files.insert(path, entry.wayfinder());
            }
        }
        let folder = files.keys().find_map(|path| path.strip_suffix("data.pkl")).map(str::to_owned);
        let folder = folder.ok_or("it is a zip archive without the data.pkl that torch.save writes")?;
        let mut archive = Archive { zip, files, folder, big_endian: false, last: None };
        // Files of PyTorch before 2.1 do not say, and are little-endian.
        archive.big_endian = archive.file("byteorder").is_ok_and(|order| order == b"big");
        Ok(archive)
    }

    /// The bytes of a file, held against its checksum.
    fn file(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = format!("{}{name}", self.folder);
        let told = |reason: &dyn std::fmt::Display| format!("its file `{path}` cannot be read: {reason}");
        let wayfinder = *self.files.get(&path).ok_or_else(|| told(&"there is none, or it is compressed"))?;
        let entry = self.zip.get_entry(wayfinder).map_err(|reason| told(&reason))?;
        let mut bytes = Vec::new();
        entry.verifying_reader(entry.data()).read_to_end(&mut bytes).map_err(|reason| told(&reason))?;
        Ok(bytes)
    }

    /// The `count` elements of storage `key`.
    fn storage(&mut self, key: &str, element: Element, count: usize) -> Result<&[f32], String> {
        if self.last.as_ref().is_none_or(|(last, _)| last != key) {
            let mut bytes = self.file(&format!("data/{key}"))?;
            if self.big_endian {
                bytes.chunks_exact_mut(element.size()).for_each(<[u8]>::reverse);
            }
            self.last = Some((key.to_owned(), element.decode(&bytes)));
        }
        let stored = self.last.as_ref().map_or(&[][..], |(_, stored)| stored);
        let short = || format!("has a storage of {} elements, not of {count}", stored.len());
        stored.get(..count).ok_or_else(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: [f32; 7] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];

    #[test]
    fn a_transposed_tensor_is_read_in_row_major_order() {
        let view = View { offset: 1, sizes: vec![2, 3], strides: vec![1, 2] };
        assert_eq!(view.read(&STORED).unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
        let view = View { offset: 1, sizes: vec![2, 1, 3], strides: vec![3, 99, 1] };
        assert_eq!(view.read(&STORED).unwrap(), STORED[1..]);
    }

    #[test]
    fn a_tensor_outside_of_its_storage_is_refused() {
        for (offset, sizes, strides) in
            [(0, vec![4], vec![3]), (7, vec![1], vec![1]), (0, vec![usize::MAX, 2], vec![1, 1]), (0, vec![99], vec![0])]
        {
            assert!(View { offset, sizes: sizes.clone(), strides }.read(&STORED).is_err(), "{offset} {sizes:?}");
        }
    }
}
