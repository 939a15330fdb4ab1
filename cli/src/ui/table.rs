//! Aligned columns.

use std::io::{self, Write};

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::Output;
use super::style::dim;

const GAP: &str = "  ";
/// No column of text is cut to less.
const TEXT_MIN: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text, which may be cut.
    Left,
    /// Text that is of no use if it is cut.
    Whole,
    /// Numbers.
    Right,
}

/// Rows of cells, which may be coloured.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    indent: usize,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Table { columns: columns.into_iter().collect(), rows: vec![], indent: 0 }
    }

    /// Moves the table to the right.
    pub(crate) fn indent(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// Adds a row, one cell a column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes the table, with titles if any column has one. On a terminal, wide columns of text are
    /// cut until it fits.
    pub(crate) fn print(&self, out: &mut Output) -> io::Result<()> {
        let titles: Vec<String> =
            self.columns.iter().map(|(title, _)| dim(title).to_string()).collect();
        let titled = self.columns.iter().any(|(title, _)| !title.is_empty());
        let rows = || titled.then_some(&titles).into_iter().chain(&self.rows);
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|at| {
                let cells = rows().filter_map(|row| row.get(at));
                cells.map(|cell| measure_text_width(cell)).max().unwrap_or_default()
            })
            .collect();
        if let Some(width) = out.width() {
            self.fit(&mut widths, width);
        }
        for row in rows() {
            let line = self.line(row, &widths);
            let width = out.width().unwrap_or(usize::MAX);
            writeln!(out, "{}", truncate_str(&line, width, "…"))?;
        }
        Ok(())
    }

    /// Takes from the widest columns of text what is too much.
    fn fit(&self, widths: &mut [usize], width: usize) {
        let gaps = self.indent + GAP.len() * self.columns.len().saturating_sub(1);
        let mut over = (widths.iter().sum::<usize>() + gaps).saturating_sub(width);
        while over > 0 {
            let texts = widths.iter_mut().zip(&self.columns).filter(|(_, it)| it.1 == Align::Left);
            let widest = texts.map(|(width, _)| width).max_by_key(|width| **width);
            let Some(widest) = widest.filter(|width| **width > TEXT_MIN) else { return };
            *widest -= 1;
            over -= 1;
        }
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = " ".repeat(self.indent);
        for (at, (cell, (width, (_, align)))) in
            row.iter().zip(widths.iter().zip(&self.columns)).enumerate()
        {
            let alignment = match align {
                Align::Left | Align::Whole => Alignment::Left,
                Align::Right => Alignment::Right,
            };
            if at > 0 {
                line.push_str(GAP);
            }
            line.push_str(&pad_str(cell, *width, alignment, Some("…")));
        }
        line.truncate(line.trim_end().len());
        line
    }
}
