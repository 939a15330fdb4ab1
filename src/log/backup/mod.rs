//! Backup: a copy of the published log, made while a writer goes on.

mod base;
mod copy;
mod destination;
mod summary;

pub(crate) use copy::{Copied, copy};
