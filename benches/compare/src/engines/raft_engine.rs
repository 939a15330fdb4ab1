//! raft-engine: the log store of TiKV. A run is a Raft group, its events are the entries.

use std::path::Path;

use protobuf::rt::{bytes_size, read_singular_proto3_bytes_into, value_size};
use protobuf::wire_format::WireType;
use protobuf::{
    Clear, CodedInputStream, CodedOutputStream, Message, ProtobufResult, UnknownFields,
};
use raft_engine::{Config, LogBatch, MessageExt, ReadableSize};

use super::Peer;
use crate::engine::{Batch, Durability, Engine, Result};

pub const PEER: Peer = Peer {
    name: "raft-engine",
    version: "0.4.2",
    setup: "a LogBatch a commit, its own group commit, with fdatasync for Device; no compression, \
            defaults otherwise; entries are a hand-written protobuf message of index and data",
    has_os: true,
    open: |dir| Ok(Box::new(RaftEngine::open(dir)?)),
};

/// The group of which [`Engine::settle`] writes a row: no run has it.
const NO_RUN: u64 = 0;

struct RaftEngine {
    engine: raft_engine::Engine,
}

impl RaftEngine {
    fn open(dir: &Path) -> Result<Self> {
        let dir = dir.to_str().ok_or("a path that is no text")?.to_owned();
        let batch_compression_threshold = ReadableSize(0);
        let config = Config { dir, batch_compression_threshold, ..Config::default() };
        Ok(RaftEngine { engine: raft_engine::Engine::open(config)? })
    }
}

fn group(run: u32) -> u64 {
    u64::from(run) + 1
}

impl Engine for RaftEngine {
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()> {
        let mut log = LogBatch::with_capacity(batches.len());
        for batch in batches {
            let events = (u64::from(batch.first)..).zip(&batch.events);
            let entries: Vec<_> = events.map(|(index, data)| Entry::of(index, data)).collect();
            log.add_entries::<Entry>(group(batch.run), &entries)?;
        }
        self.engine.write(&mut log, durability == Durability::Device)?;
        Ok(())
    }

    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        let group = group(run);
        let span = self.engine.first_index(group).zip(self.engine.last_index(group));
        let Some((first, last)) = span else {
            return Ok(());
        };
        let mut entries = vec![];
        self.engine.fetch_entries_to::<Entry>(group, first, last + 1, None, &mut entries)?;
        for entry in &entries {
            each(u32::try_from(entry.index)?, &entry.data);
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        // Its own sync() is an empty batch, which it does not write and so does not sync.
        let mut log = LogBatch::with_capacity(1);
        log.put(NO_RUN, b"settled".to_vec(), vec![])?;
        self.engine.write(&mut log, true)?;
        Ok(())
    }
}

/// An event, as `message Entry { uint64 index = 1; bytes data = 2; }` says.
#[derive(Clone, Default, PartialEq, Debug)]
struct Entry {
    index: u64,
    data: Vec<u8>,
    unknown: UnknownFields,
}

impl Entry {
    fn of(index: u64, data: &[u8]) -> Self {
        Entry { index, data: data.to_vec(), ..Entry::default() }
    }
}

impl MessageExt for Entry {
    type Entry = Self;

    fn index(entry: &Self) -> u64 {
        entry.index
    }
}

impl Clear for Entry {
    fn clear(&mut self) {
        *self = Entry::default();
    }
}

impl Message for Entry {
    fn merge_from(&mut self, from: &mut CodedInputStream<'_>) -> ProtobufResult<()> {
        while !from.eof()? {
            match from.read_tag_unpack()? {
                (1, WireType::WireTypeVarint) => self.index = from.read_uint64()?,
                (2, wire) => read_singular_proto3_bytes_into(wire, from, &mut self.data)?,
                (_, wire) => from.skip_field(wire)?,
            }
        }
        Ok(())
    }

    fn write_to_with_cached_sizes(&self, to: &mut CodedOutputStream<'_>) -> ProtobufResult<()> {
        to.write_uint64(1, self.index)?;
        to.write_bytes(2, &self.data)
    }

    fn compute_size(&self) -> u32 {
        value_size(1, self.index, WireType::WireTypeVarint) + bytes_size(2, &self.data)
    }

    fn get_cached_size(&self) -> u32 {
        self.compute_size()
    }

    fn is_initialized(&self) -> bool {
        true
    }

    fn get_unknown_fields(&self) -> &UnknownFields {
        &self.unknown
    }

    fn mut_unknown_fields(&mut self) -> &mut UnknownFields {
        &mut self.unknown
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn descriptor(&self) -> &'static protobuf::reflect::MessageDescriptor {
        Self::descriptor_static()
    }

    fn new() -> Self {
        Entry::default()
    }

    fn default_instance() -> &'static Self {
        static DEFAULT: std::sync::LazyLock<Entry> = std::sync::LazyLock::new(Entry::default);
        &DEFAULT
    }
}
