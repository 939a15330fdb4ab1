//! What child workflows mean, rule by rule: `docs/semantics.md` says each in words and names its
//! test. The numbered ones are the scenarios that are most often got wrong.
//!
//! Everything through the public interface. Where a rule is about what is remembered, it is
//! checked twice: as the store is, and after it was dropped and opened again.

#![allow(
    clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

mod support;

mod accepted;
mod chain;
mod compaction;
mod decisions;
mod deep;
mod deletion;
mod deletion_kin;
mod duties;
mod fanout;
mod keys;
mod known;
mod limits;
mod overtaken;
mod parents;
mod policy;
mod recorded;
mod report;
mod requests;
mod reset;
mod reset_again;
mod retention;
mod sizes;
mod stale;
mod start;
mod steps;
