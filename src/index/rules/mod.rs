//! What a commit may say: each step by itself, and both sides of it in the same commit.

mod commit;
mod cut;
mod deletion;
mod draft;
mod erasure;
mod origin;
mod steps;
mod waiting;

pub(crate) use commit::{Ancestry, Refusal};
pub(crate) use deletion::{Deletability, Deletions};
pub(crate) use draft::Draft;
pub(crate) use erasure::Erasing;
pub(crate) use origin::{ForkPoint, ParentEvent, RunOrigin};
pub(crate) use steps::{Illegal, outcome_kind};
