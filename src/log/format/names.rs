//! The paths of a store's files.

use std::path::PathBuf;

/// The paths of the files of the store in `root`.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub(crate) root: PathBuf,
}

impl Paths {
    pub(crate) fn lock_record(&self) -> PathBuf {
        self.root.join("LOCK")
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.root.join("MANIFEST")
    }

    /// The temporary name of a new manifest, until it is renamed.
    pub(crate) fn staged_manifest(&self) -> PathBuf {
        self.root.join("MANIFEST.tmp")
    }

    /// The reserve file, removed when the disk is too full to open the store.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("RESERVE")
    }

    /// The temporary name of a new reserve file, until it is renamed.
    pub(crate) fn staged_reserve(&self) -> PathBuf {
        self.root.join("RESERVE.tmp")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The directory of the index, all of which may be deleted.
    pub(crate) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.index().join("CHECKPOINT")
    }

    /// The temporary name of a new checkpoint, until it is renamed.
    pub(crate) fn staged_checkpoint(&self) -> PathBuf {
        self.index().join("CHECKPOINT.tmp")
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(crate) fn segment(&self, number: u32) -> PathBuf {
        self.log().join(segment_name(number))
    }

    /// The temporary name of a segment that is being prepared, until it is renamed.
    pub(crate) fn prepared(&self) -> PathBuf {
        self.log().join("prepared.tmp")
    }

    /// The temporary name of a segment that is being compacted, until it is renamed.
    pub(crate) fn compacting(&self) -> PathBuf {
        self.log().join("compacting.tmp")
    }
}

/// The name of a segment's file: its number with at least eight digits.
fn segment_name(number: u32) -> String {
    format!("{number:08}.seg")
}

/// The number of a segment, if `name` is the name of one. Each number has exactly one name.
pub(crate) fn segment_number(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".seg")?.parse().ok()?;
    (segment_name(number) == name).then_some(number)
}
