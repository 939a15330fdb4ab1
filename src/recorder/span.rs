//! Spans around the slow parts of a store's work, with the cargo feature `tracing`. Without it, nothing.

#[cfg(feature = "tracing")]
pub(crate) use traced::{open, prepare, round, sync};
#[cfg(not(feature = "tracing"))]
pub(crate) use untraced::{open, prepare, round, sync};

#[cfg(feature = "tracing")]
mod traced {
    use std::path::Path;

    use tracing::span::EnteredSpan;
    use tracing::{debug_span, info_span};

    /// A store is opened.
    pub(crate) fn open(path: &Path) -> EnteredSpan {
        info_span!(target: "kinlog", "open", path = %path.display()).entered()
    }

    /// One round of the group commit is written, and synced if somebody waits for that.
    pub(crate) fn round(bytes: usize, sync: bool) -> EnteredSpan {
        debug_span!(target: "kinlog", "round", bytes, sync).entered()
    }

    /// A segment is synced.
    pub(crate) fn sync(segment: u32) -> EnteredSpan {
        debug_span!(target: "kinlog", "sync", segment).entered()
    }

    /// The next segment is prepared.
    pub(crate) fn prepare(segment: u32) -> EnteredSpan {
        debug_span!(target: "kinlog", "prepare", segment).entered()
    }
}

#[cfg(not(feature = "tracing"))]
mod untraced {
    use std::path::Path;

    pub(crate) struct Nothing;

    pub(crate) fn open(_: &Path) -> Nothing {
        Nothing
    }

    pub(crate) fn round(_: usize, _: bool) -> Nothing {
        Nothing
    }

    pub(crate) fn sync(_: u32) -> Nothing {
        Nothing
    }

    pub(crate) fn prepare(_: u32) -> Nothing {
        Nothing
    }
}
