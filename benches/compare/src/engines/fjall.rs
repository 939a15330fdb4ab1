//! fjall: a log-structured merge tree in Rust.

use std::path::Path;

use fjall::config::CompressionPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::Peer;
use super::schema::{self, Row, Table, Tables, Workflow};
use crate::engine::{Batch, Durability, Engine, Error, Relations, Result, run_id};

pub const PEER: Peer = Peer {
    name: "fjall",
    version: "3.1.13",
    setup: "a batch a commit, with SyncData for Device and Buffer for Os (it has no group commit); \
            memtables of 128 MiB, 256 MiB cache, its default filters, no compression; compacted \
            before reading",
    has_os: true,
    open: |dir| Ok(Box::new(Fjall::open(dir)?)),
};

struct Fjall {
    db: Database,
    tables: [Keyspace; 3],
}

impl Fjall {
    fn open(dir: &Path) -> Result<Self> {
        let db = Database::builder(dir)
            .cache_size(256 << 20)
            .max_journaling_size(1 << 30)
            .journal_compression(fjall::CompressionType::None)
            // So that a batch without a mode of its own stays in the process.
            .manual_journal_persist(true)
            .worker_threads(2)
            .open()?;
        let [events, edges, workflows] = Table::NAMES.map(|name| db.keyspace(name, options));
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

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(128 << 20)
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
