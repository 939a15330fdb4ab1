//! Files that are merged give the file of the merged map.

use kinlog_testing::Rng;

use super::contents::{self, Contents, Place};
use crate::error::Error;
use crate::sorted::{SortedFile, merge};

fn merged(place: &mut Place, inputs: &[&SortedFile], drop_tombstones: bool) -> SortedFile {
    let (writer, path) = place.writer();
    let summary = merge(inputs, writer, drop_tombstones, &mut |_| Ok(())).unwrap();
    let file = place.open(&path, &summary).unwrap();
    file.verify().unwrap();
    file
}

/// The entries of all, the later ones' where several have a key.
fn union(all: &[Contents], drop_tombstones: bool) -> Contents {
    let mut union = Contents::new();
    for contents in all {
        union.resize(contents.len(), Default::default());
        for (to, from) in union.iter_mut().zip(contents) {
            to.extend(from.clone());
        }
    }
    if drop_tombstones {
        union.iter_mut().for_each(|map| map.retain(|_, value| value.is_some()));
    }
    union
}

/// Merges neighbours in any order until one is left.
fn in_steps(place: &mut Place, rng: &mut Rng, mut files: Vec<SortedFile>) -> SortedFile {
    while files.len() > 1 {
        let from = rng.below(files.len() - 1);
        let to = from + 2 + rng.below(files.len() - from - 1);
        let inputs: Vec<&SortedFile> = files[from..to].iter().collect();
        let file = merged(place, &inputs, false);
        files.splice(from..to, [file]);
    }
    files.pop().unwrap()
}

#[test]
fn merging_gives_the_bytes_of_writing_at_once_whatever_the_order() {
    for seed in 0..25 {
        let mut place = Place::new();
        let mut rng = Rng::new(seed);
        let most = rng.pick(&[3, 40, 400]);
        let count = 1 + rng.below(8);
        let all: Vec<Contents> = (0..count).map(|_| contents::random(&mut rng, most)).collect();
        let files: Vec<SortedFile> = all.iter().map(|contents| place.write(contents)).collect();
        let inputs: Vec<&SortedFile> = files.iter().collect();
        for drop_tombstones in [false, true] {
            let expected = place.write(&union(&all, drop_tombstones));
            let found = merged(&mut place, &inputs, drop_tombstones);
            assert!(place.bytes(&found) == place.bytes(&expected), "seed {seed}");
        }
        let expected = place.write(&union(&all, false));
        let found = in_steps(&mut place, &mut rng, files);
        assert!(place.bytes(&found) == place.bytes(&expected), "seed {seed}");
    }
}

#[test]
fn a_merge_is_paced_and_can_be_stopped() {
    let mut place = Place::new();
    let contents = contents::large(&mut Rng::new(3));
    let file = place.write(&contents);
    let entries = contents.iter().flatten();
    let bytes: usize =
        entries.map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();

    let (mut calls, mut told) = (0, 0);
    let (writer, _) = place.writer();
    let mut count = |bytes| {
        (calls, told) = (calls + 1, told + usize::try_from(bytes).unwrap());
        Ok(())
    };
    merge(&[&file], writer, false, &mut count).unwrap();
    assert!(calls >= bytes >> 20 && calls > 3, "{calls} calls for {bytes} bytes");
    assert!(told >= bytes && told < bytes * 11 / 10, "told {told} of {bytes}");

    let mut left = 2;
    let (writer, _) = place.writer();
    let mut stop = |_| {
        left -= 1;
        if left == 0 { Err(Error::ReadOnly) } else { Ok(()) }
    };
    assert!(matches!(merge(&[&file], writer, false, &mut stop), Err(Error::ReadOnly)));
    assert_eq!(left, 0);
}
