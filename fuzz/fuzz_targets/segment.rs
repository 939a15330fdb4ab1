//! Arbitrary bytes as a segment beside a manifest that is right.
//!
//! Input: a byte of choices, then the bytes.

#![no_main]

use std::sync::LazyLock;

use kinlog_fuzz::{Image, PAGE_BYTES, Place, SEGMENT_BYTES, Template, examine, seeds, templates};
use libfuzzer_sys::fuzz_target;

static TEMPLATE: LazyLock<Template> = LazyLock::new(|| templates().into_iter().next().unwrap());
static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

const CLOSED: u8 = 1;
/// Behind the log, not in its place.
const BEHIND: u8 = 2;
/// The bytes are those behind a header that is right.
const HEADED: u8 = 4;
/// The check of the header is made right.
const FIXED: u8 = 8;
/// The file ends where the bytes do.
const SHORT: u8 = 16;

fn image(choices: u8, bytes: &[u8]) -> Image {
    let mut image = TEMPLATE.at(choices & CLOSED != 0).clone();
    if choices & BEHIND != 0 {
        image.add_segment();
    }
    let last = image.segments.last_mut().expect("a segment");
    if choices & HEADED != 0 {
        last.truncate(PAGE_BYTES);
    } else {
        last.clear();
    }
    last.extend_from_slice(bytes);
    if choices & SHORT == 0 {
        last.resize(SEGMENT_BYTES, 0);
    }
    if choices & FIXED != 0 {
        image.fix_pages();
    }
    image
}

fn seeds() -> Vec<Vec<u8>> {
    let segment = &TEMPLATE.closed.segments[0];
    let used = TEMPLATE.closed.used() - TEMPLATE.closed.manifest.len();
    let mut inputs = vec![];
    for choices in 0..32 {
        let from = if choices & HEADED == 0 { 0 } else { PAGE_BYTES };
        for to in [from, from + 24, PAGE_BYTES + 100, used] {
            let mut input = vec![choices];
            input.extend_from_slice(&segment[from..to]);
            inputs.push(input);
        }
    }
    inputs
}

fuzz_target!(init: seeds::write(seeds), |input: &[u8]| {
    let Some((choices, bytes)) = input.split_first() else { return };
    examine(&PLACE, &image(*choices, bytes));
});
