//! Arbitrary bytes as a manifest beside a log that is right.
//!
//! Input: a byte of choices, then the file's bytes, or those of its two slots.

#![no_main]

use std::sync::LazyLock;

use kinlog_fuzz::{Image, PAGE_BYTES, Place, Template, examine, seeds, templates};
use libfuzzer_sys::fuzz_target;

static TEMPLATES: LazyLock<[Template; 2]> = LazyLock::new(templates);
static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// Beside a log of several segments.
const LONG: u8 = 1;
/// The bytes are the fields of two slots, one behind the other, without what is zero.
const SLOTS: u8 = 2;
/// The checks of the slots are made right.
const FIXED: u8 = 4;

/// Bytes of a slot that are not zero.
const FIELDS_BYTES: usize = 72;

fn image(choices: u8, bytes: &[u8]) -> Image {
    let mut image = TEMPLATES[usize::from(choices & LONG != 0)].unclosed.clone();
    image.manifest = bytes.to_vec();
    if choices & SLOTS != 0 {
        image.manifest = vec![0; 2 * PAGE_BYTES];
        for (slot, fields) in image.manifest.chunks_mut(PAGE_BYTES).zip(bytes.chunks(FIELDS_BYTES))
        {
            slot[..fields.len()].copy_from_slice(fields);
        }
    }
    if choices & FIXED != 0 {
        image.fix_pages();
    }
    image
}

fn seeds() -> Vec<Vec<u8>> {
    let mut inputs = vec![];
    for (long, template) in [0, LONG].into_iter().zip(&*TEMPLATES) {
        for closed in [false, true] {
            let manifest = &template.at(closed).manifest;
            inputs.push([&[long], manifest.as_slice()].concat());
            let slots: Vec<_> = manifest.chunks(PAGE_BYTES).map(|it| &it[..FIELDS_BYTES]).collect();
            inputs.push([&[long | SLOTS], slots.concat().as_slice()].concat());
            let fixed = [&[long | SLOTS | FIXED], slots.concat().as_slice()].concat();
            inputs.extend(extremes(&fixed));
            inputs.push(fixed);
        }
    }
    inputs
}

/// The least, the next and the most that each number in the slots can be.
fn extremes(input: &[u8]) -> Vec<Vec<u8>> {
    let mut inputs = vec![];
    for (offset, len) in [(8, 4), (12, 4), (40, 4), (44, 4), (48, 8), (56, 8)] {
        for value in [[0; 8], 1u64.to_le_bytes(), [0xff; 8]] {
            let mut input = input.to_vec();
            for slot in input[1..].chunks_mut(FIELDS_BYTES) {
                slot[offset..offset + len].copy_from_slice(&value[..len]);
            }
            inputs.push(input);
        }
    }
    inputs
}

fuzz_target!(init: seeds::write(seeds), |input: &[u8]| {
    let Some((choices, bytes)) = input.split_first() else { return };
    examine(&PLACE, &image(*choices, bytes));
});
