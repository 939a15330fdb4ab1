//! The cold index: what has not changed for a while, in immutable files.

mod cold;
mod family;
mod hash;

pub(crate) use cold::{Cold, ColdRows};
pub(crate) use family::Family;
pub(crate) use hash::hash;
