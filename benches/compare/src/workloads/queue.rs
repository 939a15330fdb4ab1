//! Jobs that are put into a table, and taken out of it again by one thread and by several.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use super::cell::{Cell, NO_QUEUE, NOT_A_STORE, Outcome, timed};
use crate::data::Digest;
use crate::engine::{Durability, Job, Queue, Result};
use crate::stats::median;

/// How many jobs one transaction puts.
const AT_ONCE: u32 = 1000;
/// Jobs that one consumer takes in a turn.
const ALONE: u32 = 32;
/// Jobs that all threads together take in a turn.
const TOGETHER: u32 = 64;
const THREADS: usize = 4;
/// Jobs behind those that are taken: a queue that runs empty would become cheaper and cheaper.
const BEHIND: u32 = 5_000;

pub fn queue(cell: &Cell) -> Result<Outcome> {
    if cell.is_bare() {
        return Ok(Outcome::lacks(NOT_A_STORE));
    }
    let engine = cell.open()?;
    let Some(queue) = engine.queue() else { return Ok(Outcome::lacks(NO_QUEUE)) };
    put(cell, queue, cell.turns * (ALONE + TOGETHER) + BEHIND)?;
    engine.settle()?;
    let mut taken = Taken::default();
    cell.turns(|fsync| {
        let mut took = vec![];
        for _ in 0..ALONE {
            let (time, job) = timed(|| take(queue))?;
            taken.add(&job)?;
            took.push(time.as_secs_f64());
        }
        let (together, jobs) = take_together(queue)?;
        jobs.iter().try_for_each(|job| taken.add(job))?;
        Ok(Outcome::at(fsync)
            .figure("p50", median(&took).unwrap_or_default() * 1e6)
            .figure("takes", took.len() as f64 / took.iter().sum::<f64>())
            .figure("takes-4", jobs.len() as f64 / together.as_secs_f64()))
    })?;
    Ok(Outcome::default().answer("taken", taken.digest))
}

fn put(cell: &Cell, queue: &dyn Queue, jobs: u32) -> Result<()> {
    for first in (0..jobs).step_by(AT_ONCE as usize) {
        let numbers = first..jobs.min(first + AT_ONCE);
        let payloads: Vec<_> = numbers.map(|number| cell.data.payload(0, number)).collect();
        queue.put_jobs(first, &payloads, Durability::Device)?;
    }
    Ok(())
}

fn take(queue: &dyn Queue) -> Result<Job> {
    queue.take_job(Durability::Device)?.ok_or_else(|| "the queue has run empty".into())
}

/// What several threads take at once, in the order of the jobs, and how long it took them.
fn take_together(queue: &dyn Queue) -> Result<(Duration, Vec<Job>)> {
    // Shared, so that no thread is left to take the last ones alone.
    let wanted = AtomicU32::new(0);
    let consume = || {
        let mut jobs: Vec<Job> = vec![];
        while wanted.fetch_add(1, Ordering::Relaxed) < TOGETHER {
            let job = take(queue)?;
            if jobs.last().is_some_and(|last| last.number >= job.number) {
                return Err(format!("a thread took job {} too late", job.number).into());
            }
            jobs.push(job);
        }
        Ok(jobs)
    };
    let (time, taken) = timed(|| {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(consume)).collect();
            let join =
                |it: thread::ScopedJoinHandle<'_, _>| it.join().map_err(|_| "a thread panicked")?;
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        })
    })?;
    let mut jobs = taken.concat();
    jobs.sort_unstable_by_key(|job| job.number);
    Ok((time, jobs))
}

/// All jobs that were taken: each once, and none left out.
#[derive(Default)]
struct Taken {
    next: u32,
    digest: Digest,
}

impl Taken {
    fn add(&mut self, job: &Job) -> Result<()> {
        if job.number != self.next {
            return Err(format!("job {} was taken instead of {}", job.number, self.next).into());
        }
        self.next += 1;
        self.digest.take(job.number, &job.payload);
        Ok(())
    }
}
