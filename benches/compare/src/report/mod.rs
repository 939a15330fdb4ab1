//! The report: Markdown, CSV and plots.

pub mod chart;
pub mod number;
mod overview;
mod plots;
mod tables;

use std::fmt::Write;
use std::path::Path;

use crate::engine::Result;
use crate::machine;
use crate::runner::Runner;

/// Writes everything below `out`, and the Markdown to the standard output too.
pub fn write(runner: &Runner, stores: &Path, out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let samples = &runner.samples;
    let mut text = introduction(runner, stores)?;
    text += &overview::table(samples)?;
    for table in tables::all(samples, &runner.notes)? {
        text += &table;
    }
    for plot in plots::draw(samples, out)? {
        writeln!(text, "![{plot}]({plot})\n")?;
    }
    std::fs::write(out.join("report.md"), &text)?;
    std::fs::write(out.join("results.csv"), samples.to_csv())?;
    print!("{text}");
    Ok(())
}

fn introduction(runner: &Runner, stores: &Path) -> Result<String> {
    let mut text = String::from("# kinlog beside other stores\n\n");
    for (name, value) in machine::describe(stores) {
        writeln!(text, "- {name}: {value}")?;
    }
    text += "\nEvery cell is the median of all rounds, and the lowest and the highest in brackets. \
             Ratios are taken round by round, and theirs is the median too. *sync* is what 4 KiB \
             written and synced cost right before. N/A: the engine does not do this. The best \
             engine of a column is bold.\n\n";
    text += "| engine | version | set up |\n|---|---|---|\n";
    for peer in runner.peers() {
        writeln!(text, "| {} | {} | {} |", peer.name, peer.version, peer.setup)?;
    }
    text.push('\n');
    Ok(text)
}
