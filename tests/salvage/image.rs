//! The files of a store, in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kinlog::Options;
use tempfile::TempDir;

pub(crate) const SEGMENT: usize = 64 << 10;
/// The page that holds a segment's header.
pub(crate) const PAGE: usize = 4096;

/// A directory of its own; in memory where there is such a place, so that nothing waits for a
/// device.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn options() -> Options {
    Options::new().segment_bytes(SEGMENT as u32)
}

pub(crate) fn segment_name(number: usize) -> String {
    format!("log/{number:08}.seg")
}

/// Files by their paths within the store, the lock file among them.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Image(pub(crate) BTreeMap<String, Vec<u8>>);

impl Image {
    pub(crate) fn read(dir: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut dirs = vec![PathBuf::new()];
        while let Some(relative) = dirs.pop() {
            for entry in fs::read_dir(dir.join(&relative)).unwrap() {
                let entry = entry.unwrap();
                let name = relative.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    dirs.push(name);
                } else {
                    let bytes = fs::read(entry.path()).unwrap();
                    files.insert(name.to_str().unwrap().to_owned(), bytes);
                }
            }
        }
        Image(files)
    }

    pub(crate) fn write(&self, dir: &Path) {
        fs::create_dir_all(dir.join("log")).unwrap();
        for (name, bytes) in &self.0 {
            fs::write(dir.join(name), bytes).unwrap();
        }
    }

    pub(crate) fn segment_mut(&mut self, number: usize) -> &mut Vec<u8> {
        self.0.get_mut(&segment_name(number)).unwrap()
    }

    pub(crate) fn manifest_mut(&mut self) -> &mut Vec<u8> {
        self.0.get_mut("MANIFEST").unwrap()
    }

    pub(crate) fn segments(&self) -> usize {
        (0..).take_while(|number| self.0.contains_key(&segment_name(*number))).count()
    }

    pub(crate) fn assert_same(&self, other: &Image, what: &str) {
        let names = |image: &Image| image.0.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(self), names(other), "{what}: files");
        for (name, bytes) in &self.0 {
            assert!(*bytes == other.0[name], "{what}: {name} was changed");
        }
    }
}
