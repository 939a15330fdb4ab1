//! The inputs that fuzzing begins with: each target makes its own, out of real stores.

use std::fs;
use std::path::{Path, PathBuf};

/// Writes inputs into the directory that `KINLOG_SEEDS` names, if it names one; called before the
/// fuzzer reads it.
pub fn write(inputs: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(dir) = std::env::var_os("KINLOG_SEEDS") else { return };
    for input in inputs() {
        let name = format!("seed-{:08x}-{}", crc32fast::hash(&input), input.len());
        fs::write(Path::new(&dir).join(name), input).expect("a seed");
    }
}

/// The recorded histories with these endings and at most this length, in the folder that
/// `KINLOG_HISTORIES` names.
pub fn recorded(endings: &[&str], bytes_max: u64) -> Vec<Vec<u8>> {
    let Some(dir) = std::env::var_os("KINLOG_HISTORIES") else { return vec![] };
    let mut files = vec![];
    let mut dirs = vec![PathBuf::from(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a folder of histories") {
            let path = entry.expect("an entry").path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_dir() {
                dirs.push(path);
            } else if endings.contains(&ending)
                && fs::metadata(&path).is_ok_and(|file| file.len() <= bytes_max)
            {
                files.push(fs::read(path).expect("a history"));
            }
        }
    }
    files
}
