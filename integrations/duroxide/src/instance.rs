//! The row of an instance: what duroxide says of it, and which runs are its own.

use duroxide::providers::ExecutionMetadata;
use duroxide::{Event, EventKind};
use kinlog::Transaction;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::{Result, invalid, refused};
use crate::tables::INSTANCES;

/// What is known of an instance and its current execution.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instance {
    /// When it was born, and a number that sets it apart from others of that time. Names its runs, so that an
    /// instance that was deleted has none in common with one that has its id later.
    pub(crate) born: u64,
    /// The orchestration; none as long as there is nothing but history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    /// The current execution, to which the following five belong; 0 if there is none.
    pub(crate) execution: u64,
    /// None while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<u64>,
    /// The version of duroxide that it is pinned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pinned: Option<String>,
    /// What the orchestration says of itself, and how often it has said something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) custom: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) custom_version: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How many bits of a birth tell instances of one millisecond apart.
const BIRTH_BITS: u32 = 20;

/// The birth of the instance number `number` of this process.
pub(crate) fn birth(now: u64, number: u64) -> u64 {
    now << BIRTH_BITS | number & ((1 << BIRTH_BITS) - 1)
}

impl Instance {
    pub(crate) fn new(born: u64) -> Self {
        Instance {
            born,
            name: None,
            version: None,
            parent: None,
            execution: 0,
            status: None,
            output: None,
            ended: None,
            pinned: None,
            custom: None,
            custom_version: 0,
        }
    }

    /// When it was born, in milliseconds.
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

    /// Takes in what an acknowledgement says. Whether the instance has just got its name.
    pub(crate) fn take_in(&mut self, execution: u64, said: &ExecutionMetadata) -> bool {
        let named = self.name.is_none();
        if let (Some(name), Some(version)) = (&said.orchestration_name, &said.orchestration_version)
        {
            if named {
                self.parent.clone_from(&said.parent_instance_id);
            }
            (self.name, self.version) = (Some(name.clone()), Some(version.clone()));
        }
        self.enter(execution);
        if execution == self.execution {
            if let Some(pinned) = &said.pinned_duroxide_version {
                self.pinned = Some(pinned.to_string());
            }
            if let Some(status) = &said.status {
                (self.status, self.output) = (Some(status.clone()), said.output.clone());
                self.ended = Some(clock::now());
            }
        }
        named && self.name.is_some()
    }

    /// Goes on to a later execution.
    pub(crate) fn enter(&mut self, execution: u64) {
        if execution > self.execution {
            self.execution = execution;
            (self.status, self.output, self.ended, self.pinned) = (None, None, None, None);
        }
    }

    /// Takes in what the last event of the kind says about itself.
    pub(crate) fn take_custom_status(&mut self, events: &[Event]) {
        let said = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::CustomStatusUpdated { status } => Some(status.clone()),
            _ => None,
        });
        if let Some(status) = said {
            self.custom = status;
            self.custom_version += 1;
        }
    }

    /// Reads the row in a transaction, as the last commit has left it, be it published or not.
    pub(crate) fn read(
        tx: &mut Transaction<'_>,
        operation: &'static str,
        id: &str,
    ) -> Result<Option<Self>> {
        let row = tx.get(INSTANCES, id.as_bytes()).map_err(refused(operation))?;
        row.map(|row| Self::decode(operation, id, &row)).transpose()
    }

    pub(crate) fn decode(operation: &'static str, id: &str, row: &[u8]) -> Result<Self> {
        let unreadable = |e| invalid(operation, format!("the row of instance {id}: {e}"));
        serde_json::from_slice(row).map_err(unreadable)
    }

    pub(crate) fn write(
        &self,
        tx: &mut Transaction<'_>,
        operation: &'static str,
        id: &str,
    ) -> Result<()> {
        let row = serde_json::to_vec(self).map_err(|e| invalid(operation, e.to_string()))?;
        tx.put(INSTANCES, id.as_bytes(), &row).map_err(refused(operation))
    }
}
