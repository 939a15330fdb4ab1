//! Files of the cold index, and of the log, that are damaged while the store is open.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kinlog::{
    Close, DutyFilter, Error, EventKind, NewChild, NewEvent, NewRun, Options, Position, Result,
    RunFilter, RunId, Store,
};

const RUNS: u128 = 400;

fn id(number: u128) -> RunId {
    RunId::from_bytes(number.to_le_bytes())
}

/// What one kind of read finds, as text.
type Look = (&'static str, fn(&Store) -> Result<String>);

fn all<T: std::fmt::Debug>(found: impl IntoIterator<Item = Result<T>>) -> Result<String> {
    Ok(format!("{:?}", found.into_iter().collect::<Result<Vec<_>>>()?))
}

const LOOKS: [Look; 20] = [
    ("current_run", |store| Ok(format!("{:?}", store.current_run("n", "w7")?))),
    ("no current_run", |store| Ok(format!("{:?}", store.current_run("n", "nobody")?))),
    ("snapshot", |store| Ok(format!("{:?}", store.snapshot().current_run("n", "w8")?))),
    ("run", |store| Ok(format!("{:?}", store.run(&id(9))?))),
    ("runs", |store| all(store.snapshot().runs(RunFilter::all()))),
    ("runs of a workflow", |store| {
        all(store.snapshot().runs(RunFilter::all().namespace("n").workflow_id("w3")))
    }),
    ("history", |store| all(store.history(&id(4))?.iter().map(|event| Ok(event?.id())))),
    ("closing event", |store| {
        Ok(format!("{:?}", store.snapshot().closing_event(&id(5))?.map(|event| event.id())))
    }),
    ("chain", |store| all(store.chain(&id(6))?.runs())),
    ("links", |store| all(store.chain(&id(6))?.links())),
    ("size of a chain", |store| Ok(format!("{:?}", store.chain(&id(6))?.size()?))),
    ("children", |store| all(store.children(&id(1))?)),
    ("children of a chain", |store| all(store.children_of_chain(&id(1))?)),
    ("parent", |store| Ok(format!("{:?}", store.parent(&id(1001))?))),
    ("root", |store| Ok(format!("{:?}", store.root(&id(1001))?))),
    ("tree", |store| all(store.tree(&id(1))?)),
    ("duties", |store| all(store.duties(DutyFilter::all()))),
    ("duties of a run", |store| all(store.duties(DutyFilter::all().run(id(1))))),
    ("row", |store| Ok(format!("{:?}", store.get("t", b"k3")?))),
    ("tail", |store| {
        let mut tail = store.tail(Position::START);
        let mut runs = vec![];
        while let Some(commit) = tail.try_next()? {
            for batch in commit.batches() {
                runs.push(batch?.run());
            }
        }
        Ok(format!("{runs:?}"))
    }),
];

/// A store all of whose runs are in one file of many blocks: shutting down writes it.
fn filled(dir: &Path) {
    let store = Store::open(dir).unwrap();
    for number in 1..=RUNS {
        let mut tx = store.begin();
        let workflow = format!("w{number}");
        tx.start(NewRun::new("n", &workflow, "T").id(id(number)).input(&[7; 4096])).unwrap();
        if number % 3 == 1 {
            let child = format!("c{number}");
            tx.spawn_child(&id(number), NewChild::new(&child, "C").id(id(1000 + number))).unwrap();
        }
        let key = format!("k{number}");
        tx.put("t", key.as_bytes(), b"value").unwrap();
        tx.commit().unwrap();
        if number % 2 == 1 {
            store.close_run(&id(number), Close::completed(b"ok")).unwrap();
        }
    }
    store.shut_down().unwrap();
}

/// Opens the store, and then damages its files of the index: all but footers, which opening has read.
/// For reading only: nothing but what a look asks for is read, while a writer's merges read whole files.
fn damaged(dir: &Path) -> Store {
    let store = Options::new().read_only(true).open(dir).unwrap();
    let mut files = 0;
    for entry in fs::read_dir(dir.join("index")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "idx") {
            let mut bytes = fs::read(&path).unwrap();
            let sound = bytes.len() - FOOTER_BYTES.min(bytes.len());
            bytes.iter_mut().take(sound).for_each(|byte| *byte ^= 0x5a);
            // In place: the map of the open store sees it.
            std::io::Write::write_all(
                &mut fs::OpenOptions::new().write(true).open(&path).unwrap(),
                &bytes,
            )
            .unwrap();
            files += 1;
        }
    }
    assert!(files > 0, "nothing is in files");
    store
}

/// The footer with the checksums, and the rest of its block, which opening has verified.
const FOOTER_BYTES: usize = 2 * 4096;

#[test]
fn a_read_that_meets_damage_in_the_index_finds_what_is_there_or_says_so() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let sound = Store::open(dir.path()).unwrap();
    let expected: Vec<_> = LOOKS.iter().map(|(_, look)| look(&sound).unwrap()).collect();
    sound.shut_down().unwrap();
    let mut failed = 0;
    for ((what, look), expected) in LOOKS.iter().zip(expected) {
        let copy = tempfile::tempdir().unwrap();
        copy_all(dir.path(), copy.path());
        // By itself: damage that one look has met is told to all later ones.
        let store = damaged(copy.path());
        match look(&store) {
            Ok(found) => assert_eq!(found, expected, "{what}"),
            Err(error) => {
                assert!(matches!(error, Error::DamagedIndex(_)), "{what}: {error:?}");
                failed += 1;
            }
        }
    }
    assert!(failed > 10, "{failed} looks have met the damage");
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_reader_of_a_history_tells_a_damaged_batch_with_its_run_and_place() {
    const PAYLOAD: &[u8] = b"the second";
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut tx = store.begin();
    let [run, _] =
        ["one", "another"].map(|name| tx.start(NewRun::new("shop", name, "Order")).unwrap());
    tx.commit().unwrap();
    for payload in [b"the first", PAYLOAD, b"the third"] {
        let mut tx = store.begin();
        tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, payload)).unwrap();
        tx.commit().unwrap();
    }
    let place = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(PAYLOAD.len()).position(|bytes| bytes == PAYLOAD)
    };
    let files = fs::read_dir(dir.path().join("log")).unwrap().map(|file| file.unwrap().path());
    let (payload, path) = files.filter_map(|path| Some((place(&path)?, path))).next().unwrap();
    // 20 bytes of the batch's header, 16 of the event's.
    let batch = payload as u64 - 36;
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let history = store.history(&run).unwrap();
    let read = || history.iter().collect::<Result<Vec<_>>>().map(|all| all.len());
    let read_back = || history.rev().collect::<Result<Vec<_>>>().map(|all| all.len());
    let padding = 36 + PAYLOAD.len() as u64;
    for (what, at) in
        [("run", 0), ("first event", 4), ("link", 8), ("count", 14), ("padding", padding)]
    {
        assert_eq!((read().unwrap(), read_back().unwrap()), (4, 4));
        let mut byte = [0];
        file.read_exact_at(&mut byte, batch + at).unwrap();
        // In place: the map of the open store sees it.
        file.write_all_at(&[byte[0] ^ 1], batch + at).unwrap();
        for found in [read(), read_back()] {
            let Err(Error::Corrupt(corruption)) = found else { panic!("{what}: {found:?}") };
            assert_eq!(corruption.runs, [run], "{what}");
            // A link leads to another place, where there is no batch.
            assert!(corruption.offset == batch || what == "link", "{what}: {corruption:?}");
        }
        file.write_all_at(&byte, batch + at).unwrap();
    }
}
