//! kinlog on a disk that fails, tears and forgets, and on the machine.

mod backup;
mod engines;
mod full;
mod healing;
mod machine;
mod marks;
mod purging;
mod regressions;
mod schedules;
mod sealed;
mod words;
