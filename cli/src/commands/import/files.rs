//! Which files to import.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use super::summary::Summary;

/// What histories are called.
const ENDINGS: [&str; 5] = ["json", "bin", "binpb", "pb", "proto"];

/// A file to import.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// The files that `paths` name, and those in folders, in order. What cannot be read goes into the
/// summary.
pub(super) fn find(paths: &[PathBuf], summary: &mut Summary) -> Vec<Input> {
    let mut inputs = vec![];
    for path in paths {
        let before = inputs.len();
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                walk(path, &mut inputs, summary);
                if inputs.len() == before {
                    summary.fail(path, "there are no histories in this folder".to_owned());
                }
            }
            Ok(meta) => inputs.push(Input { path: path.clone(), bytes: meta.len() }),
            Err(error) => summary.fail(path, error.to_string()),
        }
    }
    inputs
}

fn walk(folder: &Path, inputs: &mut Vec<Input>, summary: &mut Summary) {
    let entries = match entries(folder) {
        Ok(entries) => entries,
        Err(error) => return summary.fail(folder, error.to_string()),
    };
    for entry in entries {
        let path = entry.path();
        // Folders are not followed through links, which may lead in circles.
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            walk(&path, inputs, summary);
        } else if is_history(&path) {
            match fs::metadata(&path) {
                Ok(meta) => inputs.push(Input { path, bytes: meta.len() }),
                Err(error) => summary.fail(&path, error.to_string()),
            }
        }
    }
}

fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// Whether the file's name is one of a history. `X.pb` beside `X` is a copy of it.
fn is_history(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ENDINGS.contains(&ending) && !(ending == "pb" && path.with_extension("").is_file())
}
