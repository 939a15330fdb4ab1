//! `kinlog backup`, beside a writer in a process of its own, and `kinlog verify` of what it made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kinlog::{NewEvent, NewRun, Options, Position, Store, Verdict};
use kinlog_testing::files::copy_files;
use serde_json::json;
use tempfile::TempDir;

use super::common::{call, command};

const SEGMENT: u64 = 64 << 10;

/// A store of several small segments.
fn store() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Options::new().segment_bytes(u32::try_from(SEGMENT).unwrap()).open(&path).unwrap();
    grow(&store, "first");
    (dir, path)
}

fn grow(store: &Store, workflow: &str) {
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("n", workflow, "T")).unwrap();
    tx.commit().unwrap();
    for _ in 0..20 {
        let marker = NewEvent::opaque(kinlog::EventKind::MARKER_RECORDED, &[3; 9000]);
        store.append(&run, marker).unwrap();
    }
}

/// Where every commit of a store lies.
fn commits(path: &Path) -> Vec<Position> {
    let store = Options::new().read_only(true).open(path).unwrap();
    let mut tail = store.tail(Position::START);
    std::iter::from_fn(|| tail.try_next().unwrap()).map(|commit| commit.position()).collect()
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_backup_beside_a_working_process_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (store, copy) = (dir.path().join("store"), dir.path().join("copy"));
    drop(Options::new().segment_bytes(1 << 20).open(&store).unwrap());
    let mut writer = command(&store);
    // The demo leaves a store that is there alone; its own is in a folder within.
    writer.args(["demo", "--durability", "buffered"]);
    let mut writer = writer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let working = || {
        let within = fs::read_dir(&store).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        within.into_iter().find(|path| path.is_dir() && path.join("MANIFEST").is_file())
    };
    let working = loop {
        if let Some(found) = working().filter(|found| commits(found).len() > 100) {
            break found;
        }
        assert!(writer.try_wait().unwrap().is_none(), "the demo is over already");
    };
    let made = call(&working, ["backup", name(&copy), "--json"]).ok().json().remove(0);
    assert!(writer.try_wait().unwrap().is_none(), "it was made beside the writer");
    writer.kill().unwrap();
    writer.wait().unwrap();

    let (all, copied) = (commits(&working), commits(&copy));
    assert_eq!((&made["ok"], &made["commits"]), (&json!(true), &json!(copied.len())));
    assert!(copied.len() > 100 && all.starts_with(&copied));
    assert!(copied.iter().all(|at| at.as_u64() < made["end"].as_u64().unwrap()));
    let found = call(&copy, ["verify", "--json"]).ok().json().remove(0);
    assert_eq!((&found["kind"], &found["commits"]), (&json!("sound"), &json!(copied.len())));
    assert_eq!((&found["unfinished_bytes"], &found["unknown"]), (&json!(0), &json!([])));
}

#[test]
fn a_second_backup_links_what_the_first_one_has_and_a_plain_copy_restores_it() {
    let (dir, path) = store();
    let [first, second, restored] = ["first", "second", "restored"].map(|it| dir.path().join(it));
    let made = call(&path, ["backup", name(&first), "--json"]).ok().json().remove(0);
    let full = made["segments_copied"].as_u64().unwrap() - 1;
    assert!(full > 1 && made["segments_linked"] == 0);
    grow(&Store::open(&path).unwrap(), "second");

    let said = call(&path, ["backup", name(&second), "--base", name(&first)]).ok().out;
    assert!(said.contains("the backup is whole"), "{said}");
    assert!(said.contains(&format!(" copied, {full} linked, ")), "{said}");

    copy_files(&second, &restored);
    let restored_store = Store::open(&restored).unwrap();
    assert_eq!(restored_store.report().verdict, Verdict::Clean);
    grow(&restored_store, "third");
    drop(restored_store);
    fs::remove_dir_all(&first).unwrap();
    for it in [&path, &second, &restored] {
        call(it, ["verify"]).ok();
    }
    assert_eq!(commits(&second), commits(&path));
    assert!(commits(&restored).starts_with(&commits(&path)));
}

#[test]
fn a_refusal_names_what_is_in_the_way_and_has_an_exit_code() {
    let (dir, path) = store();
    let copy = dir.path().join("copy");
    call(&path, ["backup", name(&copy)]).ok();
    let again = call(&path, ["backup", name(&copy)]).fails(10, "is in the way");
    assert!(again.err.contains(name(&copy.join("MANIFEST"))), "{}", again.err);
    let told = call(&path, ["backup", name(&copy), "--json"]);
    assert_eq!((told.code, told.err.as_str()), (Some(10), ""));
    let told = told.json().remove(0);
    assert_eq!((&told["ok"], &told["kind"]), (&json!(false), &json!("not_empty")));
    assert_eq!(told["path"], name(&copy.join("MANIFEST")));

    let other = dir.path().join("other");
    drop(Store::open(&other).unwrap());
    let new = dir.path().join("new");
    let call = |args: &[&str]| call(&path, ["backup", name(&new)].iter().chain(args));
    call(&["--base", name(&other)]).fails(10, "it belongs to another store");
    call(&["--base", name(dir.path())]).fails(5, "there is no kinlog store in");
    assert_eq!(call(&["--base", name(&other), "--json"]).json()[0]["kind"], "not_a_base");
    assert!(!new.exists());

    let segment = path.join("log/00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[5000] ^= 1;
    fs::write(&segment, bytes).unwrap();
    call(&[]).fails(3, "00000001.seg is corrupt at offset 4096");
    assert!(!new.exists());
}

#[test]
fn every_failure_of_verify_is_json_and_has_an_exit_code() {
    let (dir, path) = store();
    let verify = |path: &Path| {
        let told = call(path, ["verify", "--json"]);
        let json = told.json().remove(0);
        assert_eq!(json["ok"], told.code == Some(0));
        (told.code.unwrap(), json)
    };
    assert_eq!(verify(&path).1["kind"], "sound");

    let (code, told) = verify(&dir.path().join("none"));
    assert_eq!((code, &told["kind"]), (5, &json!("not_a_store")));
    assert_eq!(told["path"], name(&dir.path().join("none")));

    let change = |file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let copy = dir.path().join("changed");
        let _ = fs::remove_dir_all(&copy);
        copy_files(&path, &copy);
        let file = copy.join(file);
        let mut bytes = fs::read(&file).unwrap();
        change(&mut bytes);
        fs::write(&file, bytes).unwrap();
        (file, verify(&copy))
    };
    let (file, (code, told)) = change("log/00000001.seg", &|bytes| bytes[5000] ^= 1);
    assert_eq!((code, &told["kind"], &told["path"]), (3, &json!("corrupt"), &json!(name(&file))));
    assert_eq!((&told["offset"], &told["runs"].as_array().unwrap().len()), (&json!(4096), &1));
    assert!(told["expected"].is_u64() && told["found"].is_u64() && told["what"].is_string());

    // Another version, with checks that are right.
    let (file, (code, told)) = change("MANIFEST", &|bytes| {
        for slot in bytes.chunks_mut(4096) {
            slot[8] = 99;
            let check = crc32(&slot[..68]).to_le_bytes();
            slot[68..72].copy_from_slice(&check);
        }
    });
    assert_eq!((code, &told["kind"]), (7, &json!("unsupported_format")));
    assert_eq!(told["path"], name(&file));

    // Not closed, and something where the next commit would go.
    let end = Options::new().read_only(true).open(&path).unwrap().end().as_u64();
    let (number, offset) = (end / SEGMENT, (end % SEGMENT) as usize);
    let unclosed = fs::read(path.join("MANIFEST")).unwrap();
    let (_, (code, told)) = change(&format!("log/{number:08}.seg"), &|bytes| bytes[offset] = 1);
    assert_eq!((code, &told["kind"]), (0, &json!("sound")), "it was closed there");
    assert_eq!(told["unfinished_bytes"], 1);
    fs::write(path.join(format!("log/{number:08}.seg")), {
        let mut bytes = fs::read(path.join(format!("log/{number:08}.seg"))).unwrap();
        bytes[offset] = 1;
        bytes
    })
    .unwrap();
    let (_, (code, told)) = change("MANIFEST", &|bytes| {
        for slot in bytes.chunks_mut(4096) {
            slot[12] = 0;
            let check = crc32(&slot[..68]).to_le_bytes();
            slot[68..72].copy_from_slice(&check);
        }
    });
    assert_eq!((code, &told["kind"], &told["doubtful_bytes"]), (9, &json!("in_doubt"), &json!(1)));
    fs::write(path.join("MANIFEST"), unclosed).unwrap();

    // A file where a directory should be.
    fs::remove_dir_all(dir.path().join("changed")).unwrap();
    fs::create_dir(dir.path().join("changed")).unwrap();
    fs::copy(path.join("MANIFEST"), dir.path().join("changed/MANIFEST")).unwrap();
    fs::write(dir.path().join("changed/log"), b"").unwrap();
    let (code, told) = verify(&dir.path().join("changed"));
    assert_eq!((code, &told["kind"]), (8, &json!("io")));
    assert_eq!(told["path"], name(&dir.path().join("changed/log")));
}

#[test]
fn verify_says_what_else_is_there() {
    let (_dir, path) = store();
    fs::write(path.join("letter"), b"mine").unwrap();
    let said = call(&path, ["verify"]).ok().out;
    assert!(said.contains(&format!("not the store's: {}", name(&path.join("letter")))), "{said}");
    assert!(said.contains("/s)"), "{said}");
}

/// What the next writer repairs is told and is no failure.
#[test]
fn verify_says_that_a_slot_of_the_manifest_is_damaged() {
    let (_dir, path) = store();
    let mut manifest = fs::read(path.join("MANIFEST")).unwrap();
    manifest[60] ^= 1;
    fs::write(path.join("MANIFEST"), manifest).unwrap();
    let said = call(&path, ["verify"]).ok().out;
    assert!(said.contains("one slot of MANIFEST is damaged"), "{said}");
    let told = call(&path, ["verify", "--json"]).ok().json().remove(0);
    assert_eq!((&told["kind"], &told["manifest_damaged"]), (&json!("sound"), &json!(true)));
}

/// CRC-32, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
