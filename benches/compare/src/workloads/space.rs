//! Space over years: an engine that keeps so many runs, and deletes the oldest as each new one closes.

use super::cell::{Cell, Outcome, read_back, timed};
use crate::engine::{Batch, Engine, Result, Retention};
use crate::process::{disk_bytes, stored_bytes};
use crate::stats::percentile;

/// Of a run, one commit each; and how many runs are open at a time.
const EVENTS: u32 = 20;
const PAYLOAD_BYTES: usize = 500;
/// One run in so many closes durably.
const DURABLE: u32 = 10;
/// How many times what is kept goes through.
const TIMES: u32 = 20;
/// How often it is looked how much the files take, while what is kept goes through once.
const LOOKS: u32 = 40;

pub fn space(cell: &Cell) -> Result<Outcome> {
    let kept = u32::try_from(cell.size)?;
    let runs = TIMES * kept;
    let engine = cell.open()?;
    let fsync = cell.fsync()?;
    let before = stored_bytes()?;
    let (took, work) = timed(|| go_through(cell, &*engine, runs))?;
    retention(&*engine)?.rest()?;
    drop(engine);
    let (end, written) = (disk_bytes(&cell.dir)?, stored_bytes()? - before);

    let engine = cell.open()?;
    let digest = read_back(&*engine, runs - kept..runs, u32::MAX)?;
    engine.settle()?;
    retention(&*engine)?.compact()?;
    drop(engine);
    let settled = disk_bytes(&cell.dir)?;

    let live = digest.bytes as f64;
    let over_live = |bytes: u64| bytes as f64 / live;
    let waited = |percent| percentile(&work.durable, percent).unwrap_or_default() * 1e6;
    Ok(Outcome::at(fsync)
        .figure("live", live / f64::from(1 << 20))
        .figure("most", over_live(work.most_bytes.max(end)))
        .figure("end", over_live(end))
        .figure("settled", over_live(settled))
        .figure("written", written as f64 / (live * f64::from(TIMES)))
        .figure("p50", waited(50))
        .figure("p99", waited(99))
        .figure("took", took.as_secs_f64())
        .answer("kept", digest))
}

struct Work {
    /// How long each durable commit took, in seconds.
    durable: Vec<f64>,
    /// What the files took at most.
    most_bytes: u64,
}

/// In each turn a run begins, every open one gets its next event, and the one that has all of them closes.
fn go_through(cell: &Cell, engine: &dyn Engine, runs: u32) -> Result<Work> {
    let (retention, kept) = (retention(engine)?, runs / TIMES);
    let mut work = Work { durable: vec![], most_bytes: 0 };
    for turn in 0..runs + EVENTS - 1 {
        for event in 1..=EVENTS {
            let run = (turn + 1).checked_sub(event).filter(|run| *run < runs);
            let Some(run) = run else { continue };
            let payload = cell.data.exactly(run, event, PAYLOAD_BYTES);
            if event < EVENTS {
                engine.append_ahead(&[Batch { run, first: event, events: vec![payload] }])?;
                continue;
            }
            let waits = run.is_multiple_of(DURABLE);
            let (took, ()) = timed(|| retention.close(run, event, payload, waits))?;
            work.durable.extend(waits.then_some(took.as_secs_f64()));
            if let Some(oldest) = run.checked_sub(kept) {
                retention.delete(oldest, EVENTS)?;
            }
        }
        if turn.is_multiple_of(kept.div_ceil(LOOKS)) {
            work.most_bytes = work.most_bytes.max(disk_bytes(&cell.dir)?);
        }
    }
    Ok(work)
}

fn retention(engine: &dyn Engine) -> Result<&dyn Retention> {
    engine.retention().ok_or_else(|| "deletes no runs".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Data, Digest};
    use crate::engines::small;
    use crate::workloads::SPACE;

    #[test]
    fn what_is_kept_is_what_came_last() {
        const KEPT: u32 = 3;
        let root =
            std::env::temp_dir().join(format!("kinlog-compare-space-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let data = Data::default();
        let mut expected = Digest::default();
        for run in (TIMES - 1) * KEPT..TIMES * KEPT {
            (1..=EVENTS).for_each(|it| expected.take(it, data.exactly(run, it, PAYLOAD_BYTES)));
        }
        let expected = Outcome::default().answer("kept", expected).answers;
        for peer in small() {
            let (name, dir) = (peer.name, root.join(peer.name));
            let data = Data::default();
            let size = KEPT.into();
            let cell = Cell { peer, dir, size, from: 0, round: 0, turns: 0, quick: true, data };
            let outcome = space(&cell).unwrap();
            assert_eq!(outcome.answers, expected, "{name}");
            let figures: Vec<_> = outcome.figures.iter().map(|it| &*it.metric).collect();
            assert_eq!(figures, SPACE.metrics.iter().map(|it| it.name).collect::<Vec<_>>());
            let [most, end] = [1, 2].map(|at| outcome.figures[at].value);
            assert!(most >= end && end >= 1.0, "{name}: {most} at most, {end} in the end");
        }
        std::fs::remove_dir_all(&root).unwrap();
    }
}
