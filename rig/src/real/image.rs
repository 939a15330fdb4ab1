//! A file system in a file, mounted over a loop device.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::shell::run;

/// A mounted image; dropping it unmounts it.
pub(super) struct Image {
    file: PathBuf,
    at: PathBuf,
}

impl Image {
    /// Makes a file system in `file` and mounts it at `at`.
    pub(super) fn format(file: &Path, mkfs: &[&str], at: &Path) -> Result<Self, String> {
        let (tool, options) = mkfs.split_first().ok_or("no file system")?;
        let mut args: Vec<OsString> = options.iter().map(OsString::from).collect();
        args.push(file.into());
        run(tool, &args)?;
        Self::mount(file, at)
    }

    /// Mounts the image in `file` at `at`.
    pub(super) fn mount(file: &Path, at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).map_err(|error| format!("{}: {error}", at.display()))?;
        run("mount", &["-o".as_ref(), "loop".as_ref(), file.as_os_str(), at.as_os_str()])?;
        Ok(Image { file: file.to_owned(), at: at.to_owned() })
    }

    /// Returns when all that was done to the file system lasts.
    pub(super) fn sync(&self) -> Result<(), String> {
        run("sync", &["--file-system".as_ref(), self.at.as_os_str()]).map(drop)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Err(what) = run("umount", &[&self.at]) {
            eprintln!("{what}");
        }
    }
}

/// Makes a file that grows as it is used.
pub(super) fn sized(path: &Path, bytes: u64) -> Result<(), String> {
    let sized = File::create(path).and_then(|file| file.set_len(bytes));
    sized.map_err(|error| format!("{}: {error}", path.display()))
}
