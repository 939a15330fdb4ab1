//! The natural schema of a key-value store: a row per event, a row per parent and child, a row per
//! workflow. With it, families are the same few puts and look-ups in every such store.

use std::borrow::Cow;
use std::ops::Range;

use crate::engine::{
    Batch, Due, Durability, Family, Policy, Relations, Result, policy, run_id, workflow_id,
};

/// The payload of every event that families write.
pub const PAYLOAD: &[u8; 32] = b"an event between parent and kids";

/// The event that closes a parent: behind all others, however many there are.
pub const CLOSE: u32 = u32::MAX;

/// The event in a child that its parent's close brings: behind all others as well.
pub const TOLD: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Events,
    Edges,
    Workflows,
}

impl Table {
    pub const NAMES: [&str; 3] = ["events", "edges", "workflows"];
}

/// A row to put.
pub struct Row<'a> {
    pub table: Table,
    key: Key,
    value: Cow<'a, [u8]>,
}

enum Key {
    /// A run and the number of an event or of a child.
    Numbered([u8; 20]),
    Workflow(String),
}

impl<'a> Row<'a> {
    pub fn event(run: &[u8; 16], event: u32, payload: &'a [u8]) -> Self {
        let key = Key::Numbered(numbered(run, event));
        Row { table: Table::Events, key, value: Cow::Borrowed(payload) }
    }

    fn edge(parent: &[u8; 16], n: u32, edge: &Edge) -> Self {
        let key = Key::Numbered(numbered(parent, n));
        Row { table: Table::Edges, key, value: Cow::Owned(edge.encode()) }
    }

    fn workflow(id: String, workflow: Workflow) -> Self {
        let value = Cow::Owned(workflow.encode());
        Row { table: Table::Workflows, key: Key::Workflow(id), value }
    }

    pub fn key(&self) -> &[u8] {
        match &self.key {
            Key::Numbered(key) => key,
            Key::Workflow(id) => id.as_bytes(),
        }
    }

    pub fn value(&self) -> &[u8] {
        &self.value
    }
}

/// The key of an event or of a child: in order under its run.
pub fn numbered(run: &[u8; 16], number: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(run);
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The first and the last key that a run may have.
pub fn bounds(run: &[u8; 16]) -> ([u8; 20], [u8; 20]) {
    (numbered(run, 0), numbered(run, u32::MAX))
}

/// The number in a key of an event or of a child.
pub fn number(key: &[u8]) -> Result<u32> {
    let (_, number) = key.split_last_chunk().ok_or("a key too short")?;
    Ok(u32::from_be_bytes(*number))
}

/// The rows of what is appended. A run that begins is its workflow's current one.
pub fn events<'a>(batches: &'a [Batch<'a>]) -> impl Iterator<Item = Row<'a>> {
    batches.iter().flat_map(|batch| {
        let run = run_id(batch.run);
        let begins = (batch.first == 1)
            .then(|| Row::workflow(workflow_id(batch.run), Workflow::open(batch.run)));
        let events = (batch.first..).zip(&batch.events);
        begins.into_iter().chain(events.map(move |(id, payload)| Row::event(&run, id, payload)))
    })
}

/// The rows of an event that closes a run.
pub fn close(run: u32, event: u32, payload: &[u8]) -> [Row<'_>; 2] {
    let workflow = Row::workflow(workflow_id(run), Workflow::open(run).closed());
    [Row::event(&run_id(run), event, payload), workflow]
}

/// A child of a parent.
struct Edge {
    workflow: String,
    policy: Policy,
    /// Whether the parent's close was applied to it.
    applied: bool,
}

impl Edge {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.policy == Policy::Terminate), u8::from(self.applied)];
        bytes.extend_from_slice(self.workflow.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let ([terminate, applied], workflow) = bytes.split_first_chunk().ok_or("an edge cut")?;
        let policy = if *terminate == 1 { Policy::Terminate } else { Policy::RequestCancel };
        let workflow = std::str::from_utf8(workflow)?.to_owned();
        Ok(Edge { workflow, policy, applied: *applied == 1 })
    }
}

/// What a workflow id stands for.
#[derive(Clone, Copy)]
pub struct Workflow {
    run: [u8; 16],
    closed: bool,
}

impl Workflow {
    fn open(run: u32) -> Self {
        Workflow { run: run_id(run), closed: false }
    }

    fn closed(self) -> Self {
        Workflow { closed: true, ..self }
    }

    fn encode(self) -> Vec<u8> {
        [&self.run[..], &[u8::from(self.closed)]].concat()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (run, closed) = bytes.split_first_chunk().ok_or("a workflow row cut")?;
        Ok(Workflow { run: *run, closed: closed == [1] })
    }
}

/// A key-value store that has the three tables.
pub trait Tables {
    /// Puts rows in one transaction.
    fn put<'a>(
        &self,
        rows: impl IntoIterator<Item = Row<'a>>,
        durability: Durability,
    ) -> Result<()>;

    /// The keys and values under a run in one of the tables that are keyed so.
    fn scan(
        &self,
        table: Table,
        run: &[u8; 16],
        each: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<()>;

    /// The workflows of some ids.
    fn workflows(&self, ids: &[String]) -> Result<Vec<Option<Workflow>>>;
}

/// A child that the close of its parent was not applied to.
struct Open {
    n: u32,
    edge: Edge,
    workflow: Workflow,
}

fn open_children(tables: &impl Tables, family: Family) -> Result<Vec<Open>> {
    if !lookup(tables, workflow_id(family.parent))?.is_some_and(|parent| parent.closed) {
        return Ok(vec![]);
    }
    let (mut edges, mut ids) = (vec![], vec![]);
    tables.scan(Table::Edges, &run_id(family.parent), |key, value| {
        let edge = Edge::decode(value)?;
        if !edge.applied {
            ids.push(edge.workflow.clone());
            edges.push((number(key)?, edge));
        }
        Ok(())
    })?;
    let workflows = tables.workflows(&ids)?;
    let both = edges.into_iter().zip(workflows);
    let children = both.filter_map(|((n, edge), workflow)| {
        let workflow = workflow.filter(|it| !it.closed)?;
        Some(Open { n, edge, workflow })
    });
    Ok(children.collect())
}

fn lookup(tables: &impl Tables, id: String) -> Result<Option<Workflow>> {
    Ok(tables.workflows(&[id])?.pop().flatten())
}

impl<T: Tables> Relations for T {
    fn start_family(&self, family: Family, children: Range<u32>) -> Result<()> {
        let parent = run_id(family.parent);
        let begin = (children.start == 0).then(|| begun(family.parent)).into_iter().flatten();
        let rows = children.flat_map(|n| {
            let child = family.child(n);
            let edge = Edge { workflow: workflow_id(child), policy: policy(n), applied: false };
            let told = [2 + 2 * n, 3 + 2 * n].map(|id| Row::event(&parent, id, PAYLOAD));
            told.into_iter().chain([Row::edge(&parent, n, &edge)]).chain(begun(child))
        });
        self.put(begin.chain(rows), Durability::Os)
    }

    fn close_parent(&self, family: Family, durability: Durability) -> Result<()> {
        let id = workflow_id(family.parent);
        let workflow = lookup(self, id.clone())?.ok_or("no such parent")?;
        let event = Row::event(&workflow.run, CLOSE, PAYLOAD);
        self.put([event, Row::workflow(id, workflow.closed())], durability)
    }

    fn plan(&self, family: Family) -> Result<Vec<Due>> {
        let children = open_children(self, family)?.into_iter();
        Ok(children.map(|it| Due { run: it.workflow.run, policy: it.edge.policy }).collect())
    }

    fn apply(&self, family: Family, durability: Durability) -> Result<usize> {
        let parent = run_id(family.parent);
        let children = open_children(self, family)?;
        let count = children.len();
        let rows = children.into_iter().flat_map(|Open { n, edge, workflow }| {
            let edge = Edge { applied: true, ..edge };
            let told = [Row::event(&workflow.run, TOLD, PAYLOAD), Row::edge(&parent, n, &edge)];
            let closes = edge.policy == Policy::Terminate;
            let close = closes.then(|| Row::workflow(edge.workflow, workflow.closed()));
            told.into_iter().chain(close)
        });
        self.put(rows, durability)?;
        Ok(count)
    }

    fn current_run(&self, workflow_id: &str) -> Result<Option<[u8; 16]>> {
        Ok(lookup(self, workflow_id.to_owned())?.map(|workflow| workflow.run))
    }
}

/// A run with its first event, and the workflow it is the current run of.
fn begun(run: u32) -> [Row<'static>; 2] {
    let event = Row::event(&run_id(run), 1, PAYLOAD);
    [event, Row::workflow(workflow_id(run), Workflow::open(run))]
}
