//! Worlds: which steps their programs are drawn from, and over how few names.

use kinlog::Limits;

/// Steps of one sort.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sort {
    Start,
    Spawn,
    Initiate,
    StartChild,
    FailChild,
    Report,
    Close,
    GoOn,
    Reset,
    RequestCancel,
    Signal,
    Ask,
    Append,
    Activity,
    Exact,
    Blind,
    Settle,
    Remove,
    Write,
    Read,
    Turn,
}

/// Of what programs are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    pub(crate) workflows: &'static [&'static str],
    pub(crate) keys: u8,
    pub(crate) sorts: &'static [(usize, Sort)],
    /// Whether runs are soon full.
    pub(crate) tight: bool,
}

impl Mix {
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if self.tight {
            (limits.history_events, limits.open_children, limits.open_activities) = (24, 3, 3);
            (limits.open_signals, limits.open_cancels) = (2, 2);
        }
        limits
    }
}

use Sort::{
    Activity, Append, Ask, Blind, Close, Exact, FailChild, GoOn, Initiate, Read, Remove, Report,
    RequestCancel, Reset, Settle, Signal, Spawn, Start, StartChild, Turn, Write,
};

/// Everything, in runs without end.
pub(crate) const EVERYTHING: Mix = Mix {
    name: "everything",
    workflows: &["a", "b", "c", "d"],
    keys: 12,
    sorts: &[
        (14, Start),
        (7, Spawn),
        (6, Initiate),
        (3, StartChild),
        (2, FailChild),
        (3, Report),
        (8, Close),
        (6, GoOn),
        (4, Reset),
        (4, RequestCancel),
        (5, Signal),
        (6, Ask),
        (4, Append),
        (4, Activity),
        (4, Remove),
        (3, Exact),
        (4, Blind),
        (14, Settle),
        (5, Write),
        (4, Read),
        (10, Turn),
    ],
    tight: false,
};

/// The same where limits are met all the time.
pub(crate) const TIGHT: Mix = Mix { name: "tight", tight: true, ..EVERYTHING };

/// Runs come and go, and children take their places.
pub(crate) const NAMES: Mix = Mix {
    name: "names",
    workflows: &["x", "y"],
    keys: 4,
    sorts: &[(30, Start), (15, Spawn), (25, Close), (8, GoOn), (6, Remove), (13, Turn)],
    tight: false,
};

/// Parents that others write to while they have children.
pub(crate) const BLIND: Mix = Mix {
    name: "blind",
    workflows: &["p", "q", "mine", "other"],
    keys: 4,
    sorts: &[
        (12, Start),
        (16, Spawn),
        (14, Initiate),
        (6, StartChild),
        (4, FailChild),
        (18, Blind),
        (12, Append),
        (8, Activity),
        (5, Close),
        (5, Settle),
        (10, Turn),
    ],
    tight: false,
};

/// Resets beside whatever else happens to the run.
pub(crate) const RESETS: Mix = Mix {
    name: "resets",
    workflows: &["a", "b"],
    keys: 4,
    sorts: &[
        (14, Start),
        (10, Spawn),
        (10, Initiate),
        (16, Reset),
        (18, Settle),
        (8, Ask),
        (4, Activity),
        (8, Close),
        (8, Remove),
        (4, GoOn),
        (12, Turn),
    ],
    tight: false,
};

/// Requests to workflows whose runs follow one another.
pub(crate) const REQUESTS: Mix = Mix {
    name: "requests",
    workflows: &["a", "b", "c"],
    keys: 4,
    sorts: &[(14, Start), (24, Ask), (26, GoOn), (24, Settle), (4, Close), (10, Turn)],
    tight: false,
};

/// Close policies of children that go on.
pub(crate) const POLICIES: Mix = Mix {
    name: "policies",
    workflows: &["p", "q", "c"],
    keys: 4,
    sorts: &[
        (14, Start),
        (18, Spawn),
        (16, GoOn),
        (14, Close),
        (26, Settle),
        (4, RequestCancel),
        (4, Report),
        (4, Remove),
        (8, Turn),
    ],
    tight: false,
};

/// Rows, mostly.
pub(crate) const ROWS: Mix = Mix {
    name: "rows",
    workflows: &["a"],
    keys: 24,
    sorts: &[(30, Write), (40, Read), (4, Start), (4, Append), (20, Turn)],
    tight: false,
};
