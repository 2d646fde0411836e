//! Shards as webdataset has them: archives `.tar` or `.tar.gz` with `KEY.jpg` and `KEY.cls`.

use super::encoded::Encoded;
use super::error::DataError;
use super::folder::is_image;
use super::listed::{self, Listed, Split};
use super::shards::{ShardKind, Store, has_ending};
use super::source::Kind;
use super::{LoadOptions, Splits};
use crate::path_text;
use flate2::bufread::MultiGzDecoder;
use rayon::prelude::*;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use tar::{Archive, Entries};

/// `webdataset:DIR`, or a single archive.
pub(super) struct Shards;

static SHARDS: ShardKind = ShardKind {
    endings: &[".tar", ".tar.gz", ".tgz"],
    wanted: "archives .tar or .tar.gz in it, or an archive",
    expected: "archives .tar or .tar.gz, here or in folders within",
};

/// A member of an archive that says it is larger is none of a data set.
const LARGEST: u64 = 1 << 30;

/// The name of a class has at most so many bytes.
const LONGEST_CLASS: u64 = 1024;

impl Kind for Shards {
    fn word(&self) -> &'static str {
        "webdataset"
    }

    fn form(&self) -> (&'static str, &'static str) {
        (
            "webdataset:DIR",
            "archives .tar or .tar.gz with KEY.jpg (or .png, .webp, .bmp) and KEY.cls; those with `val` or `test` in their \
             names are for that. A single archive will do",
        )
    }

    fn heeds_options(&self) -> bool {
        true
    }

    fn load(&self, place: &str, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
        let place = path_text::from_text(place);
        let shards = SHARDS.find(&place)?;
        let store = Store::new(options.room());
        // In the order of their names, whichever is read first.
        let read: Vec<Result<Members, DataError>> =
            shards.par_iter().map(|(shard, split)| Members::read(shard, *split, &store)).collect();
        let (mut listed, mut left_out) = (Vec::new(), 0);
        for members in read {
            let members = members?;
            left_out += members.left_out;
            listed.extend(members.listed);
        }
        if listed.iter().all(|image| image.split != Split::Train) {
            let expected = "archives with KEY.jpg and KEY.cls for training";
            return Err(DataError::Empty { path: place, expected, remedy: "Look into them with `tar tf`." });
        }
        let note = (left_out > 0)
            .then(|| format!("left out of {name}: {left_out} members of its archives, no image and no .cls of one"));
        listed::splits(listed, name, note.into_iter().collect())?.load(name, options)
    }
}

fn is_compressed(path: &Path) -> bool {
    has_ending(path, &[".tar.gz", ".tgz"])
}

/// What an archive holds.
struct Members {
    listed: Vec<Listed>,
    left_out: usize,
}

/// An image and a class under one key.
#[derive(Default)]
struct Sample {
    image: Option<Encoded>,
    class: Option<String>,
}

/// The samples of an archive, in the order in which they begin.
struct Samples<'a> {
    store: &'a Store,
    /// Whether there is no room for more.
    is_full: bool,
    archive: Arc<Path>,
    is_compressed: bool,
    samples: Vec<Sample>,
    places: HashMap<String, usize>,
    left_out: usize,
}

impl Members {
    fn read(shard: &Path, split: Split, store: &Store) -> Result<Members, DataError> {
        let mut samples = Samples {
            store,
            is_full: false,
            archive: shard.into(),
            is_compressed: is_compressed(shard),
            samples: Vec::new(),
            places: HashMap::new(),
            left_out: 0,
        };
        let taken = File::open(shard).and_then(|file| match samples.is_compressed {
            true => samples.take_all(Archive::new(MultiGzDecoder::new(BufReader::new(file))).entries()?),
            false => samples.take_all(Archive::new(file).entries_with_seek()?),
        });
        taken.map_err(|cause| DataError::Read { path: shard.into(), cause })?;
        if samples.is_full {
            return Err(DataError::CompressedArchive { path: shard.into(), bound: store.size() });
        }
        let mut members = Members { listed: Vec::new(), left_out: samples.left_out };
        for sample in samples.samples {
            match (sample.image, sample.class) {
                (Some(image), Some(class)) => members.listed.push(Listed { image, class, split }),
                (Some(image), None) => return Err(DataError::NoClass { path: image.path() }),
                (None, _) => members.left_out += 1,
            }
        }
        Ok(members)
    }
}

impl Samples<'_> {
    fn take_all<R: Read>(&mut self, entries: Entries<'_, R>) -> io::Result<()> {
        for entry in entries {
            let mut entry = entry?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let begin = name.rfind('/').map_or(0, |slash| slash + 1);
            // As macOS adds to archives.
            let Some((stem, ending)) = name[begin..].split_once('.').filter(|(stem, _)| !stem.is_empty()) else {
                continue;
            };
            let key = name[..begin + stem.len()].to_owned();
            let is_class = ending.eq_ignore_ascii_case("cls");
            if !is_class && !is_image(Path::new(&format!("x.{ending}"))) || entry.size() > LARGEST {
                self.left_out += 1;
                continue;
            }
            if is_class {
                let mut class = String::new();
                entry.by_ref().take(LONGEST_CLASS).read_to_string(&mut class)?;
                self.of(key).class = Some(class.trim().to_owned()).filter(|class| !class.is_empty());
                continue;
            }
            let archive = Arc::clone(&self.archive);
            let image = match self.is_compressed {
                true => {
                    if !self.store.takes(entry.size()) {
                        self.is_full = true;
                        return Ok(());
                    }
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes)?;
                    Encoded::Held { archive, name, bytes }
                }
                false => Encoded::Part { archive, name, at: entry.raw_file_position(), length: entry.size() as usize },
            };
            match &mut self.of(key).image {
                Some(_) => self.left_out += 1,
                none => *none = Some(image),
            }
        }
        Ok(())
    }

    fn of(&mut self, key: String) -> &mut Sample {
        let place = *self.places.entry(key).or_insert(self.samples.len());
        if place == self.samples.len() {
            self.samples.push(Sample::default());
        }
        &mut self.samples[place]
    }
}
