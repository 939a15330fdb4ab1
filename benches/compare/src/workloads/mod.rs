//! What is measured. A cell is one engine at one workload in one round, in a process of its own.

mod append;
mod cell;
mod ended;
mod family;
mod filled;
mod growth;
mod headline;
mod queue;
mod space;
mod together;

pub use cell::{Cell, Outcome, say, timed};
pub use growth::STAGES;

use crate::engine::Result;

/// A kind of cell.
pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    /// How its figures are defined.
    pub about: &'static str,
    /// How many turns it takes with the other engines in a round; none if a cell is one measurement
    /// from its beginning to its end.
    pub turns: u32,
    pub place: Place,
    pub metrics: &'static [Metric],
    pub run: fn(&Cell) -> Result<Outcome>,
}

/// Where a cell finds its store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Nowhere: it makes one.
    Fresh,
    /// All cells of an engine share one that was filled and closed.
    Filled,
    /// All cells of an engine share one of runs that have ended, as many as was said.
    Ended,
    /// Each has a copy of one whose process was killed while it was filled.
    Killed,
}

impl Place {
    /// What made the store.
    pub fn fill(self) -> Option<&'static Workload> {
        match self {
            Place::Fresh => None,
            Place::Filled => Some(&CLOSE),
            Place::Ended => Some(&END),
            Place::Killed => Some(&FILL),
        }
    }
}

/// A figure that a workload comes to.
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub better: Better,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    Less,
    More,
}

const fn less(name: &'static str, unit: &'static str) -> Metric {
    Metric { name, unit, better: Better::Less }
}

const fn more(name: &'static str, unit: &'static str) -> Metric {
    Metric { name, unit, better: Better::More }
}

/// The rows of the table.
pub static ROWS: [Workload; 15] = [
    Workload {
        name: "single",
        title: "Durable single commit",
        about: "One event a commit, to 10,000 begun runs in turn; payloads sized like those of \
                recorded histories. Bare: the same frame, written and synced.",
        turns: 12,
        place: Place::Fresh,
        metrics: &[less("p50", "µs"), more("commits", "1/s")],
        run: append::single,
    },
    Workload {
        name: "sync-64",
        title: "64 events a sync",
        about: "One durable transaction of 32 runs with 2 events each; MB are of payload.",
        turns: 12,
        place: Place::Fresh,
        metrics: &[more("events", "1/s"), more("bytes", "MB/s")],
        run: |cell| append::together(cell, 32),
    },
    Workload {
        name: "sync-1024",
        title: "1024 events a sync",
        about: "One durable transaction of 512 runs with 2 events each; MB are of payload.",
        turns: 12,
        place: Place::Fresh,
        metrics: &[more("events", "1/s"), more("bytes", "MB/s")],
        run: |cell| append::together(cell, 512),
    },
    Workload {
        name: "in-flight-1024",
        title: "1024 events a sync, one transaction in flight",
        about: "The same transactions, each built and submitted while the one before is on its way to \
                the device. Bare waits every time.",
        turns: 12,
        place: Place::Fresh,
        metrics: &[more("events", "1/s"), more("bytes", "MB/s")],
        run: append::in_flight,
    },
    Workload {
        name: "in-flight-16",
        title: "16 commits in flight from one thread, durable",
        about: "One event a commit. kinlog submits each, and waits for the oldest while more than 16 are \
                on their way. No other store has commits that can be submitted: they, and bare, put 16 \
                events in one commit and wait for it, so that all 16 happen together or not at all; an \
                event counts as a commit.",
        turns: 8,
        place: Place::Fresh,
        metrics: &[more("commits", "1/s")],
        run: append::in_flight_16,
    },
    Workload {
        name: "threads-16",
        title: "16 threads, durable",
        about: "Each thread commits one event at a time to runs of its own. The gain is over one \
                thread, measured in the same cell. Bare: one thread, 16 events a sync.",
        turns: 8,
        place: Place::Fresh,
        metrics: &[more("commits", "1/s"), more("gain", "×")],
        run: append::threads,
    },
    Workload {
        name: "queue",
        title: "Taking jobs from a queue, durable",
        about: "A table of jobs, sized like recorded payloads, that is put before the clock starts. \
                A take is one transaction that looks at the first row, deletes it and is committed; \
                one consumer, then 4 threads that want the same first row. Each job is taken once, \
                in order.",
        turns: 8,
        place: Place::Fresh,
        metrics: &[less("p50", "µs"), more("takes", "1/s"), more("takes-4", "1/s")],
        run: queue::queue,
    },
    Workload {
        name: "buffered",
        title: "Buffered append, each commit waits for the OS",
        about: "One thread, commits of 3 × 120 bytes, to 10,000 begun runs in turn; each returns \
                when a kill of the process cannot take it back.",
        turns: 5,
        place: Place::Fresh,
        metrics: &[more("events", "1/s")],
        run: append::buffered,
    },
    Workload {
        name: "ahead",
        title: "Buffered append, the last commit waits for the OS",
        about: "The same commits, submitted one after another; the clock stops when the operating \
                system has all of them.",
        turns: 5,
        place: Place::Fresh,
        metrics: &[more("events", "1/s")],
        run: append::ahead,
    },
    Workload {
        name: "filled",
        title: "A store of 1 M events: open, read, memory, disk",
        about: "10,000 runs of 100 events, written event by event in turn, 1,000 runs a \
                transaction. Open: in a fresh process after a clean close, until a run was read, \
                page cache warm. Read: a run of 100 events, warm, median over random runs. Memory: \
                what opening and reading 1,000 runs adds to the resident set, pages of mapped \
                files included; and without them. Disk: allocated bytes per byte of payload.",
        turns: 0,
        place: Place::Filled,
        metrics: &[
            less("open", "ms"),
            less("read", "µs"),
            less("memory", "MiB"),
            less("anonymous", "MiB"),
            less("disk", "B/B"),
        ],
        run: filled::filled,
    },
    Workload {
        name: "together",
        title: "Reading runs that lie together",
        about: "1,000 runs of 100 events, one run after the other, committed an event at a time \
                (engines without a buffered commit: all at once); and as many, each written in one \
                commit. Warm, median over random runs.",
        turns: 0,
        place: Place::Fresh,
        metrics: &[less("commit-each", "µs"), less("one-commit", "µs")],
        run: together::together,
    },
    Workload {
        name: "killed",
        title: "Open after a kill",
        about: "The same store, whose process was killed when the last commit had returned; until \
                a run was read. The rate is over the length of the log, where the engine tells it.",
        turns: 0,
        place: Place::Killed,
        metrics: &[less("open", "ms"), more("replay", "GB/s")],
        run: filled::killed,
    },
    Workload {
        name: "ended",
        title: "Runs that have ended: open, and look up by run id",
        about: "1,000,000 runs, or as many as `--entries` says, of two events; in LMDB and redb a row each, of \
                98 bytes under the run's id. Hit, miss: random ids that are there, and that are not; \
                warm, 100,000 of them, the median of 5 rounds; hit-cold: 1,000, before which \
                nothing of the store was in memory. Open: until a run was found, by a process that had looked \
                runs up; open-cold: with nothing of the store in memory. Anonymous: memory that is not a \
                file's, which opening adds.",
        turns: 0,
        place: Place::Ended,
        metrics: &[
            less("open", "ms"),
            less("open-cold", "ms"),
            less("hit", "ns"),
            less("miss", "ns"),
            less("hit-cold", "µs"),
            less("anonymous", "MiB"),
        ],
        run: ended::ended,
    },
    Workload {
        name: "fan-out",
        title: "Fan-out of 1,000 children",
        about: "A parent has closed. Plan: which run is due what. Apply: plan, and do it, until \
                it is on the device; one family a turn. Bare: as many bytes as \
                kinlog's log grows by, written and synced.",
        turns: 12,
        place: Place::Fresh,
        metrics: &[less("plan", "µs"), less("apply", "µs")],
        run: family::fan_out,
    },
    Workload {
        name: "headline",
        title: "The headline: 1 parent × 1,000 children × 1,000 activities",
        about: "3 M events of 32 bytes, 3 a commit, on one child after another, buffered, one \
                thread; then the parent closes and the fan-out is planned and applied, until the \
                operating system has it.",
        turns: 0,
        place: Place::Fresh,
        metrics: &[less("whole", "s"), less("fan-out", "ms")],
        run: headline::headline,
    },
];

/// Fills the store that rows share, and is killed.
pub static FILL: Workload = Workload {
    name: "fill",
    title: "Filling",
    about: "",
    turns: 0,
    place: Place::Fresh,
    metrics: &[],
    run: filled::fill,
};

/// Opens such a store again, and closes it in order.
pub static CLOSE: Workload = Workload { name: "close", run: filled::close, ..FILL };

/// Makes the store of runs that have ended.
pub static END: Workload = Workload { name: "end", run: ended::fill, ..FILL };

/// Fills a store on to the next stage of growth.
pub static GROW: Workload = Workload { name: "grow", run: growth::grow, ..FILL };

pub static GROWTH: Workload = Workload {
    name: "growth",
    title: "Growth with the store",
    about: "Payloads of 120 bytes, runs of 100 events; at each size the same is done in a fresh \
            process: buffered commits of 3 events, a fan-out of 100 children (applied until the \
            operating system has it), the current run of random workflow ids, one fixed run, \
            opening.",
    turns: 0,
    place: Place::Filled,
    metrics: &[
        less("append", "µs"),
        less("plan", "µs"),
        less("apply", "µs"),
        less("lookup", "ns"),
        less("read", "µs"),
        less("open", "ms"),
        less("memory", "MiB"),
        less("disk", "MiB"),
    ],
    run: growth::growth,
};

pub static CHILDREN: Workload = Workload {
    name: "children",
    title: "Growth with the children",
    about: "A closed parent's fan-out, planned, and applied durably: in all, and for each child.",
    turns: 0,
    place: Place::Fresh,
    metrics: &[
        less("plan", "µs"),
        less("plan-each", "µs"),
        less("apply", "µs"),
        less("apply-each", "µs"),
    ],
    run: family::children,
};

pub static SPACE: Workload = Workload {
    name: "space",
    title: "Space over years",
    about: "20 runs are open, each of 20 events of 500 bytes. In turn each gets an event, in a commit of its own that \
            nobody waits for; with the last one a run closes, and the oldest that is kept is deleted. Every tenth close, \
            one commit in 210, is durable and timed. 20 times what is kept goes through. Live: the payloads of \
            what is kept. Most, end: what the files take on the disk, looked at 800 times, and when the engine has \
            done what it does by itself and was closed; settled: after it was opened and told to do all it can, as \
            before reading elsewhere. Written: pages that went to the device, over the payloads of all runs.",
    turns: 0,
    place: Place::Fresh,
    metrics: &[
        less("live", "MiB"),
        less("most", "× live"),
        less("end", "× live"),
        less("settled", "× live"),
        less("written", "B/B"),
        less("p50", "µs"),
        less("p99", "µs"),
        less("took", "s"),
    ],
    run: space::space,
};

/// How many children a parent has, and how many parents close in a round.
pub const FAMILIES: [(u64, u32); 5] = [(10, 20), (100, 20), (1_000, 5), (10_000, 2), (100_000, 1)];

/// The rows of those names, all if none is named.
pub fn rows(names: &[String]) -> Result<Vec<&'static Workload>> {
    if let Some(unknown) = names.iter().find(|name| !ROWS.iter().any(|row| row.name == **name)) {
        let known = ROWS.each_ref().map(|row| row.name).join(", ");
        return Err(format!("no row {unknown}; there are {known}").into());
    }
    let wanted = |row: &&Workload| names.is_empty() || names.iter().any(|name| name == row.name);
    Ok(ROWS.iter().filter(wanted).collect())
}

/// The workload of that name.
pub fn named(name: &str) -> Option<&'static Workload> {
    let others = [&FILL, &CLOSE, &END, &GROW, &GROWTH, &CHILDREN, &SPACE];
    ROWS.iter().chain(others).find(|workload| workload.name == name)
}
