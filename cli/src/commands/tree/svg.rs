//! A tree as a picture: one card a node, each level further to the right.

use std::io::Write;

use console::measure_text_width;
use kinlog::RunStatus;
use kinlog::read::TreeNode;

use super::Limited;
use super::node::Words;
use super::walk::{Cut, Draw, Walked, walk};
use crate::failure::Failure;
use crate::ui;

/// The space around the picture.
const MARGIN: usize = 24;
/// A card, and the space to the next one.
const CARD: usize = 40;
const ROW: usize = 52;
/// The space within a card, on either side of the text.
const PAD: usize = 16;
/// How far a level is moved to the right: there is room for the policy on the line.
const STEP: usize = 112;
/// Deeper levels are not moved to the right, but numbered.
const LEVELS_MAX: usize = 24;
/// Where the line to the children leaves a card.
const STEM: usize = 20;
/// Longer names are clipped.
const NAME_CHARS: usize = 48;

const STYLE: &str = "text{font-family:ui-sans-serif,system-ui,Helvetica,Arial,sans-serif;\
font-size:11px;fill:#57606a}.n{font-size:13px;font-weight:600;fill:#1f2328}.p{font-size:10px}\
.c{fill:#fff;stroke:#d0d7de}.l{fill:none;stroke:#8c959f}.d{stroke-dasharray:3 3}";

/// The colour of a status.
pub(super) fn colour(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "#0969da",
        RunStatus::Completed => "#1a7f37",
        RunStatus::Failed | RunStatus::TimedOut => "#cf222e",
        RunStatus::Canceled | RunStatus::Terminated => "#9a6700",
        RunStatus::ContinuedAsNew => "#8250df",
    }
}

pub(super) fn draw(tree: &Limited<'_>, writer: &mut dyn Write) -> Result<Walked, Failure> {
    // A picture begins with its size.
    let mut extent = Extent::default();
    walk(tree.read()?, &mut extent)?;
    let sum = tree.sum()?;
    let width = MARGIN * 2 + extent.width.max(text_width(&sum));
    let height = MARGIN * 3 + extent.rows * ROW;
    writeln!(
        writer,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">"#
    )?;
    writeln!(writer, r##"<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>"##)?;
    let mut picture = Picture { writer, rows: 0, above: vec![] };
    let walked = walk(tree.read()?, &mut picture)?;
    writeln!(writer, r#"<text x="{MARGIN}" y="{}">{}</text>"#, height - MARGIN, escape(&sum))?;
    writer.write_all(b"</svg>\n")?;
    Ok(walked)
}

/// What a picture needs in space.
#[derive(Default)]
struct Extent {
    rows: usize,
    width: usize,
}

impl Extent {
    fn row(&mut self, depth: usize, width: usize) {
        self.rows += 1;
        self.width = self.width.max(depth.min(LEVELS_MAX) * STEP + width);
    }
}

impl Draw for Extent {
    fn node(&mut self, node: &TreeNode, _is_last: bool) -> Result<(), Failure> {
        self.row(node.depth, Card::of(node).width());
        Ok(())
    }

    fn cut(&mut self, cut: Cut) -> Result<(), Failure> {
        self.row(cut.depth, PAD + text_width(&cut.words()));
        Ok(())
    }
}

/// About as wide as a text of the usual size gets.
fn text_width(text: &str) -> usize {
    measure_text_width(text) * 13 / 2
}

/// What stands on the card of a node.
struct Card {
    words: Words,
    name: String,
    notes: String,
}

impl Card {
    fn of(node: &TreeNode) -> Self {
        let mut words = Words::of(node);
        let name = ui::clip(&words.name, NAME_CHARS).into_owned();
        if node.depth > LEVELS_MAX {
            // There is no line to write the policy on.
            words.notes.extend(words.policy.take().map(str::to_owned));
            words.notes.push(format!("level {}", node.depth));
        }
        let notes: String = words.notes.iter().map(|note| format!(" · {note}")).collect();
        Card { words, name, notes }
    }

    fn width(&self) -> usize {
        let name = measure_text_width(&self.name) * 8;
        let text = text_width(self.standing()) + text_width(&self.notes);
        PAD * 2 + name.max(text)
    }

    fn standing(&self) -> &'static str {
        self.words.standing.name()
    }
}

struct Picture<'w> {
    writer: &'w mut dyn Write,
    rows: usize,
    /// The rows of the nodes above.
    above: Vec<usize>,
}

impl Picture<'_> {
    /// The left edge and the middle of the next row.
    fn place(&mut self, depth: usize) -> (usize, usize) {
        self.above.truncate(depth);
        let (x, y) = (MARGIN + depth.min(LEVELS_MAX) * STEP, MARGIN + self.rows * ROW + CARD / 2);
        self.rows += 1;
        (x, y)
    }

    /// The line from the node above, with a text on it.
    fn line(&mut self, (x, y): (usize, usize), class: &str, text: &str) -> Result<(), Failure> {
        let Some(row) = self.above.last().filter(|_| self.above.len() <= LEVELS_MAX) else {
            return Ok(());
        };
        let (from_x, from_y) = (x - STEP + STEM, MARGIN + row * ROW + CARD);
        writeln!(
            self.writer,
            r#"<path class="{class}" d="M{from_x} {from_y}V{}q0 8 8 8H{x}"/>"#,
            y - 8
        )?;
        if !text.is_empty() {
            let (x, y) = (from_x + 9, y - 4);
            writeln!(self.writer, r#"<text class="p" x="{x}" y="{y}">{}</text>"#, escape(text))?;
        }
        Ok(())
    }
}

impl Draw for Picture<'_> {
    fn node(&mut self, node: &TreeNode, _is_last: bool) -> Result<(), Failure> {
        let row = self.rows;
        let (x, y) = self.place(node.depth);
        let card = Card::of(node);
        self.line((x, y), "l", card.words.policy.unwrap_or_default())?;
        self.above.push(row);
        let (top, width, colour) = (y - CARD / 2, card.width(), colour(card.words.standing.like()));
        let (text_x, name_y, notes_y) = (x + PAD, y - 3, y + 13);
        let (full, name) = (escape(&card.words.name), escape(&card.name));
        let (standing, notes) = (escape(card.standing()), escape(&card.notes));
        writeln!(
            self.writer,
            r#"<g><title>{full}</title><rect class="c" x="{x}" y="{top}" width="{width}" height="{CARD}" rx="6"/><rect x="{x}" y="{top}" width="5" height="{CARD}" rx="2" fill="{colour}"/><text class="n" x="{text_x}" y="{name_y}">{name}</text><text x="{text_x}" y="{notes_y}"><tspan style="fill:{colour}">{standing}</tspan>{notes}</text></g>"#
        )?;
        Ok(())
    }

    fn cut(&mut self, cut: Cut) -> Result<(), Failure> {
        let (x, y) = self.place(cut.depth);
        self.line((x, y), "l d", "")?;
        let words = escape(&cut.words());
        writeln!(self.writer, r#"<text x="{}" y="{}">{words}</text>"#, x + PAD, y + 4)?;
        Ok(())
    }
}

/// A text between tags. Some characters have no place in XML, however they are written.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn a_text_stays_between_its_tags() {
        let hostile = "</text><script>\"x\" & 'y'\u{1b}\u{ffff}";
        let expected = "&lt;/text&gt;&lt;script&gt;&quot;x&quot; &amp; &#39;y&#39;\u{fffd}\u{fffd}";
        assert_eq!(escape(hostile), expected);
    }
}
