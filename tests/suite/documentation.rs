//! The documentation says what is true: generated pages are up to date, links lead somewhere, commands
//! exist, and the table of ops names every op and every shader file.

use crate::common::{command, tilewright};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tilewright::check;
use tilewright::graph::Graph;
use tilewright::kernel::{DeviceClass, DeviceProfile};
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;
use tilewright::ops;
use tilewright::ops::card::Entry;
use tilewright::optim::Optimizer;
use tilewright::plan::Plan;
use tilewright::report::{Page, published};
use tilewright::shader::SOURCES;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files under `folder` with this ending, those of folders within it too.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn pages() -> Vec<PathBuf> {
    let mut pages = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(|page| root().join(page)).to_vec();
    pages.extend(files(&root().join("docs"), "md"));
    pages
}

#[test]
fn generated_pages_are_what_the_code_says() {
    for page in Page::ALL {
        let held = read(&root().join(page.path()));
        let text = page.text().unwrap();
        let command = format!("{page:?}").to_lowercase();
        assert!(held == text, "write it anew: tilewright docs {command} > {}", page.path());
    }
}

#[test]
fn a_page_that_was_edited_by_hand_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ops.md");
    std::fs::write(&file, "# Ops\n").unwrap();
    let check = |file: &Path, status: i32| tilewright(&["docs", "ops", "--check", file.to_str().unwrap()], status);
    check(&file, 1).says("tilewright docs ops > docs/ops.md");
    check(&root().join("docs/ops.md"), 0);
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut links = 0;
    for page in pages() {
        let text = read(&page);
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
            .chain(text.split("src=\"").skip(1).filter_map(|rest| rest.split_once('"')))
            .map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let path = target.split('#').next().unwrap_or(target);
            let there = page.parent().unwrap().join(path);
            assert!(there.exists(), "{}: the link `{target}` leads nowhere", page.display());
            links += 1;
        }
    }
    assert!(links > 100, "only {links} links were found");
}

fn help(arguments: &[&str]) -> Option<String> {
    let output = command().args(arguments).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// The words of a command's help that look like options.
fn options(help: &str) -> BTreeSet<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    help.split(word).filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

/// Command lines of a page: what follows `tilewright` in code, until the line or the code ends.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let pieces: Vec<&str> = if fenced { vec![line] } else { line.split('`').skip(1).step_by(2).collect() };
        for piece in pieces {
            let mut words = piece.split_whitespace().skip_while(|word| !word.ends_with("tilewright"));
            if words.next().is_some() {
                found.push(words.take_while(|word| !["#", "|", ">", "&&"].contains(word)).collect());
            }
        }
    }
    found
}

#[test]
fn every_command_and_option_of_the_pages_exists() {
    let mut helps: BTreeMap<Vec<&str>, Option<String>> = BTreeMap::new();
    let texts: Vec<(PathBuf, String)> = pages().into_iter().map(|page| (page.clone(), read(&page))).collect();
    let mut checked = 0;
    for (page, text) in &texts {
        for command in commands(text) {
            let Some(&name) = command.first().filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())) else {
                continue;
            };
            let mut path = vec![name];
            if name == "bench" {
                path.extend(command.get(1).filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())));
            }
            let shown = helps.entry(path.clone()).or_insert_with(|| help(&path));
            let shown = shown.as_ref().unwrap_or_else(|| panic!("{}: no command `{path:?}`", page.display()));
            let options = options(shown);
            for option in command.iter().filter(|word| word.starts_with("--")) {
                let option = option.split(['=', ']', ',']).next().unwrap_or(option);
                assert!(options.contains(option), "{}: `{name}` takes no `{option}`", page.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} commands were found");
}

/// The README and the pages of the guide.
fn guide() -> Vec<(PathBuf, String)> {
    let mut pages = vec![root().join("README.md")];
    pages.extend(files(&root().join("docs/guide"), "md"));
    pages.into_iter().map(|page| (page.clone(), read(&page))).collect()
}

#[test]
fn the_readme_leads_to_every_page_of_the_guide() {
    let readme = read(&root().join("README.md"));
    assert!(readme.lines().count() <= 150, "README.md has {} lines", readme.lines().count());
    for page in files(&root().join("docs/guide"), "md") {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(readme.contains(&format!("](docs/guide/{name})")), "README.md does not lead to {name}");
    }
}

#[test]
fn code_of_the_guide_is_code_of_the_example_that_the_tests_run() {
    let library = read(&root().join("src/lib.rs"));
    let example: BTreeSet<&str> = library.lines().filter_map(|line| line.strip_prefix("//! ")).map(str::trim).collect();
    let mut compared = 0;
    for (page, text) in guide() {
        for block in text.split("```rust\n").skip(1).filter_map(|rest| rest.split_once("```")) {
            for line in block.0.lines().map(str::trim).filter(|line| !line.is_empty()) {
                assert!(example.contains(line), "{}: `{line}` is not in src/lib.rs", page.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 40, "only {compared} lines of code were found");
}

#[test]
fn the_readme_or_the_guide_tells_of_every_command() {
    let told: String = guide().into_iter().map(|(_, text)| text).collect();
    let shown = help(&[]).unwrap();
    let listed = shown.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    // A line that goes on from the one above is indented as far as the texts are.
    let begins = |line: &&str| line.strip_prefix("  ").is_some_and(|line| !line.starts_with(' '));
    let names: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter(begins)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"train"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        assert!(told.contains(&format!("tilewright {name}")), "no page of the guide mentions `tilewright {name}`");
    }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    check::cards().flat_map(|card| card.ops)
}

#[test]
fn every_shader_file_is_in_the_table_of_ops_and_every_entry_is_a_file() {
    let there: BTreeSet<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
    let shared = ops::SHARED.iter().map(|(name, _)| *name);
    let rules = Optimizer::all().into_iter().map(|optimizer| optimizer.shader());
    let listed = entries().flat_map(|entry| entry.shaders).copied();
    let told: BTreeSet<&str> = listed.chain(shared).chain(rules).collect();
    assert_eq!(told, there);
}

#[test]
fn every_op_has_one_row_and_every_row_an_op_that_is_checked() {
    let mut graphs: Vec<Graph> = check::cases().iter().map(|case| case.graph().unwrap()).collect();
    graphs.extend(models::all().map(|model| model.graph(&ModelOptions::new(), 2, Mode::Train).unwrap().graph));
    let met: BTreeSet<&str> = graphs.iter().flat_map(Graph::nodes).map(|node| node.op.name()).collect();
    let rows: Vec<&str> = entries().map(|entry| entry.name).collect();
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "an op has two rows");
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), met);
}

#[test]
fn the_kernels_of_every_plan_are_in_their_ops_rows() {
    let mut graphs: Vec<Graph> = check::cases().iter().map(|case| case.graph().unwrap()).collect();
    let small = models::all().filter(|model| model.input[1] <= 32);
    graphs.extend(small.map(|model| model.graph(&ModelOptions::new(), 2, Mode::Train).unwrap().graph));
    let rows: BTreeMap<&str, &[&str]> = entries().map(|entry| (entry.name, entry.shaders)).collect();
    let mut met = BTreeSet::new();
    for (class, plain_kernels) in [(DeviceClass::Gpu, false), (DeviceClass::Cpu, false), (DeviceClass::Cpu, true)] {
        let mut profile = DeviceProfile::webgpu_defaults(class);
        (profile.max_binding_bytes, profile.plain_kernels) = (1 << 31, plain_kernels);
        for graph in &graphs {
            let graph = graph.fuse_activations();
            let Ok(plan) = Plan::new(&graph, &profile) else { continue };
            for step in &plan.steps {
                let op = graph.nodes()[step.node].op.name();
                for shader in
                    [Some(step.kernel.shader), step.kernel.operands].into_iter().flatten().map(|shader| shader.name)
                {
                    let is_rule = || Optimizer::all().iter().any(|optimizer| optimizer.shader() == shader);
                    assert!(rows[op].contains(&shader) || is_rule(), "the row of `{op}` lacks `{shader}`");
                    met.insert(op);
                }
            }
        }
    }
    assert!(met.len() > 30, "only {} ops were met: {met:?}", met.len());
}

#[test]
fn models_have_the_published_cost() {
    let mut compared = 0;
    for model in models::all() {
        let graph = model.graph(&ModelOptions::new(), 1, Mode::Eval).unwrap().graph;
        let known = published(model.name);
        if let Some(parameters) = known.parameters {
            assert_eq!(graph.parameter_count(), parameters, "{}", model.name);
        }
        if let Some(want) = known.giga_multiply_adds {
            let want: f64 = want.parse().unwrap();
            let got = graph.multiply_adds() as f64 / 1e9;
            // Two percent, and half of the last digit that is published.
            assert!((got - want).abs() <= 0.02 * want + 0.005, "{}: {got}, published {want}", model.name);
            compared += 1;
        }
    }
    assert!(compared > 20, "only {compared} models have a published cost");
}

/// That program has a harness of its own, so the compiler would leave such a test out without a word.
#[test]
fn no_test_of_the_program_with_needs_is_marked_rather_than_listed() {
    for file in files(&root().join("tests/needs"), "rs") {
        assert!(!read(&file).contains("#[test]\n"), "{}: list the test in `trials!`", file.display());
    }
}
