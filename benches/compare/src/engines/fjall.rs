//! fjall: a log-structured merge tree in Rust.

use std::path::Path;
use std::time::Duration;

use fjall::config::CompressionPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::Peer;
use super::schema::{self, Row, Table, Tables, Workflow};
use crate::engine::{
    Batch, Durability, Engine, Error, Relations, Result, Retention, run_id, workflow_id,
};

pub const PEER: Peer = Peer {
    name: "fjall",
    version: "3.1.13",
    setup: "a batch a commit, with SyncData for Device and Buffer for Os (it has no group commit); \
            memtables of 128 MiB, 256 MiB cache, its default filters, no compression; compacted \
            before reading",
    has_os: true,
    open: |dir| Ok(Box::new(Fjall::open(dir, 128 << 20, 1 << 30)?)),
};

pub const SMALL: Peer = Peer {
    setup: "a batch a commit, with SyncData for Device, without a mode where nobody waits; memtables of 16 MiB, \
            journals of 64 MiB (the least it takes), 256 MiB cache, its default filters and compaction, no compression; a \
            tombstone for each event",
    open: |dir| Ok(Box::new(Fjall::open(dir, 16 << 20, 64 << 20)?)),
    ..PEER
};

struct Fjall {
    db: Database,
    tables: [Keyspace; 3],
}

impl Fjall {
    fn open(dir: &Path, memtable_bytes: u64, journal_bytes: u64) -> Result<Self> {
        let db = Database::builder(dir)
            .cache_size(256 << 20)
            .max_journaling_size(journal_bytes)
            .journal_compression(fjall::CompressionType::None)
            // So that a batch without a mode of its own stays in the process.
            .manual_journal_persist(true)
            .worker_threads(2)
            .open()?;
        let [events, edges, workflows] =
            Table::NAMES.map(|name| db.keyspace(name, || options(memtable_bytes)));
        let tables = [events?, edges?, workflows?];
        Ok(Fjall { db, tables })
    }

    fn write<'a>(
        &self,
        rows: impl IntoIterator<Item = Row<'a>>,
        mode: Option<PersistMode>,
    ) -> Result<()> {
        let mut batch = self.db.batch().durability(mode);
        for row in rows {
            batch.insert(&self.tables[row.table as usize], row.key(), row.value());
        }
        Ok(batch.commit()?)
    }
}

fn options(memtable_bytes: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(memtable_bytes)
        .data_block_compression_policy(CompressionPolicy::disabled())
        .index_block_compression_policy(CompressionPolicy::disabled())
}

impl Engine for Fjall {
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()> {
        self.put(schema::events(batches), durability)
    }

    fn append_ahead(&self, batches: &[Batch<'_>]) -> Result<()> {
        self.write(schema::events(batches), None)
    }

    fn drain(&self) -> Result<()> {
        Ok(self.db.persist(PersistMode::Buffer)?)
    }

    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        self.scan(Table::Events, &run_id(run), |key, payload| {
            each(schema::number(key)?, payload);
            Ok(())
        })
    }

    fn settle(&self) -> Result<()> {
        self.db.persist(PersistMode::SyncAll)?;
        for table in &self.tables {
            table.rotate_memtable_and_wait()?;
            table.major_compact()?;
        }
        Ok(())
    }

    fn relations(&self) -> Option<&dyn Relations> {
        Some(self)
    }

    fn retention(&self) -> Option<&dyn Retention> {
        Some(self)
    }
}

impl Retention for Fjall {
    fn close(&self, run: u32, event: u32, payload: &[u8], waits: bool) -> Result<()> {
        let mode = waits.then_some(PersistMode::SyncData);
        self.write(schema::close(run, event, payload), mode)
    }

    fn delete(&self, run: u32, events: u32) -> Result<()> {
        let [table, _, workflows] = &self.tables;
        let mut batch = self.db.batch();
        for event in 1..=events {
            batch.remove(table, schema::numbered(&run_id(run), event));
        }
        batch.remove(workflows, workflow_id(run));
        Ok(batch.commit()?)
    }

    fn rest(&self) -> Result<()> {
        self.db.persist(PersistMode::SyncAll)?;
        while self.db.outstanding_flushes() + self.db.active_compactions() > 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Tables for Fjall {
    fn put<'a>(
        &self,
        rows: impl IntoIterator<Item = Row<'a>>,
        durability: Durability,
    ) -> Result<()> {
        let mode = match durability {
            Durability::Os => PersistMode::Buffer,
            Durability::Device => PersistMode::SyncData,
        };
        self.write(rows, Some(mode))
    }

    fn scan(
        &self,
        table: Table,
        run: &[u8; 16],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        for row in self.tables[table as usize].prefix(run) {
            let (key, value) = row.into_inner()?;
            each(&key, &value)?;
        }
        Ok(())
    }

    fn workflows(&self, ids: &[String]) -> Result<Vec<Option<Workflow>>> {
        let table = &self.tables[Table::Workflows as usize];
        let rows = ids.iter().map(|id| table.get(id).map_err(Error::from));
        rows.map(|row| row?.map(|row| Workflow::decode(&row)).transpose()).collect()
    }
}
