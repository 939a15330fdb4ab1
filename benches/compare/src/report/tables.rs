//! A table for each workload: engines down, figures across.

use std::fmt::Write;

use super::number::{NOT_APPLICABLE, number, ratio, spread};
use super::overview::best;
use crate::engine::Result;
use crate::engines::{bare, kinlog};
use crate::runner::{Note, key};
use crate::sample::Samples;
use crate::workloads::{
    Better, CHILDREN, CLOSE, FAMILIES, FILL, GROW, GROWTH, Metric, ROWS, SPACE, STAGES, Workload,
};

/// The tables of all that was measured.
pub fn all(samples: &Samples, notes: &[Note]) -> Result<Vec<String>> {
    let mut tables = vec![];
    for workload in ROWS.iter().chain([&SPACE]) {
        if is_measured(samples, workload.name) {
            let fill = workload.place.fill().map(|fill| match fill.name {
                name if name == CLOSE.name => FILL.name.to_owned(),
                name => name.to_owned(),
            });
            let keys: Vec<_> = fill.into_iter().chain([workload.name.to_owned()]).collect();
            let parts = [heading(workload), table(samples, workload)?, remarks(notes, &keys)?];
            tables.push(parts.concat());
        }
    }
    let families = FAMILIES.map(|(children, _)| children);
    for (workload, sizes, unit) in
        [(&GROWTH, &STAGES[..], "events"), (&CHILDREN, &families, "children")]
    {
        let keys: Vec<_> = sizes.iter().map(|size| key(workload, Some(*size))).collect();
        if keys.iter().any(|key| is_measured(samples, key)) {
            let mut text = heading(workload);
            for metric in workload.metrics {
                text += &curve(samples, workload, metric, sizes, unit)?;
            }
            let fills = sizes.iter().map(|size| key(&GROW, Some(*size)));
            let keys: Vec<_> = keys.into_iter().chain(fills).collect();
            text += &remarks(notes, &keys)?;
            tables.push(text);
        }
    }
    Ok(tables)
}

fn is_measured(samples: &Samples, key: &str) -> bool {
    samples.0.iter().any(|sample| sample.workload == key)
}

fn heading(workload: &Workload) -> String {
    format!("## {}\n\n{}\n\n", workload.title, workload.about)
}

fn table(samples: &Samples, workload: &Workload) -> Result<String> {
    let engines = samples.engines();
    let has_bare =
        |metric: &Metric| samples.spread(workload.name, bare::PEER.name, metric.name).is_some();
    let mut head = vec!["engine".to_owned()];
    for metric in workload.metrics {
        head.extend([described(metric), "÷ kinlog".to_owned()]);
        head.extend(has_bare(metric).then(|| "÷ bare".to_owned()));
    }
    head.push("sync, µs".to_owned());
    let mut text = row(&head)?;
    text += &row(&vec!["---".to_owned(); head.len()])?;
    for engine in &engines {
        let mut cells = vec![(*engine).to_owned()];
        for metric in workload.metrics {
            cells.push(cell(samples, workload.name, metric, engine));
            let over = |base| ratio(samples.ratio(workload.name, metric.name, engine, base));
            cells.push(over(kinlog::PEER.name));
            cells.extend(has_bare(metric).then(|| over(bare::PEER.name)));
        }
        let sync = |metric: &Metric| samples.fsync(workload.name, engine, metric.name);
        let sync = workload.metrics.iter().find_map(sync);
        cells.push(sync.map_or_else(|| NOT_APPLICABLE.to_owned(), |it| number(it.median)));
        text += &row(&cells)?;
    }
    Ok(text + "\n")
}

/// A figure over sizes.
fn curve(
    samples: &Samples,
    workload: &Workload,
    metric: &Metric,
    sizes: &[u64],
    unit: &str,
) -> Result<String> {
    let mut head = vec![described(metric)];
    head.extend(sizes.iter().map(|size| format!("{} {unit}", number(*size as f64))));
    let mut text = row(&head)?;
    text += &row(&vec!["---".to_owned(); head.len()])?;
    for engine in samples.engines() {
        let mut cells = vec![engine.to_owned()];
        for size in sizes {
            let key = key(workload, Some(*size));
            let mut figure = cell(samples, &key, metric, engine);
            let base = samples.ratio(&key, metric.name, engine, kinlog::PEER.name);
            if engine != kinlog::PEER.name && base.is_some() {
                figure += &format!(" {}", ratio(base));
            }
            cells.push(figure);
        }
        let lacks = |cell: &String| cell == NOT_APPLICABLE;
        if !cells.iter().skip(1).all(lacks) {
            text += &row(&cells)?;
        }
    }
    Ok(text + "\n")
}

/// One figure, bold if no store has a better one.
fn cell(samples: &Samples, key: &str, metric: &Metric, engine: &str) -> String {
    let Some(figure) = samples.spread(key, engine, metric.name) else {
        return NOT_APPLICABLE.to_owned();
    };
    let stores = samples.engines().into_iter().filter(|engine| *engine != bare::PEER.name);
    let is_best = best(samples, key, metric, stores) == Some(engine);
    if is_best { format!("**{}**", spread(&figure)) } else { spread(&figure) }
}

fn described(metric: &Metric) -> String {
    let better = match metric.better {
        Better::Less => "less",
        Better::More => "more",
    };
    format!("{}, {} ({better} is better)", metric.name, metric.unit)
}

fn row(cells: &[String]) -> Result<String> {
    Ok(format!("| {} |\n", cells.join(" | ")))
}

/// Why figures are missing.
fn remarks(notes: &[Note], keys: &[String]) -> Result<String> {
    let mut text = String::new();
    let mut said: Vec<(&str, &str)> = vec![];
    for note in notes.iter().filter(|note| keys.contains(&note.key)) {
        if !said.contains(&(note.engine, &note.text)) {
            said.push((note.engine, &note.text));
            writeln!(text, "- {} {}", note.engine, note.text)?;
        }
    }
    text.push('\n');
    Ok(text)
}
