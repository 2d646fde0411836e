//! Feeds every parser what is almost right (`make fuzz`, a minute each), and what was found that way (every run of the
//! tests). Each must end without a panic, in good time, and without far more memory than its input is long.
//!
//! The bytes are mutations of the files in tests/data/fuzz/NAME, on stable Rust and without another build: nothing
//! guides them but these files, so a new kind of input begins with a file there.

mod mutate;
mod parsers;

use mutate::{Random, mutated};
use parsers::{PARSERS, Parser};
use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Counts what is held, over all threads.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Bytes that any input may take, and bytes for each of its own.
const ALLOWED: usize = 64 << 20;
const PER_BYTE: usize = 100;
/// Longer is too long.
const PATIENCE: Duration = Duration::from_secs(20);
/// An allocation beyond this fails, so that a parser that asks for it does not take the machine with it.
const REFUSED: usize = 8 << 30;

fn take(bytes: usize) -> bool {
    let held = HELD.fetch_add(bytes, Relaxed).saturating_add(bytes);
    MOST.fetch_max(held, Relaxed);
    bytes < REFUSED
}

// SAFETY: every call goes to the system's allocator as it is; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if take(layout.size()) { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if take(layout.size()) { unsafe { System.alloc_zeroed(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !take(size) {
            return std::ptr::null_mut();
        }
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Why an input is a find.
fn judged(parse: Parser, data: &[u8], folder: &Path) -> Result<(), String> {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    let begin = Instant::now();
    let ended = catch_unwind(|| parse(data, folder));
    let taken = MOST.load(Relaxed).saturating_sub(before);
    match ended {
        Err(_) => Err("it panics".to_owned()),
        Ok(()) if taken > ALLOWED + PER_BYTE * data.len() => Err(format!("it takes {taken} bytes")),
        Ok(()) if begin.elapsed() > PATIENCE => Err(format!("it takes {:?}", begin.elapsed())),
        Ok(()) => Ok(()),
    }
}

/// Files that a parser starts from.
fn seeds(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(name);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no file to start from", folder.display());
    files
}

#[test]
fn what_was_found_before_is_read_or_refused() {
    for (name, parse) in PARSERS {
        for file in seeds(name) {
            // Shown where the test fails.
            println!("{}", file.display());
            let folder = tempfile::tempdir().unwrap();
            judged(parse, &fs::read(&file).unwrap(), folder.path()).unwrap();
        }
    }
}

/// `FUZZ_SECONDS` for each parser, or only for those that `FUZZ_TARGETS` names; `FUZZ_SEED` begins elsewhere. What is
/// found stays in `target/fuzz`, and belongs, as small as it gets, into tests/data/fuzz.
#[test]
#[ignore = "make fuzz runs it, a minute each"]
fn random_bytes_are_read_or_refused() {
    let variable = |name: &str| std::env::var(name).ok();
    let seconds = variable("FUZZ_SECONDS").and_then(|text| text.parse().ok()).unwrap_or(60);
    let seed = variable("FUZZ_SEED").and_then(|text| text.parse().ok()).unwrap_or(1);
    let wanted = variable("FUZZ_TARGETS");
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|names| names.split(',').any(|wanted| wanted == name));
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    fs::create_dir_all(&kept).unwrap();
    let mut found = Vec::new();
    for (name, parse) in PARSERS.into_iter().filter(|(name, _)| is_wanted(name)) {
        let seeds: Vec<Vec<u8>> = seeds(name).iter().map(|file| fs::read(file).unwrap()).collect();
        let (mut random, begin, mut runs) = (Random::new(seed), Instant::now(), 0_u64);
        let folder = tempfile::tempdir().unwrap();
        while begin.elapsed() < Duration::from_secs(seconds) {
            let data = mutated(&mut random, &seeds);
            // An abort leaves the input that it came of.
            let file = kept.join(format!("{name}-last"));
            fs::write(&file, &data).unwrap();
            runs += 1;
            if let Err(reason) = judged(parse, &data, folder.path()) {
                let file = kept.join(format!("{name}-{seed}-{runs}"));
                fs::write(&file, &data).unwrap();
                println!("{}: {reason}", file.display());
                found.push(file);
            }
        }
        println!("{name}: {runs} inputs");
    }
    assert!(found.is_empty(), "{} finds: {found:?}", found.len());
}
