//! Sorted files against ordered maps.

mod contents;
mod damage;
mod merging;
mod model;
