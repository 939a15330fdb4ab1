//! RocksDB: a log-structured merge tree, by its Rust binding.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Options,
    PrefixRange, ReadOptions, SliceTransform, WaitForCompactOptions, WriteBatch, WriteOptions,
};

use super::Peer;
use super::rocksdb_queue::RocksQueue;
use super::schema::{self, Row, Table, Tables, Workflow};
use crate::engine::{
    Batch, Durability, Engine, Queue, Relations, Result, Retention, run_id, workflow_id,
};

pub const PEER: Peer = Peer {
    name: "RocksDB",
    version: "11.8.1 (rocksdb 0.25.0)",
    setup: "a WriteBatch a commit, its own group commit, pipelined; sync for Device, flush_wal for \
            Os; 4 memtables of 128 MiB, recycled logs, 256 MiB block cache, bloom filters, prefixes \
            of 16 bytes, no compression; compacted before reading; the queue in an OptimisticTransactionDB of its own",
    has_os: true,
    open: |dir| Ok(Box::new(Rocks::open(dir, &LARGE)?)),
};

pub const SMALL: Peer = Peer {
    setup: "a WriteBatch a commit, pipelined, with sync for Device, left in its buffer where nobody waits; 4 memtables of \
            16 MiB, logs of 64 MiB in all, 256 MiB block cache, bloom filters, its default levels, no compression; a \
            single delete for each event",
    open: |dir| Ok(Box::new(Rocks::open(dir, &LITTLE)?)),
    ..PEER
};

struct Sizes {
    memtable: usize,
    /// Of all logs together.
    logs: u64,
    /// How many logs are written over again.
    recycled: usize,
}

const LARGE: Sizes = Sizes { memtable: 128 << 20, logs: 1 << 30, recycled: 4 };
const LITTLE: Sizes = Sizes { memtable: 16 << 20, logs: 64 << 20, recycled: 1 };

struct Rocks {
    db: DB,
    dir: PathBuf,
    /// Opened by the first who asks: no other row pays for it.
    queue: OnceLock<RocksQueue>,
}

impl Rocks {
    fn open(dir: &Path, sizes: &Sizes) -> Result<Self> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.increase_parallelism(2);
        options.set_enable_pipelined_write(true);
        options.set_max_total_wal_size(sizes.logs);
        // Overwriting an old log, a sync has no new length to write.
        options.set_recycle_log_file_num(sizes.recycled);
        // So that a commit can stay in the process until it is flushed.
        options.set_manual_wal_flush(true);
        let cache = Cache::new_lru_cache(256 << 20);
        let family = |name| {
            let numbered = name != Table::NAMES[Table::Workflows as usize];
            ColumnFamilyDescriptor::new(name, table_options(&cache, sizes, numbered))
        };
        let db = DB::open_cf_descriptors(&options, dir, Table::NAMES.map(family))?;
        Ok(Rocks { db, dir: dir.into(), queue: OnceLock::new() })
    }

    fn families(&self) -> Result<[&ColumnFamily; 3]> {
        let family = |name| self.db.cf_handle(name).ok_or("no such column family");
        let [events, edges, workflows] = Table::NAMES.map(family);
        Ok([events?, edges?, workflows?])
    }

    fn write<'a>(&self, rows: impl IntoIterator<Item = Row<'a>>, sync: bool) -> Result<()> {
        let families = self.families()?;
        let mut batch = WriteBatch::default();
        for row in rows {
            batch.put_cf(families[row.table as usize], row.key(), row.value());
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        options.set_memtable_insert_hint_per_batch(true);
        Ok(self.db.write_opt(batch, &options)?)
    }
}

fn table_options(cache: &Cache, sizes: &Sizes, numbered: bool) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_format_version(5);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(sizes.memtable);
    options.set_max_write_buffer_number(4);
    options.set_compression_type(DBCompressionType::None);
    if numbered {
        // All rows of a run have its id for a prefix.
        options.set_prefix_extractor(SliceTransform::create_fixed_prefix(16));
        options.set_memtable_prefix_bloom_ratio(0.1);
    }
    options
}

impl Engine for Rocks {
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()> {
        self.put(schema::events(batches), durability)
    }

    fn append_ahead(&self, batches: &[Batch<'_>]) -> Result<()> {
        self.write(schema::events(batches), false)
    }

    fn drain(&self) -> Result<()> {
        Ok(self.db.flush_wal(false)?)
    }

    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        self.scan(Table::Events, &run_id(run), |key, payload| {
            each(schema::number(key)?, payload);
            Ok(())
        })
    }

    fn settle(&self) -> Result<()> {
        self.db.flush_wal(true)?;
        for family in self.families()? {
            self.db.compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        }
        self.queue.get().map_or(Ok(()), RocksQueue::settle)
    }

    fn relations(&self) -> Option<&dyn Relations> {
        Some(self)
    }

    fn retention(&self) -> Option<&dyn Retention> {
        Some(self)
    }

    fn queue(&self) -> Option<&dyn Queue> {
        let open = || RocksQueue::open(&self.dir.join("queue")).expect("a queue can be opened");
        Some(self.queue.get_or_init(open))
    }
}

impl Retention for Rocks {
    fn close(&self, run: u32, event: u32, payload: &[u8], waits: bool) -> Result<()> {
        self.write(schema::close(run, event, payload), waits)
    }

    fn delete(&self, run: u32, events: u32) -> Result<()> {
        let [table, _, workflows] = self.families()?;
        let mut batch = WriteBatch::default();
        // Each was put once, as that kind of tombstone asks.
        for event in 1..=events {
            batch.single_delete_cf(table, schema::numbered(&run_id(run), event));
        }
        batch.delete_cf(workflows, workflow_id(run));
        Ok(self.db.write(batch)?)
    }

    fn rest(&self) -> Result<()> {
        self.db.flush_wal(true)?;
        Ok(self.db.wait_for_compact(&WaitForCompactOptions::default())?)
    }
}

impl Tables for Rocks {
    fn put<'a>(
        &self,
        rows: impl IntoIterator<Item = Row<'a>>,
        durability: Durability,
    ) -> Result<()> {
        self.write(rows, durability == Durability::Device)?;
        if durability == Durability::Os {
            self.db.flush_wal(false)?;
        }
        Ok(())
    }

    fn scan(
        &self,
        table: Table,
        run: &[u8; 16],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut options = ReadOptions::default();
        options.set_prefix_same_as_start(true);
        options.set_iterate_range(PrefixRange(run.as_slice()));
        let mut rows = self.db.raw_iterator_cf_opt(self.families()?[table as usize], options);
        rows.seek(run);
        while let Some((key, value)) = rows.item() {
            each(key, value)?;
            rows.next();
        }
        Ok(rows.status()?)
    }

    fn workflows(&self, ids: &[String]) -> Result<Vec<Option<Workflow>>> {
        let family = self.families()?[Table::Workflows as usize];
        let rows = self.db.batched_multi_get_cf(family, ids, false).into_iter();
        rows.map(|row| row?.map(|row| Workflow::decode(&row)).transpose()).collect()
    }
}
