//! Damage to whole files: cut, missing, swapped, foreign, without a header or a manifest.

use kinlog::salvage::{FileDamage, ManifestState, SalvageReport};
use kinlog_testing::Rng;
use kinlog_testing::files::{Image, PAGE, SEGMENT, segment_name};

use super::examine::{examine, examine_with};
use super::original::{BUSY, Original, Place};

fn damage(report: &SalvageReport, segment: usize) -> Vec<FileDamage> {
    let name = segment_name(segment);
    let files = report.files.iter().filter(|file| file.path.ends_with(&name));
    files.map(|file| file.damage).collect()
}

#[test]
fn a_segment_that_was_cut_is_read_as_far_as_it_goes() {
    let mut random = Rng::new(7);
    let ends: Vec<_> = BUSY.frames().iter().map(|place| (place.segment, place.end)).collect();
    for round in 0..120 {
        let segment = random.below(BUSY.image.segments());
        let mut lengths = vec![random.below(SEGMENT), random.below(PAGE + 2000)];
        let own = ends.iter().filter(|(of, _)| *of == segment).map(|(_, end)| *end);
        let own: Vec<_> = own.collect();
        if !own.is_empty() {
            lengths.push(own[random.below(own.len())]);
        }
        let len = lengths[round % lengths.len()];
        let what = format!("segment {segment} cut to {len}");
        let mut image = BUSY.image.clone();
        image.segment_mut(segment).truncate(len);
        // Without the bytes that say whose it is and those of its salt, nothing of it is proven.
        let report = examine(&BUSY, &image, &what);
        let (expected, found) = (SEGMENT as u64, len as u64);
        let short = FileDamage::WrongLength { expected, found };
        let damage = damage(&report, segment);
        assert!(damage.contains(&short) || damage == [FileDamage::Unproven], "{what}: {damage:?}");
    }
}

#[test]
fn a_segment_that_is_too_long_loses_nothing() {
    for (segment, more) in [(0, 1), (1, 512), (2, PAGE)] {
        let what = format!("segment {segment} with {more} bytes more");
        let mut image = BUSY.image.clone();
        image.segment_mut(segment).extend(vec![0x77; more]);
        let report = examine(&BUSY, &image, &what);
        assert!(report.is_complete(), "{what}: {report:?}");
        let (expected, found) = (SEGMENT as u64, (SEGMENT + more) as u64);
        assert_eq!(damage(&report, segment), [FileDamage::WrongLength { expected, found }]);
    }
}

#[test]
fn segments_that_are_missing_are_listed() {
    let used = BUSY.commits.last().unwrap().place.segment;
    for missing in 0..1_usize << (used + 1) {
        let mut image = BUSY.image.clone();
        let gone: Vec<usize> = (0..=used).filter(|segment| missing >> segment & 1 == 1).collect();
        for segment in &gone {
            image.0.remove(&segment_name(*segment));
        }
        let what = format!("without {gone:?}");
        let report = examine(&BUSY, &image, &what);
        let listed = report.missing_segments.iter().cloned().flatten();
        let listed: Vec<_> = listed.map(|number| number as usize).collect();
        assert_eq!(listed, gone, "{what}");
        assert_eq!(report.is_complete(), gone.is_empty(), "{what}");
    }
}

#[test]
fn segments_that_were_swapped_are_what_their_headers_say() {
    let mut image = BUSY.image.clone();
    let first = image.0.remove(&segment_name(0)).unwrap();
    let second = image.0.insert(segment_name(1), first).unwrap();
    image.0.insert(segment_name(0), second);
    let report = examine_with(&BUSY, &image, |_| false, "swapped");
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(damage(&report, 0), [FileDamage::Misnamed(1)]);
    assert_eq!(damage(&report, 1), [FileDamage::Misnamed(0)]);
}

#[test]
fn a_copy_of_a_segment_under_another_name_counts_once() {
    let mut image = BUSY.image.clone();
    let copy = image.0[&segment_name(1)].clone();
    image.0.insert(segment_name(0), copy);
    let lost = |place: &Place| place.segment == 0;
    let report = examine_with(&BUSY, &image, lost, "copied");
    assert_eq!(damage(&report, 0), [FileDamage::Duplicate(1)]);
    assert_eq!(damage(&report, 1), []);
    assert_eq!(report.missing_segments, [0..=0]);
}

#[test]
fn a_segment_of_another_store_is_not_read() {
    let other = Original::make(9, 2);
    for segment in 0..BUSY.image.segments() - 1 {
        let what = format!("foreign segment {segment}");
        let mut image = BUSY.image.clone();
        let foreign = other.image.0[&segment_name(segment.min(1))].clone();
        image.0.insert(segment_name(segment), foreign.clone());
        let lost = |place: &Place| place.segment == segment;
        let report = examine_with(&BUSY, &image, lost, &what);
        assert_eq!(damage(&report, segment), [FileDamage::Foreign], "{what}");
        // Nor if its header is damaged.
        image.segment_mut(segment)[9] ^= 4;
        let report = examine_with(&BUSY, &image, lost, &what);
        assert_eq!(damage(&report, segment), [FileDamage::Unproven], "{what}");
    }
}

#[test]
fn a_header_that_is_damaged_costs_nothing_unless_the_salt_is() {
    let mut random = Rng::new(3);
    for round in 0..150 {
        let segment = random.below(BUSY.commits.last().unwrap().place.segment + 1);
        let mut image = BUSY.image.clone();
        let offset = if round % 2 == 0 { random.below(80) } else { random.below(PAGE) };
        image.segment_mut(segment)[offset] ^= 1 << random.below(8);
        let what = format!("byte {offset} of segment {segment}");
        let salted = (48..64).contains(&offset);
        let report = examine(&BUSY, &image, &what);
        assert_eq!(damage(&report, segment), [FileDamage::HeaderDamaged], "{what}");
        assert_eq!(report.is_complete(), !salted, "{what}: {report:?}");
    }
}

#[test]
fn a_header_page_that_is_gone_takes_its_segment() {
    for (segment, fill) in [(0, 0), (1, 0xff), (2, 0)] {
        let what = format!("header of segment {segment} filled with {fill}");
        let mut image = BUSY.image.clone();
        image.segment_mut(segment)[..PAGE].fill(fill);
        let report = examine_with(&BUSY, &image, |place| place.segment == segment, &what);
        assert_eq!(damage(&report, segment), [FileDamage::Unproven], "{what}");
        assert_eq!(report.missing_segments, [segment as u32..=segment as u32], "{what}");
    }
}

#[test]
fn the_segments_tell_what_the_manifest_would() {
    type Change = fn(&mut Image);
    let cases: [(&str, Change, ManifestState); 7] = [
        ("gone", |image| drop(image.0.remove("MANIFEST")), ManifestState::Missing),
        ("empty", |image| image.manifest_mut().clear(), ManifestState::Damaged),
        ("zeroed", |image| image.manifest_mut().fill(0), ManifestState::Damaged),
        ("one slot damaged", |image| image.manifest_mut()[20] ^= 1, ManifestState::OneSlotDamaged),
        ("cut", |image| image.manifest_mut().truncate(PAGE), ManifestState::WrongLength),
        ("longer", |image| image.manifest_mut().push(0), ManifestState::WrongLength),
        (
            "both slots damaged",
            |image| {
                image.manifest_mut()[20] ^= 1;
                image.manifest_mut()[PAGE + 20] ^= 1;
            },
            ManifestState::Damaged,
        ),
    ];
    for (what, change, state) in cases {
        let mut image = BUSY.image.clone();
        change(&mut image);
        let report = examine(&BUSY, &image, what);
        assert_eq!(report.manifest, state, "{what}");
        assert!(report.is_complete(), "{what}: {report:?}");
        // And with a frame damaged as well.
        let place = BUSY.commits[BUSY.commits.len() / 2].place;
        image.segment_mut(place.segment)[place.start + 30] ^= 1;
        assert!(!examine(&BUSY, &image, what).is_complete(), "{what}");
    }
}

#[test]
fn the_manifest_of_another_store_is_outvoted() {
    let other = Original::make(9, 1);
    let mut image = BUSY.image.clone();
    image.0.insert("MANIFEST".into(), other.image.0["MANIFEST"].clone());
    let report = examine(&BUSY, &image, "foreign manifest");
    assert_eq!(report.manifest, ManifestState::Foreign);
    assert!(report.is_complete(), "{report:?}");
}
