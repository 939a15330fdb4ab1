//! Serializability by re-execution: whatever threads do beside each other, what was committed is
//! what the same steps do alone, one transaction after the other, in the order of the positions.
//!
//! A world is a store and threads that run programs drawn from a seed, over few workflow ids and
//! keys, so that they meet all the time. Of every transaction it is kept which steps it took and
//! what they answered. Afterwards all that was committed is done again, alone, in a new store:
//! every step must answer the same, every commit must succeed and say the same, and both stores
//! must then say the same about runs, children, duties and rows. Ids that kinlog draws are mapped,
//! times are not compared, and the ids that blind appends return are not promised.
//!
//! `KINLOG_SEED=n` runs only the world with that seed, many times over, as threads do not
//! interleave the same way twice. What a failure shows is as small as is cheap to find: the world
//! with fewer threads and programs, the transaction, and what was committed beside it.
//!
//! Under shuttle tiny worlds and the scenes run under drawn schedules instead:
//!
//! ```text
//! RUSTFLAGS='--cfg shuttle' cargo test -p kinlog --test serializable --target-dir target/shuttle
//! ```
//!
//! Which world is made for which violation:
//!
//! | violation                                         | world                                   |
//! |---------------------------------------------------|-----------------------------------------|
//! | a reset waits for ever, as it locks within a lock | `known`: resets and commits             |
//! | two open runs of one workflow id                  | `known`: one open run; names            |
//! | a parent bound to the wrong child                 | scene: the wrong child; blind appends   |
//! | a reset forgets what was settled meanwhile        | scene: a forgetful reset; resets        |
//! | a request refused by a workflow that goes on      | scene: a lost request; requests         |
//! | a policy left due, and nothing refused            | scene: an escaping child; `settling`    |
//! | settling fails as others settled before           | `settling`                              |
//! | settling all is not settling one by one           | `pages`                                 |
//! | steps that are accepted and cannot be committed   | `accepted`; worlds where nobody else is |
//! | rows that others changed before the commit        | `known`: jobs; rows                     |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

#[cfg(not(shuttle))]
#[path = "serializable/accepted.rs"]
mod accepted;
#[path = "serializable/answer.rs"]
mod answer;
#[path = "serializable/api.rs"]
mod api;
#[path = "serializable/board.rs"]
mod board;
#[path = "serializable/bytes.rs"]
mod bytes;
#[cfg(shuttle)]
#[allow(dead_code)]
#[path = "interleavings/device.rs"]
mod device;
#[path = "serializable/draw.rs"]
mod draw;
#[cfg(shuttle)]
#[path = "interleavings/explore.rs"]
mod explore;
#[cfg(shuttle)]
#[path = "serializable/explored.rs"]
mod explored;
#[cfg(not(shuttle))]
#[path = "serializable/known.rs"]
mod known;
#[path = "serializable/look.rs"]
mod look;
#[path = "serializable/mix.rs"]
mod mix;
#[path = "serializable/names.rs"]
mod names;
#[path = "serializable/op.rs"]
mod op;
#[cfg(not(shuttle))]
#[path = "serializable/pages.rs"]
mod pages;
#[path = "serializable/perform.rs"]
mod perform;
#[path = "serializable/place.rs"]
mod place;
#[path = "serializable/portrait.rs"]
mod portrait;
#[path = "serializable/program.rs"]
mod program;
#[path = "serializable/reader.rs"]
mod reader;
#[path = "serializable/record.rs"]
mod record;
#[path = "serializable/replay.rs"]
mod replay;
#[path = "serializable/scenes.rs"]
mod scenes;
#[cfg(not(shuttle))]
#[path = "serializable/seeds.rs"]
mod seeds;
#[cfg(not(shuttle))]
#[path = "serializable/settling.rs"]
mod settling;
#[path = "serializable/take.rs"]
mod take;
#[path = "serializable/tell.rs"]
mod tell;
#[path = "serializable/threads.rs"]
mod threads;
#[cfg(not(shuttle))]
#[path = "serializable/watchdog.rs"]
mod watchdog;
#[path = "serializable/world.rs"]
mod world;
#[cfg(not(shuttle))]
#[path = "serializable/worlds.rs"]
mod worlds;
