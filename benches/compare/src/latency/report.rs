//! The report on latencies: Markdown, CSV and curves.

use std::fmt::Write;
use std::path::Path;

use plotters::prelude::*;

use super::Outcome;
use super::tally::{STALL_SYNCS, Tally, longest, quantile};
use crate::engine::Result;
use crate::engines::kinlog;
use crate::machine;
use crate::report::chart::{self, Line, drawing};
use crate::report::number::{number, spread};
use crate::stats::Spread;

const FILES: [&str; 3] = ["latency.md", "latency.csv", "latency.svg"];

const ABOUT: &str = "\
Commits are due at even distances, and a latency counts from then on, also where the commit before \
was late. Figures are in µs, of all rounds together; in brackets the lowest and the highest round. \
*Sync* is what the committing thread waited for. The *rest* of a latency is what such syncs did not \
take; buffered commits have no business with the device, and theirs is all of it. What the machine \
gave to others is in the rest, that of the bare loop too. A *stall* is a rest of more than 10 times \
the bare loop's median sync, or where it has none, of what 4 KiB cost before each round. \
*Preparing*: the commits during which another thread prepared the next segment.\n\n";

/// Writes everything below `out`, and the Markdown to the standard output too.
pub fn write(outcomes: &[Outcome], out: &Path) -> Result<()> {
    std::fs::create_dir_all(out)?;
    let [text_name, csv_name, plot_name] = FILES;
    let mut text = String::from("# Latency of commits at fixed rates\n\n");
    for (name, value) in machine::describe(out) {
        writeln!(text, "- {name}: {value}")?;
    }
    write!(text, "\n{ABOUT}{}\n![{plot_name}]({plot_name})\n", table(outcomes)?)?;
    std::fs::write(out.join(text_name), &text)?;
    std::fs::write(out.join(csv_name), csv(outcomes)?)?;
    plot(outcomes, &out.join(plot_name))?;
    print!("{text}");
    Ok(())
}

const COLUMNS: [&str; 10] = [
    "scenario",
    "commits",
    "p50",
    "p99",
    "p99.9",
    "max",
    "sync p50",
    "sync max",
    "stalls",
    "longest rest",
];

fn table(outcomes: &[Outcome]) -> Result<String> {
    let mut text = row(&COLUMNS.map(str::to_owned));
    text += &row(&COLUMNS.map(|_| "---".to_owned()));
    for outcome in outcomes {
        let (name, about) = (outcome.scenario.name, outcome.scenario.about());
        let (rate, limit) = (number(outcome.rate.into()), number(STALL_SYNCS * outcome.sync));
        writeln!(text, "| **{name}**, {rate}/s: {about} | | | | | | | | > {limit} | |")?;
        for (name, rounds) in &outcome.targets {
            text += &rows(name, rounds, outcome.sync)?;
        }
    }
    Ok(text)
}

/// A target, and what of it was beside the preparing of a segment.
fn rows(name: &str, rounds: &[Tally], sync: f64) -> Result<String> {
    let sum = Tally::sum(rounds)?;
    let over_rounds = |q| {
        let of = |tally: &Tally| quantile(&tally.latency, q);
        let rounds: Vec<_> = rounds.iter().map(of).collect();
        let median = of(&sum);
        Spread::of(&rounds).map_or_else(String::new, |it| spread(&Spread { median, ..it }))
    };
    let mut text = row(&[
        name.to_owned(),
        sum.latency.len().to_string(),
        over_rounds(0.5),
        over_rounds(0.99),
        number(quantile(&sum.latency, 0.999)),
        number(longest(&sum.latency)),
        number(quantile(&sum.sync, 0.5)),
        number(longest(&sum.sync)),
        sum.stalls(sync).to_string(),
        number(longest(&sum.rest)),
    ]);
    if sum.prepared > 0 {
        let preparing = &sum.preparing;
        let name = format!("… preparing, {} times", sum.prepared);
        let figures = [0.5, 0.99, 0.999].map(|q| number(quantile(preparing, q)));
        let mut cells = vec![name, preparing.len().to_string()];
        cells.extend(figures);
        cells.push(number(longest(preparing)));
        cells.resize(COLUMNS.len(), String::new());
        text += &row(&cells);
    }
    Ok(text)
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn csv(outcomes: &[Outcome]) -> Result<String> {
    let mut text = String::from(
        "scenario,rate,engine,round,commits,p50_us,p99_us,p999_us,max_us,sync_p50_us,sync_max_us,\
         prepared,stalls,longest_rest_us\n",
    );
    for outcome in outcomes {
        let (scenario, rate) = (outcome.scenario.name, outcome.rate);
        for (name, rounds) in &outcome.targets {
            for (round, tally) in rounds.iter().enumerate() {
                let latency = &tally.latency;
                let figures = [
                    quantile(latency, 0.5),
                    quantile(latency, 0.99),
                    quantile(latency, 0.999),
                    longest(latency),
                    quantile(&tally.sync, 0.5),
                    longest(&tally.sync),
                    tally.prepared as f64,
                    tally.stalls(outcome.sync) as f64,
                    longest(&tally.rest),
                ];
                let figures: Vec<_> = figures.iter().map(ToString::to_string).collect();
                let (count, figures) = (latency.len(), figures.join(","));
                writeln!(text, "{scenario},{rate},{name},{round},{count},{figures}")?;
            }
        }
    }
    Ok(text)
}

/// A chart for each scenario, two in a row.
fn plot(outcomes: &[Outcome], path: &Path) -> Result<()> {
    const SIZE: (u32, u32) = (520, 300);
    let down = outcomes.len().div_ceil(2);
    let size = (2 * SIZE.0, SIZE.1 * u32::try_from(down)?);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(drawing)?;
    for (area, outcome) in root.split_evenly((down, 2)).iter().zip(outcomes) {
        let rate = number(outcome.rate.into());
        let title = format!("{}, {rate}/s: µs over 1 / (1 − quantile)", outcome.scenario.name);
        let mut lines = vec![];
        for (n, (name, rounds)) in outcome.targets.iter().enumerate() {
            let bold = *name == kinlog::PEER.name;
            let points = curve(&Tally::sum(rounds)?);
            lines.push(Line {
                name: (*name).to_owned(),
                colour: chart::colour(1 - n),
                bold,
                points,
            });
        }
        chart::draw(area, &title, &lines)?;
    }
    root.present().map_err(drawing)
}

/// The latency that one commit in 1, 2, 5, 10, … exceeds, and the longest.
fn curve(tally: &Tally) -> Vec<(f64, f64)> {
    let count = tally.latency.len() as f64;
    let steps = (0..).flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(decade)));
    let steps = steps.take_while(|one_in| *one_in < count);
    let point = |one_in: f64| (one_in, quantile(&tally.latency, 1.0 - 1.0 / one_in));
    steps.map(point).chain([(count, longest(&tally.latency))]).collect()
}
