//! What is seen of a run: its pictures, its page in a browser, several runs side by side, features, and where a model looks.

use crate::common::tilewright;
use crate::need::{chromium, trials};
use safetensors::SafeTensors;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tilewright::checkpoint::{Checkpoint, Header, load_checkpoint};
use tilewright::data::Normalization;
use tilewright::gpu::DeviceOptions;
use tilewright::random::SplitMix64;
use tilewright::recipe::TrainConfig;
use tilewright::report::{Confusion, Picture};
use tilewright::session::Device;
use tilewright::train::{Batch, Embedder, Evaluator, Evidence, Explainer, Silent, Trainer, evaluation_graph};

trials! {
    Nothing:
        a_run_leaves_its_pictures_and_they_are_the_same_by_eval,
        runs_are_compared_in_a_table_a_chart_and_as_json,
        features_are_those_that_the_head_makes_the_logits_of,
        predictions_are_written_as_tables_and_as_lines_and_patterns_are_followed,
        nothing_that_is_seen_of_a_run_is_written_over_its_files,
        where_a_model_with_an_averaging_head_looks_is_told_by_the_weights_of_its_head;
    Adapter:
        a_device_looks_where_the_reference_does;
    Chromium:
        a_page_is_whole_in_a_browser_without_overlaps_and_asks_for_nothing,
        a_confusion_of_many_classes_has_no_labels_on_each_other;
}

/// A run of two epochs on the reference, and the folder that it is in.
fn run(seed: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut recipe = TrainConfig::for_model("lenet5").unwrap();
    recipe.data = "synthetic:1x28x28:4:60".parse().unwrap();
    (recipe.epochs, recipe.batch, recipe.seed) = (2, 15, seed.parse().unwrap());
    Trainer::create(recipe, &Device::reference(), Some(&run)).unwrap().run(&mut Silent).unwrap();
    (folder, run)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const PICTURES: [&str; 3] = ["confusion", "reliability", "filters"];

fn a_run_leaves_its_pictures_and_they_are_the_same_by_eval() {
    let (folder, run) = run("1");
    let again = folder.path().join("again");
    let found = tilewright(&["eval", text(&run), "--device", "cpu", "--pictures", text(&again), "--json"], 0).json();
    for name in PICTURES {
        for ending in ["svg", "png"] {
            let file = format!("{name}.{ending}");
            assert!(fs::read(run.join(&file)).unwrap() == fs::read(again.join(&file)).unwrap(), "{file} differs");
        }
        assert!(image::open(run.join(format!("{name}.png"))).unwrap().width() > 300, "{name}");
    }
    assert!(run.join("curves.png").is_file());
    let [of_run, of_eval] = [&run, &again]
        .map(|folder| serde_json::from_slice(&fs::read(folder.join("evaluation.json")).unwrap()).unwrap());
    let (of_run, of_eval): (Value, Value) = (of_run, of_eval);
    assert_eq!(of_run["evaluation"], of_eval["evaluation"]);
    assert_eq!(of_run["checkpoint"], "last");
    assert_eq!(of_run["evaluation"]["confusion"], found["confusion"]);
    assert_eq!(found["confusion"].as_array().unwrap().len(), 4);
    let bins = found["calibration"].as_array().unwrap().iter();
    assert_eq!(bins.map(|bin| bin["images"].as_u64().unwrap()).sum::<u64>(), found["images"]);
}

fn runs_are_compared_in_a_table_a_chart_and_as_json() {
    let [(_first, one), (_second, two)] = ["1", "2"].map(run);
    let chart = one.with_file_name("chart.svg");
    let arguments = ["compare", text(&one), text(&two), "--out", text(&chart)];
    let said = tilewright(&arguments, 0);
    said.says("| seed |").says("best test accuracy, %").says("61196");
    let told = tilewright(&[&arguments[..], &["--json"]].concat(), 0).json();
    assert_eq!(told["differing"], serde_json::json!(["seed"]));
    assert_eq!((&told["runs"][1]["settings"]["seed"], &told["runs"][0]["epochs"]), (&"2".into(), &2.into()));
    let drawn = fs::read_to_string(&chart).unwrap();
    assert_eq!(drawn.matches(text(&two)).count(), 3, "a legend in each panel");
    tilewright(&["compare", text(&one), text(chart.parent().unwrap())], 2).says("is not a run folder");
}

fn features_are_those_that_the_head_makes_the_logits_of() {
    let (folder, run) = run("1");
    let out = folder.path().join("features.safetensors");
    let data = "synthetic:1x28x28:4:60";
    tilewright(&["embed", text(&run), data, "--device", "cpu", "--out", text(&out)], 0).says("84 features each");
    let bytes = fs::read(&out).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let features: Vec<f32> = bytemuck::pod_collect_to_vec(read.tensor("features").unwrap().data());
    let labels: Vec<i64> = bytemuck::pod_collect_to_vec(read.tensor("labels").unwrap().data());
    // The last layer on the features gives the confusion that `eval` counts.
    let checkpoint = load_checkpoint(&run.join("checkpoint.safetensors")).unwrap();
    let [weight, bias] = ["fc3.weight", "fc3.bias"].map(|name| &checkpoint.tensors[name].1);
    let mut confusion = vec![vec![0u64; 4]; 4];
    for (row, &label) in features.chunks_exact(84).zip(&labels) {
        let logit = |class: usize| {
            let own = &weight[class * 84..][..84];
            bias[class] + row.iter().zip(own).map(|(x, w)| x * w).sum::<f32>()
        };
        let predicted = (1..4).fold(0, |best, class| if logit(class) > logit(best) { class } else { best });
        confusion[label as usize][predicted] += 1;
    }
    let found = tilewright(&["eval", text(&run), "--device", "cpu", "--json"], 0).json();
    assert_eq!(serde_json::to_value(&confusion).unwrap(), found["confusion"]);

    let array = out.with_extension("npy");
    tilewright(&["embed", text(&run), data, "--device", "cpu", "--limit", "5", "--out", text(&array)], 0);
    let table = fs::read_to_string(array.with_extension("csv")).unwrap();
    assert_eq!(table.lines().count(), 6);
    assert!(table.lines().nth(1).unwrap().starts_with("0,"), "{table}");
    tilewright(&["embed", text(&run), data, "--out", "features.txt"], 2).says(".safetensors or .npy");
}

fn predictions_are_written_as_tables_and_as_lines_and_patterns_are_followed() {
    let (folder, run) = run("1");
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    for grey in [10u8, 200] {
        image::GrayImage::from_pixel(28, 28, image::Luma([grey])).save(images.join(format!("a{grey}.png"))).unwrap();
    }
    fs::write(images.join("broken.png"), b"no image").unwrap();
    let [table, lines, maps] = ["out.csv", "out.jsonl", "maps"].map(|name| folder.path().join(name));
    let pattern = images.join("a*.png");
    let predict = |what: &[&str], status| {
        tilewright(&[&["predict", text(&run), "--device", "cpu", "--top", "2"], what].concat(), status)
    };
    predict(&[text(&pattern), "--out", text(&table), "--explain", text(&maps)], 0);
    let read = fs::read_to_string(&table).unwrap();
    let rows: Vec<Vec<&str>> = read.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["image", "class_1", "probability_1", "class_2", "probability_2", "error"]);
    assert_eq!((rows.len(), rows[2][0].ends_with("a200.png")), (3, true));
    assert!(rows[1][2].parse::<f64>().unwrap() >= rows[1][4].parse().unwrap());
    for name in ["00001-a10.png", "00002-a200.png"] {
        assert!(image::open(maps.join(name)).unwrap().width() > 800, "{name}");
    }
    predict(&[text(&images), "--out", text(&lines)], 1).says("1 of 3 images have no prediction");
    let told: Vec<Value> =
        fs::read_to_string(&lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), 3);
    assert!(told[2]["error"].is_string() && told[0]["classes"][0]["class"].is_string());
    predict(&[text(&images.join("z*.png"))], 2).says("means no file");
    predict(&[text(&pattern), "--out", "out.txt"], 2).says(".csv");
}

fn nothing_that_is_seen_of_a_run_is_written_over_its_files() {
    let (folder, run) = run("1");
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    let image = images.join("grey.png");
    image::save_buffer(&image, &[99; 28 * 28], 28, 28, image::ColorType::L8).unwrap();
    let commands: [(&[&str], &str); 4] = [
        (&["embed", text(&run), "synthetic:1x28x28:4:60", "--device", "cpu"], "best.safetensors"),
        (&["compare", text(&run)], "config.toml"),
        (&["report", text(&run)], "checkpoint.safetensors"),
        (&["predict", text(&run), text(&image), "--device", "cpu"], "epochs.csv"),
    ];
    for (command, name) in commands {
        let (file, kept) = (run.join(name), fs::read(run.join(name)).unwrap());
        let out = ["--out", text(&file)];
        tilewright(&[command, &out].concat(), 2).says("belongs to the run in").says("--force");
        assert!(fs::read(&file).unwrap() == kept, "{name}");
    }
    // Again over its own result: that is how one works.
    for _ in 0..2 {
        tilewright(&["report", text(&run)], 0).says("report.html");
    }
    let copy = run.join("curves.png");
    tilewright(&["compare", text(&run), "--out", text(&copy), "--force"], 0).says("curves.png");
}

/// A checkpoint of a model with its initial weights, and an image for it.
fn fresh(model: &str, input: [usize; 3]) -> (Checkpoint, Vec<u8>) {
    let [channels, height, width] = input;
    let config = TrainConfig { model: model.to_owned(), ..TrainConfig::default() };
    let classes: Vec<String> = (0..10).map(|class| class.to_string()).collect();
    let graph = evaluation_graph(&config, Batch { shape: [1, channels, height, width], classes: 10 }).unwrap();
    let session = tilewright::session::Session::new(&Device::reference(), 3);
    let [_program] = session.prepare([&graph]).unwrap();
    let mut tensors = std::collections::BTreeMap::new();
    for tensor in graph.tensors().iter().filter(|tensor| tensor.is_saved()) {
        tensors.insert(tensor.name.clone(), (tensor.spec.shape.clone(), session.get(&tensor.name).unwrap()));
    }
    let normalization = Normalization { mean: vec![0.5; channels], std: vec![0.25; channels] };
    let header = Header::new(config, input, classes, normalization);
    let mut random = SplitMix64::new(5);
    let image = (0..channels * height * width).map(|_| random.below(256) as u8).collect();
    (Checkpoint { header, tensors }, image)
}

fn numbers(checkpoint: &Checkpoint, image: &[u8]) -> Vec<f32> {
    checkpoint.header.normalization.apply(image)
}

fn evidence(checkpoint: &Checkpoint, image: &[u8], class: usize, device: &Device) -> Evidence {
    let [channels, height, width] = checkpoint.header.input;
    let batch = Batch { shape: [1, channels, height, width], classes: 10 };
    let mut explainer = Explainer::of(checkpoint, Path::new("fresh"), batch, device).unwrap();
    explainer.explain(&numbers(checkpoint, image), Some(&[class])).unwrap().remove(0)
}

/// Where features A are averaged over P places and a linear layer with weights w follows, the gradient of a logit at each
/// place of A_k is w_k / P. With weights of no less than 0 the map is the sum over k of w_k A_k / P, which summed over the
/// places is the logit without its bias.
fn where_a_model_with_an_averaging_head_looks_is_told_by_the_weights_of_its_head() {
    let (mut checkpoint, image) = fresh("resnet18_cifar", [3, 16, 16]);
    let (device, path) = (Device::reference(), Path::new("fresh"));
    let batch = Batch { shape: [1, 3, 16, 16], classes: 10 };
    let features =
        Embedder::of(&checkpoint, path, batch, &device).unwrap().features(&numbers(&checkpoint, &image)).unwrap();
    assert_eq!(features.len(), 512);
    let class = 7;
    let bias = checkpoint.tensors["fc.bias"].1[class];
    let total = |evidence: &Evidence| evidence.strongest * evidence.map.iter().sum::<f32>();
    let close = |a: f32, b: f32| (a - b).abs() < 1e-4 * b.abs().max(1.0);

    let weights = &mut checkpoint.tensors.get_mut("fc.weight").unwrap().1;
    weights.iter_mut().for_each(|weight| *weight = weight.abs());
    let logit = Evaluator::of(&checkpoint, path, batch, &device)
        .unwrap()
        .logits(&image, &checkpoint.header.normalization)
        .unwrap()[class];
    let whole = evidence(&checkpoint, &image, class, &device);
    assert_eq!(whole.size, [2, 2]);
    assert!(logit - bias > 0.01 && close(total(&whole), logit - bias), "{} and {}", total(&whole), logit - bias);

    // One feature alone, of those that the image has.
    let feature = (0..512).max_by(|&a, &b| features[a].total_cmp(&features[b])).unwrap();
    let weights = &mut checkpoint.tensors.get_mut("fc.weight").unwrap().1;
    weights.fill(0.0);
    weights[class * 512 + feature] = 2.0;
    let alone = evidence(&checkpoint, &image, class, &device);
    assert!(close(total(&alone), 2.0 * features[feature]), "{} and {}", total(&alone), features[feature]);
    weights_against(&mut checkpoint, class, feature);
    let against = evidence(&checkpoint, &image, class, &device);
    assert_eq!((against.strongest, against.map), (0.0, vec![0.0; 4]), "what speaks against a class is not shown");
}

fn weights_against(checkpoint: &mut Checkpoint, class: usize, feature: usize) {
    checkpoint.tensors.get_mut("fc.weight").unwrap().1[class * 512 + feature] = -2.0;
}

fn a_device_looks_where_the_reference_does() {
    let (checkpoint, image) = fresh("lenet5", [1, 28, 28]);
    let device = Device::open("auto", DeviceOptions::default()).unwrap();
    let mut telling = 0;
    for class in 0..10 {
        let [one, other] = [&device, &Device::reference()].map(|device| evidence(&checkpoint, &image, class, device));
        assert_eq!((one.size, other.size), ([10, 10], [10, 10]));
        assert!((one.probability - other.probability).abs() < 1e-5);
        assert!((one.strongest - other.strongest).abs() < 1e-4 * other.strongest.max(1e-2), "class {class}");
        let largest = one.map.iter().zip(&other.map).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-3, "class {class}: {largest}");
        telling += usize::from(other.strongest > 0.0);
    }
    assert!(telling > 2, "something speaks for {telling} of 10 classes");
}

/// What a page becomes in the browser, and what the browser says of it.
fn shown(page: &Path, options: &[&str]) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(chromium().unwrap())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(options)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).into()
}

/// In frames of these widths: how much wider a page is than its frame, the colour behind it, its headings, and texts of
/// pictures that lie on each other.
fn measured(page: &str, widths: [usize; 2], options: &[&str]) -> Vec<Value> {
    const SCRIPT: &str = r#"
        window.onload = () => {
            const found = [...document.querySelectorAll('iframe')].map(frame => {
                const page = frame.contentDocument, overlaps = [];
                for (const picture of page.querySelectorAll('svg')) {
                    const texts = [...picture.querySelectorAll('text')].filter(text => text.textContent.trim());
                    const boxes = texts.map(text => [text.getBoundingClientRect(), text.textContent.trim()]);
                    boxes.forEach(([a, one], i) => boxes.slice(i + 1).forEach(([b, other]) => {
                        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                        // Boxes have room above and below their letters.
                        if (wide > 1 && high > 4) overlaps.push(one + ' on ' + other);
                    }));
                    const own = picture.getBoundingClientRect();
                    for (const [box, text] of boxes)
                        if (box.left < own.left - 1 || box.right > own.right + 1 || box.bottom > own.bottom + 1)
                            overlaps.push(text + ' is cut');
                }
                return {
                    wider: page.documentElement.scrollWidth - frame.clientWidth,
                    ground: page.defaultView.getComputedStyle(page.body).backgroundColor,
                    headings: [...page.querySelectorAll('h2')].map(heading => heading.textContent),
                    pictures: page.querySelectorAll('svg[role=img][aria-label]').length,
                    images: [...page.querySelectorAll('img')].map(image => image.naturalWidth),
                    overlaps,
                };
            });
            const edge = '@'.repeat(2);
            document.body.textContent = edge + JSON.stringify(found) + edge;
        };"#;
    let quoted = page.replace('&', "&amp;").replace('"', "&quot;");
    let frames = widths
        .map(|width| format!("<iframe style=\"width:{width}px;height:900px;border:0\" srcdoc=\"{quoted}\"></iframe>"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.html");
    let text = format!("<!DOCTYPE html><meta charset=utf-8><script>{SCRIPT}</script><body>{}</body>", frames.concat());
    fs::write(&path, text).unwrap();
    let (dom, said) = shown(&path, options);
    let found = dom.split("@@").nth(1).unwrap_or_else(|| panic!("the page says nothing: {dom}\n{said}"));
    serde_json::from_str(&found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")).unwrap()
}

fn a_page_is_whole_in_a_browser_without_overlaps_and_asks_for_nothing() {
    let (folder, run) = run("1");
    tilewright(&["report", text(&run)], 0).says("report.html");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    let (dom, said) = shown(&run.join("report.html"), &[]);
    assert!(!said.contains("Content Security Policy"), "{said}");
    for part in
        ["lenet5 on synthetic:1x28x28:4:60", "test accuracy, last checkpoint", "61,196", "<caption>", "</footer>"]
    {
        assert!(dom.contains(part), "no `{part}`");
    }
    for link in page.split(" src=\"").skip(1).chain(page.split(" href=\"").skip(1)) {
        assert!(link.starts_with("data:") || link.starts_with('#'), "{}", &link[..40]);
    }
    // What would ask for more is held back, and the browser says so: the check above can fail.
    let asking = folder.path().join("asking.html");
    fs::write(&asking, page.replace("<main>", "<main><img src=\"http://127.0.0.1:9/more.png\">")).unwrap();
    assert!(shown(&asking, &[]).1.contains("Content Security Policy"));

    let sections = ["Curves", "Classes", "Confusion", "Calibration", "First layer", "Settings", "Environment"];
    for (options, ground) in
        [(&[][..], "rgb(255, 255, 255)"), (&["--blink-settings=preferredColorScheme=0"], "rgb(21, 23, 27)")]
    {
        for found in measured(&page, [360, 1200], options) {
            assert_eq!(found["overlaps"], serde_json::json!([]));
            // What scrolls beside takes a little.
            assert!(found["wider"].as_i64().unwrap() <= 0, "{found}");
            assert_eq!(found["ground"], ground);
            let headings: Vec<&str> =
                found["headings"].as_array().unwrap().iter().map(|heading| heading.as_str().unwrap()).collect();
            assert!(sections.iter().all(|section| headings.contains(section)), "{headings:?}");
            assert!(found["pictures"].as_u64().unwrap() >= 7, "{found}");
        }
    }
}

fn a_confusion_of_many_classes_has_no_labels_on_each_other() {
    for (count, name) in
        [(2usize, "class"), (10, ""), (10, "a rather long name of class "), (37, "sort "), (100, "n0"), (1000, "n0")]
    {
        let classes: Vec<String> = (0..count).map(|class| format!("{name}{class}")).collect();
        let row = |truth: usize| {
            let wrong = (truth * 7 + 3) % count;
            (0..count)
                .map(|class| if class == truth { 950 } else { usize::from(class == wrong) * (1 + truth % 49) })
                .collect()
        };
        let counts: Vec<Vec<usize>> = (0..count).map(row).collect();
        let picture = Picture::Confusion(Confusion { title: "Confusion", classes: &classes, counts: &counts });
        let svg = picture.svg().unwrap().unwrap();
        assert!(svg.len() < 1_000_000, "{count} classes: {} bytes", svg.len());
        let page = format!("<!DOCTYPE html><body style=\"margin:0\">{svg}</body>");
        for found in measured(&page, [1200, 1300], &[]) {
            assert_eq!(found["overlaps"], serde_json::json!([]), "{count} classes named {name}");
        }
    }
}
