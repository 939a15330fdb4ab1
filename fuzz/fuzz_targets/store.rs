//! A store with edits anywhere, whose checks are made right again: what its bytes say is what is
//! wrong with it.
//!
//! Input: a byte of choices, then edits of eight bytes each.

#![no_main]

use std::sync::LazyLock;

use kinlog_fuzz::{Image, Place, Template, examine, frames, seeds, templates};
use libfuzzer_sys::fuzz_target;

static TEMPLATES: LazyLock<[Template; 2]> = LazyLock::new(templates);
static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// A log of several segments.
const LONG: u8 = 1;
const CLOSED: u8 = 2;
/// Checks are left as they are.
const UNFIXED: u8 = 4;
/// An empty segment is added.
const MORE: u8 = 8;
/// The last segment is taken away.
const LESS: u8 = 16;

fn image(choices: u8, edits: &[u8]) -> Image {
    let has = |choice| choices & choice != 0;
    let mut image = TEMPLATES[usize::from(has(LONG))].at(has(CLOSED)).clone();
    let used = image.used();
    for change in edits.as_chunks().0 {
        edit(&mut image, used, *change);
    }
    if has(LESS) {
        image.segments.pop();
    }
    if has(MORE) {
        image.add_segment();
    }
    if !has(UNFIXED) {
        image.fix_pages();
        frames::fix(&mut image);
    }
    image
}

/// An edit: where, in 32 bits; what to do; and a number to do it with, in 16 bits.
fn edit(image: &mut Image, used: usize, [a, b, c, d, what, _, low, high]: [u8; 8]) {
    let place = u32::from_le_bytes([a, b, c, d]) as usize % used;
    let number = i16::from_le_bytes([low, high]);
    let Some((file, at)) = image.locate(place) else { return };
    let word = at / 4 * 4;
    let Some(bytes) = file.get_mut(word..word + 4) else { return };
    let old = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let new = match what % 8 {
        0 => i32::from(number) as u32,
        1 => old.wrapping_add_signed(number.into()),
        2 => old ^ (1 << (number & 31)),
        3 => old & 0xffff_0000 | u32::from(number as u16),
        4 => old & 0xffff | u32::from(number as u16) << 16,
        5 => return copy(file, word, number),
        _ => return file[at] = low,
    };
    bytes.copy_from_slice(&new.to_le_bytes());
}

/// Copies 16 bytes, an id for instance, from so many words away.
fn copy(file: &mut [u8], to: usize, words: i16) {
    let from = to.checked_add_signed(4 * isize::from(words)).unwrap_or_default();
    if from + 16 <= file.len() && to + 16 <= file.len() {
        file.copy_within(from..from + 16, to);
    }
}

/// The stores as they are, and with one or two edits at places all over them.
fn seeds() -> Vec<Vec<u8>> {
    let mut inputs: Vec<Vec<u8>> = (0..32).map(|choices| vec![choices]).collect();
    let mut place = 0u32;
    for number in 0..600u32 {
        let [choices, what, low, _] = number.wrapping_mul(0x9e37_79b9).to_le_bytes();
        let mut input = vec![choices & (LONG | CLOSED)];
        for edit in 0..1 + number % 2 {
            place = place.wrapping_add(4 * 37 + edit);
            input.extend_from_slice(&place.to_le_bytes());
            input.extend_from_slice(&[what, 0, low, 0]);
        }
        inputs.push(input);
    }
    inputs
}

fuzz_target!(init: seeds::write(seeds), |input: &[u8]| {
    let Some((choices, edits)) = input.split_first() else { return };
    examine(&PLACE, &image(*choices, edits));
});
