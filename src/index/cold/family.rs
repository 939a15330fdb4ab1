//! The kinds of entries that the cold index holds: each has a section in every file.

use crate::sorted::{SectionKind, Width};

/// A kind of entries. Numbers in keys are big-endian, so that they sort as numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    /// Runs with their links. Key: the run's number, a `u32`.
    Runs,
    /// Runs by id. Key: the upper 5 bytes of the hash of the id, and the run's number. No value.
    RunIds,
    /// Workflows. Key: the workflow's number, a `u32`.
    Workflows,
    /// Workflows by id. Key: the upper 5 bytes of the hash of namespace and id, and the workflow's number. No value.
    WorkflowIds,
    /// Chains. Key: the chain's number, a `u32`.
    Chains,
    /// Rows of tables. Key: the length of the table's name, a `u16`, the name, and the row's key.
    Rows,
    /// The list of runs by when they started. Key: a place in it, a `u128`. No value.
    Started,
    /// The list of closed runs by when they closed, likewise.
    Closed,
    /// That of those of which the outcome alone was kept.
    Outcomes,
    /// That of those of which nothing was kept and that were not erased.
    Gone,
}

/// The sections of a file.
pub(crate) static KINDS: [SectionKind; 10] = [
    numbered(0),
    hashed(1),
    numbered(2),
    hashed(3),
    numbered(4),
    SectionKind { id: 5, key: Width::Varying, value: Width::Varying, filtered: 255 },
    listed(6),
    listed(7),
    listed(8),
    listed(9),
];

const fn numbered(id: u8) -> SectionKind {
    SectionKind { id, key: Width::FrontCoded(4), value: Width::Varying, filtered: 4 }
}

const fn hashed(id: u8) -> SectionKind {
    SectionKind { id, key: Width::FrontCoded(9), value: Width::Fixed(0), filtered: 5 }
}

const fn listed(id: u8) -> SectionKind {
    SectionKind { id, key: Width::FrontCoded(16), value: Width::Fixed(0), filtered: 0 }
}

impl Family {
    /// What the filter of its section knows a key by.
    pub(crate) fn hash(self, key: &[u8]) -> u64 {
        KINDS.get(self.section()).map_or(0, |kind| kind.hash(key))
    }

    /// The number of its section.
    pub(crate) const fn section(self) -> usize {
        self as usize
    }
}
