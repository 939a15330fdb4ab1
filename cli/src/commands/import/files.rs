//! Which files to import.

use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::summary::Summary;

/// What histories are called.
const ENDINGS: [&str; 8] = ["json", "jsonl", "ndjson", "history", "bin", "binpb", "pb", "proto"];
/// What standard input is called.
const STDIN: &str = "-";

/// A file to import, or standard input.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

impl Input {
    /// Opens it.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read>> {
        match self.path.as_os_str() == STDIN {
            true => Ok(Box::new(io::stdin())),
            false => Ok(Box::new(File::open(&self.path)?)),
        }
    }
}

/// The files that `paths` name, and those in folders, in order. What cannot be read goes into the
/// summary.
pub(super) fn find(paths: &[PathBuf], summary: &mut Summary) -> Vec<Input> {
    let mut inputs = vec![];
    for path in paths {
        let before = inputs.len();
        if path.as_os_str() == STDIN {
            inputs.push(Input { path: path.clone(), bytes: 0 });
            continue;
        }
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
            // Opening a pipe would wait for somebody who writes into it.
            match fs::metadata(&path) {
                Ok(meta) if !meta.is_file() => {}
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
    let ending = |path: &Path| path.extension().and_then(|it| it.to_str()).map(str::to_owned);
    let is_copy = ending(path).as_deref() == Some("pb") && path.with_extension("").is_file();
    let unpacked = match ending(path).as_deref() {
        Some("gz") => path.with_extension(""),
        _ => path.to_owned(),
    };
    ENDINGS.contains(&ending(&unpacked).unwrap_or_default().as_str()) && !is_copy
}
