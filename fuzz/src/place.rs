//! A directory to put stores in, one after another.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Image;

/// A directory that is removed at the end, in memory where there is such a place.
pub struct Place {
    dir: TempDir,
}

impl Place {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Place { dir: dir.expect("a directory to work in") }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn segment(&self, number: usize) -> PathBuf {
        self.path().join(format!("log/{number:08}.seg"))
    }

    /// Writes the files of a store, and removes all others.
    pub fn lay(&self, image: &Image) {
        self.clear();
        fs::create_dir(self.path().join("log")).expect("an empty directory");
        self.write(&self.path().join("MANIFEST"), &image.manifest);
        for (number, bytes) in image.segments.iter().enumerate() {
            self.write(&self.segment(number), bytes);
        }
        // A store whose writer was killed has its lock file, held by nobody.
        self.write(&self.path().join("LOCK"), &[0; 24]);
    }

    fn write(&self, path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).expect("a write");
    }

    /// Removes all files.
    pub fn clear(&self) {
        for name in ["log", "quarantine"] {
            match fs::remove_dir_all(self.path().join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => panic!("{name}: {error}"),
                _ => {}
            }
        }
        for entry in fs::read_dir(self.path()).expect("a directory") {
            fs::remove_file(entry.expect("an entry").path()).expect("a file");
        }
    }

    /// Reads the files of a store.
    pub fn read(&self) -> Image {
        let manifest = fs::read(self.path().join("MANIFEST")).expect("a manifest");
        let segments = (0..).map_while(|number| fs::read(self.segment(number)).ok()).collect();
        Image { manifest, segments }
    }

    /// Panics unless the files are those of `image`, byte for byte. The lock file is not a part
    /// of it: whoever asks for the lock writes it.
    pub fn assert_holds(&self, image: &Image, when: &str) {
        let mut files = BTreeMap::new();
        collect(self.path(), &mut files);
        files.remove(&self.path().join("LOCK"));
        let manifest = files.remove(&self.path().join("MANIFEST"));
        assert!(manifest.as_ref() == Some(&image.manifest), "{when}: the manifest was changed");
        for (number, bytes) in image.segments.iter().enumerate() {
            let found = files.remove(&self.segment(number));
            assert!(found.as_ref() == Some(bytes), "{when}: segment {number} was changed");
        }
        assert!(files.is_empty(), "{when}: {:?} came", files.keys());
    }
}

fn collect(dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => collect(&path, files),
            false => drop(files.insert(path.clone(), fs::read(&path).expect("a file"))),
        }
    }
}
