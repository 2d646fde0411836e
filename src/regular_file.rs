//! Reads regular files, and nothing else: a pipe would be waited for, and a device such as `/dev/zero` has no end.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Opens a file for reading; a link is followed.
///
/// # Errors
/// When there is none, it is no regular file, or it may not be read.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened: that alone would wait for who writes to a pipe.
    let metadata = fs::metadata(path)?;
    match (metadata.is_file(), metadata.is_dir()) {
        (true, _) => File::open(path),
        (_, true) => Err(io::Error::from(ErrorKind::IsADirectory)),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file but a pipe, a socket or a device")),
    }
}

/// The bytes of a file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file.
///
/// # Errors
/// As [`open`], and when it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(ErrorKind::InvalidData, error.utf8_error()))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_pipe_a_device_and_a_folder_are_refused_at_once_and_a_link_to_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let [pipe, file, link] = ["pipe", "file", "link"].map(|name| folder.path().join(name));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::write(&file, "text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for refused in [&pipe, Path::new("/dev/zero"), folder.path()] {
            assert!(read(refused).is_err(), "{}", refused.display());
        }
        assert!(read(&pipe).unwrap_err().to_string().contains("a pipe"));
        assert_eq!(read_to_string(&link).unwrap(), "text");
    }
}
