//! What child workflows mean, rule by rule: `docs/semantics.md` says each in words and names its
//! test. The numbered ones are the scenarios that are most often got wrong.
//!
//! Everything through the public interface. Where a rule is about what is remembered, it is
//! checked twice: as the store is, and after it was dropped and opened again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

#[path = "scenarios/support.rs"]
mod support;

#[path = "scenarios/accepted.rs"]
mod accepted;
#[path = "scenarios/chain.rs"]
mod chain;
#[path = "scenarios/decisions.rs"]
mod decisions;
#[path = "scenarios/deep.rs"]
mod deep;
#[path = "scenarios/duties.rs"]
mod duties;
#[path = "scenarios/fanout.rs"]
mod fanout;
#[path = "scenarios/limits.rs"]
mod limits;
#[path = "scenarios/overtaken.rs"]
mod overtaken;
#[path = "scenarios/policy.rs"]
mod policy;
#[path = "scenarios/recorded.rs"]
mod recorded;
#[path = "scenarios/report.rs"]
mod report;
#[path = "scenarios/requests.rs"]
mod requests;
#[path = "scenarios/reset.rs"]
mod reset;
#[path = "scenarios/reset_again.rs"]
mod reset_again;
#[path = "scenarios/sizes.rs"]
mod sizes;
#[path = "scenarios/stale.rs"]
mod stale;
#[path = "scenarios/start.rs"]
mod start;
#[path = "scenarios/steps.rs"]
mod steps;
