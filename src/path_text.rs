//! Paths as text that leads back to them, for configurations and headers: paths need not be UTF-8, these must.
//!
//! A path that is UTF-8 is its own text. In another, each byte that is not is written as NUL, which no path holds, and
//! two hexadecimal digits. What people read has [`Path::display`] instead.

use serde::{Deserialize, Deserializer, Serializer};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The text of a path, or of a word with a path in it.
pub fn to_text(path: impl AsRef<OsStr>) -> String {
    let bytes = path.as_ref().as_encoded_bytes();
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\0{byte:02x}")));
    }
    text
}

/// The path of a text; what is no text of a path is a path as it stands.
pub fn from_text(text: &str) -> PathBuf {
    let mut parts = text.split('\0');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&part.as_bytes()[2..]);
            }
            None => return PathBuf::from(text),
        }
    }
    path_of(bytes, text)
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>, _: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Elsewhere the bytes of paths have rules of their own.
#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>, text: &str) -> PathBuf {
    String::from_utf8(bytes).map_or_else(|_| PathBuf::from(text), PathBuf::from)
}

/// The text of a name that tells it from others, for people: each byte that is not UTF-8 is written as `\\xe9`.
pub fn told_apart(name: impl AsRef<OsStr>) -> String {
    let mut text = String::new();
    for chunk in name.as_ref().as_encoded_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// As `#[serde(with = "path_text::option")]`.
pub(crate) mod option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => to.serialize_some(&to_text(path)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(|text| from_text(&text)))
    }
}

/// What JSON and people are told of a path: text in any case.
pub fn lossy(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_text_is_its_own_text() {
        for path in ["", "a", "runs/é/1", "C:\\data\\x00", "a b"] {
            assert_eq!(to_text(Path::new(path)), path);
            assert_eq!(from_text(path), Path::new(path));
        }
        assert_eq!(from_text("no\0number"), Path::new("no\0number"));
    }

    #[cfg(unix)]
    #[test]
    fn every_path_comes_back_from_its_text() {
        use std::os::unix::ffi::OsStrExt;
        for bytes in [&b"caf\xe9/x"[..], b"\xff", b"\xf0\x9f\x92", b"a\x80\x80b\xc3\xa9"] {
            let path = Path::new(OsStr::from_bytes(bytes));
            assert_eq!(from_text(&to_text(path)), path);
        }
        assert_eq!(to_text(Path::new(OsStr::from_bytes(b"caf\xe9"))), "caf\0e9");
        assert_eq!(told_apart(OsStr::from_bytes(b"caf\xe9 \xc3\xa9")), "caf\\xe9 é");
    }
}
