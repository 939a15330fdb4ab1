//! The report: measures down, sizes across.

use std::fmt::Write;
use std::path::Path;

use crate::engine::Result;
use crate::engines::kinlog;
use crate::machine;
use crate::report::number::{number, spread};
use crate::sample::Samples;

/// The name of the report.
pub const FILE: &str = "years.md";

/// A figure: its name, what it says, its unit, and the goal in that unit.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ROWS: [Row; 35] = [
    ("open", "opening after a clean close", "ms", "20, flat within 2 ×"),
    ("open-cpu", "the same, processor time", "ms", ""),
    ("open-killed", "opening after a kill", "ms", "300"),
    ("open-killed-buffered", "the same, all commits buffered", "ms", "300"),
    ("open-cold", "opening after a clean close, cold", "ms", ""),
    ("anonymous", "anonymous memory after opening", "MiB", "32 + 400 B an open run: 36"),
    ("resident", "resident memory after opening, maps included", "MiB", ""),
    ("run", "a closed run by id", "ns", "5,000"),
    ("run-absent", "an absent run id", "ns", "2,000"),
    ("workflow", "a closed run by workflow id", "ns", "5,000"),
    ("workflow-absent", "an absent workflow id", "ns", "2,000"),
    ("run-cold", "a closed run by id, cold", "ns", ""),
    ("run-absent-cold", "an absent run id, cold", "ns", ""),
    ("workflow-cold", "a closed run by workflow id, cold", "ns", ""),
    ("workflow-absent-cold", "an absent workflow id, cold", "ns", ""),
    ("children", "the 1,000 children of a closed parent", "ms", "1"),
    ("newest", "a page of the 100 runs that closed last", "µs", ""),
    ("history-closed", "the history of a closed run", "ns", ""),
    ("history-open", "the history of an open run that lies beside it", "ns", ""),
    ("history-ratio", "the one over the other", "×", "1.2"),
    ("history-cold", "the history of a closed run, cold", "ns", ""),
    ("beside-share", "durable commits while the index is written, a share of all", "", ""),
    ("beside-p50", "their p50", "µs", ""),
    ("beside-p50-ratio", "over that of the others", "×", ""),
    ("beside-p99", "their p99", "µs", ""),
    ("beside-p99-ratio", "over that of the others", "×", "2"),
    ("log", "log in use, for each run", "B", ""),
    ("index", "index, for each closed run", "B", "150, a child 200: 167"),
    ("log-files", "files of the log", "MiB", ""),
    ("index-files", "files of the index", "MiB", ""),
    ("other-files", "other files", "MiB", ""),
    ("written", "written while filling, for each run", "B", ""),
    ("settle", "merging what was left to be merged then", "s", ""),
    ("written-merging", "written for that, for each run", "B", ""),
    ("show", "`kinlog show` of one run, a whole process", "ms", "50"),
];

const ABOUT: &str = "\
Each run has a Started and a Completed event, and names of realistic length; every third one is a child, reported to \
its parent, and at most 10,000 are open. It was filled as fast as that goes, and then open until the index had nothing left to merge. Opening is until a closed run was found, each in a process of its own, as is all \
else. After a kill: some thousand runs were committed durably, or buffered and synced in the end, as fast as it goes, and the last \
segment of 64 MiB was nearly full. Look-ups are the median of 5 rounds over 100,000 random picks that are new in each round, the page cache warm; \
cold, over 1,000 picks before which nothing of the store was in memory. Histories are those of all open runs, and of \
as many that lie beside them. Durable commits come 500 a second for 30 s, one run each, while another thread loads 20,000 runs a \
second, so that files of the index are written and merged; a latency counts from when the commit was due. Cells with brackets are the median of all rounds, the lowest and the highest.\n\n";

/// What the figures of a size go by.
pub fn key(runs: u32) -> String {
    format!("years/{runs}")
}

pub fn unit(metric: &str) -> &'static str {
    let row = ROWS.iter().find(|(name, ..)| *name == metric);
    // That of the time to fill, which is said below the table.
    row.map_or("s", |(_, _, unit, _)| unit)
}

/// Writes the table and all figures below `out`.
pub fn write(samples: &Samples, stores: &Path, sizes: &[u32], out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let mut text = String::from("# Stores of many years\n\n");
    for (name, value) in machine::describe(&stores.canonicalize()?) {
        writeln!(text, "- {name}: {value}")?;
    }
    writeln!(text, "\n{ABOUT}{}", table(samples, sizes)?)?;
    for runs in sizes {
        if let Some(fill) = samples.spread(&key(*runs), kinlog::PEER.name, "fill") {
            let (runs, seconds) = (number(f64::from(*runs)), number(fill.median));
            writeln!(text, "- {runs} runs were filled in {seconds} s")?;
        }
    }
    std::fs::write(out.join(FILE), text)?;
    std::fs::write(out.join("years.csv"), samples.to_csv())?;
    Ok(())
}

fn table(samples: &Samples, sizes: &[u32]) -> Result<String> {
    let mut text = String::from("| measure | unit | goal |");
    for runs in sizes {
        write!(text, " {} runs |", number(f64::from(*runs)))?;
    }
    writeln!(text, "\n|---|---|---|{}", "---|".repeat(sizes.len()))?;
    for (name, about, unit, goal) in ROWS {
        let figure = |runs: &u32| samples.spread(&key(*runs), kinlog::PEER.name, name);
        let cells: Vec<_> = sizes.iter().map(figure).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.iter().map(|cell| cell.as_ref().map_or_else(String::new, spread));
            let cells = cells.collect::<Vec<_>>().join(" | ");
            writeln!(text, "| {about} | {unit} | {goal} | {cells} |")?;
        }
    }
    Ok(text)
}
