//! redb: a copy-on-write B+ tree in Rust, with one writer.

use std::ops::Range;
use std::path::Path;

use redb::{Database, ReadableDatabase, TableDefinition};

use super::schema::{self, Row, Table, Tables, Workflow};
use super::{Peer, facts};
use crate::engine::{
    Batch, Durability, Ended, Engine, Facts, Job, Queue, Relations, Result, Retention, run_id,
    workflow_id,
};

pub const PEER: Peer = Peer {
    name: "redb",
    version: "4.6.0",
    setup: "one write transaction at a time, Durability::Immediate (one-phase, checksummed), \
            Durability::None for what is appended ahead; cache of 512 MiB",
    // Its one weaker commit keeps the pages in the process.
    has_os: false,
    open: |dir| Ok(Box::new(Redb::open(dir)?)),
};

const TABLES: [TableDefinition<'_, &[u8], &[u8]>; 3] = [
    TableDefinition::new(Table::NAMES[0]),
    TableDefinition::new(Table::NAMES[1]),
    TableDefinition::new(Table::NAMES[2]),
];

/// The table of jobs: not one of the schema, which stores without reading transactions have too.
const JOBS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("jobs");
/// The table of runs that have ended.
const ENDED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("ended");

struct Redb {
    db: Database,
}

impl Redb {
    fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let db = Database::builder().set_cache_size(512 << 20).create(dir.join("redb"))?;
        let tx = db.begin_write()?;
        for table in TABLES.into_iter().chain([JOBS, ENDED]) {
            tx.open_table(table)?;
        }
        tx.commit()?;
        Ok(Redb { db })
    }

    fn write<'a>(
        &self,
        rows: impl IntoIterator<Item = Row<'a>>,
        durability: redb::Durability,
    ) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(durability)?;
        {
            let [events, edges, workflows] = TABLES.map(|table| tx.open_table(table));
            let mut tables = [events?, edges?, workflows?];
            for row in rows {
                tables[row.table as usize].insert(row.key(), row.value())?;
            }
        }
        Ok(tx.commit()?)
    }
}

impl Engine for Redb {
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()> {
        self.put(schema::events(batches), durability)
    }

    fn append_ahead(&self, batches: &[Batch<'_>]) -> Result<()> {
        self.write(schema::events(batches), redb::Durability::None)
    }

    fn drain(&self) -> Result<()> {
        self.write([], redb::Durability::Immediate)
    }

    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        self.scan(Table::Events, &run_id(run), |key, payload| {
            each(schema::number(key)?, payload);
            Ok(())
        })
    }

    fn settle(&self) -> Result<()> {
        // Nothing runs behind.
        self.drain()
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

impl Ended for Redb {
    fn put_ended(&self, runs: Range<u32>) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(redb::Durability::Immediate)?;
        {
            let mut table = tx.open_table(ENDED)?;
            for (key, value) in runs.map(facts::row) {
                table.insert(key.as_slice(), value.as_slice())?;
            }
        }
        Ok(tx.commit()?)
    }

    fn find(&self, id: &[u8; 16], say: &mut dyn FnMut(Facts<'_>)) -> Result<bool> {
        let table = self.db.begin_read()?.open_table(ENDED)?;
        let row = table.get(id.as_slice())?;
        let Some(row) = row else { return Ok(false) };
        say(facts::read(row.value())?);
        Ok(true)
    }
}

impl Retention for Redb {
    fn close(&self, run: u32, event: u32, payload: &[u8], waits: bool) -> Result<()> {
        use redb::Durability::{Immediate, None};
        self.write(schema::close(run, event, payload), if waits { Immediate } else { None })
    }

    fn delete(&self, run: u32, _: u32) -> Result<()> {
        let (first, last) = schema::bounds(&run_id(run));
        let mut tx = self.db.begin_write()?;
        tx.set_durability(redb::Durability::None)?;
        {
            let [events, _, workflows] = TABLES;
            let range = first.as_slice()..=last.as_slice();
            tx.open_table(events)?.retain_in(range, |_, _| false)?;
            tx.open_table(workflows)?.remove(workflow_id(run).as_bytes())?;
        }
        Ok(tx.commit()?)
    }

    fn rest(&self) -> Result<()> {
        self.settle()
    }
}

impl Queue for Redb {
    fn put_jobs(&self, first: u32, jobs: &[&[u8]], _: Durability) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(redb::Durability::Immediate)?;
        {
            let mut table = tx.open_table(JOBS)?;
            for (number, job) in (first..).zip(jobs) {
                table.insert(Job::key(number).as_slice(), *job)?;
            }
        }
        Ok(tx.commit()?)
    }

    fn take_job(&self, _: Durability) -> Result<Option<Job>> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(redb::Durability::Immediate)?;
        let job = {
            let mut table = tx.open_table(JOBS)?;
            let first = table.pop_first()?.map(|(key, job)| Job::of(key.value(), job.value()));
            first.transpose()?
        };
        if job.is_some() {
            tx.commit()?;
        } else {
            tx.abort()?;
        }
        Ok(job)
    }
}

impl Tables for Redb {
    fn put<'a>(&self, rows: impl IntoIterator<Item = Row<'a>>, _: Durability) -> Result<()> {
        self.write(rows, redb::Durability::Immediate)
    }

    fn scan(
        &self,
        table: Table,
        run: &[u8; 16],
        mut each: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        let (first, last) = schema::bounds(run);
        let table = self.db.begin_read()?.open_table(TABLES[table as usize])?;
        for row in table.range(first.as_slice()..=last.as_slice())? {
            let (key, value) = row?;
            each(key.value(), value.value())?;
        }
        Ok(())
    }

    fn workflows(&self, ids: &[String]) -> Result<Vec<Option<Workflow>>> {
        let table = self.db.begin_read()?.open_table(TABLES[Table::Workflows as usize])?;
        let rows = ids.iter().map(|id| table.get(id.as_bytes()));
        rows.map(|row| row?.map(|row| Workflow::decode(row.value())).transpose()).collect()
    }
}
