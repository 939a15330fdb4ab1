//! Keys of events where events are lost.

use std::fs;

use kinlog::{EventKind, NewEvent, NewRun};
use kinlog_testing::files::{directory, segment_name, small_segments};

/// The next event that the run gets has the id of one that was lost, and not its key.
#[test]
fn a_key_is_lost_with_its_event() {
    let dir = directory();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    let event = NewEvent::opaque(EventKind::from_number(1024), b"event");
    let store = small_segments().open(&src).unwrap();
    let start = |id: &'static str| store.transact(|tx| tx.start(NewRun::new("shop", id, "Order")));
    let (cut, whole) = (start("cut").unwrap().0, start("whole").unwrap().0);
    let append = |run, key| {
        let mut tx = store.begin();
        let id = tx.append(run, event.key(key)).unwrap();
        tx.append(&whole, event.key(key)).unwrap();
        tx.put("rows", &key.to_le_bytes(), b"row").unwrap();
        (id, tx.commit().unwrap().position())
    };
    append(&cut, 1);
    let (_, lost) = append(&cut, 2);
    let (third, _) = append(&cut, 3);
    store.shut_down().unwrap();
    let path = src.join(segment_name(0));
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(lost.as_u64()).unwrap() + 40] ^= 1;
    fs::write(&path, bytes).unwrap();

    let report = kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ()).unwrap();
    // Both runs are cut in the third commit, of which the row alone is left.
    assert_eq!((report.commits_partial, report.rows_dropped, report.rows_kept), (1, 2, 4));
    let store = small_segments().create(false).open(&dst).unwrap();
    let found = |key| store.event_by_key(&cut, key).unwrap();
    assert_eq!([1, 2, 3].map(found), [Some(2), None, None]);
    while store.append(&cut, event).is_ok() && store.run(&cut).unwrap().events < third {}
    assert_eq!([1, 2, 3].map(found), [Some(2), None, None]);
    assert_eq!(store.get("rows", &3_u64.to_le_bytes()).unwrap().as_deref(), Some(&b"row"[..]));
    store.transact(|tx| tx.append(&cut, event.key(3))).unwrap();
    assert_eq!(found(3), Some(third + 1));
}
