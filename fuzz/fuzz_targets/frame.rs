//! Arbitrary bytes as the payloads of frames whose checks are right, behind some that a writer
//! wrote.
//!
//! Input: how many frames of the writer's come first; then frames, each with a byte of choices, the
//! number of batches, and the payload.

#![no_main]

use std::sync::LazyLock;

use kinlog_fuzz::frames::{self, Header};
use kinlog_fuzz::{Chunks, Image, Place, Template, examine, join, seeds, templates};
use libfuzzer_sys::fuzz_target;

static TEMPLATE: LazyLock<Template> = LazyLock::new(|| templates().into_iter().next().unwrap());
static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

const SEAL: u8 = 1;
/// Of an opening that there never was.
const LATER: u8 = 2;
/// Says that nothing before it is on the device for sure.
const LAGS: u8 = 4;
/// Says that the log goes back beyond its beginning.
const OVERLAGS: u8 = 8;
/// There is a segment behind.
const SEGMENT: u8 = 16;

fn add(image: &mut Image, chunk: &[u8]) {
    let Some(([choices, batches], payload)) = chunk.split_first_chunk() else { return };
    let has = |choice| choices & choice != 0;
    let lag = if has(OVERLAGS) { u32::MAX } else { u32::from(has(LAGS)) };
    let epoch = 1 + u32::from(has(LATER));
    let header = Header { epoch, lag, seal: has(SEAL), batches: u16::from(*batches) };
    if frames::append(image, header, payload).is_some() && has(SEGMENT) {
        image.add_segment();
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let image = &TEMPLATE.unclosed;
    let places = frames::places(image);
    let chunk = |choices: u8, place: &frames::Place| {
        let batches = u8::try_from(place.batches(image)).expect("few batches");
        [&[choices, batches], &image.segments[place.segment][place.payload()]].concat()
    };
    let mut inputs = vec![];
    for (count, place) in places.iter().enumerate() {
        let first = u8::try_from(count).expect("few frames");
        let rest: Vec<_> = places[count..].iter().map(|place| chunk(0, place)).collect();
        inputs.push(join(&[first], rest.iter().map(Vec::as_slice)));
        inputs.push(join(&[first], [chunk(0, place).as_slice()]));
        let choices = 1 << (count % 5);
        inputs.push(join(&[first], [chunk(choices, place).as_slice(), &[SEAL | SEGMENT, 0]]));
        inputs.extend(relinked(place, &chunk(0, place)).iter().map(|it| join(&[first], [&**it])));
    }
    inputs
}

/// A frame with a batch that begins a run by a reset, linked to every batch that there is: what it
/// shares is not looked at before it is read.
fn relinked(place: &frames::Place, chunk: &[u8]) -> Vec<Vec<u8>> {
    let batches = frames::batches(&TEMPLATE.unclosed);
    let payload = place.payload();
    let resets = batches.iter().filter(|batch| batch.events[0].starts_with(&[9, 0, 2]));
    let offsets = resets.map(|batch| usize::try_from(batch.position).expect("one segment"));
    let mut chunks = vec![];
    for offset in offsets.filter(|offset| payload.contains(offset)) {
        // Behind the choices and the number of batches, and behind run and first event.
        let link = 2 + offset - payload.start + 8;
        for batch in &batches {
            let mut chunk = chunk.to_vec();
            chunk[link..link + 6].copy_from_slice(&batch.position.to_le_bytes()[..6]);
            chunks.push(chunk);
        }
    }
    chunks
}

fuzz_target!(init: seeds::write(seeds), |input: &[u8]| {
    let Some((count, rest)) = input.split_first() else { return };
    let mut image = TEMPLATE.unclosed.clone();
    frames::truncate(&mut image, usize::from(*count));
    for chunk in Chunks(rest) {
        add(&mut image, chunk);
    }
    examine(&PLACE, &image);
});
