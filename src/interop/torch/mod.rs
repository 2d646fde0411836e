//! What `torch.save` writes: a pickle of what was saved, and the storages that its tensors lie in.

#[cfg(feature = "torch")]
mod archive;
#[cfg(not(feature = "torch"))]
#[path = "no_archive.rs"]
mod archive;
mod legacy;
pub(super) mod view;

use self::archive::Archive;
use self::legacy::Legacy;
use self::view::View;
use super::pickle::{Id, Object, Pickle};
use super::state_dict::Element;
use super::weights::{Dict, Entry, Stored};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

/// How deep dicts lie in each other that are looked into.
const DEEPEST: usize = 6;

/// Bytes of a name or key at most: who writes longer ones means to fill the memory.
const LONGEST: usize = 1000;

/// Calls around a tensor at most, such as that which makes a parameter of it.
const MOST_CALLS: usize = 8;

/// Where the storages of a file lie.
pub(super) enum Storages {
    Archive(Archive),
    Legacy { ranges: HashMap<String, Range<usize>>, big_endian: bool },
}

impl Storages {
    /// The bytes of storage `key`.
    pub(super) fn bytes<'a>(&self, file: &'a [u8], key: &str) -> Result<&'a [u8], String> {
        match self {
            Storages::Archive(archive) => archive.file(file, &format!("data/{key}")),
            Storages::Legacy { ranges, .. } => {
                let range = ranges.get(key).cloned().and_then(|range| file.get(range));
                range.ok_or_else(|| format!("lies in the storage `{key}`, which the file ends before"))
            }
        }
    }

    pub(super) fn big_endian(&self) -> bool {
        match self {
            Storages::Archive(archive) => archive.big_endian(),
            Storages::Legacy { big_endian, .. } => *big_endian,
        }
    }
}

/// Every dict of tensors in an archive of PyTorch 1.6 and later, and its storages.
pub(super) fn open_archive(bytes: &[u8]) -> Result<(Vec<Dict>, Storages), String> {
    let archive = Archive::open(bytes)?;
    let pickle = Pickle::read(archive.file(bytes, "data.pkl")?)?;
    Ok((dicts(&pickle)?, Storages::Archive(archive)))
}

/// As [`open_archive`], of a file of PyTorch before 1.6.
pub(super) fn open_legacy(bytes: &[u8]) -> Result<(Vec<Dict>, Storages), String> {
    let legacy = Legacy::open(bytes)?;
    let pickle = &legacy.pickle;
    let persistent = pickle.objects().iter().filter_map(|object| match object {
        Object::Persistent(id) => storage(pickle, *id).ok(),
        _ => None,
    });
    let widths: HashMap<&str, usize> = persistent.map(|(kind, key, ..)| (key, kind.width())).collect();
    let ranges = legacy.storages(bytes, |key| widths.get(key).copied());
    Ok((dicts(pickle)?, Storages::Legacy { ranges, big_endian: legacy.big_endian }))
}

/// The dicts that hold tensors, from the outermost on, each once.
fn dicts(pickle: &Pickle) -> Result<Vec<Dict>, String> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([pickle.root]);
    let mut queue = VecDeque::from([(String::new(), pickle.root, 0)]);
    while let Some((key, id, depth)) = queue.pop_front() {
        let Object::Dict(entries) = pickle.get(id) else { continue };
        let mut dict = Dict { key: key.clone(), entries: Default::default() };
        // The keys of an optimizer's states are numbers.
        let named = entries.iter().filter_map(|&(key, value)| Some((pickle.text(key)?, value)));
        for (name, value) in named.filter(|(name, _)| name.len() <= LONGEST) {
            if let Some(entry) = tensor(pickle, value) {
                dict.entries.insert(name.to_owned(), entry);
            } else if depth < DEEPEST && key.len() <= LONGEST && seen.insert(value) {
                let path = if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
                queue.push_back((path, value, depth + 1));
            }
        }
        if !dict.entries.is_empty() {
            found.push(dict);
        }
    }
    match found.is_empty() {
        true => Err(nothing_held(pickle)),
        false => Ok(found),
    }
}

/// Why there is no dict of tensors.
fn nothing_held(pickle: &Pickle) -> String {
    let class = |id: Id| match pickle.get(id) {
        Object::Call { function, .. } => Some(pickle.global(*function).unwrap_or_else(|| "object".to_owned())),
        _ => None,
    };
    if let Some(class) = class(pickle.root) {
        return format!("it holds a `{class}`; save its state_dict() instead");
    }
    let Object::Dict(entries) = pickle.get(pickle.root) else { return "it holds no state_dict".to_owned() };
    let told = entries.iter().filter_map(|&(key, value)| {
        let key = pickle.text(key).filter(|key| key.len() <= LONGEST)?;
        Some(class(value).map_or_else(|| format!("`{key}`"), |class| format!("`{key}` (a `{class}`)")))
    });
    let told: Vec<String> = told.take(8).collect();
    match told.is_empty() {
        true => "it holds no tensors".to_owned(),
        false => format!("none of its entries is a dict of tensors: {}; save a state_dict()", told.join(", ")),
    }
}

/// What a pickled value says of the tensor that it is; none where it is something else.
fn tensor(pickle: &Pickle, id: Id) -> Option<Entry> {
    let call = |id: Id| match *pickle.get(id) {
        Object::Call { function, arguments } => Some((function, arguments)),
        _ => None,
    };
    let mut next = call(id)?;
    for _ in 0..MOST_CALLS {
        let (function, arguments) = (pickle.global(next.0)?, pickle.sequence(next.1)?);
        match (function.as_str(), arguments) {
            // A parameter, as different versions have it: what is wrapped is the tensor.
            (
                "torch._utils._rebuild_parameter"
                | "torch._utils._rebuild_parameter_with_state"
                | "torch.nn.parameter.Parameter"
                | "torch.nn.parameter.Buffer"
                | "torch.autograd.variable.Variable",
                &[data, ..],
            ) => next = call(data)?,
            // A class that is derived from a tensor: the function and its arguments are the tensor's.
            ("torch._tensor._rebuild_from_type_v2", &[function, _, arguments, ..]) => next = (function, arguments),
            (
                "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor",
                &[storage, offset, sizes, strides, ..],
            ) => {
                return Some(entry(pickle, [storage, offset, sizes, strides], None));
            }
            ("torch._utils._rebuild_tensor_v3", &[storage, offset, sizes, strides, _, _, kind, ..]) => {
                return Some(entry(pickle, [storage, offset, sizes, strides], pickle.global(kind)));
            }
            (other, _) if other.starts_with("torch._utils._rebuild_") => {
                return Some(Entry { shape: [].into(), content: Err(format!("is a `{other}`, not a dense tensor")) });
            }
            _ => return None,
        }
    }
    None
}

/// A tensor of these arguments of a call that rebuilds it, with an element type of its own or that of its storage.
fn entry(pickle: &Pickle, [id, offset, sizes, strides]: [Id; 4], kind: Option<String>) -> Entry {
    let read = || {
        let damaged = || "has a shape that cannot be read".to_owned();
        let view = View {
            offset: pickle.size(offset).ok_or_else(damaged)?,
            sizes: pickle.sizes(sizes).ok_or_else(damaged)?,
            strides: pickle.sizes(strides).ok_or_else(damaged)?,
        };
        let Object::Persistent(id) = *pickle.get(id) else {
            return Err("has a storage that cannot be read".to_owned());
        };
        let (stored, key, count, start) = storage(pickle, id)?;
        // A storage without a type counts bytes.
        let (kind, count) = match kind.as_deref().map(Kind::of_type) {
            Some(kind) => (kind, count / kind.width()),
            None => (stored, count),
        };
        let shape = view.shape(count)?;
        let start = start.checked_mul(kind.width()).ok_or_else(damaged)?;
        Ok((shape, kind, Stored { storage: key.to_owned(), start, view, element: Element::F32 }))
    };
    match read() {
        Err(reason) => Entry { shape: [].into(), content: Err(reason) },
        Ok((shape, kind, stored)) => {
            let content = match kind {
                Kind::Float(element) => Ok(Stored { element, ..stored }),
                Kind::Other(_) => Err("holds no floating-point numbers".to_owned()),
            };
            Entry { shape, content }
        }
    }
}

/// What a storage holds: floating-point numbers, or something else of so many bytes.
#[derive(Clone, Copy)]
enum Kind {
    Float(Element),
    Other(usize),
}

impl Kind {
    fn width(self) -> usize {
        match self {
            Kind::Float(element) => element.size(),
            Kind::Other(width) => width,
        }
    }

    /// Of a class such as `torch.FloatStorage` or `torch.cuda.HalfStorage`.
    fn of_class(class: &str) -> Kind {
        match class.rsplit('.').next().unwrap_or_default() {
            "HalfStorage" => Kind::Float(Element::F16),
            "BFloat16Storage" => Kind::Float(Element::Bf16),
            "FloatStorage" => Kind::Float(Element::F32),
            "DoubleStorage" => Kind::Float(Element::F64),
            "ShortStorage" => Kind::Other(2),
            "IntStorage" | "QInt32Storage" => Kind::Other(4),
            "LongStorage" | "ComplexFloatStorage" => Kind::Other(8),
            "ComplexDoubleStorage" => Kind::Other(16),
            _ => Kind::Other(1),
        }
    }

    /// Of an element type such as `torch.float32`.
    fn of_type(name: &str) -> Kind {
        match name {
            "torch.float16" => Kind::Float(Element::F16),
            "torch.bfloat16" => Kind::Float(Element::Bf16),
            "torch.float32" => Kind::Float(Element::F32),
            "torch.float64" => Kind::Float(Element::F64),
            _ => Kind::Other(1),
        }
    }
}

/// Kind, key and number of elements of a storage, which the pickle only names, and where in it the storage begins: very
/// old files have storages that are part of another.
fn storage(pickle: &Pickle, id: Id) -> Result<(Kind, &str, usize, usize), String> {
    let damaged = || "has a storage that cannot be read".to_owned();
    let &[_, class, key, _, count, ref rest @ ..] = pickle.sequence(id).unwrap_or_default() else {
        return Err(damaged());
    };
    let kind = Kind::of_class(&pickle.global(class).ok_or_else(damaged)?);
    let key = pickle.text(key).filter(|key| key.len() <= LONGEST).ok_or_else(damaged)?;
    let count = pickle.size(count).ok_or_else(damaged)?;
    let part = rest.first().and_then(|&part| match *pickle.sequence(part)? {
        [_, start, size] => pickle.size(start).zip(pickle.size(size)),
        _ => None,
    });
    Ok(match part {
        Some((start, size)) => (kind, key, size, start),
        None => (kind, key, count, 0),
    })
}
