//! What the demo says at the end.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use kinlog::admin::VerifyReport;
use kinlog::{OpenReport, Settled, Size, Stats, Store};

use super::workload::{PARENT, Workload};
use crate::args::DEFAULT_STORE;
use crate::failure::Failure;
use crate::ui::{self, Align, Output, Table};

/// What followed from the parent's close.
pub(super) struct FanOut {
    /// How long the close itself took.
    pub(super) closed: Duration,
    /// What it opened.
    pub(super) duties: u64,
    /// How long it took to list that.
    pub(super) planned: Duration,
    pub(super) settled: Settled,
    /// How long it took to do it, until it was on the device.
    pub(super) applied: Duration,
}

pub(super) struct Report<'a> {
    pub(super) workload: &'a Workload,
    /// The store before the parent closed.
    pub(super) before: Stats,
    pub(super) worked: Duration,
    pub(super) fan_out: FanOut,
    pub(super) tree: Size,
    /// The store at the end.
    pub(super) stats: Stats,
    pub(super) reopened: OpenReport,
    pub(super) verified: (VerifyReport, Duration),
}

impl Report<'_> {
    pub(super) fn print(&self, out: &mut Output) -> Result<(), Failure> {
        let mut table =
            Table::new([("", Align::Left), ("", Align::Right), ("", Align::Left)]).indent(2);
        let mut say = |what: &str, number: String, more: String| {
            table.row([ui::dim(what).to_string(), ui::bold(number).to_string(), more]);
        };
        self.say_work(&mut say);
        self.say_fan_out(&mut say);
        self.say_store(&mut say);
        writeln!(out)?;
        table.print(out)?;
        Ok(())
    }

    fn say_work(&self, say: &mut impl FnMut(&str, String, String)) {
        let Report { workload, before, worked, .. } = self;
        let policies = "terminate, request cancel, abandon, in turn".to_owned();
        say("children", ui::count(workload.children), policies);
        say("events", ui::count(before.events), ui::rate(before.events, *worked));
        say("commits", ui::count(before.commits), ui::rate(before.commits, *worked));
        say("time", ui::span(*worked), workload.how_durable().to_owned());
    }

    fn say_fan_out(&self, say: &mut impl FnMut(&str, String, String)) {
        let FanOut { closed, duties, planned, settled, applied } = &self.fan_out;
        let opened = format!("one commit; it opened {}", duty(*duties));
        say("parent closed in", ui::span(*closed), opened);
        say("fan-out planned in", ui::span(*planned), format!("{} listed", duty(*duties)));
        let commits = ui::many(settled.commits, "commit");
        let done = format!("{} settled in {commits}, on the device", duty(settled.duties));
        say("fan-out applied in", ui::span(*applied), done);
    }

    fn say_store(&self, say: &mut impl FnMut(&str, String, String)) {
        let (stats, tree) = (&self.stats, &self.tree);
        let events = format!("{} of {}", ui::bytes(tree.bytes), ui::many(tree.events, "event"));
        say("runs in the tree", ui::count(tree.runs), events);
        let per_event = ui::ratio(stats.log_bytes(), stats.events).unwrap_or_default();
        let free = format!("and {} free for commits to come", ui::bytes(stats.free_bytes));
        say("log", ui::bytes(stats.log_bytes()), format!("{per_event:.1} B an event, {free}"));
        let (replayed, commits) = (ui::count(self.reopened.replayed), self.reopened.commits);
        let replayed = format!("{replayed} of {} replayed", ui::many(commits, "commit"));
        say("reopened in", ui::span(self.reopened.elapsed), replayed);
        let (report, time) = &self.verified;
        let sound = format!("{}, every event, sum and relation", ui::check("✓ sound"));
        say("verified in", ui::span(*time), format!("{sound} of {}", ui::many(report.runs, "run")));
    }
}

fn duty(number: u64) -> String {
    let duties = if number == 1 { "duty" } else { "duties" };
    format!("{} {duties}", ui::count(number))
}

/// What to type next.
pub(super) fn print_next(store: &Store, out: &mut Output) -> Result<(), Failure> {
    let option = match store.path() {
        path if path == Path::new(DEFAULT_STORE) => String::new(),
        path => format!(" --store {}", ui::path(path)),
    };
    let mut table = Table::new([("", Align::Left), ("", Align::Left)]).indent(2);
    for (command, what) in [
        (format!("tree {PARENT}"), "the parent and its children"),
        (format!("children {PARENT} --state closed"), "what became of them"),
        (format!("show {PARENT} --limit 20"), "the parent's events"),
        ("stats".to_owned(), "what every byte is"),
    ] {
        table.row([
            ui::head(format!("kinlog{option} {command}")).to_string(),
            ui::dim(what).to_string(),
        ]);
    }
    writeln!(out, "\nSee for yourself:")?;
    table.print(out)?;
    Ok(())
}
