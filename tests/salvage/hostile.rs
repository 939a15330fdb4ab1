//! Bytes of any kind: salvage ends, with a store that verifies or with an error.

use std::fs;

use kinlog_testing::files::{Image, PAGE, SEGMENT, directory, segment_name, small_segments};

use kinlog_testing::Rng;

use super::chains::any_store;
use super::original::{BUSY, Original};

/// Writes random things over random places of random files.
fn mutate(image: &mut Image, other: &Image, random: &mut Rng) {
    let names: Vec<String> = image.0.keys().cloned().collect();
    let name = &names[random.below(names.len())];
    let bytes = image.0.get_mut(name).unwrap();
    let at = random.below(bytes.len().max(1)).min(bytes.len());
    let len = random.below(bytes.len() - at + 1);
    match random.below(9) {
        0 => bytes.truncate(at),
        1 => bytes.extend(vec![random.byte(); random.below(9000)]),
        2 => bytes[at..at + len].fill(random.pick(&[0, 0xff, 1])),
        3 => bytes[at..at + len.min(64)].iter_mut().for_each(|byte| *byte = random.byte()),
        4 => bytes.copy_within(at..at + len, 0),
        5 => drop(image.0.remove(name)),
        6 => {
            let from = other.0.keys().nth(random.below(other.0.len())).unwrap();
            image.0.insert(name.clone(), other.0[from].clone());
        }
        7 => {
            let number = random.pick(&[3, 99, u32::MAX as usize, 7_000_000]);
            let copy = bytes.clone();
            image.0.insert(segment_name(number), copy);
        }
        _ => {
            for _ in 0..random.below(50) {
                let at = random.below(bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
}

/// Salvages whatever it is.
fn try_it(image: &Image, what: &str) -> bool {
    let dir = directory();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    image.write(&src);
    let outcome = kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ());
    Image::read(&src).assert_same(image, what);
    if outcome.is_err() {
        assert!(!dst.exists(), "{what}: {outcome:?}");
        return false;
    }
    let store = small_segments().create(false).open(&dst).unwrap_or_else(|e| panic!("{what}: {e}"));
    store.verify(|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
    true
}

#[test]
fn mutated_stores_are_salvaged_or_refused() {
    let small = Original::make(5, 1);
    let mut saved = 0;
    for seed in 0..2500 {
        let mut random = Rng::new(seed);
        let mut image = small.image.clone();
        for _ in 0..=random.below(6) {
            mutate(&mut image, &BUSY.image, &mut random);
        }
        saved += usize::from(try_it(&image, &format!("seed {seed}")));
    }
    assert!((500..2500).contains(&saved), "{saved} saved");
}

/// What else is lost of stores that were compacted, and of which runs were deleted and erased.
#[test]
fn mutated_stores_that_were_compacted_are_salvaged_or_refused() {
    let mut saved = 0;
    for seed in 0..20 {
        let dir = directory();
        let (store, _) = any_store(dir.path(), seed);
        store.shut_down().unwrap();
        let whole = Image::read(dir.path());
        for part in 0..25 {
            let mut random = Rng::of(seed, part);
            let mut image = whole.clone();
            for _ in 0..=random.below(3) {
                mutate(&mut image, &whole, &mut random);
            }
            saved += usize::from(try_it(&image, &format!("seed {seed}, part {part}")));
        }
    }
    assert!((100..=500).contains(&saved), "{saved} saved");
}

#[test]
fn files_of_random_bytes_are_salvaged_or_refused() {
    for seed in 0..200 {
        let mut random = Rng::new(seed);
        let mut image = BUSY.image.clone();
        for bytes in image.0.values_mut() {
            if random.below(2) == 0 {
                let len = random.pick(&[0, 1, PAGE, SEGMENT, bytes.len()]);
                *bytes = (0..len).map(|_| random.byte()).collect();
            }
        }
        try_it(&image, &format!("seed {seed}"));
    }
}

/// What a program that may write to the files can do: commits that say anything, with checks that
/// are right.
#[test]
fn forged_commits_are_salvaged_or_refused() {
    let small = Original::make(5, 1);
    let frames: Vec<_> = small.commits.iter().map(|commit| commit.place).collect();
    for seed in 0..1500 {
        let mut random = Rng::new(seed);
        let mut image = small.image.clone();
        for _ in 0..=random.below(4) {
            let place = frames[random.below(frames.len())];
            let base = (place.segment * SEGMENT) as u64;
            let segment = image.segment_mut(place.segment);
            let salt: [u8; 16] = segment[48..64].try_into().unwrap();
            let frame = &mut segment[place.start..place.end];
            for _ in 0..=random.below(4) {
                // The length stays, so that the frame ends where it did.
                let at = 8 + random.below(frame.len() - 12);
                frame[at] = random.pick(&[0, 1, 2, 0xff, random_byte(seed)]);
            }
            seal(frame, &salt, base + place.start as u64);
        }
        try_it(&image, &format!("seed {seed}"));
    }
}

fn random_byte(seed: u64) -> u8 {
    Rng::new(seed ^ 0x55).byte()
}

/// Makes the checks of a frame right.
fn seal(frame: &mut [u8], salt: &[u8; 16], position: u64) {
    let mut check = crc32fast::Hasher::new();
    check.update(salt);
    check.update(&position.to_le_bytes());
    check.update(&frame[4..20]);
    let check = check.finalize().max(1);
    frame[..4].copy_from_slice(&check.to_le_bytes());
    let end = frame.len() - 4;
    let mut trailer = crc32fast::Hasher::new_with_initial(check);
    trailer.update(&frame[20..end]);
    let trailer = trailer.finalize().max(1);
    frame[end..].copy_from_slice(&trailer.to_le_bytes());
}

#[test]
fn an_empty_directory_is_no_store() {
    let dir = directory();
    let src = dir.path().join("src");
    fs::create_dir(&src).unwrap();
    let outcome = kinlog::salvage::salvage(&src, dir.path().join("dst"), &small_segments(), |_| ());
    assert!(matches!(outcome, Err(kinlog::Error::NotAStore { .. })), "{outcome:?}");
}
