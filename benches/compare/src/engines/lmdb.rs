//! LMDB: a memory-mapped copy-on-write B+ tree with one writer, by heed.

use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, FlagSetMode};

use super::schema::{self, Row, Table, Tables, Workflow};
use super::{Peer, facts};
use crate::engine::{
    Batch, Durability, Ended, Engine, Error, Facts, Job, Queue, Relations, Result, Retention,
    run_id, workflow_id,
};

pub const PEER: Peer = Peer {
    name: "LMDB",
    version: "0.9.70 (heed 0.23.1)",
    setup: "one write transaction at a time, committed with sync for Device, with NO_SYNC for Os; \
            WRITE_MAP, map of 64 GiB",
    has_os: true,
    open: |dir| Ok(Box::new(Lmdb::open(dir)?)),
};

/// The table of jobs: not one of the schema, which stores without reading transactions have too.
const JOBS: &str = "jobs";
/// The table of runs that have ended.
const ENDED: &str = "ended";

struct Lmdb {
    env: Env,
    tables: [Database<'static, Bytes, Bytes>; 3],
    jobs: Database<'static, Bytes, Bytes>,
    ended: Database<'static, Bytes, Bytes>,
    /// Held over a commit: how the environment commits now.
    mode: Mutex<Durability>,
}

impl Lmdb {
    fn open(dir: &Path) -> Result<Self> {
        let mut options = EnvOpenOptions::new();
        options.map_size(64 << 30).max_readers(512).max_dbs(5);
        // SAFETY: this program writes through no stray pointers, from which the map is not safe.
        unsafe { options.flags(EnvFlags::WRITE_MAP) };
        std::fs::create_dir_all(dir)?;
        // SAFETY: no other process has the directory, and nobody changes the file but LMDB.
        let env = unsafe { options.open(dir)? };
        let tx = env.write_txn()?;
        let tables = env.create_databases_and_commit(tx, |tables, tx| {
            let table = |name| tables.create_database(tx, Some(name));
            let [events, edges, workflows] = Table::NAMES;
            let all = [events, edges, workflows, JOBS, ENDED].map(table);
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(all))
        })?;
        let [events, edges, workflows, jobs, ended] = tables.unwrap_commit();
        let tables = [events?, edges?, workflows?];
        let mode = Mutex::new(Durability::Device);
        Ok(Lmdb { env, tables, jobs: jobs?, ended: ended?, mode })
    }

    /// Makes the environment commit as asked, until what is returned is dropped.
    fn committing(&self, durability: Durability) -> Result<MutexGuard<'_, Durability>> {
        let mut mode = self.mode.lock().unwrap_or_else(PoisonError::into_inner);
        if *mode != durability {
            let set = match durability {
                Durability::Os => FlagSetMode::Enable,
                Durability::Device => FlagSetMode::Disable,
            };
            // SAFETY: under the lock nobody else sets flags; what NO_SYNC risks is what Os allows.
            unsafe { self.env.set_flags(EnvFlags::NO_SYNC, set)? };
            *mode = durability;
        }
        Ok(mode)
    }
}

impl Engine for Lmdb {
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()> {
        self.put(schema::events(batches), durability)
    }

    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        self.scan(Table::Events, &run_id(run), |key, payload| {
            each(schema::number(key)?, payload);
            Ok(())
        })
    }

    fn settle(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    fn relations(&self) -> Option<&dyn Relations> {
        Some(self)
    }

    fn ended(&self) -> Option<&dyn Ended> {
        Some(self)
    }

    fn retention(&self) -> Option<&dyn Retention> {
        Some(self)
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }
}

impl Ended for Lmdb {
    fn put_ended(&self, runs: Range<u32>) -> Result<()> {
        let _mode = self.committing(Durability::Os)?;
        let mut tx = self.env.write_txn()?;
        for (key, value) in runs.map(facts::row) {
            self.ended.put(&mut tx, &key, &value)?;
        }
        Ok(tx.commit()?)
    }

    fn find(&self, id: &[u8; 16], say: &mut dyn FnMut(Facts<'_>)) -> Result<bool> {
        let tx = self.env.read_txn()?;
        let row = self.ended.get(&tx, id)?.map(facts::read).transpose()?;
        Ok(row.map(say).is_some())
    }
}

impl Retention for Lmdb {
    fn close(&self, run: u32, event: u32, payload: &[u8], waits: bool) -> Result<()> {
        let durability = if waits { Durability::Device } else { Durability::Os };
        self.put(schema::close(run, event, payload), durability)
    }

    fn delete(&self, run: u32, _: u32) -> Result<()> {
        let _mode = self.committing(Durability::Os)?;
        let (first, last) = schema::bounds(&run_id(run));
        let [events, _, workflows] = &self.tables;
        let mut tx = self.env.write_txn()?;
        let range = (Bound::Included(first.as_slice()), Bound::Included(last.as_slice()));
        events.delete_range(&mut tx, &range)?;
        workflows.delete(&mut tx, workflow_id(run).as_bytes())?;
        Ok(tx.commit()?)
    }

    fn rest(&self) -> Result<()> {
        self.settle()
    }
}

impl Queue for Lmdb {
    fn put_jobs(&self, first: u32, jobs: &[&[u8]], durability: Durability) -> Result<()> {
        let _mode = self.committing(durability)?;
        let mut tx = self.env.write_txn()?;
        for (number, job) in (first..).zip(jobs) {
            self.jobs.put(&mut tx, &Job::key(number), job)?;
        }
        Ok(tx.commit()?)
    }

    fn take_job(&self, durability: Durability) -> Result<Option<Job>> {
        let _mode = self.committing(durability)?;
        let mut tx = self.env.write_txn()?;
        let first = self.jobs.first(&tx)?.map(|(key, job)| Job::of(key, job));
        let Some(job) = first.transpose()? else { return Ok(None) };
        self.jobs.delete(&mut tx, &Job::key(job.number))?;
        tx.commit()?;
        Ok(Some(job))
    }
}

impl Tables for Lmdb {
    fn put<'a>(
        &self,
        rows: impl IntoIterator<Item = Row<'a>>,
        durability: Durability,
    ) -> Result<()> {
        let _mode = self.committing(durability)?;
        let mut tx = self.env.write_txn()?;
        for row in rows {
            self.tables[row.table as usize].put(&mut tx, row.key(), row.value())?;
        }
        Ok(tx.commit()?)
    }

    fn scan(
        &self,
        table: Table,
        run: &[u8; 16],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let tx = self.env.read_txn()?;
        for row in self.tables[table as usize].prefix_iter(&tx, run)? {
            let (key, value) = row?;
            each(key, value)?;
        }
        Ok(())
    }

    fn workflows(&self, ids: &[String]) -> Result<Vec<Option<Workflow>>> {
        let tx = self.env.read_txn()?;
        let table = self.tables[Table::Workflows as usize];
        let rows = ids.iter().map(|id| table.get(&tx, id.as_bytes()).map_err(Error::from));
        rows.map(|row| row?.map(Workflow::decode).transpose()).collect()
    }
}
