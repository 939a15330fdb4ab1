//! The one table that says it all: kinlog beside the bare loop and the best peer of each row.

use std::fmt::Write;

use super::number::{NOT_APPLICABLE, number, spread};
use crate::engine::Result;
use crate::engines::{bare, kinlog};
use crate::sample::Samples;
use crate::workloads::{Better, Metric, ROWS, Workload};

/// Every figure of the rows.
pub fn rows() -> impl Iterator<Item = (&'static Workload, &'static Metric)> {
    ROWS.iter().flat_map(|workload| workload.metrics.iter().map(move |metric| (workload, metric)))
}

/// Empty if no row was measured.
pub fn table(samples: &Samples) -> Result<String> {
    let mut text = String::new();
    for (workload, metric) in rows() {
        let figure = |engine: &str| samples.spread(workload.name, engine, metric.name);
        let Some(own) = figure(kinlog::PEER.name) else { continue };
        let cell = |it: Option<String>| it.unwrap_or_else(|| NOT_APPLICABLE.to_owned());
        let loops = figure(bare::PEER.name).map(|it| number(it.median));
        let best = best_peer(samples, workload, metric);
        let best_figure = best.and_then(figure).map(|it| number(it.median));
        let best_cell = best.zip(best_figure).map(|(name, value)| format!("{value} {name}"));
        let ahead =
            |base| advantage(samples, workload, metric, base).map(|it| format!("×{}", number(it)));
        let to_bare = cell(ahead(bare::PEER.name));
        let to_best = cell(best.and_then(ahead));
        let (title, name, unit) = (workload.title, metric.name, metric.unit);
        let (own, loops, best) = (spread(&own), cell(loops), cell(best_cell));
        writeln!(
            text,
            "| {title} | {name}, {unit} | {own} | {loops} | {to_bare} | {best} | {to_best} |"
        )?;
    }
    if text.is_empty() {
        return Ok(text);
    }
    let head = "## In short\n\nHow many times better kinlog is than the bare loop, which does the \
                least that a log can, and than the best other store: above 1 kinlog is better, \
                below 1 the other one is.\n\n\
                | work | figure | kinlog | bare | over bare | best peer | over best peer |\n\
                |---|---|---|---|---|---|---|\n";
    Ok(format!("{head}{text}\n"))
}

/// How many times better kinlog is.
fn advantage(samples: &Samples, workload: &Workload, metric: &Metric, base: &str) -> Option<f64> {
    let ratio = samples.ratio(workload.name, metric.name, kinlog::PEER.name, base)?.median;
    Some(if metric.better == Better::More { ratio } else { 1.0 / ratio })
}

/// The best store besides kinlog.
fn best_peer<'a>(samples: &'a Samples, workload: &Workload, metric: &Metric) -> Option<&'a str> {
    let own = [kinlog::PEER.name, bare::PEER.name];
    let peers = samples.engines().into_iter().filter(|engine| !own.contains(engine));
    best(samples, workload.name, metric, peers)
}

/// The engine with the best median.
pub fn best<'a>(
    samples: &Samples,
    workload: &str,
    metric: &Metric,
    engines: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let figure = |engine| Some((engine, samples.spread(workload, engine, metric.name)?.median));
    let figures = engines.filter_map(figure);
    let best = match metric.better {
        Better::Less => figures.min_by(|a, b| a.1.total_cmp(&b.1)),
        Better::More => figures.max_by(|a, b| a.1.total_cmp(&b.1)),
    };
    best.map(|(engine, _)| engine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn samples(figures: [(&str, f64); 3]) -> Samples {
        let metric = &ROWS[0].metrics[1];
        let sample = |(engine, value): (&str, f64)| Sample {
            workload: ROWS[0].name.into(),
            engine: engine.into(),
            round: 0,
            metric: metric.name.into(),
            value,
            unit: metric.unit.into(),
            fsync_us: 0.0,
        };
        Samples(figures.map(sample).to_vec())
    }

    #[test]
    fn above_one_kinlog_is_better() {
        let samples = samples([("kinlog", 20.0), ("one", 10.0), ("two", 5.0)]);
        let (workload, metric) = (&ROWS[0], &ROWS[0].metrics[1]);
        assert_eq!(metric.better, Better::More);
        assert_eq!(best_peer(&samples, workload, metric), Some("one"));
        assert_eq!(advantage(&samples, workload, metric, "one"), Some(2.0));
        let less = Metric { better: Better::Less, ..*metric };
        assert_eq!(best_peer(&samples, workload, &less), Some("two"));
        assert_eq!(advantage(&samples, workload, &less, "two"), Some(0.25));
    }
}
