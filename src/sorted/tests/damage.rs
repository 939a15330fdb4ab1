//! Damage is found, and nothing else is said of what is damaged.

use std::ops::Bound::Unbounded;
use std::panic::{AssertUnwindSafe, catch_unwind};

use kinlog_testing::Rng;

use super::contents::{self, Contents, KINDS, Place};
use crate::error::{Error, Result};
use crate::sorted::{Lookup, SortedFile, Summary, merge};

/// The bytes of a file of `contents`, and what it is opened with.
fn written(place: &mut Place, contents: &Contents) -> (Vec<u8>, Summary) {
    let (mut writer, path) = place.writer();
    for (section, map) in contents.iter().enumerate() {
        writer.begin(section, map.len() as u64).unwrap();
        for (key, value) in map {
            writer.add(key, value.as_deref()).unwrap();
        }
    }
    let summary = writer.finish().unwrap();
    (place.bytes(&place.open(&path, &summary).unwrap()), summary)
}

fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt(_))
}

/// Every look-up and every walk gives what was written, or damage. Returns how many gave damage.
fn right_or_refused(file: &SortedFile, contents: &Contents) -> Result<(), ()> {
    let mut refused = Ok(());
    for (section, map) in contents.iter().enumerate() {
        for (key, value) in map {
            let expected = match value {
                None => Lookup::Deleted,
                Some(value) => Lookup::Found(value),
            };
            match file.get(section, key) {
                Ok(found) => assert_eq!(found, expected),
                Err(error) => {
                    assert!(is_damage(&error), "{error}");
                    refused = Err(());
                }
            }
        }
        let mut expected = map.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
        for entry in file.range(section, (Unbounded, Unbounded)).unwrap() {
            match entry {
                Ok((key, value)) => assert_eq!(Some((&*key, value)), expected.next()),
                Err(error) => {
                    assert!(is_damage(&error), "{error}");
                    refused = Err(());
                }
            }
        }
        assert!(expected.next().is_none() || refused.is_err());
    }
    refused
}

/// Opens damaged bytes: whatever is answered is right, and the damage is found.
fn found(place: &mut Place, bytes: &[u8], summary: &Summary, contents: &Contents) {
    let path = place.put(bytes);
    match place.open(&path, summary) {
        Err(error) => assert!(is_damage(&error), "{error}"),
        Ok(file) => {
            let answered = catch_unwind(AssertUnwindSafe(|| right_or_refused(&file, contents)));
            assert!(answered.is_ok(), "a wrong answer, or a panic");
            assert!(is_damage(&file.verify().unwrap_err()));
        }
    }
    place.disk = crate::disk::Memory::new();
    crate::disk::Disk::create_dir(&place.disk, std::path::Path::new("/")).unwrap();
}

#[test]
fn a_flip_of_any_byte_is_found() {
    let mut place = Place::new();
    // Something in each section.
    let contents = (0..).map(|seed| contents::random(&mut Rng::new(seed), 9));
    let mut wanted = contents.filter(|contents| contents.iter().all(|map| !map.is_empty()));
    let contents = wanted.next().unwrap();
    let (bytes, summary) = written(&mut place, &contents);
    assert!(bytes.len() < 4000, "{}", bytes.len());
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        found(&mut place, &damaged, &summary, &contents);
    }
}

#[test]
fn a_file_that_ends_early_or_late_is_found() {
    let mut place = Place::new();
    let contents = contents::random(&mut Rng::new(12), 40);
    let (bytes, summary) = written(&mut place, &contents);
    for len in [0, 1, 15, 4096, bytes.len() - 4096, bytes.len() - 1] {
        found(&mut place, &bytes[..len], &summary, &contents);
    }
    found(&mut place, &[&bytes[..], b"\0"].concat(), &summary, &contents);
    let beginning_lost = [&bytes[1..], b"\0"].concat();
    found(&mut place, &beginning_lost, &summary, &contents);
}

#[test]
fn blocks_that_are_exchanged_lost_or_another_files_are_found() {
    let mut place = Place::new();
    let mut rng = Rng::new(13);
    let contents = contents::random(&mut rng, 1000);
    let (bytes, summary) = written(&mut place, &contents);
    let (other, other_summary) = written(&mut place, &contents::random(&mut rng, 1000));
    let blocks = bytes.len().min(other.len()) / 4096;
    for _ in 0..20 {
        let (a, b) = (rng.below(blocks) * 4096, rng.below(blocks) * 4096);
        let mut changed = bytes.clone();
        match rng.below(3) {
            0 => changed[a..a + 4096].copy_from_slice(&other[a..a + 4096]),
            1 => changed[a..a + 4096].fill(0),
            _ => {
                changed[a..a + 4096].copy_from_slice(&bytes[b..b + 4096]);
                changed[b..b + 4096].copy_from_slice(&bytes[a..a + 4096]);
            }
        }
        if changed != bytes {
            found(&mut place, &changed, &summary, &contents);
        }
    }
    found(&mut place, &other, &summary, &contents);
    let path = place.put(&other);
    assert!(place.open(&path, &other_summary).is_ok());
}

#[test]
fn a_whole_block_is_read_beside_a_damaged_one() {
    let mut place = Place::new();
    let contents = contents::random(&mut Rng::new(14), 2000);
    let (mut bytes, summary) = written(&mut place, &contents);
    bytes[100] ^= 1;
    let path = place.put(&bytes);
    let file = place.open(&path, &summary).unwrap();
    let Err(Error::Corrupt(found)) = file.get(0, contents[0].keys().next().unwrap()) else {
        panic!("the damage is not found");
    };
    assert_eq!((found.path, found.offset), (path, 0));
    assert_ne!(found.expected, found.found);
    for (key, value) in &contents[1] {
        let expected = value.as_deref().map_or(Lookup::Deleted, Lookup::Found);
        assert_eq!(file.get(1, key).unwrap(), expected);
    }
}

#[test]
fn other_kinds_of_sections_are_refused() {
    let mut place = Place::new();
    let (bytes, summary) = written(&mut place, &contents::random(&mut Rng::new(15), 40));
    let path = place.put(&bytes);
    let mut others = KINDS;
    others[3].filtered += 1;
    for kinds in [&others[..], &KINDS[1..], &[]] {
        let opened = SortedFile::open(&place.disk, &path, kinds, summary.len, summary.checksum);
        assert!(is_damage(&opened.err().unwrap()));
    }
}

/// Damage whose checksums are right, as no disk makes it: nothing panics, and everything ends.
#[test]
fn bytes_that_no_writer_wrote_are_never_followed_blindly() {
    let mut place = Place::new();
    let mut rng = Rng::new(16);
    for _ in 0..100 {
        let contents = contents::random(&mut rng, 60);
        let (mut bytes, _) = written(&mut place, &contents);
        for _ in 0..=rng.below(8) {
            let at = rng.below(bytes.len());
            bytes[at] = rng.pick(&[0, 0xff, 0x80, bytes[at] ^ 1]);
        }
        let Some(checksum) = mended(&mut bytes) else { continue };
        let path = place.put(&bytes);
        let opened = SortedFile::open(&place.disk, &path, &KINDS, bytes.len() as u64, checksum);
        let Ok(file) = opened else { continue };
        for (section, map) in contents.iter().enumerate() {
            for key in map.keys() {
                let _ = file.get(section, key);
            }
            let ahead = file.range(section, (Unbounded, Unbounded)).unwrap().count();
            let back = file.range(section, (Unbounded, Unbounded)).unwrap().rev().count();
            assert!(ahead.max(back) as u64 <= file.entries(section).unwrap() + 1);
        }
        let _ = file.verify();
    }
}

/// Opens changed bytes, after making their checksums right.
fn forged(place: &mut Place, bytes: &[u8]) -> SortedFile {
    let mut bytes = bytes.to_vec();
    let checksum = mended(&mut bytes).unwrap();
    let path = place.put(&bytes);
    SortedFile::open(&place.disk, &path, &KINDS, bytes.len() as u64, checksum).unwrap()
}

#[test]
fn directories_and_filters_that_are_not_those_of_the_entries_are_found() {
    let mut place = Place::new();
    let contents = contents::random(&mut Rng::new(5), 200);
    let file = place.write(&contents);
    let bytes = place.bytes(&file);
    forged(&mut place, &bytes).verify().unwrap();
    let mut tried = 0;
    for section in &file.sections {
        for at in section.directory..section.end {
            let (group, in_row) = ((at - section.directory) / 16, (at - section.directory) % 16);
            if at < section.filter && in_row >= 14 {
                // Which entries are deleted is said here alone. Bits of no entry say nothing.
                let entry = group * 16 + (in_row - 14) * 8 + at % 8;
                if entry < section.entries {
                    continue;
                }
            }
            place = Place::new();
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let verified = forged(&mut place, &changed).verify();
            assert!(verified.as_ref().is_err_and(is_damage), "{at} of {section:?}");
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn keys_out_of_order_are_found_and_not_merged() {
    let mut place = Place::new();
    let keys = (0..40u8).map(|key| (vec![0, 0, 0, key], Some(vec![key; 8])));
    let file = place.write(&vec![Default::default(), keys.collect()]);
    let mut bytes = place.bytes(&file);
    // The fifth key becomes the sixth, then more.
    for (key, whole) in [(4, true), (5, false), (200, false)] {
        bytes[4 * 12 + 3] = key;
        let file = forged(&mut place, &bytes);
        assert_eq!(file.verify().is_ok(), whole);
        let (writer, _) = place.writer();
        let merged = merge(&[&file], writer, false, &mut |_| Ok(()));
        assert_eq!(merged.is_ok(), whole);
        assert!(whole || is_damage(&merged.unwrap_err()));
    }
}

#[test]
fn entries_that_no_group_has_are_found() {
    let mut place = Place::new();
    let keys = (0..33u8).map(|key| (vec![0, 0, 0, key], Some(vec![key; 8])));
    let file = place.write(&vec![Default::default(), keys.collect()]);
    let mut bytes = place.bytes(&file);
    // The second of three groups is left out: the third takes its place.
    let rows = file.sections[1].directory;
    bytes.copy_within(rows + 32..rows + 48, rows + 16);
    bytes[rows + 32..rows + 48].fill(0);
    let entries = bytes.len() - 16 - (KINDS.len() - 1) * 32 + 8;
    assert_eq!(bytes[entries], 33);
    bytes[entries] = 17;
    assert!(is_damage(&forged(&mut place, &bytes).verify().unwrap_err()));
}

#[test]
fn a_block_that_was_exchanged_together_with_its_checksum_is_found() {
    let mut place = Place::new();
    let contents = contents::random(&mut Rng::new(14), 2000);
    let (mut bytes, summary) = written(&mut place, &contents);
    let path = place.put(&bytes);
    let table = place.open(&path, &summary).unwrap().sections.last().unwrap().end;
    bytes[100] ^= 1;
    let sum = crc32fast::hash(&bytes[..4096]);
    bytes[table..table + 4].copy_from_slice(&sum.to_le_bytes());
    found(&mut place, &bytes, &summary, &contents);
}

/// Makes all checksums of a file right, if its sections say where they are; returns that of the footer.
fn mended(bytes: &mut [u8]) -> Option<u32> {
    let footer = bytes.len().checked_sub(16 + 32 * KINDS.len())?;
    // The data are the only length that gives the file's.
    let data = (0..footer).step_by(64).find(|data| {
        let parts = crate::sorted::checked::Parts::of(*data);
        parts.data + parts.table + parts.sums == footer
    })?;
    let (table, sums) = {
        let sums: Vec<u32> = bytes[..data].chunks(4096).map(crc32fast::hash).collect();
        crate::sorted::footer::table(&sums)
    };
    bytes[data..data + table.len()].copy_from_slice(&table);
    for (number, sum) in sums.iter().enumerate() {
        let at = data + table.len() + number * 4;
        bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
    }
    Some(crc32fast::hash(&bytes[data + table.len()..]))
}

#[test]
fn a_front_coded_key_leaves_out_all_that_it_shares() {
    let mut place = Place::new();
    let mut second = vec![0; 16];
    second[14..].copy_from_slice(&[1, 5]);
    let mut third = second.clone();
    third[15] = 6;
    let mut contents = vec![Default::default(); 6];
    contents.push([vec![0; 16], second, third].map(|key| (key, Some(vec![]))).into());
    let file = place.write(&contents);
    let mut bytes = place.bytes(&file);
    // The first entry is its key behind a zero.
    assert_eq!(bytes[17..20], [14, 1, 5]);
    // The next number leaves out all.
    assert_eq!(bytes[20..22], [16, 0]);
    forged(&mut place, &bytes).verify().unwrap();
    // A key that comes later too, and shares one byte more.
    bytes[18] = 0;
    assert!(is_damage(&forged(&mut place, &bytes).verify().unwrap_err()));
    // The first of a group shares nothing.
    (bytes[0], bytes[18]) = (1, 1);
    assert!(is_damage(&forged(&mut place, &bytes).verify().unwrap_err()));
}
