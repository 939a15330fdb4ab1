//! One small chart: lines over logarithmic axes, each with its name at its end.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::engine::Result;

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub const FONT: &str = "sans-serif";
pub const INK: RGBColor = RGBColor(50, 50, 50);
pub const GRID: RGBColor = RGBColor(226, 226, 226);

pub struct Line {
    pub name: String,
    pub colour: RGBColor,
    pub bold: bool,
    pub points: Vec<(f64, f64)>,
}

/// The colours of engines in their order; kinlog is the first one.
pub fn colour(engine: usize) -> RGBColor {
    const COLOURS: [RGBColor; 9] = [
        RGBColor(17, 64, 120),
        RGBColor(140, 140, 140),
        RGBColor(186, 88, 51),
        RGBColor(84, 140, 96),
        RGBColor(152, 98, 156),
        RGBColor(196, 156, 44),
        RGBColor(78, 150, 176),
        RGBColor(168, 72, 92),
        RGBColor(110, 98, 80),
    ];
    COLOURS[engine % COLOURS.len()]
}

pub fn draw(area: &Area<'_>, title: &str, lines: &[Line]) -> Result<()> {
    let Some((x, y)) = bounds(lines) else { return Ok(()) };
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 17).into_font().color(&INK))
        .margin(10)
        .margin_right(88)
        .x_label_area_size(28)
        .y_label_area_size(52)
        .build_cartesian_2d((x.0..x.1).log_scale(), (y.0..y.1).log_scale())
        .map_err(drawing)?;
    chart
        .configure_mesh()
        .x_labels(6)
        .y_labels(6)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(GRID)
        .label_style((FONT, 13).into_font().color(&INK))
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .draw()
        .map_err(drawing)?;
    let mut ends = vec![];
    for line in lines {
        let style = line.colour.stroke_width(if line.bold { 3 } else { 2 });
        let points = || line.points.iter().copied();
        chart.draw_series(LineSeries::new(points(), style)).map_err(drawing)?;
        let dots = points().map(|point| Circle::new(point, 3, line.colour.filled()));
        chart.draw_series(dots).map_err(drawing)?;
        if let Some(last) = line.points.last() {
            ends.push((chart.backend_coord(last), line));
        }
    }
    name(area, ends)
}

/// Writes the names beside the last points, pushed apart where they would overlap.
fn name(area: &Area<'_>, mut ends: Vec<((i32, i32), &Line)>) -> Result<()> {
    const HEIGHT: i32 = 14;
    let (across, down) = area.get_pixel_range();
    ends.sort_by_key(|((_, y), _)| *y);
    let room = HEIGHT * i32::try_from(ends.len())?;
    let mut lowest = down.start + 34;
    let mut heights = vec![];
    for (n, ((_, y), _)) in ends.iter().enumerate() {
        let below = room - HEIGHT * i32::try_from(n)?;
        lowest = lowest.max((*y).min(down.end - 28 - below));
        heights.push(lowest);
        lowest += HEIGHT;
    }
    for (((_, _), line), y) in ends.iter().zip(heights) {
        let style = (FONT, 13).into_font().color(&line.colour);
        let style = style.pos(Pos::new(HPos::Left, VPos::Center));
        let at = (across.end - across.start - 82, y - down.start);
        area.draw(&Text::new(line.name.clone(), at, style)).map_err(drawing)?;
    }
    Ok(())
}

type Range = (f64, f64);

/// From the lowest to the highest value; upwards in whole decades, so that there are marks.
fn bounds(lines: &[Line]) -> Option<(Range, Range)> {
    let points = || lines.iter().flat_map(|line| &line.points);
    points().next()?;
    let range = |of: fn(&(f64, f64)) -> f64| {
        let low = points().map(of).fold(f64::INFINITY, f64::min);
        (low, points().map(of).fold(0.0, f64::max))
    };
    let (low, high) = range(|point| point.1);
    let decades = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
    Some((range(|point| point.0), decades))
}

fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", v / 1e6),
        v if v >= 1e3 => format!("{} k", v / 1e3),
        v => format!("{v}"),
    }
}

/// An error of the drawing backend, as one of this program.
pub fn drawing(error: impl std::fmt::Display) -> crate::engine::Error {
    format!("a plot cannot be drawn: {error}").into()
}
