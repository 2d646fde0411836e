//! Networks start as torchvision's do: tests/data/initial_values.txt has the statistics of torchvision's, and
//! scripts/initial_values.py wrote it.

use std::collections::{BTreeMap, BTreeSet};
use tilewright::graph::{Graph, Init, Role, Tensor};
use tilewright::models::{self, ModelOptions};
use tilewright::nn::Mode;

const THEIRS: &str = include_str!("../data/initial_values.txt");

/// So many elements of a tensor are drawn: enough to tell deviations a percent apart.
const DRAWN: usize = 200_000;
/// Deviations of a statistic's sampling error within which two networks agree. Of the thousands of
/// comparisons, one in a million would fail by chance, and seeds are fixed on both sides.
const AGREE: f64 = 5.0;
/// The normal approximation of the sampling errors below holds from about here.
const ENOUGH: f64 = 500.0;

/// Mean, standard deviation and kurtosis of a number of elements; of equal ones, that value.
#[derive(Debug)]
enum Start {
    Constant(f64),
    Random { count: f64, mean: f64, std: f64, kurtosis: f64 },
}

impl Start {
    fn of(values: &[f32]) -> Start {
        if values.iter().all(|value| value.to_bits() == values[0].to_bits()) {
            return Start::Constant(f64::from(values[0]));
        }
        let count = values.len() as f64;
        let moment =
            |centre: f64, power| values.iter().map(|&x| (f64::from(x) - centre).powi(power)).sum::<f64>() / count;
        let mean = moment(0.0, 1);
        let variance = moment(mean, 2);
        Start::Random { count, mean, std: variance.sqrt(), kurtosis: moment(mean, 4) / (variance * variance) }
    }

    /// The end of a line: `= VALUE`, or mean, deviation and kurtosis of `count` elements.
    fn read(words: &[&str], count: usize) -> Start {
        let number = |word: &str| word.parse::<f64>().unwrap();
        match words {
            ["=", value] => Start::Constant(number(value)),
            [mean, std, kurtosis] => {
                Start::Random { count: count as f64, mean: number(mean), std: number(std), kurtosis: number(kurtosis) }
            }
            _ => panic!("not a line's end: {words:?}"),
        }
    }

    /// Why the two are not samples of one distribution, if they are not.
    fn differs(&self, other: &Start) -> Option<&'static str> {
        match (self, other) {
            // As f32, which a text of nine digits gives back.
            (Start::Constant(a), Start::Constant(b)) => (*a as f32 != *b as f32).then_some("value"),
            (
                &Start::Random { count: n, mean, std, kurtosis },
                &Start::Random { count: m, mean: their_mean, std: their_std, kurtosis: their_kurtosis },
            ) => {
                // A mean of n samples deviates by std / sqrt(n), a standard deviation by at most
                // std / sqrt(2 n) (a normal's), a kurtosis by at most sqrt(24 / n).
                let error = AGREE * (1.0 / n + 1.0 / m).sqrt();
                let enough = n.min(m) >= ENOUGH;
                if (mean - their_mean).abs() > error * their_std {
                    Some("mean")
                } else if enough && (std / their_std - 1.0).abs() > error / 2f64.sqrt() {
                    Some("standard deviation")
                } else if enough && (kurtosis - their_kurtosis).abs() > error * 24f64.sqrt() {
                    Some("kurtosis")
                } else {
                    None
                }
            }
            _ => Some("kind"),
        }
    }
}

/// A name with its numbers as `#`, and a shape.
type Key = (String, String);

fn key(tensor: &Tensor) -> Key {
    let mut name = String::new();
    for letter in tensor.name.chars() {
        match letter.is_ascii_digit() {
            true if name.ends_with('#') => {}
            true => name.push('#'),
            false => name.push(letter),
        }
    }
    (name, tensor.spec.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"))
}

/// The tensors of a graph that are alike but for the numbers in their names.
fn groups(graph: &Graph) -> BTreeMap<Key, Vec<(&Tensor, Init)>> {
    let mut groups: BTreeMap<Key, Vec<(&Tensor, Init)>> = BTreeMap::new();
    for tensor in graph.tensors() {
        if let Role::Parameter { init, .. } | Role::Buffer { init, .. } = tensor.role {
            groups.entry(key(tensor)).or_default().push((tensor, init));
        }
    }
    groups
}

#[test]
fn every_family_starts_from_the_distributions_of_torchvision() {
    let mut theirs: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
    for line in THEIRS.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        theirs.entry(words.next().unwrap()).or_default().push(words.collect());
    }
    assert!(theirs.len() >= 20, "the table has {} networks", theirs.len());
    let mut wrong = Vec::new();
    for (network, lines) in theirs {
        let (name, option) = network.split_once(':').unwrap_or((network, ""));
        let options = option.split_once('=').map_or(ModelOptions::new(), |(attribute, value)| {
            ModelOptions::new().with(attribute, serde_json::from_str::<serde_json::Value>(value).unwrap())
        });
        let graph = models::find(name).unwrap().graph(&options, 2, Mode::Train).unwrap().graph;
        let groups = groups(&graph);
        let named: BTreeSet<Key> = lines.iter().map(|line| (line[0].to_owned(), line[1].to_owned())).collect();
        assert!(named.iter().eq(groups.keys()), "{network}: the tensors are not torchvision's");
        for line in &lines {
            let tensors = &groups[&(line[0].to_owned(), line[1].to_owned())];
            let elements: usize = tensors.iter().map(|(tensor, _)| tensor.spec.shape.elements()).sum();
            let drawn = |(tensor, init): &(&Tensor, Init)| {
                init.values(&tensor.name, 1, tensor.spec.shape.elements().min(DRAWN))
            };
            let ours = Start::of(&tensors.iter().flat_map(drawn).collect::<Vec<f32>>());
            let theirs = Start::read(&line[2..], elements);
            if let Some(what) = ours.differs(&theirs) {
                wrong.push(format!("{network} {} {}: {what}: {ours:?}, not {theirs:?}", line[0], line[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_comparison_tells_distributions_apart() {
    let drawn = |init: Init| Start::of(&init.values("layer.weight", 1, 20_000));
    let uniform = |std: f64| Init::Uniform { bound: 3f64.sqrt() * std };
    let normal = drawn(Init::Normal { std: 0.02 });
    let other = Start::of(&Init::Normal { std: 0.02 }.values("another.weight", 1, 20_000));
    assert_eq!(normal.differs(&other), None);
    assert_eq!(normal.differs(&drawn(Init::Normal { std: 0.021 })), Some("standard deviation"));
    assert_eq!(normal.differs(&drawn(uniform(0.02))), Some("kurtosis"));
    assert_eq!(normal.differs(&Start::Constant(0.0)), Some("kind"));
    assert_eq!(drawn(Init::ONES).differs(&Start::Constant(0.0)), Some("value"));
    let shifted: Vec<f32> = Init::Normal { std: 0.02 }.values("layer.weight", 1, 20_000);
    let shifted = Start::of(&shifted.iter().map(|x| x + 0.002).collect::<Vec<f32>>());
    assert_eq!(shifted.differs(&normal), Some("mean"));
}
