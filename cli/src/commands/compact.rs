//! `kinlog compact`: gives back the space of what is dead.

use std::path::Path;
use std::process::ExitCode;

use kinlog::Position;
use kinlog::retention::{Compacted, Compaction, Erased, HeldBack};
use serde::Serialize;

use super::segments::{self, SegmentLine};
use crate::args::CompactArgs;
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Output};

pub(crate) fn compact(
    store: &Path,
    args: &CompactArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let mut compaction = Compaction::new().dead_percent(args.dead);
    if let Some(position) = args.keep_from {
        compaction = compaction.keep_from(Position::from_u64(position));
    }
    if args.pack {
        compaction = compaction.pack();
    }
    let mut erased = None;
    let done = match args.dry_run {
        true => open::to_read(store)?.space(&compaction)?,
        false => {
            let store = open::to_change(store)?;
            if args.erase {
                erased = Some(store.erase()?);
            }
            let bar = ui::spinner("compact");
            let done = store.compact_with(&compaction, &mut |segment| {
                bar.set_message(format!("segment {}", segment.segment));
                bar.tick();
            })?;
            bar.finish_and_clear();
            store.shut_down()?;
            done
        }
    };
    match args.json {
        true => out.json(&Report::of(&done, erased, args.dry_run))?,
        false => print(&done, erased, args, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_runs: Option<u64>,
    rewritten: u32,
    freed_bytes: u64,
    held_back: Option<Held>,
    segments: Vec<SegmentLine>,
}

#[derive(Serialize)]
struct Held {
    consumer: Option<String>,
    position: u64,
    segments: u32,
    bytes: u64,
}

impl Report {
    fn of(done: &Compacted, erased: Option<Erased>, dry_run: bool) -> Self {
        Report {
            dry_run,
            erased_runs: erased.map(|erased| erased.runs),
            rewritten: done.rewritten,
            freed_bytes: done.freed_bytes,
            held_back: done.held_back.as_ref().map(held),
            segments: done.segments.iter().map(SegmentLine::of).collect(),
        }
    }
}

fn held(held: &HeldBack) -> Held {
    let HeldBack { consumer, position, segments, bytes, .. } = held.clone();
    Held { consumer, position: position.as_u64(), segments, bytes }
}

fn print(
    done: &Compacted,
    erased: Option<Erased>,
    args: &CompactArgs,
    out: &mut Output,
) -> Result<(), Failure> {
    if let Some(erased) = erased {
        let (runs, left) = (ui::many(erased.runs, "deleted run"), erased.left);
        let left =
            if left == 0 { String::new() } else { format!("; {left} are still referred to") };
        out.prose(0, format!("{} {runs}{left}", ui::check("✓ erased")))?;
    }
    let rewritten = if args.dry_run { "would be rewritten" } else { "rewritten" };
    segments::print(&done.segments, args.all, rewritten, out)?;
    let (bytes, these) = (ui::bytes(done.freed_bytes), ui::many(done.rewritten, "segment"));
    let told = match args.dry_run {
        true => format!("{bytes} would come back from {these}"),
        false => format!("{} {bytes} from {these}", ui::check("✓ freed")),
    };
    out.prose(0, told)?;
    if let Some(held) = &done.held_back {
        let who = held.consumer.as_deref().map_or("--keep-from".into(), ui::plain);
        let (these, bytes) = (ui::many(held.segments, "segment"), ui::bytes(held.bytes));
        let position = held.position.as_u64();
        out.prose(2, format!("{who}, at position {position}, holds back {these}, {bytes}"))?;
    }
    Ok(())
}
