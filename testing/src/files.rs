//! Stores of small segments, and their files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kinlog::Options;
use tempfile::TempDir;

/// The bytes of the smallest segments there are.
pub const SEGMENT: usize = 64 << 10;
/// The page that holds a segment's header.
pub const PAGE: usize = 4096;

/// A directory of its own; in memory where there is such a place, for a kill loses nothing there
/// either, and nothing waits for a device.
#[must_use]
pub fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Segments of [`SEGMENT`] bytes: a little fills several.
#[must_use]
pub fn small_segments() -> Options {
    Options::new().segment_bytes(u32::try_from(SEGMENT).unwrap())
}

/// The path of a segment within its store.
#[must_use]
pub fn segment_name(number: usize) -> String {
    format!("log/{number:08}.seg")
}

/// As `cp -r` does.
pub fn copy_files(from: &Path, to: &Path) {
    each_file(from, to, &|from, to| fs::copy(from, to).map(|_| ()).unwrap());
}

/// As `cp -al` does.
pub fn link_files(from: &Path, to: &Path) {
    each_file(from, to, &|from, to| fs::hard_link(from, to).unwrap());
}

/// Makes the directories of `from` in `to`, and of each file what `make` makes.
fn each_file(from: &Path, to: &Path, make: &dyn Fn(&Path, &Path)) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => each_file(&entry.path(), &to, make),
            false => make(&entry.path(), &to),
        }
    }
}

/// The files of a store, in memory, by their paths within it.
#[derive(Clone, PartialEq, Eq)]
pub struct Image(pub BTreeMap<String, Vec<u8>>);

impl Image {
    /// All files, the lock file among them.
    #[must_use]
    pub fn read(dir: &Path) -> Self {
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

    /// All files but the lock file, which whoever asks for the lock writes.
    #[must_use]
    pub fn read_but_lock(dir: &Path) -> Self {
        let mut image = Self::read(dir);
        image.0.remove("LOCK");
        image
    }

    /// Writes the files, and makes the directories they are in.
    pub fn write(&self, dir: &Path) {
        fs::create_dir_all(dir.join("log")).unwrap();
        for (name, bytes) in &self.0 {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// Writes the files and a lock file that nobody holds, as a writer leaves it which was killed.
    pub fn write_killed(&self, dir: &Path) {
        self.write(dir);
        fs::write(dir.join("LOCK"), [0; 24]).unwrap();
    }

    /// The bytes of a segment.
    #[must_use]
    pub fn segment(&self, number: usize) -> &[u8] {
        &self.0[&segment_name(number)]
    }

    /// The bytes of a segment.
    pub fn segment_mut(&mut self, number: usize) -> &mut Vec<u8> {
        self.0.get_mut(&segment_name(number)).unwrap()
    }

    /// The bytes of the manifest.
    pub fn manifest_mut(&mut self) -> &mut Vec<u8> {
        self.0.get_mut("MANIFEST").unwrap()
    }

    /// How many segments there are, without a gap.
    #[must_use]
    pub fn segments(&self) -> usize {
        (0..).take_while(|number| self.0.contains_key(&segment_name(*number))).count()
    }

    /// Both have the same files with the same bytes.
    #[track_caller]
    pub fn assert_same(&self, other: &Image, what: &str) {
        let names = |image: &Image| image.0.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(self), names(other), "{what}: files");
        for (name, bytes) in &self.0 {
            assert!(*bytes == other.0[name], "{what}: {name} was changed");
        }
    }
}
