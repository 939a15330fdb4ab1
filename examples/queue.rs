//! A queue: jobs are rows in the order in which they came, and who holds which is kept in memory. A job is deleted in
//! the commit that has its result, so it is done once, and one whose worker vanished waits again.
//!
//! ```text
//! 100 jobs
//! 99 done by 4 workers, 1 held by one that vanished
//! opened again: 1 job waits
//! 100 done, 0 left
//! ```

#![allow(clippy::big_endian_bytes)]

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::sync::Mutex;

use kinlog::{RowIs, Store};

/// Jobs that wait and that nobody holds: their keys, as the table has them.
struct Queue {
    store: Store,
    free: Mutex<BTreeSet<Vec<u8>>>,
}

impl Queue {
    /// What nobody has done is there, whoever held it before.
    fn open(path: &Path) -> kinlog::Result<Self> {
        let store = Store::open(path)?;
        let snapshot = store.snapshot();
        let free = snapshot.rows("jobs", ..).map(|row| row.map(|row| row.key.to_vec()));
        let free = Mutex::new(free.collect::<kinlog::Result<_>>()?);
        Ok(Queue { store, free })
    }

    fn put(&self, number: u64, job: &str) -> kinlog::Result<()> {
        // Big-endian: the order of the keys is the order of the numbers.
        let key = number.to_be_bytes();
        self.store.transact(|tx| tx.put("jobs", &key, job.as_bytes()))?;
        self.free().insert(key.to_vec());
        Ok(())
    }

    /// Takes the oldest job that nobody holds. No commit: it waits in the store until it is done.
    fn take(&self) -> kinlog::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some(key) = self.free().pop_first() else { return Ok(None) };
        let job = self.store.get("jobs", &key)?;
        Ok(job.map(|job| (key, job)))
    }

    /// The job is gone and its result is there, or neither.
    fn done(&self, key: &[u8], result: &[u8]) -> kinlog::Result<()> {
        let mut tx = self.store.begin();
        // Whoever was slow, and whose job was given to another one, is told so.
        tx.require("jobs", key, RowIs::Present)?;
        tx.delete("jobs", key)?;
        tx.put("results", key, result)?;
        tx.commit()?;
        Ok(())
    }

    fn free(&self) -> std::sync::MutexGuard<'_, BTreeSet<Vec<u8>>> {
        self.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Does what there is to do; one job is too much for the worker.
    fn work(&self) -> kinlog::Result<()> {
        while let Some((key, job)) = self.take()? {
            if job != b"job 50" {
                self.done(&key, &job)?;
            }
        }
        Ok(())
    }

    fn count(&self, table: &str) -> usize {
        self.store.snapshot().rows(table, ..).count()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let queue = Queue::open(dir.path())?;
    for number in 1..=100 {
        queue.put(number, &format!("job {number}"))?;
    }
    println!("{} jobs", queue.count("jobs"));

    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(|| queue.work())).collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker panicked")??;
        }
        Ok(())
    })?;
    let (done, held) = (queue.count("results"), queue.count("jobs"));
    println!("{done} done by 4 workers, {held} held by one that vanished");
    drop(queue);

    let queue = Queue::open(dir.path())?;
    println!("opened again: {} job waits", queue.count("jobs"));
    while let Some((key, job)) = queue.take()? {
        queue.done(&key, &job)?;
    }
    println!("{} done, {} left", queue.count("results"), queue.count("jobs"));
    Ok(())
}
