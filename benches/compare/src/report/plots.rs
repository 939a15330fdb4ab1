//! The plots: ratios of all rows, and curves over the size of the store and over children.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{Area, FONT, GRID, INK, Line, colour, draw as draw_chart, drawing};
use super::number::number;
use super::overview::rows;
use crate::engine::Result;
use crate::engines::{self, kinlog};
use crate::runner::key;
use crate::sample::Samples;
use crate::workloads::{Better, CHILDREN, FAMILIES, GROWTH, Metric, STAGES, Workload};

/// Draws what there is to draw; the names of the files.
pub fn draw(samples: &Samples, out: &Path) -> Result<Vec<&'static str>> {
    let mut drawn = vec![];
    if bars(samples, &out.join("rows.svg"))? {
        drawn.push("rows.svg");
    }
    if curves(samples, &GROWTH, &STAGES, "events in the store", &out.join("growth.svg"))? {
        drawn.push("growth.svg");
    }
    let families = FAMILIES.map(|(children, _)| children);
    if curves(samples, &CHILDREN, &families, "children", &out.join("children.svg"))? {
        drawn.push("children.svg");
    }
    Ok(drawn)
}

/// A small chart for each metric, two in a row.
fn curves(
    samples: &Samples,
    workload: &Workload,
    sizes: &[u64],
    over: &str,
    path: &Path,
) -> Result<bool> {
    const SIZE: (u32, u32) = (520, 300);
    let lines = |metric| lines(samples, workload, metric, sizes);
    let charts: Vec<_> = workload.metrics.iter().map(|metric| (metric, lines(metric))).collect();
    let charts: Vec<_> = charts.into_iter().filter(|(_, lines)| !lines.is_empty()).collect();
    if charts.is_empty() {
        return Ok(false);
    }
    let down = charts.len().div_ceil(2);
    let size = (2 * SIZE.0, SIZE.1 * u32::try_from(down)?);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(drawing)?;
    for (area, (metric, lines)) in root.split_evenly((down, 2)).iter().zip(&charts) {
        draw_chart(area, &format!("{}, {}, over {over}", metric.name, metric.unit), lines)?;
    }
    root.present().map_err(drawing)?;
    Ok(true)
}

/// A line for each engine that has a figure.
fn lines(samples: &Samples, workload: &Workload, metric: &Metric, sizes: &[u64]) -> Vec<Line> {
    let mut lines = vec![];
    for (number, engine) in engines::all().iter().map(|peer| peer.name).enumerate() {
        let figure = |size| samples.spread(&key(workload, Some(size)), engine, metric.name);
        let point = |size: &u64| Some((*size as f64, figure(*size)?.median));
        let points: Vec<_> = sizes.iter().filter_map(point).filter(|(_, y)| *y > 0.0).collect();
        if !points.is_empty() {
            let bold = engine == kinlog::PEER.name;
            lines.push(Line { name: engine.to_owned(), colour: colour(number), bold, points });
        }
    }
    lines
}

/// How many times worse than kinlog, one panel for each figure of the rows.
fn bars(samples: &Samples, path: &Path) -> Result<bool> {
    const SIZE: (u32, u32) = (360, 190);
    const ACROSS: usize = 3;
    let mut panels = vec![];
    for (workload, metric) in rows() {
        let bars = ratios(samples, workload, metric);
        if bars.len() > 1 {
            panels.push((format!("{}: {}", workload.name, metric.name), bars));
        }
    }
    if panels.is_empty() {
        return Ok(false);
    }
    let down = panels.len().div_ceil(ACROSS);
    let size = (SIZE.0 * u32::try_from(ACROSS)?, SIZE.1 * u32::try_from(down)? + HEAD);
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE).map_err(drawing)?;
    let (head, below) = root.split_vertically(HEAD);
    let title = "How many times kinlog's cost: right of the line worse than kinlog, left better";
    let style = (FONT, 17).into_font().color(&INK);
    head.draw(&Text::new(title, (12, 10), style)).map_err(drawing)?;
    for (area, (title, bars)) in below.split_evenly((down, ACROSS)).iter().zip(&panels) {
        panel(area, title, bars)?;
    }
    root.present().map_err(drawing)?;
    Ok(true)
}

const HEAD: u32 = 36;

/// The engines that have the figure, and how many times worse than kinlog's it is.
fn ratios(
    samples: &Samples,
    workload: &Workload,
    metric: &Metric,
) -> Vec<(usize, &'static str, f64)> {
    let mut ratios = vec![];
    for (number, engine) in engines::all().iter().map(|peer| peer.name).enumerate() {
        let ratio = samples.ratio(workload.name, metric.name, engine, kinlog::PEER.name);
        let worse = ratio.map(|it| match metric.better {
            Better::Less => it.median,
            Better::More => 1.0 / it.median,
        });
        ratios
            .extend(worse.filter(|it| it.is_finite() && *it > 0.0).map(|it| (number, engine, it)));
    }
    ratios
}

fn panel(area: &Area<'_>, title: &str, bars: &[(usize, &'static str, f64)]) -> Result<()> {
    const BAR: i32 = 16;
    const TOP: i32 = 26;
    /// Where the names end, and where the longest bar may.
    const ACROSS: (f64, f64) = (96.0, 290.0);
    let style = (FONT, 14).into_font().color(&INK);
    area.draw(&Text::new(title.to_owned(), (12, 4), style)).map_err(drawing)?;
    let logs = || bars.iter().map(|(_, _, ratio)| ratio.log10());
    let (low, high) = (logs().fold(0.0, f64::min), logs().fold(0.3, f64::max));
    let place = |log: f64| {
        let part = (log - low) / (high - low);
        (ACROSS.0 + part * (ACROSS.1 - ACROSS.0)).round() as i32
    };
    let one = place(0.0);
    for (n, (number_of, name, ratio)) in bars.iter().enumerate() {
        let y = TOP + BAR * i32::try_from(n)?;
        let end = place(ratio.log10());
        let bar = [(one.min(end), y + 2), (one.max(end).max(one + 1), y + BAR - 2)];
        area.draw(&Rectangle::new(bar, colour(*number_of).filled())).map_err(drawing)?;
        let text = |pos| (FONT, 12).into_font().color(&INK).pos(Pos::new(pos, VPos::Center));
        let middle = y + BAR / 2;
        let named = Text::new((*name).to_owned(), (ACROSS.0 as i32 - 8, middle), text(HPos::Right));
        area.draw(&named).map_err(drawing)?;
        let label = format!("×{}", number(*ratio));
        let after = (one.max(end) + 5, middle);
        area.draw(&Text::new(label, after, text(HPos::Left))).map_err(drawing)?;
    }
    let bottom = TOP + BAR * i32::try_from(bars.len())?;
    area.draw(&PathElement::new([(one, TOP), (one, bottom)], GRID.stroke_width(1))).map_err(drawing)
}
