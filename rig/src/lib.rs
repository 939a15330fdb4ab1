//! The rig tries kinlog on a [disk](disk::SimulatedDisk) that fails, tears and forgets.
//!
//! A [world](world::World) is a sequence of commits; a [schedule](schedule::Schedule) says what goes
//! wrong while it happens; a [trial](trial::run) carries a schedule out and compares what is left
//! with the same world on a disk that never fails. The [sweeps](sweep) are schedules in great
//! number. Everything follows from a seed, and a schedule is a line of text that can be run again:
//!
//! ```text
//! kinlog-rig run --seconds 60
//! kinlog-rig replay 'world=7 life=30,loss:41:sectors:9'
//! ```
//!
//! What takes a real machine is under [real]: kills, power loss under file systems, full disks, and
//! people at the files of a store that is open.
//!
//! The disk is of use to whoever builds on kinlog: an engine's own tests can lose power on it.

pub mod campaign;
pub mod disk;
mod harm;
mod life;
mod portrait;
mod random;
pub mod real;
pub mod reference;
pub mod schedule;
mod shedding;
pub mod shrink;
pub mod steady;
pub mod sweep;
pub mod trial;
pub mod world;

pub use portrait::{Told, commits, state};
pub use random::Random;
