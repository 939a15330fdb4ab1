//! The links of a run in the cold index. Relations take rows of one length, so that one of a thousand is found
//! without decoding the others.

use crate::bytes::{array_at, u16_at, u32_at, wide};
use crate::event::{EventKind, ParentClosePolicy, RequestKind};
use crate::id::{ChildSlot, Position, RunNumber};
use crate::index::pack::{Pack, Unpack};
use crate::index::state::duties::DutyKind;
use crate::index::state::links::{OutgoingRequest, Relation, RunLinks};

/// The bytes of a relation's row.
const ROW_BYTES: usize = 38;

/// The flag of a run's first byte that it has links.
pub(super) const LINKS: u8 = 8;

const CHILD_ENDED: u8 = 1;
const APPLIED: u8 = 2;
const MOVED: u8 = 4;
const DUE: u8 = 8;

/// Appends the links of a run.
pub(super) fn encode(links: &RunLinks, to: &mut Vec<u8>) {
    to.number(wide(links.children.len()));
    links.children.iter().for_each(|relation| encode_row(relation, to));
    let is_longer = |relation: &&Relation| relation.moved.is_some() || relation.duty.is_some();
    to.number(wide(links.children.iter().filter(is_longer).count()));
    for relation in &links.children {
        if let Some((at, run)) = relation.moved {
            to.position(at);
            to.number(run.as_u32().into());
        }
        if let Some((kind, since)) = relation.duty {
            to.push(kind.number());
            to.position(since);
        }
    }
    to.number(wide(links.activities.len()));
    links.activities.iter().for_each(|id| to.number((*id).into()));
    to.number(wide(links.outgoing.len()));
    for (initiated, sent) in &links.outgoing {
        to.number((*initiated).into());
        to.push(DutyKind::from(sent.kind).number());
        to.position(sent.batch);
        // No commit lies at 0, and no run has the number `NONE`.
        to.position(sent.since.unwrap_or(Position::START));
        to.number(sent.moved.unwrap_or(RunNumber::NONE).as_u32().into());
    }
    to.number(wide(links.signal_requests.len()));
    for (request, id) in &links.signal_requests {
        to.text(request);
        to.number((*id).into());
    }
}

/// The links of a run.
pub(super) fn decode(mut from: Unpack<'_>) -> Option<RunLinks> {
    let mut links = RunLinks::default();
    let rows = take_rows(&mut from)?;
    from.count()?;
    for row in rows.chunks_exact(ROW_BYTES) {
        let mut relation = decode_row(row)?;
        decode_rest(row, &mut relation, &mut from)?;
        links.open_children += u32::from(relation.is_open());
        links.children.push(relation);
    }
    for _ in 0..from.count()? {
        links.activities.insert(from.narrow()?);
    }
    for _ in 0..from.count()? {
        let initiated = from.narrow()?;
        let kind = match DutyKind::from_number(from.byte()?)? {
            DutyKind::DeliverSignal => RequestKind::Signal,
            DutyKind::DeliverCancel => RequestKind::Cancel,
            _ => return None,
        };
        let batch = from.position()?;
        let since = Some(from.position()?).filter(|since| *since != Position::START);
        let moved = Some(RunNumber::from_u32(from.narrow()?)).filter(|run| *run != RunNumber::NONE);
        links.request(initiated, OutgoingRequest { kind, batch, since, moved });
    }
    for _ in 0..from.count()? {
        let request = from.text()?.into();
        links.signal_requests.insert(request, from.narrow()?);
    }
    from.finish(links)
}

/// The first byte of a run, its head, and its links if it has any.
pub(super) fn parts(run: &[u8]) -> Option<(u8, Unpack<'_>, Option<Unpack<'_>>)> {
    let mut from = Unpack(run);
    let first = from.byte()?;
    if first & LINKS == 0 {
        return Some((first, from, None));
    }
    let head = from.count()?;
    Some((first, Unpack(from.take(head)?), Some(from)))
}

/// The links in the bytes of a run, if it has any; `None` for bytes that are not those of one.
pub(crate) fn links_in(run: &[u8]) -> Option<Option<RunLinks>> {
    match parts(run)? {
        (.., None) => Some(None),
        (.., Some(links)) => decode(links).map(Some),
    }
}

/// The relation in a slot, out of the bytes of a run; `None` if it has none.
pub(crate) fn relation_in(run: &[u8], slot: ChildSlot) -> Option<Relation> {
    let (.., links) = parts(run)?;
    let mut from = links?;
    let rows = take_rows(&mut from)?;
    let (before, row) = rows.split_at_checked(slot.as_index().checked_mul(ROW_BYTES)?)?;
    let row = row.get(..ROW_BYTES)?;
    let mut relation = decode_row(row)?;
    // What is longer than a row follows behind all of them.
    if from.count()? > 0 {
        let longer = before.chunks_exact(ROW_BYTES).filter(|row| flags(row) & (MOVED | DUE) != 0);
        for other in longer {
            decode_rest(other, &mut relation.clone(), &mut from)?;
        }
    }
    decode_rest(row, &mut relation, &mut from)?;
    Some(relation)
}

fn take_rows<'a>(from: &mut Unpack<'a>) -> Option<&'a [u8]> {
    let rows = from.count()?;
    from.take(rows.checked_mul(ROW_BYTES)?)
}

fn flags(row: &[u8]) -> u8 {
    row.get(19).copied().unwrap_or_default()
}

fn encode_row(relation: &Relation, to: &mut Vec<u8>) {
    let child = relation.child.unwrap_or(RunNumber::NONE).as_u32();
    for number in [relation.initiated, relation.started, relation.ended, child] {
        to.extend_from_slice(&number.to_le_bytes());
    }
    to.extend_from_slice(&relation.ended_kind.number().to_le_bytes());
    to.push(relation.policy.number());
    let flag = |flag, set: bool| if set { flag } else { 0 };
    to.push(
        flag(CHILD_ENDED, relation.child_ended)
            | flag(APPLIED, relation.applied)
            | flag(MOVED, relation.moved.is_some())
            | flag(DUE, relation.duty.is_some()),
    );
    for batch in [relation.initiated_batch, relation.started_batch, relation.ended_batch] {
        // No position has more than 48 bits.
        let [a, b, c, d, e, f, ..] = batch.as_u64().to_le_bytes();
        to.extend_from_slice(&[a, b, c, d, e, f]);
    }
}

fn decode_row(row: &[u8]) -> Option<Relation> {
    let position = |at| {
        let [a, b, c, d, e, f] = array_at(row, at)?;
        Some(Position::from_u64(u64::from_le_bytes([a, b, c, d, e, f, 0, 0])))
    };
    let child = RunNumber::from_u32(u32_at(row, 12)?);
    let flags = flags(row);
    Some(Relation {
        initiated: u32_at(row, 0)?,
        policy: ParentClosePolicy::from_number(*row.get(18)?),
        initiated_batch: position(20)?,
        started: u32_at(row, 4)?,
        started_batch: position(26)?,
        child: Some(child).filter(|child| *child != RunNumber::NONE),
        ended: u32_at(row, 8)?,
        ended_kind: EventKind::from_number(u16_at(row, 16)?),
        ended_batch: position(32)?,
        moved: None,
        child_ended: flags & CHILD_ENDED != 0,
        applied: flags & APPLIED != 0,
        duty: None,
    })
}

/// Takes in what follows behind the rows for the relation of this row.
fn decode_rest(row: &[u8], relation: &mut Relation, from: &mut Unpack<'_>) -> Option<()> {
    if flags(row) & MOVED != 0 {
        relation.moved = Some((from.position()?, RunNumber::from_u32(from.narrow()?)));
    }
    if flags(row) & DUE != 0 {
        relation.duty = Some((DutyKind::from_number(from.byte()?)?, from.position()?));
    }
    Some(())
}
