//! The row of an instance: what is known of it and its current execution.

use duroxide::providers::ExecutionMetadata;
use duroxide::{Event, EventKind};
use kinlog::{Snapshot, Transaction};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::tables::INSTANCES;
use crate::{clock, executions};

/// What is known of an instance. A row is JSON with short names.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// Names its runs: the time, and a number that sets it apart from others of that time. An instance that
    /// was deleted has no run in common with one that has its id later.
    #[serde(rename = "b")]
    pub(crate) born: u64,
    /// The orchestration; none as long as there is nothing but history.
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    /// The current execution, to which the next four belong; 0 if there is none.
    #[serde(rename = "e")]
    pub(crate) execution: u64,
    /// None while it runs. Its output stands here if it is another one than that of its last event.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
    #[serde(rename = "t", skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<u64>,
    /// The version of duroxide that it is pinned to.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub(crate) pinned: Option<String>,
    /// What the orchestration last said of itself, if it ever did, and how often it did.
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    pub(crate) custom: Option<(Option<String>, u64)>,
}

/// How many bits of a birth tell instances of one millisecond apart.
const BIRTH_BITS: u32 = 20;

impl Instance {
    /// The instance number `number` of this process.
    pub(crate) fn new(number: u64) -> Self {
        let born = clock::now() << BIRTH_BITS | number & ((1 << BIRTH_BITS) - 1);
        Instance { born, ..Default::default() }
    }

    pub(crate) fn created_at(&self) -> u64 {
        self.born >> BIRTH_BITS
    }

    pub(crate) fn status(&self) -> &str {
        self.status.as_deref().unwrap_or("Running")
    }

    /// Whether the current execution has ended, be it to continue as new.
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.status(), "Completed" | "Failed" | "ContinuedAsNew")
    }

    /// Takes in what an acknowledgement says. Whether the instance gets its name by that.
    pub(crate) fn take_in(
        &mut self,
        execution: u64,
        said: &ExecutionMetadata,
        events: &[Event],
    ) -> bool {
        self.enter(execution);
        let begins = self.name.is_none() && said.orchestration_name.is_some();
        if begins {
            self.parent.clone_from(&said.parent_instance_id);
        }
        if said.orchestration_name.is_some() && said.orchestration_version.is_some() {
            self.name.clone_from(&said.orchestration_name);
            self.version.clone_from(&said.orchestration_version);
        }
        if execution == self.execution {
            if let Some(pinned) = &said.pinned_duroxide_version {
                self.pinned = Some(pinned.to_string());
            }
            if said.status.is_some() {
                let output = events.last().and_then(executions::output);
                self.output = said.output.clone().filter(|said| output.as_ref() != Some(said));
                (self.status, self.ended) = (said.status.clone(), Some(clock::now()));
            }
        }
        let custom = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::CustomStatusUpdated { status } => Some(status.clone()),
            _ => None,
        });
        if let Some(status) = custom {
            self.custom = Some((status, self.custom.as_ref().map_or(0, |custom| custom.1) + 1));
        }
        begins
    }

    /// Goes on to an execution, if it is a later one.
    pub(crate) fn enter(&mut self, execution: u64) {
        if execution > self.execution {
            self.execution = execution;
            (self.status, self.output, self.ended, self.pinned) = (None, None, None, None);
        }
    }

    /// As the last commit has left it, be it published or not.
    pub(crate) fn read(tx: &mut Transaction<'_>, id: &str) -> Result<Option<Self>> {
        let row = tx.get(INSTANCES, id.as_bytes())?;
        Ok(row.map(|row| serde_json::from_slice(&row)).transpose()?)
    }

    pub(crate) fn at(snapshot: &Snapshot, id: &str) -> Result<Option<Self>> {
        let row = snapshot.get(INSTANCES, id.as_bytes())?;
        Ok(row.map(serde_json::from_slice).transpose()?)
    }

    pub(crate) fn write(&self, tx: &mut Transaction<'_>, id: &str) -> Result<()> {
        Ok(tx.put(INSTANCES, id.as_bytes(), &serde_json::to_vec(self)?)?)
    }
}
