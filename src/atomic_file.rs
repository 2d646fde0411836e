//! Files that are there in whole or not at all, whenever the process is killed or the disk is full; and files that
//! grow row by row. Every change that a run makes to its folder goes through here, and a test can
//! [stop it at each](before_each_operation).

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What is about to be done to a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Write,
    /// Of a file, to the disk.
    Sync,
    /// A temporary file gets its name.
    Rename,
    /// Of the folder, which puts names on the disk.
    SyncFolder,
    /// A file gets a second name.
    Link,
    Remove,
}

/// Called before an operation: an error takes its place.
pub type Hook = fn(Operation, &Path) -> io::Result<()>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Has `hook` called before each operation of this process from now on; the first hook stays. For tests of what a
/// killed process, which `hook` may end, or a full disk, which its error stands for, leaves behind.
#[doc(hidden)]
pub fn before_each_operation(hook: Hook) {
    HOOK.get_or_init(|| hook);
}

fn begin(operation: Operation, path: &Path) -> io::Result<()> {
    HOOK.get().map_or(Ok(()), |hook| hook(operation, path))
}

/// Temporary files are named `.tilewright-XXXXXX.tmp`.
const PREFIX: &str = ".tilewright-";
const SUFFIX: &str = ".tmp";

/// Writes a file so that it is there in whole or not at all: to a temporary file beside it, which is flushed to the
/// disk and renamed. Where `path` is a link, the file it leads to is written; what is a device or a pipe is written
/// through, and stays what it is.
///
/// # Errors
/// When `path` is a folder, its folder cannot be written, or the disk is full; an older file of the name is then kept.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, |_| Ok(()))
}

/// As [`replace_file`], for what has a checksum and is soon made anew: nobody waits for the disk.
///
/// # Errors
/// As [`replace_file`].
pub fn replace_cache(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = temporary().tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// As [`replace_file`]; the new file is read back before it takes the place of the older one.
///
/// # Errors
/// As [`replace_file`], and when what is read back is not what was written.
pub fn replace_verified(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, |file| hold_against(file, bytes))
}

fn replace(path: &Path, bytes: &[u8], check: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let target = match target_of(path)? {
        Target::File(target) => target,
        Target::Through => return write_through(path, bytes),
    };
    let folder = folder_of(&target);
    begin(Operation::Create, &target)?;
    let mut file = temporary().tempfile_in(folder)?;
    begin(Operation::Write, &target)?;
    file.write_all(bytes)?;
    begin(Operation::Sync, &target)?;
    file.as_file().sync_all()?;
    check(file.path())?;
    begin(Operation::Rename, &target)?;
    file.persist(&target)?;
    sync_folder(folder)
}

/// What a path means to who writes a file there.
enum Target {
    /// A file, there or not; no link.
    File(PathBuf),
    /// A device, a pipe, or what the process has open.
    Through,
}

/// Links that lead to one another without end are given up.
const MOST_LINKS: usize = 40;

fn target_of(path: &Path) -> io::Result<Target> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder")),
        // `/dev/stdout` leads to the file that a shell has opened, which is to be written where it is open.
        Ok(metadata) if !metadata.is_file() || is_link(path) && is_of_system(path) => Ok(Target::Through),
        Ok(_) if is_link(path) => Ok(Target::File(fs::canonicalize(path)?)),
        Ok(_) => Ok(Target::File(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => follow(path).map(Target::File),
        Err(error) => Err(error),
    }
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata: Metadata| metadata.is_symlink())
}

fn is_of_system(path: &Path) -> bool {
    path.starts_with("/dev") || path.starts_with("/proc")
}

/// Where a link to a file that does not exist leads to; another path is given back.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        if !is_link(&path) {
            return Ok(path);
        }
        path = folder_of(&path).join(fs::read_link(&path)?);
    }
    Err(io::Error::other("its links lead to one another"))
}

/// A bare file name has the empty path as its parent.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    begin(Operation::Write, path)?;
    let mut file = File::options().append(true).open(path)?;
    file.write_all(bytes)?;
    file.flush()
}

/// Temporary files that others may read once they have their name, as far as the umask lets them.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

/// Refuses a file that does not hold `bytes`.
fn hold_against(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let differs = || io::Error::other("what was read back is not what was written: the disk or its memory is damaged");
    let mut file = File::open(path)?;
    let mut block = vec![0; 1 << 20];
    for expected in bytes.chunks(block.len()) {
        let held = &mut block[..expected.len()];
        file.read_exact(held)?;
        if held != expected {
            return Err(differs());
        }
    }
    match file.read(&mut block)? {
        0 => Ok(()),
        _ => Err(differs()),
    }
}

/// A rename is on the disk once the folder is. Where folders cannot be opened, the file system sees to it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    begin(Operation::SyncFolder, folder)?;
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
    Ok(())
}

/// Gives the file `from` the second name `to`, in place of what had it; where the file system has no second names, a
/// copy. A later [`replace_file`] of one leaves the other as it is.
///
/// # Errors
/// When the folder cannot be written.
pub fn keep_as(from: &Path, to: &Path) -> io::Result<()> {
    remove_file(to)?;
    begin(Operation::Link, to)?;
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

/// Gives the file `from` the name `to`, in place of what had it.
///
/// # Errors
/// When the folder cannot be written.
pub fn rename_file(from: &Path, to: &Path) -> io::Result<()> {
    begin(Operation::Rename, to)?;
    fs::rename(from, to)?;
    sync_folder(folder_of(to))
}

/// Removes a file, if it is there.
///
/// # Errors
/// When the folder cannot be written.
pub fn remove_file(path: &Path) -> io::Result<()> {
    begin(Operation::Remove, path)?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the temporary files that killed processes have left in `folder`, to which nobody else writes now. What
/// cannot be removed stays: it does no harm.
pub fn sweep_up(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// A file to whose end is written. Each write goes to the system at once.
pub struct Appender {
    file: File,
    path: PathBuf,
}

impl Appender {
    /// Opens a file, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Appender> {
        begin(Operation::Create, path)?;
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Appender { file, path: path.to_owned() })
    }

    /// Whether nothing has been written to it yet.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }

    /// Waits until what was written is on the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        begin(Operation::Sync, &self.path)?;
        self.file.sync_data()
    }
}

impl Write for Appender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        begin(Operation::Write, &self.path)?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_must_be_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace_verified(&path, b"bytes").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bytes");
        hold_against(&path, b"bytes").unwrap();
        for other in [&b"bytez"[..], b"byte", b"bytes and more"] {
            assert!(hold_against(&path, other).is_err());
        }
    }

    #[test]
    fn only_temporary_files_of_this_program_are_swept_up() {
        let folder = tempfile::tempdir().unwrap();
        let left = temporary().tempfile_in(folder.path()).unwrap().into_temp_path().keep().unwrap();
        let others = [".tilewright-notes", "a.tmp", ".tmpabc"].map(|name| folder.path().join(name));
        others.iter().for_each(|path| fs::write(path, "kept").unwrap());
        sweep_up(folder.path());
        assert!(!left.exists() && others.iter().all(|path| path.exists()));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_and_pipes_are_written_through() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("there")).unwrap();
        for name in ["there/old", "there/new"] {
            let link = path(&name.replace("there/", ""));
            symlink(name, &link).unwrap();
            if name.ends_with("old") {
                fs::write(path(name), "before").unwrap();
            }
            replace_file(&link, b"after").unwrap();
            assert!(is_link(&link), "{name}");
            assert_eq!(fs::read(path(name)).unwrap(), b"after");
        }
        symlink("b", path("a")).unwrap();
        symlink("a", path("b")).unwrap();
        assert!(replace_file(&path("a"), b"x").is_err(), "a circle of links");
        assert_eq!(replace_file(&path("there"), b"x").unwrap_err().kind(), ErrorKind::IsADirectory);

        replace_file(Path::new("/dev/null"), b"x").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());

        let pipe = path("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        replace_file(&pipe, b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }
}
