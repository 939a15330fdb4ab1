//! A queue in RocksDB: its optimistic transactions, which read and are checked at the commit. They need a
//! database that is opened for them, so the jobs have one of their own.

use std::path::Path;

use rocksdb::{
    DBCompressionType, ErrorKind, OptimisticTransactionDB, OptimisticTransactionOptions, Options,
    ReadOptions, WriteBatchWithTransaction, WriteOptions,
};

use crate::engine::{Durability, Job, Queue, Result};

pub(super) struct RocksQueue {
    db: OptimisticTransactionDB,
}

impl RocksQueue {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.increase_parallelism(2);
        options.set_recycle_log_file_num(4);
        options.set_write_buffer_size(128 << 20);
        options.set_compression_type(DBCompressionType::None);
        Ok(RocksQueue { db: OptimisticTransactionDB::open(&options, dir)? })
    }

    /// Puts what is in memory into a table, and merges the tables.
    pub(super) fn settle(&self) -> Result<()> {
        self.db.flush()?;
        self.db.compact_range(None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    /// Takes the first job; an error of the kind `Busy` if another transaction came before.
    fn try_to_take(&self, durability: Durability) -> Result<Option<Job>, rocksdb::Error> {
        let mut options = OptimisticTransactionOptions::default();
        options.set_snapshot(true);
        let tx = self.db.transaction_opt(&writing(durability), &options);
        let mut reading = ReadOptions::default();
        reading.set_snapshot(&tx.snapshot());
        let mut rows = tx.raw_iterator_opt(reading);
        rows.seek_to_first();
        let Some(job) = rows.item().map(|(key, job)| Job::of(key, job)) else {
            rows.status()?;
            return Ok(None);
        };
        drop(rows);
        let job = job.expect("a key of four bytes");
        // From the snapshot on nobody else may have changed the row.
        tx.delete(Job::key(job.number))?;
        tx.commit()?;
        Ok(Some(job))
    }
}

fn writing(durability: Durability) -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(durability == Durability::Device);
    options
}

impl Queue for RocksQueue {
    fn put_jobs(&self, first: u32, jobs: &[&[u8]], durability: Durability) -> Result<()> {
        let mut batch = WriteBatchWithTransaction::<true>::default();
        for (number, job) in (first..).zip(jobs) {
            batch.put(Job::key(number), job);
        }
        Ok(self.db.write_opt(batch, &writing(durability))?)
    }

    fn take_job(&self, durability: Durability) -> Result<Option<Job>> {
        loop {
            match self.try_to_take(durability) {
                Err(error) if matches!(error.kind(), ErrorKind::Busy | ErrorKind::TryAgain) => {}
                taken => return Ok(taken?),
            }
        }
    }
}
