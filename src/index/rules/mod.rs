//! What a commit may say: each step by itself, and both sides of it in the same commit.

mod commit;
mod draft;
mod steps;

pub(crate) use commit::Refusal;
pub(crate) use draft::{Draft, RunOrigin};
pub(crate) use steps::{Illegal, outcome_kind};
