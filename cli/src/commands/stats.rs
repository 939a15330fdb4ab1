//! `kinlog stats`: what the store holds, and what every byte of its files is.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use kinlog::admin::IndexStats;
use kinlog::retention::{Compacted, Compaction};
use kinlog::{RunFilter, Stats, Store};
use serde::Serialize;

use super::consumers::ConsumerLine;
use super::segments::{self, SegmentLine};
use crate::args::StatsArgs;
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Align, Output, Table};

pub(crate) fn stats(store: &Path, args: &StatsArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let store = open::to_read(store)?;
    let stats = store.stats()?;
    let temporal = temporal(&store)?;
    let reading = ui::spinner("read the log");
    let space = store.space(&Compaction::new())?;
    reading.finish_and_clear();
    match args.json {
        true => out.json(&Report::of(&stats, &temporal, &space))?,
        false => {
            print(&store, &stats, &temporal, out)?;
            writeln!(out)?;
            segments::print(&space.segments, args.all, "would be rewritten", out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The recorded runs of Temporal, as protobuf.
#[derive(Default, Serialize)]
struct Temporal {
    runs: u64,
    protobuf_bytes: u64,
    /// Of the log, if there is nothing else in it.
    log_per_protobuf_byte: Option<f64>,
}

fn temporal(store: &Store) -> Result<Temporal, Failure> {
    let snapshot = store.snapshot();
    let mut temporal = Temporal::default();
    let bar = ui::count_bar(store.stats()?.runs, "measure", "runs");
    for run in bar.wrap_iter(snapshot.runs(RunFilter::all())) {
        let run = run?;
        if !run.is_imported || run.deleted.is_some() {
            continue;
        }
        match kinlog_temporal::export(&snapshot.history(&run.id)?) {
            Ok(history) => {
                temporal.runs += 1;
                temporal.protobuf_bytes += history.to_proto().len() as u64;
            }
            Err(kinlog_temporal::ExportError::Store(error)) => return Err(error.into()),
            // Recorded, but not by Temporal.
            Err(_) => {}
        }
    }
    bar.finish_and_clear();
    let stats = store.stats()?;
    if temporal.runs == stats.runs {
        temporal.log_per_protobuf_byte = ui::ratio(stats.log_bytes(), temporal.protobuf_bytes);
    }
    Ok(temporal)
}

#[derive(Serialize)]
struct Report<'a> {
    runs: u64,
    open_runs: u64,
    deleted_runs: u64,
    deleted_histories: Deleted,
    relations: u64,
    index_bytes_per_run: u64,
    index_bytes_per_relation: u64,
    commits: u64,
    events: u64,
    payload_bytes: u64,
    event_bytes: u64,
    frame_bytes: u64,
    row_bytes: u64,
    header_bytes: u64,
    piece_bytes: u64,
    tail_bytes: u64,
    free_bytes: u64,
    administration_bytes: u64,
    index_bytes: u64,
    quarantine_bytes: u64,
    file_bytes: u64,
    log_bytes: u64,
    accounted_bytes: u64,
    compacted_segments: u64,
    packed_segments: u64,
    unpacked_bytes: u64,
    packed_bytes: u64,
    dropped_bytes: u64,
    held_bytes: u64,
    consumers: Vec<ConsumerLine<'a>>,
    index: Index<'a>,
    temporal: &'a Temporal,
    segments: Vec<SegmentLine>,
}

/// Histories that were deleted, and are in the log until a compaction.
#[derive(Serialize)]
struct Deleted {
    histories: u64,
    events: u64,
    bytes: u64,
}

/// Where the index is, as this process has it.
#[derive(Serialize)]
struct Index<'a> {
    hot_bytes: u64,
    frozen_layers: u64,
    frozen_bytes: u64,
    waiting_layers: u64,
    oldest_reader: Option<u64>,
    resident_bytes: u64,
    files: u64,
    unmerged_files: u64,
    mapped_bytes: u64,
    list_bytes: u64,
    last_error: Option<&'a str>,
}

impl<'a> Index<'a> {
    fn of(stats: &'a IndexStats) -> Self {
        Index {
            hot_bytes: stats.hot_bytes,
            frozen_layers: stats.frozen_layers,
            frozen_bytes: stats.frozen_bytes,
            waiting_layers: stats.waiting_layers,
            oldest_reader: stats.oldest_reader.map(kinlog::Position::as_u64),
            resident_bytes: stats.resident_bytes,
            files: stats.files,
            unmerged_files: stats.unmerged_files,
            mapped_bytes: stats.mapped_bytes,
            list_bytes: stats.list_bytes,
            last_error: stats.last_error.as_deref(),
        }
    }
}

impl<'a> Report<'a> {
    fn of(stats: &'a Stats, temporal: &'a Temporal, space: &Compacted) -> Self {
        Report {
            runs: stats.runs,
            open_runs: stats.open_runs,
            deleted_runs: stats.deleted_runs,
            deleted_histories: Deleted {
                histories: stats.deleted_histories.runs,
                events: stats.deleted_histories.events,
                bytes: stats.deleted_histories.bytes,
            },
            relations: stats.relations,
            index_bytes_per_run: stats.index_bytes_per_run,
            index_bytes_per_relation: stats.index_bytes_per_relation,
            commits: stats.commits,
            events: stats.events,
            payload_bytes: stats.payload_bytes,
            event_bytes: stats.event_bytes,
            frame_bytes: stats.frame_bytes,
            row_bytes: stats.row_bytes,
            header_bytes: stats.header_bytes,
            piece_bytes: stats.piece_bytes,
            tail_bytes: stats.tail_bytes,
            free_bytes: stats.free_bytes,
            administration_bytes: stats.administration_bytes,
            index_bytes: stats.index_bytes,
            quarantine_bytes: stats.quarantine_bytes,
            file_bytes: stats.file_bytes,
            log_bytes: stats.log_bytes(),
            accounted_bytes: stats.accounted_bytes(),
            compacted_segments: stats.compacted_segments,
            packed_segments: stats.packed_segments,
            unpacked_bytes: stats.unpacked_bytes,
            packed_bytes: stats.packed_bytes,
            dropped_bytes: stats.dropped_bytes,
            held_bytes: stats.held_bytes,
            consumers: stats.consumers.iter().map(ConsumerLine::of).collect(),
            index: Index::of(&stats.index),
            temporal,
            segments: space.segments.iter().map(SegmentLine::of).collect(),
        }
    }
}

fn print(
    store: &Store,
    stats: &Stats,
    temporal: &Temporal,
    out: &mut Output,
) -> Result<(), Failure> {
    out.prose(0, ui::bold(ui::path(store.path())))?;
    let runs = ui::many(stats.runs, "run");
    let open = ui::count(stats.open_runs);
    let (events, commits) = (ui::many(stats.events, "event"), ui::many(stats.commits, "commit"));
    out.prose(2, format!("{runs} ({open} open), {events}, {commits}"))?;
    let deleted = &stats.deleted_histories;
    if deleted.runs > 0 {
        let (histories, bytes) = (ui::many(deleted.runs, "history"), ui::bytes(deleted.bytes));
        out.prose(2, format!("{histories} deleted, of {bytes}"))?;
    }
    if stats.compacted_segments > 0 {
        let segments = ui::many(stats.compacted_segments, "segment");
        let dropped = ui::bytes(stats.dropped_bytes);
        out.prose(2, format!("{segments} compacted, without {dropped} that were dead"))?;
    }
    if let Some(ratio) = ui::ratio(stats.packed_bytes, stats.unpacked_bytes) {
        let segments = ui::many(stats.packed_segments, "segment");
        let (from, to) = (ui::bytes(stats.unpacked_bytes), ui::bytes(stats.packed_bytes));
        out.prose(2, format!("{segments} packed, {from} in {to}: {ratio:.3}"))?;
    }
    if let Some(slowest) = stats.consumers.iter().min_by_key(|it| it.position) {
        let consumers = ui::many(stats.consumers.len() as u64, "consumer");
        let (name, behind) = (ui::plain(&slowest.name), ui::bytes(slowest.behind_bytes));
        out.prose(2, format!("{consumers}, the slowest {name}, {behind} behind"))?;
    }
    writeln!(out)?;
    sizes(stats).print(out)?;
    let log = stats.log_bytes();
    writeln!(out)?;
    let columns = [("", Align::Left), ("", Align::Right), ("", Align::Left)];
    let mut table = Table::new(columns).indent(2).spare([2]);
    let mut compare = |what: &str, bytes: u64, ratio: Option<f64>| {
        let Some(ratio) = ratio else { return };
        let sizes = format!("{} / {}", ui::bytes(log), ui::bytes(bytes));
        let ratio = ui::bold(format!("{ratio:.3}")).to_string();
        table.row([what.to_owned(), ratio, ui::dim(sizes).to_string()]);
    };
    compare("log / payloads", stats.payload_bytes, ui::ratio(log, stats.payload_bytes));
    let protobuf = (temporal.protobuf_bytes, temporal.log_per_protobuf_byte);
    compare("log / Temporal's protobuf", protobuf.0, protobuf.1);
    table.print(out)?;
    let (run, relation) = (stats.index_bytes_per_run, stats.index_bytes_per_relation);
    let relations = ui::many(stats.relations, "relation");
    writeln!(out)?;
    let index = &stats.index;
    let (hot, frozen) = (ui::bytes(index.hot_bytes), ui::bytes(index.frozen_bytes));
    let layers = ui::many(index.frozen_layers, "frozen layer");
    let (resident, mapped) = (ui::bytes(index.resident_bytes), ui::bytes(index.mapped_bytes));
    let files = match index.unmerged_files {
        0 => ui::many(index.files, "file"),
        unmerged => format!("{}, {unmerged} to be merged", ui::many(index.files, "file")),
    };
    out.prose(
        2,
        format!("index: {hot} hot, {frozen} in {layers}, {resident} resident, {mapped} in {files}"),
    )?;
    let memory = format!("hot: {run} B a run, {relation} B a relation; {runs}, {relations} in all");
    out.prose(2, memory)?;
    if temporal.runs > 0 && temporal.runs < stats.runs {
        let (runs, bytes) = (ui::many(temporal.runs, "run"), ui::bytes(temporal.protobuf_bytes));
        out.prose(2, format!("of Temporal: {runs}, {bytes} as protobuf"))?;
    }
    Ok(())
}

/// Every byte, by what it is for.
fn sizes(stats: &Stats) -> Table {
    let columns = [
        ("BYTES OF", Align::Left),
        ("", Align::Right),
        ("", Align::Right),
        ("SHARE", Align::Right),
    ];
    let mut table = Table::new(columns).indent(2).spare([1, 3]);
    let mut row = |what: &str, bytes: u64, sum: bool| {
        let cells = [
            what.to_owned(),
            ui::count(bytes),
            ui::bytes(bytes),
            ui::share(bytes, stats.file_bytes),
        ];
        table.row(cells.map(|cell| if sum { ui::bold(cell).to_string() } else { cell }));
    };
    row("event headers and fields", stats.event_bytes - stats.payload_bytes, false);
    row("event payloads", stats.payload_bytes, false);
    row("frames and batch headers", stats.frame_bytes, false);
    row("rows of tables", stats.row_bytes, false);
    row("segment headers", stats.header_bytes, false);
    row("tables of pieces", stats.piece_bytes, false);
    row("ends of full segments", stats.tail_bytes, false);
    let saved = stats.unpacked_bytes.saturating_sub(stats.packed_bytes);
    if saved > 0 {
        row("of these, saved by packing", saved, false);
    }
    row("the log", stats.log_bytes(), true);
    row("space for commits to come", stats.free_bytes, false);
    row("manifest and lock", stats.administration_bytes, false);
    row("index", stats.index_bytes, false);
    row("quarantine", stats.quarantine_bytes, false);
    row("all files", stats.file_bytes, true);
    table
}
