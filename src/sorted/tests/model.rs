//! A file gives what was written.

use std::ops::Bound::{self, Excluded, Included, Unbounded};

use kinlog_testing::Rng;

use super::contents::{self, Contents, KINDS, Map, Place};
use crate::error::Error;
use crate::sorted::{Lookup, SortedFile, hash};

/// Keys of a section, and others near them.
fn keys(rng: &mut Rng, map: &Map, section: usize) -> Vec<Vec<u8>> {
    let mut keys = vec![vec![], vec![0xff; 20]];
    for key in map.keys() {
        keys.push(key.clone());
        if rng.chance(30) {
            keys.push([key, &[0][..]].concat());
            keys.push(key[..key.len().saturating_sub(1)].to_vec());
        }
    }
    keys.extend((0..50).map(|_| contents::key(rng, KINDS[section].key)));
    keys
}

fn bound<'a>(rng: &mut Rng, keys: &'a [Vec<u8>]) -> Bound<&'a [u8]> {
    let key = &keys[rng.below(keys.len())];
    match rng.below(5) {
        0 => Unbounded,
        1 | 2 => Included(key),
        _ => Excluded(key),
    }
}

fn within(key: &[u8], (from, to): (Bound<&[u8]>, Bound<&[u8]>)) -> bool {
    let behind = match from {
        Unbounded => true,
        Included(from) => key >= from,
        Excluded(from) => key > from,
    };
    let before = match to {
        Unbounded => true,
        Included(to) => key <= to,
        Excluded(to) => key < to,
    };
    behind && before
}

fn looked_up(file: &SortedFile, section: usize, map: &Map, key: &[u8]) {
    let expected = match map.get(key) {
        None => Lookup::Absent,
        Some(None) => Lookup::Deleted,
        Some(Some(value)) => Lookup::Found(value),
    };
    assert_eq!(file.get(section, key).unwrap(), expected);
    if let Some(filtered) = KINDS[section].filtered(key) {
        let hash = hash(filtered);
        assert_eq!(file.get_hashed(section, key, hash).unwrap(), expected);
        assert!(expected == Lookup::Absent || file.may_hold(section, hash).unwrap());
    }
}

fn walked(rng: &mut Rng, file: &SortedFile, section: usize, map: &Map, keys: &[Vec<u8>]) {
    let bounds = (bound(rng, keys), bound(rng, keys));
    let mut expected = map.iter().filter(|(key, _)| within(key, bounds));
    let mut entries = file.range(section, bounds).unwrap();
    let backwards = rng.pick(&[0, 50, 100]);
    loop {
        let (expected, found) = match rng.chance(backwards) {
            true => (expected.next_back(), entries.next_back()),
            false => (expected.next(), entries.next()),
        };
        let found = found.transpose().unwrap();
        let found = found.as_ref().map(|(key, value)| (&**key, *value));
        assert_eq!(found, expected.map(|(key, value)| (key.as_slice(), value.as_deref())));
        if found.is_none() {
            break;
        }
    }
    assert!(entries.next().is_none() && entries.next_back().is_none());
}

fn same(rng: &mut Rng, file: &SortedFile, contents: &Contents) {
    file.verify().unwrap();
    for (section, map) in contents.iter().enumerate() {
        assert_eq!(file.entries(section).unwrap(), map.len() as u64);
        let keys = keys(rng, map, section);
        keys.iter().for_each(|key| looked_up(file, section, map, key));
        for _ in 0..8 {
            walked(rng, file, section, map, &keys);
        }
    }
}

#[test]
fn a_file_is_the_map_that_was_written() {
    let mut place = Place::new();
    for seed in 0..80 {
        let mut rng = Rng::new(seed);
        let most = rng.pick(&[0, 1, 15, 16, 17, 40, 300]);
        let contents = contents::random(&mut rng, most);
        let file = place.write(&contents);
        same(&mut rng, &file, &contents);
    }
}

#[test]
fn a_file_of_many_blocks_is_the_map_that_was_written() {
    let mut place = Place::new();
    let mut rng = Rng::new(7);
    let contents = contents::large(&mut rng);
    // The checksums of the blocks take several blocks themselves: 1,024 blocks have one block of them.
    let entries = contents.iter().flatten();
    let bytes: usize =
        entries.map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
    assert!(bytes > 1024 * 4096 + 4096);
    let file = place.write(&contents);
    same(&mut rng, &file, &contents);
}

#[test]
fn values_longer_than_blocks_and_writes_are_whole() {
    let mut place = Place::new();
    let mut map = Map::new();
    for (number, len) in [0, 1 << 20, 4096, (3 << 20) + 5, 4095, (1 << 20) - 1].iter().enumerate() {
        let value = (0..*len).map(|at| u8::try_from(at % 253).unwrap()).collect();
        map.insert(vec![u8::try_from(number).unwrap(); 5000], Some(value));
    }
    let contents = vec![map];
    same(&mut Rng::new(1), &place.write(&contents), &contents);
}

#[test]
fn sections_that_are_not_begun_are_empty() {
    let mut place = Place::new();
    let (mut writer, path) = place.writer();
    writer.begin(3, 1).unwrap();
    writer.add(b"key", Some(b"value")).unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!(summary.entries, [0, 0, 0, 1, 0, 0, 0, 0]);
    let file = place.open(&path, &summary).unwrap();
    file.verify().unwrap();
    assert_eq!(file.get(3, b"key").unwrap(), Lookup::Found(b"value"));
    assert_eq!(file.get(2, b"twelve bytes").unwrap(), Lookup::Absent);
    for section in 0..KINDS.len() {
        assert_eq!(file.entries(section).unwrap() > 0, section == 3);
    }
}

/// What the writer says of a misuse: a fault of the program, at which builds with debug assertions stop.
fn misuse(what: impl FnOnce() -> crate::Result<()> + std::panic::UnwindSafe) -> bool {
    match std::panic::catch_unwind(what) {
        Ok(result) => matches!(result, Err(Error::Internal { .. })),
        Err(_) => cfg!(debug_assertions),
    }
}

#[test]
fn entries_that_do_not_fit_their_section_are_refused() {
    let added = |section: usize, keys: &'static [&[u8]], value: Option<&'static [u8]>| {
        move || {
            let (mut writer, _) = Place::new().writer();
            writer.begin(section, 9).unwrap();
            keys.iter().try_for_each(|key| writer.add(key, value))
        }
    };
    assert!(added(0, &[b"", b"a"], None)().is_ok());
    assert!(misuse(added(0, &[b"", b""], None)));
    assert!(misuse(added(0, &[b"b", b"a"], Some(b""))));
    assert!(misuse(added(1, &[b"abc"], Some(b"12345678"))));
    assert!(misuse(added(1, &[b"abcd"], Some(b"1234567"))));
    assert!(misuse(added(6, &[b"fifteen bytes.."], Some(b""))));
    assert!(misuse(|| Place::new().writer().0.add(b"", None)));
    assert!(misuse(|| Place::new().writer().0.begin(8, 0)));
    assert!(misuse(|| {
        let (mut writer, _) = Place::new().writer();
        writer.begin(1, 0).unwrap();
        writer.begin(1, 0)
    }));
}
