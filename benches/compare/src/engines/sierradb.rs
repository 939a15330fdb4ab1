//! SierraDB: an event store. A run is a stream, in a partition of its own key.

use std::path::Path;
use std::time::{Duration, SystemTime};

use futures::executor::block_on;
use futures::future::try_join_all;
use sierradb::bucket::PartitionId;
use sierradb::database::{Database, DatabaseBuilder, ExpectedVersion, NewEvent, Transaction};
use sierradb::id::{uuid_to_partition_hash, uuid_v7_with_partition_hash};
use sierradb::{IterDirection, StreamId};
use uuid::Uuid;

use super::Peer;
use crate::engine::{Batch, Durability, Engine, Result, run_id};

pub const PEER: Peer = Peer {
    name: "SierraDB",
    version: "0.3.1",
    setup: "4 buckets and writer threads, group commit every 200 µs, acknowledged when synced \
            (sooner just after a segment was filled), no compression; a transaction a stream: it \
            has none over several partitions",
    // It always waits for the device.
    has_os: false,
    open: |dir| Ok(Box::new(Sierra::open(dir)?)),
};

/// As its server has them.
const PARTITIONS: PartitionId = 32;

/// How long a commit waits for others to share its sync: more makes one thread slower, less costs
/// more of a core, and a sync a commit would be a sync an event in large appends.
const GATHER: Duration = Duration::from_micros(200);

struct Sierra {
    db: Database,
}

impl Sierra {
    fn open(dir: &Path) -> Result<Self> {
        let db = DatabaseBuilder::new()
            .total_buckets(4)
            .bucket_ids_from_range(0..4)
            .writer_threads(4)
            .reader_threads(4)
            .compression(false)
            .sync_interval(GATHER)
            .sync_idle_interval(GATHER)
            .min_sync_bytes(1 << 20)
            .max_batch_size(4096)
            .open(dir)?;
        Ok(Sierra { db })
    }
}

/// Where a run is.
struct Place {
    key: Uuid,
    partition: PartitionId,
    stream: StreamId,
}

impl Place {
    fn of(run: u32) -> Result<Self> {
        let key = Uuid::from_bytes(run_id(run));
        let partition = uuid_to_partition_hash(key) % PARTITIONS;
        Ok(Place { key, partition, stream: StreamId::new(key.simple().to_string())? })
    }
}

fn transaction(batch: &Batch<'_>) -> Result<Transaction> {
    let Place { key, partition, stream } = Place::of(batch.run)?;
    let hash = uuid_to_partition_hash(key);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let timestamp = u64::try_from(now.as_nanos())?;
    let events = (batch.first..).zip(&batch.events).map(|(id, payload)| NewEvent {
        event_id: uuid_v7_with_partition_hash(hash),
        stream_id: stream.clone(),
        stream_version: ExpectedVersion::from_next_version(u64::from(id) - 1),
        event_name: "event".to_owned(),
        timestamp,
        metadata: vec![],
        payload: payload.to_vec(),
    });
    Ok(Transaction::new(key, partition, events.collect())?)
}

impl Engine for Sierra {
    fn append(&self, batches: &[Batch<'_>], _: Durability) -> Result<()> {
        let transactions = batches.iter().map(transaction).collect::<Result<Vec<_>>>()?;
        let appends = transactions.into_iter().map(|it| self.db.append_events(it));
        block_on(try_join_all(appends))?;
        Ok(())
    }

    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        let Place { partition, stream, .. } = Place::of(run)?;
        block_on(async {
            let forward = IterDirection::Forward;
            let mut events = self.db.read_stream(partition, stream, 0, forward).await?;
            while let Some(commits) = events.next_batch(1024).await? {
                for event in commits.into_iter().flatten() {
                    each(u32::try_from(event.stream_version + 1)?, &event.payload);
                }
            }
            Ok(())
        })
    }

    fn settle(&self) -> Result<()> {
        // What was acknowledged is on the device, and nothing runs behind.
        Ok(())
    }
}

impl Drop for Sierra {
    fn drop(&mut self) {
        block_on(self.db.shutdown());
    }
}
