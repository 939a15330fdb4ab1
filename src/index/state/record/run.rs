//! A run in the cold index: a head, then its relations, each at a place of its own, then the rest of its links.

use std::sync::Arc;

use super::links::{self, LINKS, parts};
use crate::bytes::wide;
use crate::id::{ChainNumber, RunNumber, Timestamp, TypeNumber, WorkflowNumber};
use crate::index::cold::Family;
use crate::index::pack::{Pack, Unpack};
use crate::index::state::layers::Record;
use crate::index::state::links::RunLinks;
use crate::index::state::runs::{Fork, Run, RunState};
use crate::index::state::status::RunStatus;
use crate::index::state::undo::Latest;
use crate::index::state::waypoints::Waypoints;
use crate::retention::Keep;

/// The bits of the first byte that are the status, and flags beside it, of which [`LINKS`] is another one.
const STATUS: u8 = 7;
const ATTEMPT: u8 = 16;
const CANCEL_REQUESTED: u8 = 32;
const FIRST: u8 = 64;

/// Flags of the second byte.
const IMPORTED: u8 = 1;
const OLDER: u8 = 2;
const REQUEST_ID: u8 = 4;
const FORK: u8 = 8;
const REPLACED: u8 = 16;
const CONTINUED: u8 = 32;
const CLOSED: u8 = 64;
const DELETED: u8 = 128;

impl Record for Run {
    const FAMILY: Family = Family::Runs;

    fn encode(&self, number: u32, to: &mut Vec<u8>) {
        let state = self.state.latest();
        let flag = |flag, set: bool| if set { flag } else { 0 };
        to.push(
            state.status.number()
                | flag(LINKS, self.links.is_some())
                | flag(ATTEMPT, self.attempt != 0)
                | flag(CANCEL_REQUESTED, state.cancel_requested != 0)
                | flag(FIRST, self.is_first(number)),
        );
        let Some(links) = &self.links else { return self.encode_head(number, to) };
        let mut head = vec![];
        self.encode_head(number, &mut head);
        to.number(wide(head.len()));
        to.extend_from_slice(&head);
        links::encode(links, to);
    }

    fn decode(number: u32, bytes: &[u8]) -> Option<Self> {
        let (first, head, _) = parts(bytes)?;
        Run::decode_head(number, first, head)
    }

    fn decode_whole(number: u32, bytes: &[u8]) -> Option<Self> {
        let links = links::links_in(bytes)?.map(Box::new);
        Some(Run { links, ..Self::decode(number, bytes)? })
    }

    fn heap_bytes(&self) -> usize {
        self.waypoints.heap_bytes() + self.links.as_deref().map_or(0, RunLinks::bytes)
    }
}

impl Run {
    /// Whether it is the first run of its workflow and of its chain, which have its number then.
    fn is_first(&self, number: u32) -> bool {
        self.workflow.as_u32() == number && self.chain.as_u32() == number
    }

    /// What follows the first byte, without links.
    fn encode_head(&self, number: u32, to: &mut Vec<u8>) {
        let state = self.state.latest();
        let flag = |flag, set: bool| if set { flag } else { 0 };
        to.push(
            flag(IMPORTED, self.imported)
                | flag(OLDER, self.older.is_some())
                | flag(REQUEST_ID, self.request_id.is_some())
                | flag(FORK, self.fork.is_some())
                | flag(REPLACED, state.replaced)
                | flag(CONTINUED, state.continued)
                | flag(CLOSED, state.closed_at.is_some())
                | flag(DELETED, state.deleted.is_some()),
        );
        to.extend(state.deleted.map(Keep::number));
        to.extend_from_slice(self.id.as_bytes());
        to.number(self.namespace.into());
        if !self.is_first(number) {
            to.near(self.workflow.as_u32(), number);
            to.near(self.chain.as_u32(), number);
        }
        to.number(self.workflow_type.as_u32().into());
        if self.attempt != 0 {
            to.number(self.attempt.into());
        }
        to.position(self.first_batch);
        to.extend_from_slice(&self.started_at.unix_nanos().to_le_bytes());
        to.number(state.last_batch.as_u64().wrapping_sub(self.first_batch.as_u64()));
        to.number(state.last_batch.as_u64().wrapping_sub(self.state.changed().as_u64()));
        to.number(state.next_event.into());
        to.number(state.bytes.into());
        if state.cancel_requested != 0 {
            to.number(state.cancel_requested.into());
        }
        if let Some(closed_at) = state.closed_at {
            to.signed(closed_at.unix_nanos().wrapping_sub(self.started_at.unix_nanos()));
        }
        if let Some(older) = self.older {
            to.near(older.as_u32(), number);
        }
        if let Some(request_id) = &self.request_id {
            to.text(request_id);
        }
        if let Some(fork) = &self.fork {
            to.near(fork.base.as_u32(), number);
            to.number(fork.shared.into());
        }
        self.waypoints.encode(self.first_batch, to);
    }

    fn decode_head(number: u32, first: u8, mut from: Unpack<'_>) -> Option<Self> {
        let status = RunStatus::from_number(first & STATUS)?;
        let flags = from.byte()?;
        let has = |flag| flags & flag != 0;
        let deleted = if has(DELETED) { Some(Keep::from_number(from.byte()?)?) } else { None };
        let id = from.run_id()?;
        let namespace = from.narrow()?;
        let mut near = || if first & FIRST != 0 { Some(number) } else { from.near(number) };
        let workflow = WorkflowNumber::from_u32(near()?);
        let chain = ChainNumber::from_u32(near()?);
        let workflow_type = TypeNumber::from_u32(from.narrow()?);
        let attempt = if first & ATTEMPT != 0 { from.narrow()? } else { 0 };
        let first_batch = from.position()?;
        let started_at = from.time()?;
        let last_batch = first_batch.as_u64().wrapping_add(from.number()?);
        let changed = last_batch.wrapping_sub(from.number()?);
        let mut state = RunState {
            last_batch: crate::id::Position::from_u64(last_batch),
            next_event: from.narrow()?,
            bytes: from.narrow()?,
            status,
            cancel_requested: if first & CANCEL_REQUESTED != 0 { from.narrow()? } else { 0 },
            replaced: has(REPLACED),
            continued: has(CONTINUED),
            closed_at: None,
            deleted,
        };
        if has(CLOSED) {
            let closed_at = started_at.unix_nanos().wrapping_add(from.signed()?);
            state.closed_at = Some(Timestamp::from_unix_nanos(closed_at));
        }
        let mut run_number = || Some(RunNumber::from_u32(from.near(number)?));
        let older = if has(OLDER) { Some(run_number()?) } else { None };
        let request_id: Option<Arc<str>> =
            if has(REQUEST_ID) { Some(from.text()?.into()) } else { None };
        let fork = match has(FORK) {
            true => {
                let base = RunNumber::from_u32(from.near(number)?);
                Some(Box::new(Fork { base, shared: from.narrow()? }))
            }
            false => None,
        };
        let waypoints = Waypoints::decode(first_batch, &mut from)?;
        let state = Latest::new(crate::id::Position::from_u64(changed), state);
        from.finish(Run {
            id,
            namespace,
            workflow,
            older,
            workflow_type,
            request_id,
            attempt,
            chain,
            imported: has(IMPORTED),
            first_batch,
            started_at,
            state,
            waypoints,
            fork,
            links: None,
        })
    }
}
