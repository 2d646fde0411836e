//! The drawing of layers in docs/architecture.md, held against what the code imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the program, with the folder or file at the top of `src/` that it belongs to.
fn sources() -> Vec<(String, PathBuf)> {
    let mut all = Vec::new();
    collect(&root().join("src"), None, &mut all);
    collect(&root().join("models"), Some("models"), &mut all);
    all
}

fn collect(folder: &Path, layer: Option<&str>, all: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let own = path.file_stem().unwrap().to_str().unwrap();
        let layer = layer.unwrap_or(own);
        if path.is_dir() {
            collect(&path, Some(layer), all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push((layer.to_owned(), path));
        }
    }
}

/// The code of a file: no comments, and no tests, which may look at everything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    text.lines().filter(|line| !is_comment(line)).map(|line| format!("{line}\n")).collect()
}

/// Whether a file holds tests only.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests")
}

/// The layers of the drawing, the lowest first: each line may know those above it.
fn drawing() -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, after) = page.split_once("## Layers").expect("the page has a chapter on layers");
    let block = after.lines().skip_while(|line| !line.starts_with("    ")).take_while(|line| line.starts_with("    "));
    // What a layer is comes after two spaces or more.
    let names = |line: &str| line.trim().split("  ").next().unwrap().split_whitespace().map(str::to_owned).collect();
    block.map(names).collect()
}

/// The names after `crate::`, and after `tilewright::` in the program.
fn imports(code: &str) -> BTreeSet<String> {
    let after = |prefix: &str| -> Vec<String> {
        let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        code.split(prefix).skip(1).map(name).collect()
    };
    after("crate::").into_iter().chain(after("tilewright::")).filter(|name| !name.is_empty()).collect()
}

#[test]
fn imports_go_up_the_drawing_of_layers_and_nowhere_else() {
    let drawing = drawing();
    let level: BTreeMap<&str, usize> =
        drawing.iter().enumerate().flat_map(|(at, names)| names.iter().map(move |name| (name.as_str(), at))).collect();
    let mut wrong = Vec::new();
    for (layer, path) in
        sources().iter().filter(|(layer, path)| !["lib", "main"].contains(&layer.as_str()) && !is_test(path))
    {
        let Some(own) = level.get(layer.as_str()) else {
            wrong.push(format!("`{layer}` is not in the drawing"));
            continue;
        };
        for import in imports(&code(path)).iter().filter(|import| *import != layer) {
            match level.get(import.as_str()) {
                Some(other) if other < own => {}
                Some(_) => wrong.push(format!("{} knows `{import}`, which is not above it", path.display())),
                None => wrong.push(format!("{} knows `{import}`, which is not in the drawing", path.display())),
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let layers: BTreeSet<String> = sources().into_iter().map(|(layer, _)| layer).collect();
    let gone: Vec<&&str> = level.keys().filter(|name| !layers.contains(**name)).collect();
    assert!(gone.is_empty(), "the drawing has layers that the code lacks: {gone:?}");
}

#[test]
fn wgpu_is_named_in_one_folder_alone() {
    let named: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|(layer, path)| layer != "gpu" && code(path).contains("wgpu::"))
        .map(|(_, path)| path)
        .collect();
    assert!(named.is_empty(), "{named:?}");
}

#[test]
fn the_library_names_no_option_of_a_command_line() {
    let mut named = Vec::new();
    for (layer, path) in
        sources().into_iter().filter(|(layer, path)| !["cli", "main"].contains(&layer.as_str()) && !is_test(path))
    {
        for line in code(&path).lines() {
            // `--` before a letter and not within a word: an option, or the end of one.
            let option = line.split("--").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
            if option {
                named.push(format!("{layer}: {}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(named.is_empty(), "{}", named.join("\n"));
}
