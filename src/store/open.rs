//! Opening a store: opens the log, and builds the index by replaying it.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::index::{Index, IndexLock};
use crate::log::open::{
    Opening, Verdict, manifest_before, open, raced_with_writer, release_reserve,
};
use crate::recorder::{OPEN_SECONDS, span};
use crate::store::pending::Workspaces;
use crate::store::shared::{Clock, Pins, Shared, Store};
use crate::sync::Mutex;

impl Store {
    pub(crate) fn open_with(
        opening: Opening,
        clock: Option<Clock>,
        recheck_commits: bool,
    ) -> Result<Self> {
        let began = opening.recording.now();
        let _span = span::open(&opening.paths.root);
        let mut index = Index::default();
        let manifest_before = manifest_before(&opening);
        let open_whole = |index: &mut Index| {
            let never = || Error::internal("a log that is read from its start does not fit");
            open(&opening, None, index)?.ok_or_else(never)
        };
        let mut opened = open_whole(&mut index);
        let raced = raced_with_writer(&opening, manifest_before, &opened)?;
        let full = opened.as_ref().is_err_and(|error| release_reserve(&opening, error));
        // Tried once more: with a writer's commits complete, or with the space of the reserve file.
        if raced || full {
            index = Index::default();
            opened = open_whole(&mut index);
        }
        let opened = opened?;
        index.end = opened.published.end();
        let (writer, background) = opened.writing.unzip();
        if let Some(writer) = &writer {
            writer.tell_durable(writer.durable());
        }
        let (report, opener) = (opened.report, opened.opener);
        opening.recording.observe_since(&OPEN_SECONDS, &[], began);
        let shared = Shared {
            disk: opening.disk,
            clock,
            paths: opening.paths,
            location: opened.location,
            published: opened.published,
            writer,
            writer_epoch_min: report
                .epoch
                .saturating_add(u32::from(report.verdict != Verdict::Live)),
            index: IndexLock::new(index, opener.clone()),
            pins: Arc::new(Pins::new(opener.clone())),
            opener,
            workspaces: Workspaces::default(),
            recording: opening.recording,
            recheck_commits,
        };
        let background = Mutex::new(background);
        Ok(Store { shared: Arc::new(shared), background, report })
    }
}
