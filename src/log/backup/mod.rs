//! A copy of the published log, beside whoever writes.

mod base;
mod copy;
mod destination;
mod summary;

pub(crate) use copy::{Copied, copy};
