//! `docs/format.md` and the library agree: a reader written from the document alone, in Python,
//! reads from every store what the library reads, and stores of old are read as ever.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "format/compacted.rs"]
mod compacted;
#[path = "format/erased.rs"]
mod erased;
#[path = "format/json.rs"]
mod json;
#[path = "format/packed.rs"]
mod packed;
#[path = "format/samples.rs"]
mod samples;
#[allow(dead_code)]
#[path = "verdict/support.rs"]
mod support;
#[path = "format/trees.rs"]
mod trees;
#[path = "format/verdicts.rs"]
mod verdicts;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kinlog::event::{ExternalFailedCause, RetryState, StartChildFailedCause};
use kinlog::retention::{Compaction, Keep};
use kinlog::{
    Close, Error, EventKind, Limits, NewChild, NewEvent, NewRun, NextRun, Options, RunId, Store,
    Transaction, Verdict,
};
use kinlog_testing::files::small_segments;
use samples::{Filling, bodies, closings, family, id, interleave, movers, recorded, resets, time};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs the Python reader; `None` where there is no Python, or nothing by which it can unpack.
fn reader(store: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("python3");
    command.arg(project("tests/reader/kinlog_reader.py")).arg(store).args(arguments);
    match command.output() {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("package zstandard") => {
            println!("skipped: there is no zstd for Python");
            None
        }
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: there is no python3");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// What the Python reader prints; it must succeed.
fn read(store: &Path, arguments: &[&str]) -> Option<String> {
    let output = reader(store, arguments)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Compares what the reader prints for the store with what the library reads from it.
fn agree(store: &Store) {
    let path = store.path();
    let Some(events) = read(path, &[]) else { return };
    same(&events, &json::events(store));
    same(&read(path, &["--rows"]).unwrap(), &json::rows(store));
}

fn same(found: &str, expected: &str) {
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {number}");
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

const LONG: &str = "naïve \"quoted\" \\ \t\n\u{1}\u{7f} 東京 🦀 ";

#[test]
fn every_record_is_read_alike_at_every_length_of_text() {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().segment_bytes(4 << 20).open(dir.path()).unwrap();
    let long = LONG.repeat(200);
    let mut run = 0u8;
    // Around the bounds of a field, of one byte of spread length, of the head's length.
    for len in (0..=20).chain([62, 63, 64, 65, 255, 256, 1003, 1004, 1008, 1012, 1016, 5000]) {
        let text: String = "abcdefgh".chars().cycle().take(len).collect();
        let cut = (0..=len).rev().find(|cut| long.is_char_boundary(*cut)).unwrap();
        for (text, other, other_run) in
            [(&text[..], &long[..cut], Some(id(0xee))), (&long[..cut], "eight678", None)]
        {
            run += 1;
            let number = u32::from(run) * 0x0103_0507;
            let with = Filling { text, other, run: other_run, number, small: run % 7 };
            let mut tx = store.begin();
            let workflow_id = format!("workflow {run}");
            let run =
                tx.start(recorded(with, id(run), &workflow_id).input(&long.as_bytes()[..len]));
            let run = run.unwrap();
            for (body, len) in bodies(with).into_iter().zip((0..).map(|len| len % 9)) {
                tx.append(&run, NewEvent::new(body).payload(&long.as_bytes()[..len])).unwrap();
            }
            let closings = closings(with);
            let closing = closings[usize::from(with.small)];
            tx.append(&run, NewEvent::new(closing).payload(b"end")).unwrap();
            tx.commit().unwrap();
        }
    }
    agree(&store);
    let one = json::run_events(&store.snapshot(), &id(3));
    if let Some(found) = read(dir.path(), &["--run", &id(3).to_string()]) {
        same(&found, &one);
    }
}

#[test]
fn closing_kinds_opaque_kinds_and_long_names_are_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().segment_bytes(4 << 20).open(dir.path()).unwrap();
    let mut limits = Limits::default();
    limits.id_bytes = 1 << 20;
    store.set_limits("ns", limits).unwrap();
    let name = "a name of many bytes ".repeat(20_000);
    for (n, text) in ["", "out of stock", &name, &name[..1000], &name[..1004]].iter().enumerate() {
        let with = Filling { text, other: "", run: Some(id(1)), number: u32::MAX, small: 255 };
        let workflow_id = if text.is_empty() { "w" } else { text };
        for (k, closing) in closings(with).into_iter().enumerate() {
            let mut tx = store.begin();
            let run = recorded(with, id((n * 20 + k + 10) as u8), workflow_id);
            let run = tx.start(run).unwrap();
            tx.append(&run, NewEvent::new(closing)).unwrap();
            tx.commit().unwrap();
        }
        for (k, closing) in closings(Filling { run: None, ..with })[..5].iter().enumerate() {
            let mut tx = store.begin();
            let request = format!("{k}{text}");
            let start = NewRun::new("ns", workflow_id, text).request_id(&request).task_queue("q");
            let run = tx.start(start.id(id((n * 20 + k + 20) as u8))).unwrap();
            tx.append(&run, NewEvent::new(*closing)).unwrap();
            tx.commit().unwrap();
        }
    }
    let opaque = |tx: &mut Transaction<'_>, run: &RunId, numbers: &[u16]| {
        for number in numbers {
            let payload = vec![*number as u8; usize::from(number % 50)];
            tx.append(run, NewEvent::opaque(EventKind::from_number(*number), &payload)).unwrap();
        }
    };
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("another", "w", "T").input(&[0; 100_000])).unwrap();
    opaque(&mut tx, &run, &[5, 6, 7, 8, 9, 11, 15, 17, 18, 19, 25, 26, 61, 1024, 0x7fff, 0xffff]);
    let with = Filling { text: "", other: "another", run: None, number: 0, small: 0 };
    let run = tx.start(recorded(with, id(1), "of elsewhere")).unwrap();
    let every: Vec<_> = (5..=70).filter(|n| !EventKind::from_number(*n).is_closing()).collect();
    opaque(&mut tx, &run, &every);
    tx.put("größe", b"", b"").unwrap();
    tx.put("größe", &[0xff; 4096], &[0; 70_000]).unwrap();
    tx.put(&"t".repeat(255), b"k", b"v").unwrap();
    tx.delete("never", b"there").unwrap();
    tx.commit().unwrap();
    agree(&store);
}

#[test]
fn families_and_resets_are_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().segment_bytes(4 << 20).open(dir.path()).unwrap();
    family(&store);
    let first = resets(&store, &LONG.repeat(3));
    agree(&store);
    let expected = json::run_events(&store.snapshot(), &first);
    if let Some(found) = read(dir.path(), &["--run", &first.to_string()]) {
        same(&found, &expected);
    }
    drop(store);
    // Nothing of it depends on what the process knew.
    agree(&Options::new().open(dir.path()).unwrap());
}

/// What a reset's own commit may do besides, and what moves with one.
#[test]
fn what_moves_with_resets_is_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    movers(&store);
    agree(&store);
    assert!(agree_on_verdict(dir.path()).is_none_or(|verdict| verdict.is_ok()));
}

#[test]
fn many_segments_are_read_alike_while_open_once_closed_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    interleave(&store, 1200);
    // Beside the living writer, up to what it has published.
    agree(&store);
    drop(store);
    for _ in 0..2 {
        let store = small_segments().open(dir.path()).unwrap();
        assert!(store.report().segments > 10);
        agree(&store);
        let mut tx = store.begin();
        tx.start(NewRun::new("ns", &format!("w {}", store.report().epoch), "T")).unwrap();
        tx.commit().unwrap();
        agree(&store);
    }
}

/// Copies a store's files, as a kill would leave them.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What the library makes of a store, as the reader reports it; the beginning of the error if it
/// is corrupt.
fn verdict(dir: &Path) -> Result<String, String> {
    match small_segments().read_only(true).open(dir) {
        Ok(store) => {
            let report = store.report();
            let stats = store.stats().unwrap();
            Ok(format!(
                concat!(
                    r#"{{"verdict":"{:?}","epoch":{},"end":{},"commits":{},"segments":{},"#,
                    r#""remains_bytes":{},"manifest_damaged":{},"runs":{},"events":{},"#,
                    r#""event_bytes":{}}}"#,
                    "\n"
                ),
                report.verdict,
                report.epoch,
                report.end,
                report.commits,
                report.segments,
                report.removed_bytes,
                report.manifest_damaged,
                stats.runs,
                stats.events,
                stats.event_bytes,
            ))
        }
        Err(Error::Corrupt(damage)) => {
            Err(format!("error: {} is corrupt at offset {}:", damage.path.display(), damage.offset))
        }
        Err(error) => panic!("{error}"),
    }
}

/// Compares both verdicts on a store; returns them unless there is no Python.
fn agree_on_verdict(dir: &Path) -> Option<Result<String, String>> {
    let ours = verdict(dir);
    let output = reader(dir, &["--report"])?;
    let errors = String::from_utf8(output.stderr).unwrap();
    match &ours {
        Ok(report) => assert_eq!(String::from_utf8(output.stdout).unwrap(), *report, "{errors}"),
        Err(error) => assert!(errors.starts_with(error), "{errors} instead of {error}"),
    }
    Some(ours)
}

#[test]
fn the_verdict_on_every_kind_of_image_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (store_dir, image) = (dir.path().join("store"), dir.path().join("image"));
    let store = small_segments().open(&store_dir).unwrap();
    // Before any mark of the store's own thread, so that only the frames tell what was durable.
    let manifest = fs::read(store_dir.join("MANIFEST")).unwrap();
    interleave(&store, 400);
    copy(&store_dir, &image);
    fs::write(image.join("MANIFEST"), &manifest).unwrap();
    let path = image.join("log/00000000.seg");
    let mut seen = vec![];
    if agree_on_verdict(&image).is_none() {
        return;
    }
    let end = verdict(&image).unwrap();
    let end: usize =
        end.split_once("\"end\":").unwrap().1.split(',').next().unwrap().parse().unwrap();
    let last = image.join(format!("log/{:08}.seg", end >> 16));
    let end = end % (64 << 10);
    let mut damage = |path: &Path, offset: usize, len: usize, change: fn(&mut u8)| {
        let whole = fs::read(path).unwrap();
        let mut bytes = whole.clone();
        bytes[offset..].iter_mut().take(len).for_each(change);
        fs::write(path, bytes).unwrap();
        seen.extend(agree_on_verdict(&image));
        fs::write(path, whole).unwrap();
    };
    let flip: fn(&mut u8) = |byte| *byte ^= 0x10;
    let zero: fn(&mut u8) = |byte| *byte = 0;
    for i in 1..9 {
        damage(&last, end - i * i * 8, 1, flip);
        damage(&last, end - i * i * 16, 512 * 3, zero);
    }
    // The end of the last frame, bytes behind it, the first frame, a header, a seal's segment.
    damage(&last, end - 4, 4, zero);
    damage(&last, end + 4000, 1, flip);
    damage(&last, end, 8, flip);
    damage(&path, 4096, 4, zero);
    damage(&path, 5000, 1, flip);
    damage(&path, 20, 1, flip);
    damage(&path, 80, 1, flip);
    damage(&path, 4097, 1 << 20, zero);
    damage(&path, (64 << 10) - 4, 1, flip);
    let has = |what: &str| {
        let is = |seen: &Result<String, String>| match seen {
            Ok(report) => report.contains(&format!("\"verdict\":\"{what}\"")),
            Err(_) => what == "Corrupt",
        };
        assert!(seen.iter().any(is), "{what} was not among them");
    };
    ["Torn", "Ambiguous", "Corrupt"].into_iter().for_each(has);
    drop(store);
    assert!(agree_on_verdict(&store_dir).unwrap().unwrap().contains("Clean"));
    fs::write(image.join("MANIFEST"), fs::read(store_dir.join("MANIFEST")).unwrap()).unwrap();
    fs::remove_file(&last).unwrap();
    assert!(agree_on_verdict(&image).unwrap().is_err());
}

/// The frames of commits in a segment: where their payloads begin, and their lengths.
fn payloads(segment: &[u8]) -> Vec<(usize, usize)> {
    let word = |at: usize| u32::from_le_bytes(segment[at..at + 4].try_into().unwrap());
    let next = |at: &usize| Some(at + 24 + word(at + 4) as usize);
    let frames = std::iter::successors(Some(4096), next).take_while(|at| word(*at) != 0);
    frames.map(|at| (at + 20, word(at + 4) as usize)).collect()
}

/// Writes the checks of a frame anew, as if a writer had meant its payload.
fn vouch(segment: &mut [u8], payload: usize, len: usize) {
    let check = segment[payload - 20..][..4].try_into().unwrap();
    let mut crc = crc32fast::Hasher::new_with_initial(u32::from_le_bytes(check));
    crc.update(&segment[payload..payload + len]);
    let trailer = crc.finalize().max(1).to_le_bytes();
    segment[payload + len..payload + len + 4].copy_from_slice(&trailer);
}

/// `KINLOG_WORDS` sets how many words are tried.
#[test]
fn a_commit_with_another_word_in_it_makes_sense_to_both_or_to_neither() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    family(&store);
    store.shut_down().unwrap();
    if agree_on_verdict(dir.path()).is_none() {
        return;
    }
    let path = dir.path().join("log/00000000.seg");
    let whole = fs::read(&path).unwrap();
    let words: Vec<_> = payloads(&whole)
        .into_iter()
        .flat_map(|(at, len)| (0..len).step_by(4).map(move |word| (at, len, at + word)))
        .collect();
    let tried = std::env::var("KINLOG_WORDS").map_or(30, |tried| tried.parse().unwrap());
    let (mut sense, mut nonsense) = (0, 0);
    for i in 0..tried {
        // Words from all over; mostly their low bytes, where ids, kinds and counts are.
        let (at, len, word) = words[i * 1009 % words.len()];
        let byte = word + [0, 0, 0, 1, 2, 3][i % 6];
        let mut segment = whole.clone();
        segment[byte] = match i / 6 % 3 {
            0 => segment[byte].wrapping_add(1),
            1 => segment[byte].wrapping_sub(1),
            _ => segment[byte] ^ (1 << (i % 8)),
        };
        vouch(&mut segment, at, len);
        fs::write(&path, segment).unwrap();
        match agree_on_verdict(dir.path()).unwrap() {
            Ok(_) => sense += 1,
            Err(_) => nonsense += 1,
        }
    }
    println!("{sense} make sense, {nonsense} do not");
    assert!(sense > 0 && nonsense > 0);
}

#[test]
fn segments_that_a_killed_writer_had_prepared_are_used_and_not_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store_dir, image) = (dir.path().join("store"), dir.path().join("image"));
    let store = small_segments().open(&store_dir).unwrap();
    let manifest = fs::read(store_dir.join("MANIFEST")).unwrap();
    interleave(&store, 400);
    copy(&store_dir, &image);
    drop(store);
    // As if the power had gone: neither mark of how far the log was on the device has survived.
    fs::write(image.join("MANIFEST"), &manifest).unwrap();
    fs::remove_file(image.join("LOCK")).unwrap();
    // As if a group of commits for many segments had not got further than into the first.
    for entry in fs::read_dir(image.join("log")).unwrap() {
        let path = entry.unwrap().path();
        let mut segment = fs::read(&path).unwrap();
        let from = if path.ends_with("00000000.seg") { 30_000 } else { 4096 };
        segment[from..].fill(0);
        fs::write(&path, segment).unwrap();
    }
    let headers = |number: u32| fs::read(image.join(format!("log/{number:08}.seg"))).unwrap();
    let before = headers(2)[..4096].to_vec();
    let store = small_segments().open(&image).unwrap();
    let left = store.report().segments;
    assert!(left > 3);
    let run = id(100);
    while store.end().as_u64() < u64::from(left + 2) << 16 {
        let payload = [7; 4000];
        store.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &payload)).unwrap();
    }
    store.verify(|_| {}).unwrap();
    agree(&store);
    assert_eq!(headers(2)[..4096], before);
}

/// Everything in a store: its events, then its rows.
fn dump(store: &Store) -> String {
    json::events(store) + &json::rows(store)
}

/// What a golden file says, in the words of today: one field had another name, and flags, causes and retry states
/// were numbers.
fn in_words_of_today(golden: &str) -> String {
    let line = |line: &str| {
        let refused = line.contains(r#""kind":"StartChildWorkflowExecutionFailed""#);
        let cause = |number| match refused {
            true => format!("{:?}", StartChildFailedCause::from_number(number)),
            false => format!("{:?}", ExternalFailedCause::from_number(number)),
        };
        let mut line = line.replace(r#""recorded":"#, r#""imported":"#);
        for number in 0..=u8::MAX {
            let state = format!("{:?}", RetryState::from_number(number));
            let fields = [
                ("imported", (number != 0).to_string()),
                ("child_workflow_only", (number != 0).to_string()),
                ("retry_state", format!("\"{state}\"")),
                ("cause", format!("\"{}\"", cause(number))),
            ];
            for (name, value) in fields {
                // Each is the last field of its record.
                let was = format!("\"{name}\":{number}}}");
                line = line.replace(&was, &format!("\"{name}\":{value}}}"));
            }
        }
        line + "\n"
    };
    golden.lines().map(line).collect()
}

/// The paths of a store's segments, in order.
fn segments(store: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.join("log")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "seg"));
    paths.sort();
    paths
}

#[test]
fn stores_of_old_are_read_as_ever() {
    for golden in fs::read_dir(project("tests/golden")).unwrap().map(|e| e.unwrap().path()) {
        if !golden.is_dir() {
            continue;
        }
        let expected =
            in_words_of_today(&fs::read_to_string(golden.with_extension("json")).unwrap());
        let dir = tempfile::tempdir().unwrap();
        copy(&golden, dir.path());
        let store = Options::new().create(false).open(dir.path()).unwrap();
        assert_eq!(store.report().verdict, Verdict::Clean, "{}", golden.display());
        same(&dump(&store), &expected);
        store.verify(|_| {}).unwrap();
        // It takes commits as well.
        let mut tx = store.begin();
        let run = tx.start(NewRun::new("ns", "later", "T").id(id(0xfe))).unwrap();
        tx.commit().unwrap();
        // Enough for another segment; what is there stays as it is.
        for _ in 0..6 {
            let payload = [7; 50_000];
            let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &payload);
            store.append(&run, event).unwrap();
        }
        store.verify(|_| {}).unwrap();
        agree(&store);
        drop(store);
        let version = |path: &Path| fs::read(path).unwrap()[8];
        assert_eq!(version(&dir.path().join("MANIFEST")), 8);
        assert_eq!(fs::read(dir.path().join("MANIFEST")).unwrap()[4096 + 8], 8);
        for (segment, was) in segments(dir.path()).iter().zip(segments(&golden)) {
            assert_eq!(version(segment), version(&was), "{}", was.display());
        }
        assert_eq!(version(segments(dir.path()).last().unwrap()), 8);
        let store = Options::new().create(false).open(dir.path()).unwrap();
        assert_eq!(store.report().verdict, Verdict::Clean, "{}", golden.display());
        assert_eq!(store.history(&run).unwrap().len(), 7);
        store.verify(|_| {}).unwrap();
        drop(store);
        assert!(agree_on_verdict(dir.path()).is_none_or(|verdict| verdict.is_ok()));
        if let (Some(events), Some(rows)) = (read(&golden, &[]), read(&golden, &["--rows"])) {
            same(&(events + &rows), &expected);
        }
    }
}

/// With `KEEP_GOLDEN=DIR` the store is left in `DIR` and its dump in `DIR.json`: that is how the
/// golden store of a new version is made, once.
#[test]
fn what_is_written_today_reads_as_the_golden_store_does() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("KEEP_GOLDEN").map(PathBuf::from);
    let golden = kept.clone().unwrap_or_else(|| scratch.path().join("store"));
    // The second segment is longer than the first.
    let store = Options::new().segment_bytes(256 << 10).open(&golden).unwrap();
    let mut tx = store.begin();
    let start = NewRun::new("shop", "order-42/shipping", "Ship").request_id("r-1").input(b"{}!");
    let run = tx.start(start.id(id(0x11)).at(time(0))).unwrap();
    tx.put("timers", b"k", b"v").unwrap();
    tx.commit().unwrap();
    let with = Filling {
        text: "a longer text",
        other: "short",
        run: Some(id(0x22)),
        number: 0x0102_0304,
        small: 2,
    };
    let mut tx = store.begin();
    tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"of its own").at(time(1)))
        .unwrap();
    let run = tx.start(recorded(with, id(0x12), "of elsewhere").at(time(2))).unwrap();
    for (n, body) in bodies(with).into_iter().enumerate() {
        let event = NewEvent::new(body).payload(&b"payload"[..n % 8]);
        tx.append(&run, event.at(time(n as i64 + 3))).unwrap();
    }
    tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"m").at(time(90))).unwrap();
    tx.append(&run, NewEvent::opaque(EventKind::from_number(4711), b"own").at(time(91))).unwrap();
    // Leaves no room for the next commit, which seals the segment.
    tx.put("scratch", b"large", &[0; 52_000]).unwrap();
    tx.commit().unwrap();
    for (n, body) in
        closings(Filling { run: None, text: &"z".repeat(1100), ..with }).iter().enumerate()
    {
        let mut tx = store.begin();
        let with = Filling { run: None, text: "", ..with };
        let workflow = format!("closed {n}");
        let run = tx.start(recorded(with, id(0x30 + n as u8), &workflow).at(time(100))).unwrap();
        let padding = vec![0; 2000];
        tx.put("scratch", b"small", &padding).unwrap();
        tx.append(&run, NewEvent::new(*body).at(time(101 + n as i64))).unwrap();
        tx.commit().unwrap();
    }
    family(&store);
    let mut limits = Limits::default();
    limits.history_events = 10_000;
    limits.open_cancels = 17;
    store.set_limits("shop", limits).unwrap();
    let mut tx = store.begin();
    tx.delete("scratch", b"large").unwrap();
    tx.delete("scratch", b"small").unwrap();
    tx.put("timers", &[0, 255], b"").unwrap();
    tx.commit().unwrap();
    deleted(&store);
    erased(&store);
    // The first segment, without the large row, and with its closed runs packed.
    let done = store.compact(&Compaction::new().dead_percent(0).pack()).unwrap();
    assert_eq!(done.rewritten, 1);
    let found = dump(&store);
    store.shut_down().unwrap();
    match kept {
        Some(golden) => fs::write(golden.with_extension("json"), found).unwrap(),
        None => same(
            &found,
            &in_words_of_today(&fs::read_to_string(project("tests/golden/v8.json")).unwrap()),
        ),
    }
}

/// Runs that are deleted, the second one further and further.
fn deleted(store: &Store) {
    let runs = [id(0xd0), id(0xd1)];
    for (n, run) in (0..).zip(runs) {
        let mut tx = store.begin();
        tx.start(NewRun::new("shop", "deleted", "Order").id(run).at(time(200 + n))).unwrap();
        tx.close_run(&run, Close::completed(b"ok").at(time(210 + n))).unwrap();
        tx.commit().unwrap();
    }
    let mut tx = store.begin();
    runs.iter().for_each(|run| tx.delete_run(run, Keep::Outcome).unwrap());
    tx.commit().unwrap();
    let mut tx = store.begin();
    tx.delete_run(&runs[1], Keep::Nothing).unwrap();
    tx.commit().unwrap();
}

/// A run that is erased, and one behind it, whose number goes on after that.
fn erased(store: &Store) {
    let [gone, last] = [id(0xe0), id(0xe1)];
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "erased", "Order").id(gone).at(time(220))).unwrap();
    tx.close_run(&gone, Close::completed(b"ok").at(time(221))).unwrap();
    tx.commit().unwrap();
    store.transact(|tx| tx.delete_run(&gone, Keep::Nothing)).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "after", "Order").id(last).at(time(222))).unwrap();
    tx.commit().unwrap();
    assert!(store.erase().unwrap().runs > 0);
    erased_of_a_child(store);
}

/// A child's chain of four runs, of which the two in the middle are erased, one after the other.
fn erased_of_a_child(store: &Store) {
    let [parent, child] = [id(0xe2), id(0xe3)];
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "of-a-cron", "Order").id(parent).at(time(223))).unwrap();
    tx.spawn_child(&parent, NewChild::new("cron", "Order").id(child).at(time(223))).unwrap();
    tx.commit().unwrap();
    let mut last = child;
    for (at, next) in [(224, id(0xe4)), (225, id(0xe5)), (226, id(0xe6))] {
        let run = NextRun::new("Order").id(next).at(time(at));
        store.transact(|tx| tx.continue_as_new(&last, run)).unwrap();
        last = next;
    }
    for run in [id(0xe4), id(0xe5)] {
        store.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
        assert_eq!(store.erase().unwrap().runs, 1);
    }
}

#[test]
fn the_format_version_is_documented() {
    let text = |path: &str| fs::read_to_string(project(path)).unwrap();
    let source = text("src/log/format/page.rs");
    let version = source.split_once("FORMAT_VERSION: u32 = ").unwrap().1;
    let version = version.split(';').next().unwrap();
    let source = text("src/event/golden.rs");
    let fingerprint = source.split_once("assert_eq!(LAYOUT_FINGERPRINT, ").unwrap().1;
    let fingerprint = fingerprint.split(')').next().unwrap().replace('_', "");
    let row = format!("| {version} | `{fingerprint}` |");
    assert!(text("docs/format.md").contains(&row), "docs/format.md lacks the row {row}");
    let said = format!("The format is version {version};");
    assert!(text("README.md").contains(&said), "README.md does not say {said:?}");
    let entry = format!("format {version}");
    assert!(text("CHANGELOG.md").contains(&entry), "CHANGELOG.md does not say {entry:?}");
    assert!(project(&format!("tests/golden/v{version}")).exists());
}

/// Each example is a whole frame, byte by byte, and says in which segment.
#[test]
fn the_examples_in_the_document_are_frames_of_the_golden_store() {
    let document = fs::read_to_string(project("docs/format.md")).unwrap();
    let examples = document.split_once("## 21. Examples").unwrap().1;
    let mut segment = vec![];
    let mut frames = vec![];
    // Where the next line goes on.
    let mut next = None;
    for line in examples.lines() {
        let name = line.split('`').find(|name| name.ends_with(".seg"));
        if let Some(name) = name {
            segment = fs::read(project("tests/golden/v3/log").join(name)).unwrap();
        }
        let row = line.split_once("  ").filter(|(offset, _)| offset.len() == 4);
        let row = row.and_then(|(at, rest)| Some((usize::from_str_radix(at, 16).ok()?, rest)));
        let Some((offset, rest)) = row else {
            next = None;
            continue;
        };
        if next.is_none() {
            let len = u32::from_le_bytes(segment[offset + 4..offset + 8].try_into().unwrap());
            frames.push((offset + 24 + len as usize, segment[offset + 16]));
        }
        assert_eq!(next.unwrap_or(offset), offset, "{line}");
        let hex = rest.split("  ").next().unwrap().replace(' ', "");
        let digits = hex.as_bytes().chunks(2).map(|digits| std::str::from_utf8(digits).unwrap());
        let bytes: Vec<_> = digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
        assert_eq!(segment[offset..offset + bytes.len()], bytes, "{line}");
        next = Some(offset + bytes.len());
        let (end, _) = frames.last().unwrap();
        assert!(next.unwrap() <= *end, "{line}");
    }
    let kinds: Vec<_> = frames.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [1, 2, 1], "a commit, a seal, a reset");
    let ends = frames.iter().map(|(end, _)| format!("{:04x}  ", end - 4));
    for end in ends {
        assert!(examples.contains(&format!("\n{end}")), "no trailer at {end}");
    }
}

#[test]
fn the_reader_needs_no_index_and_reads_beside_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().memory_bytes(0).open(dir.path()).unwrap();
    for number in 0..10u8 {
        let mut tx = store.begin();
        tx.start(NewRun::new("shop", &format!("order-{number}"), "Order")).unwrap();
        tx.put("orders", &[number % 3], &[number]).unwrap();
        tx.commit().unwrap();
    }
    store.shut_down().unwrap();
    assert!(dir.path().join("index/CHECKPOINT").exists());
    let store = small_segments().read_only(true).open(dir.path()).unwrap();
    assert_eq!(store.report().index, kinlog::admin::IndexFound::Used);
    agree(&store);
}
