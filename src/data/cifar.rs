//! CIFAR-10 and CIFAR-100 in the binary version (Krizhevsky 2009): records of one or two label
//! bytes, then 3x32x32 bytes of colour planes. There is no header; a file is its records.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::source::Kind;
use super::{Dataset, LoadOptions, Splits};
use crate::path_text;

const SIDE: usize = 32;
const PIXELS: usize = 3 * SIDE * SIDE;
/// A file of CIFAR holds 10,000 or 50,000 records; more than this is some other file.
const MAX_RECORDS: usize = 1_000_000;

/// What tells one CIFAR from the other.
pub(crate) struct Cifar {
    word: &'static str,
    form: (&'static str, &'static str),
    train: &'static [&'static str],
    test: &'static str,
    /// The folder that the archive unpacks to; looked into beside the folder itself.
    subfolder: &'static str,
    /// Label bytes before the pixels; the last of them is the class (CIFAR-100: coarse, fine).
    label_bytes: usize,
    classes: &'static str,
    remedy: &'static str,
}

pub(crate) static CIFAR10: Cifar = Cifar {
    word: "cifar10",
    form: ("cifar10:DIR", "the binary version of CIFAR-10"),
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    subfolder: "cifar-10-batches-bin",
    label_bytes: 1,
    classes: "airplane automobile bird cat deer dog frog horse ship truck",
    remedy: "Download and unpack the binary version of CIFAR-10 (cifar-10-binary.tar.gz).",
};

pub(crate) static CIFAR100: Cifar = Cifar {
    word: "cifar100",
    form: ("cifar100:DIR", "the binary version of CIFAR-100, with its 100 fine classes"),
    train: &["train.bin"],
    test: "test.bin",
    subfolder: "cifar-100-binary",
    label_bytes: 2,
    classes: "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge \
              bus butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud \
              cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox \
              girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster \
              man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter \
              palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit \
              raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake \
              spider squirrel streetcar sunflower sweet_pepper table tank telephone television \
              tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm",
    remedy: "Download and unpack the binary version of CIFAR-100 (cifar-100-binary.tar.gz).",
};

impl Kind for Cifar {
    fn word(&self) -> &'static str {
        self.word
    }

    fn form(&self) -> (&'static str, &'static str) {
        self.form
    }

    /// From the folder or from the usual one in it.
    fn load(&self, dir: &str, name: &str, _: &LoadOptions) -> Result<Splits, DataError> {
        let dir = path_text::from_text(dir);
        super::require_folder(&dir, "the .bin files of the data set in it")?;
        let folders = [dir.as_path(), &dir.join(self.subfolder)];
        let find = |file: &str| super::find_file(&folders, vec![file.to_owned()], self.remedy);
        // All of them before the first is read: a missing last one is told at once.
        let train = self.train.iter().map(|file| find(file)).collect::<Result<Vec<_>, _>>()?;
        let test = find(self.test)?;
        let train = self.read(&train, format!("{name} (train)"))?;
        Ok(Splits::new(train, self.read(&[test], format!("{name} (test)"))?))
    }
}

impl Cifar {
    fn read(&self, paths: &[PathBuf], name: String) -> Result<Dataset, DataError> {
        let classes: Vec<String> = self.classes.split_whitespace().map(str::to_owned).collect();
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for path in paths {
            self.append(path, classes.len(), &mut images, &mut labels)?;
        }
        Ok(Dataset { name, channels: 3, height: SIDE, width: SIDE, classes, images: images.into(), labels })
    }

    fn append(
        &self,
        path: &Path,
        classes: usize,
        images: &mut Vec<u8>,
        of_images: &mut Vec<u32>,
    ) -> Result<(), DataError> {
        let record = self.label_bytes + PIXELS;
        let read_error = |cause| DataError::Read { path: path.into(), cause };
        let length = fs::metadata(path).map_err(read_error)?.len();
        let whole = length.is_multiple_of(record as u64);
        if length == 0 || !whole || length / record as u64 > MAX_RECORDS as u64 {
            let path = path.into();
            return Err(DataError::Records { path, length, record, most: MAX_RECORDS });
        }
        let bytes = crate::regular_file::read(path).map_err(read_error)?;
        images.reserve(bytes.len() / record * PIXELS);
        for (index, record) in bytes.chunks_exact(record).enumerate() {
            let (labels, pixels) = record.split_at(self.label_bytes);
            let label = u32::from(labels[self.label_bytes - 1]);
            if label as usize >= classes {
                return Err(DataError::Label { path: path.into(), index, label, classes });
            }
            of_images.push(label);
            images.extend_from_slice(pixels);
        }
        Ok(())
    }
}
