//! SQLite: tables in a B+ tree behind a write-ahead log, by rusqlite.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::Peer;
use super::schema::{CLOSE, PAYLOAD, TOLD};
use crate::engine::{
    Batch, Due, Durability, Engine, Error, Family, Job, Policy, Queue, Relations, Result, policy,
    run_id, workflow_id,
};

pub const PEER: Peer = Peer {
    name: "SQLite",
    version: "3.54.1 (rusqlite 0.43.0)",
    setup: "WAL, synchronous FULL (with fdatasync) for Device and NORMAL for Os, one connection to \
            write and one a thread to read, cached statements, WITHOUT ROWID (but for jobs), pages of 8 KiB, mmap \
            of 2 GiB, cache of 256 MiB, checkpoint every 64 MiB",
    has_os: true,
    open: |dir| Ok(Box::new(Sqlite::open(dir)?)),
};

/// Without its flags SQLite would wait for fsync.
const _: &str =
    env!("LIBSQLITE3_FLAGS", "build in benches/compare: its .cargo/config.toml has SQLite's flags");

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS events (
        run BLOB, id INTEGER, payload BLOB, PRIMARY KEY (run, id)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS edges (
        parent BLOB, n INTEGER, workflow TEXT, terminate INTEGER, applied INTEGER,
        PRIMARY KEY (parent, n)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS workflows (
        id TEXT PRIMARY KEY, run BLOB, closed INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS jobs (number INTEGER PRIMARY KEY, payload BLOB);
    -- What the close of a parent asks for.
    CREATE VIEW IF NOT EXISTS due AS
        SELECT parents.id AS parent, n, kids.id AS workflow, kids.run AS run, terminate
        FROM workflows AS parents
        JOIN edges ON edges.parent = parents.run
        JOIN workflows AS kids ON kids.id = edges.workflow
        WHERE parents.closed AND NOT edges.applied AND NOT kids.closed;";

const PUT_EVENT: &str = "INSERT INTO events VALUES (?, ?, ?)";
const PUT_WORKFLOW: &str = "INSERT INTO workflows VALUES (?, ?, 0)";
const PUT_EDGE: &str = "INSERT INTO edges VALUES (?, ?, ?, ?, 0)";
const PUT_JOB: &str = "INSERT INTO jobs VALUES (?, ?)";
const TAKE_JOB: &str =
    "DELETE FROM jobs WHERE number = (SELECT min(number) FROM jobs) RETURNING number, payload";
const CLOSE_WORKFLOW: &str = "UPDATE workflows SET closed = 1 WHERE id = ?";
const EVENTS: &str = "SELECT id, payload FROM events WHERE run = ? ORDER BY id";
const CURRENT: &str = "SELECT run FROM workflows WHERE id = ?";
const DUE: &str = "SELECT run, n, workflow, terminate FROM due WHERE parent = ? ORDER BY n";
const APPLIED: &str = "UPDATE edges SET applied = 1 WHERE parent = ? AND n = ?";

struct Sqlite {
    file: PathBuf,
    writer: Mutex<Writer>,
    /// Readers at rest: as many as ever read at once.
    readers: Mutex<Vec<Connection>>,
}

struct Writer {
    connection: Connection,
    /// How it commits now.
    mode: Durability,
}

impl Sqlite {
    fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file = dir.join("sqlite");
        let connection = connect(&file)?;
        connection.execute_batch(TABLES)?;
        let writer = Mutex::new(Writer { connection, mode: Durability::Device });
        Ok(Sqlite { file, writer, readers: Mutex::default() })
    }

    /// Runs `work` in a transaction that commits as asked.
    fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut writer = locked(&self.writer);
        if writer.mode != durability {
            let mode = if durability == Durability::Device { "FULL" } else { "NORMAL" };
            writer.connection.pragma_update(None, "synchronous", mode)?;
            writer.mode = durability;
        }
        let tx = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    /// Runs `work` with a connection of its own.
    fn reading<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let resting = locked(&self.readers).pop();
        let connection = resting.map_or_else(|| connect(&self.file), Ok)?;
        let done = work(&connection)?;
        locked(&self.readers).push(connection);
        Ok(done)
    }
}

fn connect(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    connection.execute_batch(
        "PRAGMA page_size = 8192;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 8192;
         PRAGMA mmap_size = 2147418112;
         PRAGMA cache_size = -262144;
         PRAGMA temp_store = MEMORY;",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine for Sqlite {
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()> {
        self.write(durability, |tx| {
            let mut put = tx.prepare_cached(PUT_EVENT)?;
            for batch in batches {
                let run = run_id(batch.run);
                if batch.first == 1 {
                    tx.prepare_cached(PUT_WORKFLOW)?
                        .execute(params![workflow_id(batch.run), run])?;
                }
                for (id, payload) in (batch.first..).zip(&batch.events) {
                    put.execute(params![run, id, payload])?;
                }
            }
            Ok(())
        })
    }

    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        self.reading(|connection| {
            let mut events = connection.prepare_cached(EVENTS)?;
            let mut rows = events.query([run_id(run)])?;
            while let Some(row) = rows.next()? {
                each(row.get(0)?, row.get_ref(1)?.as_blob()?);
            }
            Ok(())
        })
    }

    fn settle(&self) -> Result<()> {
        let writer = locked(&self.writer);
        Ok(writer.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    fn relations(&self) -> Option<&dyn Relations> {
        Some(self)
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }
}

impl Queue for Sqlite {
    fn put_jobs(&self, first: u32, jobs: &[&[u8]], durability: Durability) -> Result<()> {
        self.write(durability, |tx| {
            let mut put = tx.prepare_cached(PUT_JOB)?;
            for (number, job) in (first..).zip(jobs) {
                put.execute(params![number, job])?;
            }
            Ok(())
        })
    }

    fn take_job(&self, durability: Durability) -> Result<Option<Job>> {
        self.write(durability, |tx| {
            let mut take = tx.prepare_cached(TAKE_JOB)?;
            let job = |row: &Row<'_>| Ok(Job { number: row.get(0)?, payload: row.get(1)? });
            Ok(take.query_row([], job).optional()?)
        })
    }
}

impl Relations for Sqlite {
    fn start_family(&self, family: Family, children: Range<u32>) -> Result<()> {
        let parent = run_id(family.parent);
        self.write(Durability::Os, |tx| {
            if children.start == 0 {
                begin(tx, family.parent)?;
            }
            let mut event = tx.prepare_cached(PUT_EVENT)?;
            let mut edge = tx.prepare_cached(PUT_EDGE)?;
            for n in children {
                event.execute(params![parent, 2 + 2 * n, PAYLOAD])?;
                event.execute(params![parent, 3 + 2 * n, PAYLOAD])?;
                let terminate = policy(n) == Policy::Terminate;
                edge.execute(params![parent, n, workflow_id(family.child(n)), terminate])?;
                begin(tx, family.child(n))?;
            }
            Ok(())
        })
    }

    fn close_parent(&self, family: Family, durability: Durability) -> Result<()> {
        self.write(durability, |tx| {
            let id = workflow_id(family.parent);
            let run: [u8; 16] = tx.prepare_cached(CURRENT)?.query_row([&id], |row| row.get(0))?;
            tx.prepare_cached(PUT_EVENT)?.execute(params![run, CLOSE, PAYLOAD])?;
            tx.prepare_cached(CLOSE_WORKFLOW)?.execute([id])?;
            Ok(())
        })
    }

    fn plan(&self, family: Family) -> Result<Vec<Due>> {
        let due = self.reading(|connection| due(connection, family))?;
        let due = due.into_iter().map(|child| {
            let policy = if child.terminate { Policy::Terminate } else { Policy::RequestCancel };
            Due { run: child.run, policy }
        });
        Ok(due.collect())
    }

    fn apply(&self, family: Family, durability: Durability) -> Result<usize> {
        let parent = run_id(family.parent);
        self.write(durability, |tx| {
            let mut event = tx.prepare_cached(PUT_EVENT)?;
            let mut applied = tx.prepare_cached(APPLIED)?;
            let mut close = tx.prepare_cached(CLOSE_WORKFLOW)?;
            let due = due(tx, family)?;
            for child in &due {
                event.execute(params![child.run, TOLD, PAYLOAD])?;
                applied.execute(params![parent, child.n])?;
                if child.terminate {
                    close.execute([&child.workflow])?;
                }
            }
            Ok(due.len())
        })
    }

    fn current_run(&self, workflow_id: &str) -> Result<Option<[u8; 16]>> {
        self.reading(|connection| {
            let mut current = connection.prepare_cached(CURRENT)?;
            Ok(current.query_row([workflow_id], |row| row.get(0)).optional()?)
        })
    }
}

/// A child that a close asks for.
struct Child {
    run: [u8; 16],
    n: u32,
    workflow: String,
    terminate: bool,
}

fn due(connection: &Connection, family: Family) -> Result<Vec<Child>> {
    let mut due = connection.prepare_cached(DUE)?;
    let rows = due.query_map([workflow_id(family.parent)], |row| {
        let (run, n) = (row.get(0)?, row.get(1)?);
        Ok(Child { run, n, workflow: row.get(2)?, terminate: row.get(3)? })
    })?;
    rows.map(|row| row.map_err(Error::from)).collect()
}

/// A run with its first event, and the workflow it is the current run of.
fn begin(tx: &Transaction<'_>, run: u32) -> Result<()> {
    let (id, run) = (workflow_id(run), run_id(run));
    tx.prepare_cached(PUT_EVENT)?.execute(params![run, 1, PAYLOAD])?;
    tx.prepare_cached(PUT_WORKFLOW)?.execute(params![id, run])?;
    Ok(())
}
