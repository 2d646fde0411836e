//! MNIST and CIFAR-10 as they are published, where they lie beside the repository.

use crate::need::{beside, trials};
use std::fs;
use std::io::Read;
use tempfile::TempDir;
use tilewright::data::{LoadOptions, Source, Splits};

trials! {
    Data: the_bundled_sample_is_the_first_of_each_digit_in_mnist, cifar10_as_jpeg_loads_as_a_folder;
}

fn load(source: &str) -> Splits {
    source.parse::<Source>().unwrap().load(&LoadOptions::default()).unwrap()
}

fn the_bundled_sample_is_the_first_of_each_digit_in_mnist() {
    let path = beside("data/mnist");
    let full = load(&format!("idx:{}", path.display()));
    let sample = load("mnist");
    assert_eq!((full.train.len(), full.test.len()), (60_000, 10_000));
    let (mean, std) = full.train.mean_std();
    assert!((mean[0] - 0.1307).abs() < 5e-5 && (std[0] - 0.3081).abs() < 5e-5, "{mean:?} {std:?}");
    for (full, sample, each) in [(full.train, sample.train, 1000), (full.test, sample.test, 200)] {
        let mut taken = [0; 10];
        let is_first = |index: &usize| {
            let taken = &mut taken[full.labels[*index] as usize];
            *taken += 1;
            *taken <= each
        };
        let kept: Vec<usize> = (0..full.len()).filter(is_first).collect();
        assert!(kept.iter().enumerate().all(|(at, &index)| sample.image(at).unwrap() == full.image(index).unwrap()));
        assert!(kept.iter().enumerate().all(|(at, &index)| sample.labels[at] == full.labels[index]));
        assert_eq!(kept.len(), sample.len());
    }
}

fn cifar10_as_jpeg_loads_as_a_folder() {
    let path = beside("data/cifar10/cifar10-jpg.tar.gz");
    let dir = TempDir::new().unwrap();
    let mut archive = flate2::read::GzDecoder::new(fs::File::open(path).unwrap());
    // A tar is 512-byte blocks: a header with the name at 0 and the octal size at 124, then the file.
    let mut header = [0; 512];
    while archive.read_exact(&mut header).is_ok() && header[0] != 0 {
        let text = |range: std::ops::Range<usize>| {
            std::str::from_utf8(&header[range]).unwrap().split('\0').next().unwrap().trim().to_owned()
        };
        let (name, size) = (text(0..100), usize::from_str_radix(&text(124..136), 8).unwrap());
        let mut body = vec![0; size.next_multiple_of(512)];
        archive.read_exact(&mut body).unwrap();
        // Ten of each class are enough.
        if name.ends_with(".jpg") && name.contains("/000") {
            let path = dir.path().join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &body[..size]).unwrap();
        }
    }
    let Splits { train, .. } = load(&format!("folder:{}", dir.path().display()));
    assert_eq!((train.channels, train.height, train.width), (3, 32, 32));
    let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    assert_eq!(train.classes, names);
    // Published for all of CIFAR-10: 0.491, 0.482, 0.447 and about 0.25 each.
    let (mean, std) = train.mean_std();
    assert!(mean.iter().all(|mean| (0.38..0.58).contains(mean)), "{mean:?}");
    assert!(std.iter().all(|std| (0.2..0.3).contains(std)), "{std:?}");
}
