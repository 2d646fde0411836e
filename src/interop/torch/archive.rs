//! The zip archive that `torch.save` writes since PyTorch 1.6: a pickle, `NAME/data.pkl`, and one file for each
//! storage, `NAME/data/KEY`.

use rawzip::{CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::ops::Range;

/// Where each file of the archive lies.
pub(crate) struct Archive {
    files: HashMap<String, ZipArchiveEntryWayfinder>,
    /// Folder in the archive that all files are in.
    folder: String,
    /// Where the bytes lie of files whose checksum was right: many tensors may be in one.
    verified: RefCell<HashMap<String, Range<usize>>>,
    big_endian: bool,
}

impl Archive {
    pub(crate) fn open(bytes: &[u8]) -> Result<Archive, String> {
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
        let mut archive = Archive { files, folder, verified: RefCell::default(), big_endian: false };
        // Files of PyTorch before 2.1 do not say, and are little-endian.
        archive.big_endian = archive.file(bytes, "byteorder").is_ok_and(|order| order == b"big");
        Ok(archive)
    }

    pub(crate) fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// The bytes of a file, held against its checksum.
    pub(crate) fn file<'a>(&self, bytes: &'a [u8], name: &str) -> Result<&'a [u8], String> {
        let path = format!("{}{name}", self.folder);
        if let Some(range) = self.verified.borrow().get(&path) {
            return Ok(&bytes[range.clone()]);
        }
        let told = |reason: &dyn std::fmt::Display| format!("its file `{path}` cannot be read: {reason}");
        let wayfinder = *self.files.get(&path).ok_or_else(|| told(&"there is none, or it is compressed"))?;
        let zip = ZipArchive::from_slice(bytes).map_err(|reason| told(&reason))?;
        let entry = zip.get_entry(wayfinder).map_err(|reason| told(&reason))?;
        let data = entry.data();
        io::copy(&mut entry.verifying_reader(data), &mut io::sink()).map_err(|reason| told(&reason))?;
        // The entry borrows from `zip`, the bytes are those of the file.
        let start = data.as_ptr().addr().saturating_sub(bytes.as_ptr().addr());
        let range = if data.is_empty() { 0..0 } else { start..start + data.len() };
        self.verified.borrow_mut().insert(path, range.clone());
        Ok(&bytes[range])
    }
}
