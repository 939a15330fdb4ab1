//! Namespaces with their settings, and the workflows in them with their current runs.

use crate::hash::Map;
use std::sync::Arc;

use super::frozen::Retired;
use super::ids::Ids;
use super::impossible::{Impossible, Must};
use super::layers::{Entry, Layer, Layers};
use super::runs::{Run, Size};
use super::settings::{SETTINGS_BYTES, Settings};
use super::undo::{Latest, UndoQueue};
use super::workflow_types::WorkflowTypes;
use crate::bytes::{in_memory, wide};
use crate::event::Malformed;
use crate::id::{Position, RunNumber, WorkflowNumber};
use crate::index::cold::{Cold, Family};
use crate::index::pack::{Pack, Unpack};
use crate::limits::NAMESPACE_BYTES_MAX;
use crate::log::format::Put;
use crate::sorted::hash;

/// The table that holds each namespace's settings: key the name, value [`Settings`].
pub(crate) const NAMESPACES_TABLE: &str = "kinlog.namespaces";

/// One namespace.
pub(crate) struct Namespace {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Settings,
    /// What all its runs add up to.
    pub(crate) size: Latest<Size>,
    workflows: Ids<Arc<str>, WorkflowNumber>,
}

/// One workflow: the runs under one workflow id.
#[derive(Clone)]
pub(crate) struct Workflow {
    pub(crate) id: Arc<str>,
    pub(super) namespace: usize,
    /// The run that the workflow id stands for; [`RunNumber::NONE`] once that was deleted.
    pub(crate) current: Latest<RunNumber>,
    /// The last of its runs in the log; the others are linked behind it.
    pub(crate) newest: RunNumber,
}

/// All namespaces and workflows.
#[derive(Default)]
pub(crate) struct Namespaces {
    list: Vec<Namespace>,
    by_name: Map<Arc<str>, usize>,
    workflows: Layers<Workflow>,
    pub(crate) types: WorkflowTypes,
    former_sizes: UndoQueue<Size>,
    former_currents: UndoQueue<RunNumber>,
}

/// A workflow that is known, or where it is to be made.
pub(crate) struct WorkflowSlot {
    pub(crate) namespace: usize,
    id: Arc<str>,
    number: Option<WorkflowNumber>,
    /// Its current run.
    pub(crate) current: Option<RunNumber>,
}

/// A run to be added to its workflow.
pub(crate) struct NewRun {
    pub(crate) number: RunNumber,
    pub(crate) commit: Position,
}

impl Workflow {
    pub(crate) fn own_hash(&self) -> u64 {
        Self::hash(self.namespace, &self.id)
    }

    /// What the cold index finds it by.
    pub(crate) fn hash(namespace: usize, id: &str) -> u64 {
        let mut key = wide(namespace).to_le_bytes().to_vec();
        key.extend_from_slice(id.as_bytes());
        hash(&key)
    }
}

impl Namespaces {
    pub(crate) fn get(&self, name: &str) -> Option<&Namespace> {
        self.list.get(*self.by_name.get(name)?)
    }

    /// About how much memory the hot layer takes.
    pub(super) fn hot_bytes(&self) -> usize {
        // An id of this length, which is kept once, and its place in the map.
        const ID_BYTES: usize = 32;
        let slot = size_of::<(Arc<str>, WorkflowNumber)>();
        self.workflows.hot_len() * (size_of::<Workflow>() + 2 * slot + ID_BYTES)
    }

    /// Freezes what has changed of workflows as of all commits before `upto`, and begins a new layer.
    pub(super) fn freeze(&mut self, upto: Position) -> Arc<Layer<Workflow>> {
        self.list.iter_mut().for_each(|namespace| namespace.workflows.freeze(upto));
        self.workflows.freeze(upto)
    }

    /// Goes on with `cold`.
    pub(super) fn adopt(&mut self, cold: &Arc<Cold>) {
        self.workflows.adopt(cold);
    }

    /// The frozen layers of workflows up to `upto`.
    pub(super) fn frozen_upto(
        &self,
        upto: Position,
    ) -> impl Iterator<Item = &Arc<Layer<Workflow>>> {
        self.workflows.frozen_upto(upto)
    }

    /// About how much memory workflows take that are in no layer.
    pub(super) fn open_bytes(&self) -> u64 {
        self.workflows.open_bytes()
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds; see [`Layers::thin`].
    pub(super) fn thin(&mut self, upto: Position, open_max: u64, out: &mut Vec<Retired>) {
        self.list.iter_mut().for_each(|namespace| namespace.workflows.thin(upto, out));
        self.workflows.thin(upto, open_max, out);
    }

    /// Appends the namespaces and types.
    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        to.number(wide(self.list.len()));
        for namespace in &self.list {
            to.text(&namespace.name);
            to.extend_from_slice(&namespace.settings.encode());
            let Size { runs, events, bytes } = *namespace.size.latest();
            [runs, events, bytes].into_iter().for_each(|sum| to.number(sum));
        }
        self.types.encode(to);
    }

    /// What [`Namespaces::encode`] has appended; workflows, of runs with numbers below `next`, are in `cold`.
    pub(super) fn decode(cold: &Arc<Cold>, next: usize, from: &mut Unpack<'_>) -> Option<Self> {
        let mut namespaces =
            Namespaces { workflows: Layers::of_cold(cold, next), ..Namespaces::default() };
        for index in 0..from.count()? {
            let name: Arc<str> = from.text()?.into();
            let settings = Settings::decode(from.take(SETTINGS_BYTES)?)?;
            let size = Size { runs: from.number()?, events: from.number()?, bytes: from.number()? };
            // No reader is at a position before.
            let size = Latest::new(Position::START, size);
            namespaces.by_name.insert(name.clone(), index);
            namespaces.list.push(Namespace { name, settings, size, workflows: Ids::default() });
        }
        namespaces.types = WorkflowTypes::decode(from)?;
        Some(namespaces)
    }

    /// The place of a namespace.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Namespace> {
        self.list.iter()
    }

    /// The workflow with this id.
    pub(crate) fn find(&self, namespace: &str, id: &str) -> Option<Entry<'_, Workflow>> {
        self.workflows.get(self.number(namespace, id)?.as_index())
    }

    /// The number of the workflow with this id.
    pub(crate) fn number(&self, namespace: &str, id: &str) -> Option<WorkflowNumber> {
        self.number_in(self.place(namespace)?, id)
    }

    /// The workflow of a run that is in the index, and its namespace.
    pub(super) fn workflow_of(&self, run: &Run) -> Option<(&Namespace, Entry<'_, Workflow>)> {
        let workflow = self.workflows.get_known(run.workflow.as_index())?;
        Some((self.list.get(workflow.namespace)?, workflow))
    }

    /// The workflow with this number, and its namespace.
    pub(crate) fn workflow(
        &self,
        number: WorkflowNumber,
    ) -> Option<(&Namespace, Entry<'_, Workflow>)> {
        let workflow = self.workflows.get(number.as_index())?;
        Some((self.list.get(workflow.namespace)?, workflow))
    }

    /// All workflows, in order.
    pub(crate) fn workflows(&self) -> impl Iterator<Item = (WorkflowNumber, Entry<'_, Workflow>)> {
        let workflows = self.workflows.iter();
        workflows.filter_map(|(at, workflow)| Some((WorkflowNumber::from_index(at)?, workflow)))
    }

    /// Whether a row makes sense as a namespace, if it is one.
    pub(crate) fn check(row: &Put<'_>) -> Result<(), Malformed> {
        let sound = row.table != NAMESPACES_TABLE
            || (std::str::from_utf8(row.key).is_ok_and(is_name)
                && row.value.is_some_and(|(_, value)| Settings::decode(value).is_some()));
        sound.then_some(()).ok_or(Malformed)
    }

    /// Takes in a row, if it is a namespace; whether it is.
    pub(crate) fn put(&mut self, row: &Put<'_>) -> bool {
        let namespace = (row.table == NAMESPACES_TABLE)
            .then(|| Some((std::str::from_utf8(row.key).ok()?, Settings::decode(row.value?.1)?)));
        let Some((name, settings)) = namespace.flatten() else { return false };
        let index = self.namespace_for(name);
        if let Some(namespace) = self.list.get_mut(index) {
            namespace.settings = settings;
        }
        true
    }

    /// The place of a workflow; its namespace is made with default limits if it is not there.
    pub(crate) fn slot(&mut self, namespace: &str, id: &str) -> WorkflowSlot {
        let namespace = self.namespace_for(namespace);
        let number = self.number_in(namespace, id);
        let workflow = number.and_then(|number| self.workflows.get(number.as_index()));
        let id = workflow.as_ref().map_or_else(|| id.into(), |known| known.id.clone());
        WorkflowSlot { namespace, id, number, current: workflow.map(|w| *w.current.latest()) }
    }

    /// The number of the workflow with this id in a namespace.
    pub(super) fn number_in(&self, namespace: usize, id: &str) -> Option<WorkflowNumber> {
        match self.list.get(namespace)?.workflows.get(id) {
            Some(number) => Some(number).filter(|number| *number != WorkflowNumber::NONE),
            None if self.workflows.cold().is_empty() => None,
            None => self.cold_number(namespace, id),
        }
    }

    fn cold_number(&self, namespace: usize, id: &str) -> Option<WorkflowNumber> {
        let hash = Workflow::hash(namespace, id);
        let mut numbers = self.workflows.cold().numbers(Family::WorkflowIds, hash);
        numbers.find_map(|number| {
            let workflow = self.workflows.get_known(in_memory(number))?;
            let is_it = workflow.namespace == namespace && *workflow.id == *id;
            is_it.then_some(WorkflowNumber::from_u32(number))
        })
    }

    /// The place of a workflow that is known.
    pub(crate) fn slot_of(&self, number: WorkflowNumber) -> Option<WorkflowSlot> {
        let workflow = self.workflows.get(number.as_index())?;
        Some(WorkflowSlot {
            namespace: workflow.namespace,
            id: workflow.id.clone(),
            number: Some(number),
            current: Some(*workflow.current.latest()),
        })
    }

    /// Changes what a namespace's runs add up to; `change` gives `None` where that cannot be.
    pub(crate) fn resize(
        &mut self,
        namespace: u32,
        commit: Position,
        change: impl FnOnce(Size) -> Option<Size>,
    ) -> Result<(), Impossible> {
        let namespace = self.list.get_mut(in_memory(namespace));
        let namespace = namespace.must("a namespace is resized that is not there")?;
        let size = change(*namespace.size.latest());
        let size = size.must("a namespace is smaller than a run in it")?;
        self.former_sizes.replace(&mut namespace.size, commit, size);
        Ok(())
    }

    /// Leaves a workflow without a current run, if that is `run`: its id is free.
    pub(crate) fn vacate(
        &mut self,
        number: WorkflowNumber,
        run: RunNumber,
        commit: Position,
    ) -> Result<(), Impossible> {
        let workflow = self.workflows.get_mut(number.as_index());
        let workflow = workflow.must("a run is of a workflow that is not there")?;
        if *workflow.current.latest() == run {
            self.former_currents.replace(&mut workflow.current, commit, RunNumber::NONE);
        }
        Ok(())
    }

    /// What a namespace's runs added up to for a reader at `at`.
    pub(crate) fn size_at(&self, namespace: &Namespace, at: Position) -> Option<Size> {
        self.former_sizes.at(&namespace.size, at).copied()
    }

    /// The run that a workflow id stood for, for a reader at `at`.
    pub(crate) fn current_at(&self, workflow: &Workflow, at: Position) -> Option<RunNumber> {
        self.former_currents.at(&workflow.current, at).copied()
    }

    /// Drops what was before commits that every reader from `oldest` on sees.
    #[inline]
    pub(crate) fn forget(&mut self, oldest: Position) {
        self.former_sizes.forget(oldest);
        self.former_currents.forget(oldest);
        self.types.forget(oldest);
    }

    /// Adds a run to a workflow, as its current one if it displaces the one before. Returns the
    /// workflow's number and its last run before.
    pub(crate) fn add_run(
        &mut self,
        place: WorkflowSlot,
        run: &NewRun,
        displaces: bool,
    ) -> Result<(WorkflowNumber, Option<RunNumber>), Impossible> {
        let known = place
            .number
            .and_then(|number| Some((number, self.workflows.get_mut(number.as_index())?)));
        if let Some((number, workflow)) = known {
            let older = std::mem::replace(&mut workflow.newest, run.number);
            if displaces {
                self.former_currents.replace(&mut workflow.current, run.commit, run.number);
            }
            return Ok((number, Some(older)));
        }
        // A workflow has the number of its first run.
        let number = WorkflowNumber::from_u32(run.number.as_u32());
        let namespace = self.list.get_mut(place.namespace);
        let namespace = namespace.must("a workflow is in a namespace that is not there")?;
        namespace.workflows.insert(place.id.clone(), number);
        let workflow = Workflow {
            id: place.id,
            namespace: place.namespace,
            current: Latest::new(run.commit, run.number),
            newest: run.number,
        };
        self.workflows.put(number.as_index(), workflow);
        Ok((number, None))
    }

    /// Changes which run of a workflow came last; without one the workflow is taken out.
    pub(crate) fn set_newest(
        &mut self,
        number: WorkflowNumber,
        newest: Option<RunNumber>,
    ) -> Result<(), Impossible> {
        const NO_WORKFLOW: &str = "a run is of a workflow that is not there";
        let workflow = self.workflows.get_mut(number.as_index()).must(NO_WORKFLOW)?;
        if let Some(newest) = newest {
            workflow.newest = newest;
            return Ok(());
        }
        let (id, hash, namespace) = (workflow.id.clone(), workflow.own_hash(), workflow.namespace);
        self.workflows.erase(number.as_index(), Some(hash));
        let namespace = self.list.get_mut(namespace);
        let namespace = namespace.must("a workflow is in a namespace that is not there")?;
        namespace.workflows.insert(id, WorkflowNumber::NONE);
        Ok(())
    }

    fn namespace_for(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let name: Arc<str> = name.into();
        self.by_name.insert(name.clone(), self.list.len());
        self.list.push(Namespace {
            name,
            settings: Settings::default(),
            size: Latest::new(Position::START, Size::default()),
            workflows: Ids::default(),
        });
        self.list.len() - 1
    }
}

/// Whether a namespace can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=NAMESPACE_BYTES_MAX).contains(&name.len())
}
