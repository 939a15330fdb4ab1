//! The verdict of recovery on every kind of image: what is kept, what is healed, what is refused.
//!
//! Stores are built on real files, copied as a kill would leave them, damaged byte by byte, and
//! opened again. Three things hold of all: nothing acknowledged is lost unless the last group of
//! writes is in doubt and said to be; a refused open changes no byte; an open for reading sees what
//! the writer would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation)]

#[path = "verdict/closed.rs"]
mod closed;
#[path = "verdict/cut.rs"]
mod cut;
#[path = "verdict/flip.rs"]
mod flip;
#[path = "verdict/forged.rs"]
mod forged;
#[path = "verdict/free.rs"]
mod free;
#[path = "verdict/healing.rs"]
mod healing;
#[path = "verdict/holes.rs"]
mod holes;
#[path = "verdict/manifest.rs"]
mod manifest;
#[path = "verdict/segments.rs"]
mod segments;
#[path = "verdict/support.rs"]
mod support;
#[path = "verdict/tail.rs"]
mod tail;
