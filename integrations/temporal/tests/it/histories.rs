//! Finds the recorded histories, which are not part of the repository.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// One line of the manifest.
pub(crate) struct Recorded {
    pub(crate) file: String,
    pub(crate) format: String,
    pub(crate) events: usize,
    /// Empty if unknown, as all that follow.
    pub(crate) run_id: String,
    /// The first run of its chain.
    pub(crate) first_run_id: String,
    /// The run that it continues.
    pub(crate) prev_run_id: String,
    /// The run that continues it.
    pub(crate) next_run_id: String,
    /// Its parent's run.
    pub(crate) parent_run_id: String,
    /// The bytes of the file.
    pub(crate) bytes: Vec<u8>,
    /// Its canonical protobuf, if it is a Temporal history.
    pub(crate) canonical: Option<Vec<u8>>,
}

fn folder() -> PathBuf {
    match env::var_os("KINLOG_HISTORIES") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/histories"),
    }
}

/// All recorded histories, or none, with a line printed, if the folder is missing.
pub(crate) fn recorded() -> Option<Vec<Recorded>> {
    let folder = folder();
    let Ok(manifest) = fs::read_to_string(folder.join("MANIFEST.tsv")) else {
        println!("skipped: no recorded histories in {}", folder.display());
        return None;
    };
    let mut lines = manifest.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let column = |name| header.iter().position(|it| *it == name).expect("a column");
    let (file, format, events) = (column("file"), column("format"), column("n_events"));
    let (run_id, first, parent) =
        (column("run_id"), column("first_run_id"), column("parent_run_id"));
    let (prev, next) = (column("prev_run_id"), column("next_run_id"));
    let canonical = column("canonical_pb");
    let read = |name: &str| fs::read(folder.join(name)).expect(name);
    let recorded = lines.map(|line| Recorded {
        file: line[file].to_owned(),
        format: line[format].to_owned(),
        events: line[events].parse().expect("a count"),
        run_id: line[run_id].to_owned(),
        first_run_id: line[first].to_owned(),
        prev_run_id: line[prev].to_owned(),
        next_run_id: line[next].to_owned(),
        parent_run_id: line[parent].to_owned(),
        bytes: read(line[file]),
        canonical: line.get(canonical).filter(|name| !name.is_empty()).map(|name| read(name)),
    });
    Some(recorded.collect())
}
