//! Arbitrary bytes as events, in a batch and a frame that are right otherwise.
//!
//! Input: whose events they are, then the events, each as it lies in the log, without padding.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kinlog_fuzz::frames::{self, Batch, Header, NewBatch};
use kinlog_fuzz::{Chunks, Image, Place, Template, examine, join, seeds, templates};
use libfuzzer_sys::fuzz_target;

static TEMPLATE: LazyLock<Template> = LazyLock::new(|| templates().into_iter().next().unwrap());
static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// Lengths in event headers are left as they are.
const UNFIXED: u8 = 0x80;

/// The last batch of each run that takes events.
fn open_runs(image: &Image) -> Vec<Batch<'_>> {
    let last: BTreeMap<u32, Batch<'_>> =
        frames::batches(image).into_iter().map(|batch| (batch.run, batch)).collect();
    last.into_values().filter(|batch| !batch.closes()).collect()
}

/// Whose events they are: a new run's, those of a run made by a reset, or those of an open run.
fn batch(image: &Image, choice: u8) -> NewBatch {
    let runs = frames::batches(image).iter().map(|batch| batch.run).max().unwrap_or_default() + 1;
    let open = open_runs(image);
    let choice = usize::from(choice & !UNFIXED) % (1 + 2 * open.len());
    let Some(choice) = choice.checked_sub(1) else {
        return NewBatch { run: runs, first_event: 1, previous: 0, run_bytes: 0 };
    };
    let last = &open[choice / 2];
    NewBatch {
        run: if choice % 2 == 0 { last.run } else { runs },
        first_event: last.next_event(),
        previous: last.position,
        run_bytes: last.run_bytes,
    }
}

fn image(choice: u8, events: &[Vec<u8>]) -> Image {
    let mut image = TEMPLATE.unclosed.clone();
    let payload = batch(&image, choice).encode(events);
    let header = Header { epoch: 1, lag: 0, seal: false, batches: 1 };
    // What does not fit stays away, and the store is one that is right.
    let _ = frames::append(&mut image, header, &payload);
    image
}

/// Each event of a store, and each with the one before it, for every run that can take it.
fn seeds() -> Vec<Vec<u8>> {
    let image = &TEMPLATE.unclosed;
    let choices = 1 + 2 * open_runs(image).len();
    let batches = frames::batches(image);
    let events: Vec<&[u8]> = batches.iter().flat_map(|batch| batch.events.clone()).collect();
    let mut inputs = vec![];
    for (number, pair) in events.windows(2).enumerate() {
        for choice in 0..choices {
            let choice = u8::try_from(choice).expect("few runs");
            inputs.push(join(&[choice], [pair[1]]));
            if (number + usize::from(choice)) % 4 == 0 {
                inputs.push(join(&[choice], pair.iter().copied()));
            }
        }
    }
    inputs
}

fuzz_target!(init: seeds::write(seeds), |input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    let fix = |event: &[u8]| match choice & UNFIXED {
        0 => frames::fix_event(event),
        _ => event.to_vec(),
    };
    let events: Vec<Vec<u8>> = Chunks(rest).map(fix).collect();
    examine(&PLACE, &image(*choice, &events));
});
