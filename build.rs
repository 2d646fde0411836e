//! Lists every file under `shaders/` so that the crate embeds it: adding a shader is adding a file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=shaders");
    // Where a thread may wait for a device. In a browser none may: what waits is not there, so that it cannot be called.
    println!("cargo::rustc-check-cfg=cfg(blocking)");
    let families = env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();
    let is_web = families.split(',').any(|family| family == "wasm");
    if !is_web {
        println!("cargo::rustc-cfg=blocking");
    }
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR")).join("shaders");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();

    let mut table = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root).expect("files lie under the root").with_extension("");
        let name = name.to_str().expect("shader names are plain").replace('\\', "/");
        match is_web {
            // A page is fetched: a third of the text are comments.
            true => writeln!(table, "    ({name:?}, {:?}),", without_comments(&fs::read_to_string(file)?)),
            false => writeln!(table, "    ({name:?}, include_str!({file:?})),"),
        }
        .expect("writing to a string does not fail");
    }
    table.push(']');
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("shaders.rs"), table)
}

/// The lines that are not comments alone, without what they are indented by.
fn without_comments(text: &str) -> String {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "wgsl") {
            files.push(path);
        }
    }
    Ok(())
}
