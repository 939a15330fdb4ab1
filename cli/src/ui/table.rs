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
    /// Columns that are left out where there is no room, in this order.
    spare: Vec<usize>,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Table { columns: columns.into_iter().collect(), rows: vec![], indent: 0, spare: vec![] }
    }

    /// Moves the table to the right.
    pub(crate) fn indent(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// Where a terminal has no room for all, these columns are left out, one after the other.
    pub(crate) fn spare(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        self.spare.extend(columns);
        self
    }

    /// Adds a row, one cell a column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes the table, with titles if any column has one. On a terminal, spare columns are left out
    /// and wide columns of text are cut until it fits.
    pub(crate) fn print(&self, out: &mut Output) -> io::Result<()> {
        for line in self.lines(out.width()) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// The table, in so many columns of a terminal.
    fn lines(&self, width: Option<usize>) -> Vec<String> {
        let titles: Vec<String> =
            self.columns.iter().map(|(title, _)| dim(title).to_string()).collect();
        let titled = self.columns.iter().any(|(title, _)| !title.is_empty());
        let rows = || titled.then_some(&titles).into_iter().chain(&self.rows);
        let width_of = |at: usize| {
            let cells = rows().filter_map(|row| row.get(at));
            cells.map(|cell| measure_text_width(cell)).max().unwrap_or_default()
        };
        let columns = self.columns.iter().enumerate();
        let mut columns: Vec<Column> = columns
            .map(|(at, (_, align))| Column { at, align: *align, width: width_of(at) })
            .collect();
        let width = width.unwrap_or(usize::MAX);
        self.fit(&mut columns, width);
        let line =
            |row: &Vec<String>| truncate_str(&self.line(row, &columns), width, "…").into_owned();
        rows().map(line).collect()
    }

    fn fit(&self, columns: &mut Vec<Column>, width: usize) {
        let over = |columns: &[Column]| {
            let gaps = self.indent + GAP.len() * columns.len().saturating_sub(1);
            (columns.iter().map(|it| it.width).sum::<usize>() + gaps).saturating_sub(width)
        };
        for spare in &self.spare {
            if over(columns) > 0 {
                columns.retain(|column| column.at != *spare);
            }
        }
        // The widest columns of text give what is too much.
        for _ in 0..over(columns) {
            let texts = columns.iter_mut().filter(|it| it.align == Align::Left);
            let widest = texts.max_by_key(|it| it.width).filter(|it| it.width > TEXT_MIN);
            let Some(widest) = widest else { return };
            widest.width -= 1;
        }
    }

    fn line(&self, row: &[String], columns: &[Column]) -> String {
        let mut line = " ".repeat(self.indent);
        for (place, column) in columns.iter().enumerate() {
            let Some(cell) = row.get(column.at) else { break };
            let alignment = match column.align {
                Align::Left | Align::Whole => Alignment::Left,
                Align::Right => Alignment::Right,
            };
            if place > 0 {
                line.push_str(GAP);
            }
            line.push_str(&pad_str(cell, column.width, alignment, Some("…")));
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A column as it is shown.
struct Column {
    at: usize,
    align: Align,
    width: usize,
}

#[cfg(test)]
mod tests {
    use console::strip_ansi_codes;

    use super::{Align, Table};

    fn table() -> Table {
        let columns = [("NAME", Align::Left), ("BYTES", Align::Right), ("TIME", Align::Whole)];
        let mut table = Table::new(columns).spare([1, 2]);
        table.row(["a-long-name", "12,345", "03:04:05"].map(str::to_owned));
        table.row(["short", "1", ""].map(str::to_owned));
        table
    }

    fn lines(width: usize) -> Vec<String> {
        let lines = table().lines(Some(width));
        lines.iter().map(|line| strip_ansi_codes(line).into_owned()).collect()
    }

    #[test]
    fn spare_columns_go_before_any_text_is_cut() {
        let whole =
            ["NAME          BYTES  TIME", "a-long-name  12,345  03:04:05", "short             1"];
        assert_eq!(lines(29), whole);
        assert_eq!(lines(28), ["NAME         TIME", "a-long-name  03:04:05", "short"]);
        assert_eq!(lines(20), ["NAME", "a-long-name", "short"]);
        assert_eq!(lines(9), ["NAME", "a-long-n…", "short"]);
    }
}
