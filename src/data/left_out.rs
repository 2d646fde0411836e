//! What lies in a folder of images and is not taken, told once.

use std::path::{Path, PathBuf};

/// Names that a note lists for each reason; the others are counted.
const MOST_NAMES: usize = 4;

/// Why something is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Ending,
    Hidden,
    Outside,
    Again,
    NoSplit,
}

/// What is left out of one split, or of the folder of all.
pub(super) struct LeftOut {
    split: PathBuf,
    paths: Vec<(Reason, PathBuf)>,
}

impl LeftOut {
    /// Nothing yet, of the split in this folder.
    pub(super) fn of(split: &Path) -> Self {
        Self { split: split.into(), paths: Vec::new() }
    }

    pub(super) fn add(&mut self, reason: Reason, path: &Path) {
        self.paths.push((reason, path.into()));
    }

    /// One line with how many there are, which and why; nothing when nothing is left out.
    pub(super) fn note(&self) -> Option<String> {
        let reasons = [
            (Reason::Ending, "no .jpg, .jpeg, .png, .webp or .bmp file"),
            (Reason::Hidden, "hidden"),
            (Reason::Outside, "in no class folder"),
            (Reason::Again, "a link to a folder that holds it"),
            (Reason::NoSplit, "no folder of a split, which are train, val and test"),
        ];
        let lists = reasons.into_iter().filter_map(|(reason, why)| {
            let names: Vec<String> =
                self.paths.iter().filter(|(other, _)| *other == reason).map(|(_, path)| self.name(path)).collect();
            (!names.is_empty()).then(|| format!("{} ({why})", listed(&names)))
        });
        let lists: Vec<String> = lists.collect();
        let (count, split) = (self.paths.len(), self.split.display());
        (count > 0).then(|| format!("left out of {split}, {count} in all: {}", lists.join("; ")))
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(&self.split).unwrap_or(path).display().to_string()
    }
}

fn listed(names: &[String]) -> String {
    match names.len() {
        count if count <= MOST_NAMES => names.join(", "),
        count => format!("{} and {} more", names[..MOST_NAMES].join(", "), count - MOST_NAMES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_all_and_names_the_first_of_each_reason() {
        let mut left_out = LeftOut::of(Path::new("d/train"));
        assert_eq!(left_out.note(), None);
        for number in 0..6 {
            left_out.add(Reason::Ending, &Path::new("d/train/a").join(format!("{number}.gif")));
        }
        left_out.add(Reason::Hidden, Path::new("d/train/.git"));
        assert_eq!(
            left_out.note().unwrap(),
            "left out of d/train, 7 in all: a/0.gif, a/1.gif, a/2.gif, a/3.gif and 2 more (no .jpg, .jpeg, .png, \
             .webp or .bmp file); .git (hidden)"
        );
    }
}
