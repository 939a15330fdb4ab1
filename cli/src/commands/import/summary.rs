//! What became of the files.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use console::style;
use kinlog_temporal::{Imported, Outcome};

use crate::ui::{self, Align, Output, Table};

#[derive(Default)]
pub(super) struct Summary {
    written: u64,
    resumed: u64,
    already_there: u64,
    under_other_id: u64,
    events: u64,
    commits: u64,
    /// What is kept without being known.
    unknown: u64,
    /// Of the files that were read.
    pub(super) bytes: u64,
    /// Files and reasons, as they can be shown.
    failures: Vec<(String, String)>,
}

impl Summary {
    pub(super) fn add(&mut self, imported: &Imported, unknown: usize) {
        let count = match imported.outcome {
            Outcome::Written => &mut self.written,
            Outcome::Resumed => &mut self.resumed,
            Outcome::AlreadyThere => &mut self.already_there,
        };
        *count += 1;
        self.under_other_id += u64::from(imported.under_other_id);
        self.events += imported.events as u64;
        self.commits += imported.commits as u64;
        self.unknown += unknown as u64;
    }

    /// Adds what was written of a history before the store failed.
    pub(super) fn add_part(&mut self, events: usize, commits: usize) {
        self.events += events as u64;
        self.commits += commits as u64;
    }

    pub(super) fn fail(&mut self, path: &Path, reason: String) {
        self.failures.push((ui::path(path), ui::plain(&reason).into_owned()));
    }

    pub(super) fn failed(&self) -> bool {
        !self.failures.is_empty()
    }

    pub(super) fn print(&self, elapsed: Duration, out: &mut Output) -> io::Result<()> {
        self.print_failures(out)?;
        let mut table = Table::new([("", Align::Right), ("", Align::Left)]).indent(2);
        let mut say = |count: u64, what: String| {
            if count > 0 {
                table.row([ui::count(count), what]);
            }
        };
        say(self.written, ui::check("imported").to_string());
        say(self.resumed, ui::check("resumed, having been imported in part").to_string());
        say(self.already_there, "already there".to_owned());
        let failed = style("failed").red();
        say(self.failures.len() as u64, format!("{failed}, for the reasons above"));
        table.print(out)?;
        match self.under_other_id {
            0 => {}
            1 => writeln!(
                out,
                "  1 of them is kept under another id: its own is taken by other events"
            )?,
            many => writeln!(
                out,
                "  {many} of them are kept under other ids: their own are taken by other events"
            )?,
        }
        if self.unknown > 0 {
            writeln!(out, "  {} kept", ui::many(self.unknown, "unknown field"))?;
        }
        let (events, commits) = (ui::many(self.events, "event"), ui::many(self.commits, "commit"));
        let (bytes, time) = (ui::bytes(self.bytes), ui::span(elapsed));
        let speed = match self.events {
            0 => String::new(),
            events => format!(", {}", ui::rate(events, elapsed)),
        };
        let line = format!("{events} in {commits} written from {bytes} of files in {time}{speed}");
        writeln!(out, "  {}", ui::dim(line))
    }

    fn print_failures(&self, out: &mut Output) -> io::Result<()> {
        if self.failures.is_empty() {
            return Ok(());
        }
        // Beside each other only if nothing is cut: a reason must be readable to its end.
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
        let paths = self.failures.iter().map(|(path, _)| path);
        let paths = widest(&mut paths.map(|path| console::measure_text_width(path)));
        let reasons = self.failures.iter().map(|(_, reason)| reason);
        let reasons = widest(&mut reasons.map(|reason| console::measure_text_width(reason)));
        if out.width().is_none_or(|width| paths + 2 + reasons <= width) {
            let mut table = Table::new([("FAILED", Align::Left), ("REASON", Align::Left)]);
            for (path, reason) in &self.failures {
                table.row([path.clone(), reason.clone()]);
            }
            table.print(out)?;
        } else {
            for (path, reason) in &self.failures {
                writeln!(out, "{} {path}", style("✗").red())?;
                writeln!(out, "  {}", ui::dim(reason))?;
            }
        }
        writeln!(out)
    }
}
