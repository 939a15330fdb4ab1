//! `kinlog salvage`: what it says, what it leaves, and its exit codes.

use std::fs;
use std::path::{Path, PathBuf};

use kinlog::{EventKind, NewChild, NewEvent, NewRun, Options, RunId};
use tempfile::TempDir;

use super::common::{call, command};

const SEGMENT: usize = 64 << 10;

/// A store of two segments with two runs, one the child of the other; and where its commits lie.
fn store() -> (TempDir, PathBuf, RunId, Vec<usize>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Options::new().segment_bytes(u32::try_from(SEGMENT).unwrap()).open(&path).unwrap();
    let mut tx = store.begin();
    let parent = tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.spawn_child(&parent, NewChild::new("ship-42", "Ship")).unwrap();
    tx.put("timers", b"k", b"v").unwrap();
    let mut places = vec![tx.commit().unwrap().position()];
    for _ in 0..10 {
        let marker = NewEvent::opaque(EventKind::MARKER_RECORDED, &[3; 9000]);
        places.push(store.append(&parent, marker).unwrap().position());
    }
    let places = places.into_iter().map(|place| usize::try_from(place.as_u64()).unwrap());
    (dir, path, parent, places.collect())
}

fn flip(store: &Path, position: usize) {
    let path = store.join(format!("log/{:08}.seg", position / SEGMENT));
    let mut bytes = fs::read(&path).unwrap();
    bytes[position % SEGMENT] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn salvage(dir: &Path, args: &[&str]) -> super::common::Called {
    // Which store `--store` names makes no difference.
    let mut command = command(&dir.join("none"));
    command.arg("salvage").args(args).arg(dir.join("store")).arg(dir.join("saved"));
    super::common::called(command.output().unwrap())
}

#[test]
fn a_sound_store_is_copied_and_nothing_is_lost() {
    let (dir, path, ..) = store();
    let out = salvage(dir.path(), &[]).ok().out;
    assert!(out.contains("nothing is lost") && out.contains("2 whole runs"), "{out}");
    assert!(out.lines().count() == 3, "{out}");
    let saved = dir.path().join("saved");
    call(&saved, ["verify"]).ok();
    let show = |store: &Path| call(store, ["show", "order-42", "--json"]).ok().out;
    assert_eq!(show(&saved), show(&path));
}

#[test]
fn losses_are_listed_and_have_an_exit_code_of_their_own() {
    let (dir, path, parent, places) = store();
    flip(&path, places[5] + 100);
    call(&path, ["verify"]).fails(3, "");
    let called = salvage(dir.path(), &[]);
    assert_eq!((called.code, called.err.as_str()), (Some(11), ""), "{}", called.out);
    let out = called.out;
    let from = fs_offset(places[5]);
    for said in ["saved with losses", "payload does not match its check", &from, "acknowledged"] {
        assert!(out.contains(said), "{said}: {out}");
    }
    // The damaged commit names it as well.
    let run = out.lines().rfind(|line| line.contains(&parent.to_string())).unwrap();
    assert!(run.contains("order-42") && out.contains("timers"), "{out}");

    let saved = dir.path().join("saved");
    call(&saved, ["verify"]).ok();
    assert_eq!(call(&saved, ["show", "order-42", "--json"]).ok().json().len(), 7);
    assert_eq!(call(&saved, ["ls", "--json"]).ok().json().len(), 2);
}

/// An offset as the table shows it.
fn fs_offset(position: usize) -> String {
    let offset = position % SEGMENT;
    format!("{},{:03}", offset / 1000, offset % 1000)
}

#[test]
fn scripts_get_all_of_it() {
    let (dir, path, parent, places) = store();
    flip(&path, places[5] + 100);
    let called = salvage(dir.path(), &["--json"]);
    assert_eq!(called.code, Some(11), "{}", called.err);
    let [report] = &called.json()[..] else { panic!("{}", called.out) };
    assert_eq!((&report["ok"], &report["complete"]), (&true.into(), &false.into()));
    assert_eq!(
        (report["commits_whole"].as_u64(), report["runs_whole"].as_u64()),
        (Some(5), Some(1))
    );
    assert_eq!(report["commits_dropped"].as_u64(), Some(5));
    let lost = &report["lost"][0];
    assert_eq!(lost["from"].as_u64(), Some((places[5] % SEGMENT) as u64));
    assert_eq!(lost["to"].as_u64(), Some((places[6] % SEGMENT) as u64));
    assert_eq!(lost["acknowledged"].as_bool(), Some(true));
    let cut = &report["runs_cut"][0];
    assert_eq!(cut["run"].as_str(), Some(parent.to_string().as_str()));
    assert_eq!((cut["events_kept"].as_u64(), cut["first_lost"].as_u64()), (Some(7), Some(8)));
    assert_eq!(cut["events_lost"].as_u64(), Some(6));
    assert_eq!(report["stale_tables"][0]["table"].as_str(), Some("timers"));
}

#[test]
fn what_cannot_be_salvaged_is_said() {
    let (dir, path, ..) = store();
    fs::create_dir(dir.path().join("saved")).unwrap();
    fs::write(dir.path().join("saved/mine"), "mine").unwrap();
    salvage(dir.path(), &[]).fails(10, "is in the way");
    fs::remove_dir_all(dir.path().join("saved")).unwrap();
    let writer = Options::new().open(&path).unwrap();
    salvage(dir.path(), &[]).fails(6, "the store is in use");
    drop(writer);
    fs::remove_dir_all(&path).unwrap();
    let said = salvage(dir.path(), &["--json"]);
    assert_eq!((said.code, &said.json()[0]["kind"]), (Some(5), &"not_a_store".into()));
    assert!(!dir.path().join("saved").exists());
}
