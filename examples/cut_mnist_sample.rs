//! Cuts the MNIST sample that is compiled into tilewright out of the full data set:
//!
//!     cargo run --release --example cut_mnist_sample -- MNIST_DIR src/data/mnist_sample
//!
//! Of each digit it takes the first 1,000 training and the first 200 test images, and keeps them
//! in the order of the files. The output depends on nothing else: no chance, no time stamp.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tilewright::data::idx;

const CLASSES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [from, to] = &arguments[..] else {
        return Err("usage: cut_mnist_sample MNIST_DIR OUT_DIR".into());
    };
    fs::create_dir_all(to)?;
    cut(from, to, "train", 1000)?;
    cut(from, to, "t10k", 200)
}

fn cut(from: &Path, to: &Path, split: &str, per_class: usize) -> Result<(), Box<dyn Error>> {
    let images_name = format!("{split}-images-idx3-ubyte.gz");
    let labels_name = format!("{split}-labels-idx1-ubyte.gz");
    let images = idx::read_images(&from.join(&images_name))?;
    let labels = idx::read_labels(&from.join(&labels_name))?;

    let mut taken = [0; CLASSES];
    let (mut kept_pixels, mut kept_labels) = (Vec::new(), Vec::new());
    let all = images.pixels.chunks_exact(images.height * images.width);
    for (pixels, &label) in all.zip(&labels) {
        if taken[usize::from(label)] < per_class {
            taken[usize::from(label)] += 1;
            kept_pixels.extend_from_slice(pixels);
            kept_labels.push(label);
        }
    }
    assert_eq!(taken, [per_class; CLASSES], "the files hold too few images of a digit");

    let count = kept_labels.len();
    let sizes = [count, images.height, images.width];
    write(&to.join(images_name), idx::IMAGES_MAGIC, &sizes, &kept_pixels)?;
    write(&to.join(labels_name), idx::LABELS_MAGIC, &[count], &kept_labels)
}

fn write(path: &Path, magic: u32, sizes: &[usize], bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut gzip = GzBuilder::new().mtime(0).write(fs::File::create(path)?, Compression::best());
    gzip.write_all(&magic.to_be_bytes())?;
    for &size in sizes {
        gzip.write_all(&u32::try_from(size)?.to_be_bytes())?;
    }
    gzip.write_all(bytes)?;
    let length = gzip.finish()?.metadata()?.len();
    println!("{}: {length} bytes", path.display());
    Ok(())
}
