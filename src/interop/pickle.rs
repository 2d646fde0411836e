//! A reader for Python's pickles that runs nothing: a call is kept as a name and its arguments.
//!
//! Pickle is a program for a stack machine, one byte an instruction. The objects it makes are rows of
//! a table and refer to each other by index. A class or function is only a [`Object::Global`], and to
//! call it gives an [`Object::Call`]; what a caller makes of that is up to the caller. The instructions
//! are those that `torch.save` writes, of protocols 2 to 5.

use std::collections::HashMap;

/// Index of an object.
pub(super) type Id = usize;

/// Objects that a pickle makes at most. One takes a byte to make, and a hundred times that to hold.
const MOST_OBJECTS: usize = 1 << 23;

/// Sizes that a sequence has at most: one of many, which many tensors share, would fill the memory.
const MOST_SIZES: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Also a whole number of more than 64 bits, little-endian.
    Bytes(Vec<u8>),
    /// A tuple, a list or a set.
    Sequence(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function: module and name.
    Global(String, String),
    /// What a class or function would give for the arguments.
    Call {
        function: Id,
        arguments: Id,
    },
    /// An object that is kept elsewhere.
    Persistent(Id),
}

/// The objects of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    /// The object that was pickled.
    pub root: Id,
}

impl Pickle {
    /// Reads a pickle.
    ///
    /// # Errors
    /// When it ends early, has an instruction that is not read, or takes what is not on its stack.
    pub(super) fn read(bytes: &[u8]) -> Result<Pickle, String> {
        Pickle::read_first(bytes).map(|(pickle, _)| pickle)
    }

    /// Reads the pickle that `bytes` begin with, and says how long it is.
    ///
    /// # Errors
    /// As [`Pickle::read`].
    pub(super) fn read_first(bytes: &[u8]) -> Result<(Pickle, usize), String> {
        let mut machine = Machine { bytes, at: 0, objects: Vec::new(), stack: Vec::new(), memo: HashMap::new() };
        let root = machine.run().map_err(|reason| format!("its pickle, at byte {}: {reason}", machine.at))?;
        Ok((Pickle { objects: machine.objects, root }, machine.at))
    }

    /// Every object, in the order they were made.
    pub(super) fn objects(&self) -> &[Object] {
        &self.objects
    }

    pub(super) fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Object::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Object::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// A short sequence of whole numbers that are not negative.
    pub(super) fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        self.sequence(id)?
            .get(..)
            .filter(|items| items.len() <= MOST_SIZES)?
            .iter()
            .map(|&item| self.size(item))
            .collect()
    }

    /// A whole number that is not negative.
    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Object::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// `module.name` of a class or function.
    pub(super) fn global(&self, id: Id) -> Option<String> {
        match self.get(id) {
            Object::Global(module, name) => Some(format!("{module}.{name}")),
            _ => None,
        }
    }
}

enum Item {
    Object(Id),
    Mark,
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    stack: Vec<Item>,
    memo: HashMap<u64, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id, String> {
        loop {
            if self.objects.len() > MOST_OBJECTS {
                return Err(format!("it makes more than {MOST_OBJECTS} objects, which no state_dict needs"));
            }
            let [opcode] = self.take()?;
            match opcode {
                b'.' => return self.pop(),
                b'(' => self.stack.push(Item::Mark),
                0x80 => drop(self.take::<1>()?),
                // FRAME: only says how many bytes follow.
                0x95 => drop(self.take::<8>()?),
                b'N' => self.push(Object::None),
                0x88 => self.push(Object::Bool(true)),
                0x89 => self.push(Object::Bool(false)),
                b'K' => {
                    let [number] = self.take()?;
                    self.push(Object::Int(number.into()));
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.take()?);
                    self.push(Object::Int(number.into()));
                }
                b'J' => {
                    let number = i32::from_le_bytes(self.take()?);
                    self.push(Object::Int(number.into()));
                }
                0x8a => self.long::<1>()?,
                0x8b => self.long::<4>()?,
                b'G' => {
                    let number = f64::from_be_bytes(self.take()?);
                    self.push(Object::Float(number));
                }
                0x8c => self.text::<1>()?,
                b'X' => self.text::<4>()?,
                0x8d => self.text::<8>()?,
                b'U' | b'C' => self.byte_string::<1>()?,
                b'T' | b'B' => self.byte_string::<4>()?,
                0x8e | 0x96 => self.byte_string::<8>()?,
                b')' | b']' | 0x8f => self.push(Object::Sequence(Vec::new())),
                b'}' => self.push(Object::Dict(Vec::new())),
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b't' | b'l' | 0x91 => {
                    let items = self.pop_to_mark()?;
                    self.push(Object::Sequence(items));
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend(&[item])?;
                }
                b'e' | 0x90 => {
                    let items = self.pop_to_mark()?;
                    self.extend(&items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(&[key, value])?;
                }
                b'u' => {
                    let pairs = self.pop_to_mark()?;
                    self.set(&pairs)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Object::Global(module, name));
                }
                0x93 => {
                    let (name, module) = (self.pop_text()?, self.pop_text()?);
                    self.push(Object::Global(module, name));
                }
                b'R' | 0x81 => self.call()?,
                // NEWOBJ_EX: named arguments, which no tensor has.
                0x92 => {
                    self.pop()?;
                    self.call()?;
                }
                // The state of an object, which no tensor is in.
                b'b' => drop(self.pop()?),
                b'Q' => {
                    let id = self.pop()?;
                    self.push(Object::Persistent(id));
                }
                b'q' => {
                    let [slot] = self.take()?;
                    self.remember(slot.into())?;
                }
                b'r' => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.remember(slot.into())?;
                }
                0x94 => self.remember(self.memo.len() as u64)?,
                b'h' => {
                    let [slot] = self.take()?;
                    self.recall(slot.into())?;
                }
                b'j' => {
                    let slot = u32::from_le_bytes(self.take()?);
                    self.recall(slot.into())?;
                }
                b'0' => drop(self.stack.pop()),
                b'1' => drop(self.pop_to_mark()?),
                b'2' => {
                    let id = self.top()?;
                    self.stack.push(Item::Object(id));
                }
                other => return Err(format!("instruction {other:#04x} is none that a state_dict needs")),
            }
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or("it ends too early")?;
        self.at += N;
        Ok(*bytes)
    }

    /// As many bytes as a little-endian length of N bytes before them says.
    fn counted<const N: usize>(&mut self) -> Result<&[u8], String> {
        let mut length = [0; 8];
        length[..N].copy_from_slice(&self.take::<N>()?);
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len()).ok_or("it ends too early")?;
        let start = std::mem::replace(&mut self.at, end);
        Ok(&self.bytes[start..end])
    }

    fn text<const N: usize>(&mut self) -> Result<(), String> {
        let text = std::str::from_utf8(self.counted::<N>()?).map_err(|reason| reason.to_string())?.to_owned();
        self.push(Object::Text(text));
        Ok(())
    }

    fn byte_string<const N: usize>(&mut self) -> Result<(), String> {
        let bytes = self.counted::<N>()?.to_vec();
        self.push(Object::Bytes(bytes));
        Ok(())
    }

    /// A whole number of any length. Those of a tensor fit into 64 bits.
    fn long<const N: usize>(&mut self) -> Result<(), String> {
        let bytes = self.counted::<N>()?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut number = [if negative { 0xff } else { 0 }; 8];
        let object = match number.get_mut(..bytes.len()) {
            Some(start) => {
                start.copy_from_slice(bytes);
                Object::Int(i64::from_le_bytes(number))
            }
            None => Object::Bytes(bytes.to_vec()),
        };
        self.push(object);
        Ok(())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("it ends too early")?;
        self.at += length + 1;
        String::from_utf8(rest[..length].to_vec()).map_err(|reason| reason.to_string())
    }

    fn push(&mut self, object: Object) {
        self.objects.push(object);
        self.stack.push(Item::Object(self.objects.len() - 1));
    }

    fn pop(&mut self) -> Result<Id, String> {
        match self.stack.pop() {
            Some(Item::Object(id)) => Ok(id),
            _ => Err("an object is missing on its stack".to_owned()),
        }
    }

    fn pop_text(&mut self) -> Result<String, String> {
        let id = self.pop()?;
        match &self.objects[id] {
            Object::Text(text) => Ok(text.clone()),
            _ => Err("the name of a class is no text".to_owned()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let mut items = Vec::new();
        loop {
            match self.stack.pop() {
                Some(Item::Object(id)) => items.push(id),
                Some(Item::Mark) => break,
                None => return Err("a mark is missing on its stack".to_owned()),
            }
        }
        items.reverse();
        Ok(items)
    }

    fn top(&self) -> Result<Id, String> {
        match self.stack.last() {
            Some(Item::Object(id)) => Ok(*id),
            _ => Err("an object is missing on its stack".to_owned()),
        }
    }

    fn tuple(&mut self, length: usize) -> Result<(), String> {
        let mut items = (0..length).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Object::Sequence(items));
        Ok(())
    }

    fn extend(&mut self, items: &[Id]) -> Result<(), String> {
        let list = self.top()?;
        match &mut self.objects[list] {
            Object::Sequence(held) => held.extend(items),
            // An object that behaves as a list; what it holds is not looked at.
            Object::Call { .. } => {}
            _ => return Err("something is appended to what is no list".to_owned()),
        }
        Ok(())
    }

    fn set(&mut self, pairs: &[Id]) -> Result<(), String> {
        let dict = self.top()?;
        let (pairs, rest) = pairs.as_chunks();
        if !rest.is_empty() {
            return Err("a key has no value".to_owned());
        }
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        match &mut self.objects[dict] {
            Object::Dict(held) => held.extend(pairs),
            // An object that behaves as a dict, such as a defaultdict.
            call @ Object::Call { .. } => *call = Object::Dict(pairs.collect()),
            _ => return Err("a key is set of what is no dict".to_owned()),
        }
        Ok(())
    }

    /// Keeps the call, except that of an ordered dict, which is a dict.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let is_dict = match &self.objects[function] {
            Object::Global(module, name) => module == "collections" && name == "OrderedDict",
            _ => false,
        };
        let pairs = if is_dict { self.pairs(arguments) } else { None };
        self.push(match pairs {
            Some(pairs) => Object::Dict(pairs),
            None => Object::Call { function, arguments },
        });
        Ok(())
    }

    /// The keys and values that an ordered dict is called with: none, or as Python 2 has it, a list of pairs.
    fn pairs(&self, arguments: Id) -> Option<Vec<(Id, Id)>> {
        let sequence = |id: Id| match &self.objects[id] {
            Object::Sequence(items) => Some(items.as_slice()),
            _ => None,
        };
        let listed = match *sequence(arguments)? {
            [] => return Some(Vec::new()),
            [list] => sequence(list)?,
            _ => return None,
        };
        let pair = |&id: &Id| match *sequence(id)? {
            [key, value] => Some((key, value)),
            _ => None,
        };
        listed.iter().map(pair).collect()
    }

    fn remember(&mut self, slot: u64) -> Result<(), String> {
        let id = self.top()?;
        self.memo.insert(slot, id);
        Ok(())
    }

    fn recall(&mut self, slot: u64) -> Result<(), String> {
        let id = *self.memo.get(&slot).ok_or("it asks for what it never stored")?;
        self.stack.push(Item::Object(id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_kept_and_not_made() {
        // os.system("echo"), as pickle.dumps would have it called.
        let pickle = Pickle::read(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00echo\x85R.").unwrap();
        let Object::Call { function, arguments } = *pickle.get(pickle.root) else { panic!("{pickle:?}") };
        assert_eq!(pickle.global(function).unwrap(), "os.system");
        assert_eq!(pickle.text(pickle.sequence(arguments).unwrap()[0]), Some("echo"));
    }

    #[test]
    fn whole_numbers_keep_their_sign() {
        for (bytes, number) in [
            (&b"K\xff."[..], 255),
            (b"M\xff\xff.", 65_535),
            (b"J\xff\xff\xff\xff.", -1),
            (b"\x8a\x02\x00\xff.", -256),
            (b"\x8a\x05\x00\x00\x00\x00\x01.", 1 << 32),
        ] {
            let pickle = Pickle::read(bytes).unwrap();
            assert_eq!(*pickle.get(pickle.root), Object::Int(number), "{bytes:?}");
        }
    }

    #[test]
    fn a_pickle_that_only_means_to_fill_the_memory_is_refused() {
        let mut bytes = vec![b')'; MOST_OBJECTS + 1];
        bytes.push(b'.');
        assert!(Pickle::read(&bytes).unwrap_err().contains("objects"));
    }

    #[test]
    fn a_damaged_pickle_is_refused_at_any_length() {
        let whole =
            b"\x80\x02ccollections\nOrderedDict\n)Rq\x00(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00b\x8a\x01\x02u.";
        assert!(Pickle::read(whole).is_ok());
        for length in 0..whole.len() {
            assert!(Pickle::read(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
