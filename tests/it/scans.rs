//! Rows of tables from either end, beside a plain map.

use std::collections::BTreeMap;

use kinlog::{Options, Snapshot};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Takes rows from the front and from the back as `from_back` says, until there are none.
fn taken(
    mut rows: impl DoubleEndedIterator<Item = (Vec<u8>, Vec<u8>)>,
    from_back: u64,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut taken = vec![];
    for turn in 0.. {
        let back = from_back.rotate_right(turn) & 1 == 1;
        match if back { rows.next_back() } else { rows.next() } {
            Some(row) => taken.push(row),
            None => break,
        }
    }
    taken
}

fn compare(snapshot: &Snapshot, map: &Map, from_back: u64) {
    for prefix in [&b""[..], b"a", b"ab", b"\xff", b"b\xff"] {
        let rows = snapshot.rows_with_prefix("t", prefix);
        let rows = rows.map(|row| row.map(|row| (row.key.to_vec(), row.value.to_vec())).unwrap());
        let expected = map.iter().filter(|(key, _)| key.starts_with(prefix));
        let expected = expected.map(|(key, value)| (key.clone(), value.clone()));
        assert_eq!(taken(rows, from_back), taken(expected, from_back), "{prefix:?}");
    }
    let range = b"ab".as_slice()..b"b".as_slice();
    let first = snapshot.rows("t", range.clone()).next().map(|row| row.unwrap().key.to_vec());
    let last = snapshot.rows("t", range).next_back().map(|row| row.unwrap().key.to_vec());
    let within = |key: &&Vec<u8>| (&b"ab"[..]..b"b").contains(&&***key);
    assert_eq!(first.as_ref(), map.keys().find(within));
    assert_eq!(last.as_ref(), map.keys().rev().find(within));
}

/// More rows than a page, deleted ones between them, and snapshots that hold earlier ones.
#[test]
fn rows_are_those_of_a_plain_map_from_either_end_and_by_prefix_under_older_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap();
    let mut seed = 7u64;
    let mut draw = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 20
    };
    let (mut map, mut held) = (Map::new(), vec![]);
    for _ in 0..40 {
        let mut tx = store.begin();
        for _ in 0..60 {
            let letters = [b'a', b'b', 0xff, b'c'];
            let key: Vec<u8> = (0..1 + draw() % 6)
                .map(|_| letters[usize::try_from(draw() % 4).unwrap()])
                .collect();
            if draw() % 3 == 0 {
                tx.delete("t", &key).unwrap();
                map.remove(&key);
            } else {
                let value = draw().to_le_bytes();
                tx.put("t", &key, &value).unwrap();
                map.insert(key, value.to_vec());
            }
        }
        tx.submit(kinlog::Durability::Buffered).unwrap().wait().unwrap();
        held.push((store.snapshot(), map.clone()));
        for (snapshot, map) in &held {
            compare(snapshot, map, draw());
        }
        // The oldest one stays, and two later ones.
        if held.len() > 3 {
            held.remove(1);
        }
    }
    let tables = store.stats().unwrap().tables;
    let bytes = map.keys().map(|key| key.len() as u64 + 8).sum::<u64>();
    assert_eq!((tables[0].rows, tables[0].bytes), (map.len() as u64, bytes));
    assert!(map.len() > 256, "{}", map.len());
}
