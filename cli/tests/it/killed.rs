//! An import that is killed goes on where it was, and nothing is there twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use kinlog::{Durability, Options, Store};
use kinlog_temporal::{History, ImportOptions, Outcome, export, import};

use super::common::{call, called, command, recorded, small_store};

/// Kills the import as soon as this many runs are in the store.
const KILL_AT: [usize; 4] = [1, 120, 121, 400];

#[test]
fn a_killed_import_goes_on_and_nothing_is_doubled() {
    let Some(folder) = recorded() else { return };
    let dir = tempfile::tempdir().unwrap();
    let store = small_store(dir.path());
    let start = || {
        let mut import = command(&store);
        import.arg("import").arg(&folder).stdout(Stdio::piped()).stderr(Stdio::piped());
        import.spawn().unwrap()
    };
    for at in KILL_AT {
        let mut import = start();
        wait_for(&store, at, &mut import);
        import.kill().unwrap();
        let left = import.wait_with_output().unwrap();
        println!("killed at {at}: {} runs, {:?}", runs(&store), left.status.code());
        call(&store, ["verify"]).ok();
    }
    let done = called(start().wait_with_output().unwrap());
    assert_eq!(done.code, Some(4), "the folder holds histories that are none of Temporal's");
    assert!(done.out.contains("already there"), "{}", done.out);
    println!("{}", done.out.lines().skip_while(|line| !line.is_empty()).collect::<String>());

    check(&store, &folder);
    call(&store, ["verify"]).ok();
    let again = called(start().wait_with_output().unwrap()).out;
    assert!(again.contains("690  already there") && again.contains("0 events"), "{again}");
}

/// Returns when the store holds this many runs, or the import has ended.
fn wait_for(store: &Path, count: usize, import: &mut Child) {
    while import.try_wait().unwrap().is_none() && runs(store) < count {}
}

fn runs(store: &Path) -> usize {
    call(store, ["ls", "--json"]).out.lines().count()
}

/// Every history is in the store, once, and comes out as it went in.
fn check(store: &Path, folder: &Path) {
    let histories = histories(folder);
    assert_eq!(histories.len(), 690);
    let store: Store = Options::new().open(store).unwrap();
    let (end, stats) = (store.end(), store.stats().unwrap());
    let options = ImportOptions { durability: Durability::Buffered, ..Default::default() };
    let mut found = std::collections::HashMap::new();
    for history in &histories {
        let imported = import(&store, history, &options).unwrap();
        assert_eq!(imported.outcome, Outcome::AlreadyThere);
        let exported = export(&store.history(&imported.run_id).unwrap()).unwrap();
        assert!(exported.to_proto() == history.to_proto(), "{}", imported.run_id);
        found.insert(imported.run_id, history.events().len() as u64);
    }
    assert_eq!(store.end(), end);
    assert_eq!((stats.runs, stats.events), (found.len() as u64, found.values().sum()));
}

/// The histories of the folder that can be read.
fn histories(folder: &Path) -> Vec<History> {
    let manifest = fs::read_to_string(folder.join("MANIFEST.tsv")).unwrap();
    let files = manifest.lines().skip(1).filter_map(|line| line.split('\t').next());
    let files = files.map(|file| -> PathBuf { folder.join(file) });
    files.filter_map(|file| History::from_bytes(&fs::read(file).unwrap()).ok()).collect()
}
