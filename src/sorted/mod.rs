//! Sorted files: immutable files of entries in order of their keys (the sorted string tables of an LSM tree).
//!
//! A file has sections; each has entries, a directory of their groups, and a filter of what is not there. Its bytes
//! are a function of its entries alone: docs/format.md, "Sorted files". Every block of 4 KiB is verified when it is first
//! read, so that opening takes the same time whatever the file holds.

mod checked;
mod directory;
mod entry;
mod file;
mod filter;
mod footer;
mod hash;
mod key;
mod kind;
mod merge;
mod output;
mod range;
mod section;
mod verify;
mod writer;

pub(crate) use file::{Lookup, SortedFile};
pub(crate) use hash::hash;
pub(crate) use kind::{SectionKind, Width};
pub(crate) use merge::merge;
pub(crate) use range::{Entries, Entry};
pub(crate) use writer::{SortedWriter, Summary};

#[cfg(test)]
mod tests;
