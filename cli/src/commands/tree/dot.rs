//! A tree in the language of Graphviz.

use std::io::Write;

use kinlog::read::TreeNode;

use super::Limited;
use super::node::Words;
use super::svg::colour;
use super::walk::{Cut, Draw, Walked, walk};
use crate::failure::Failure;

const HEAD: &str = r##"digraph kinlog {
  rankdir=LR;
  node [shape=box, style=rounded, fontname="Helvetica", fontsize=12];
  edge [fontname="Helvetica", fontsize=10, color="#8c959f", fontcolor="#57606a"];
"##;

pub(super) fn draw(tree: &Limited<'_>, writer: &mut dyn Write) -> Result<Walked, Failure> {
    writer.write_all(HEAD.as_bytes())?;
    let mut dot = Dot { writer, count: 0, above: vec![] };
    let walked = walk(tree.read()?, &mut dot)?;
    writer.write_all(b"}\n")?;
    Ok(walked)
}

struct Dot<'w> {
    writer: &'w mut dyn Write,
    count: u64,
    /// The numbers of the nodes above.
    above: Vec<u64>,
}

impl Dot<'_> {
    /// Draws a node below the one above it; returns its number.
    fn put(&mut self, lines: &[&str], node: &str, edge: &str) -> Result<u64, Failure> {
        let number = self.count;
        self.count += 1;
        let label: Vec<_> = lines.iter().map(|line| escape(line)).collect();
        let label = label.join(r"\n");
        writeln!(self.writer, r#"  n{number} [label="{label}", {node}];"#)?;
        if let Some(above) = self.above.last() {
            writeln!(self.writer, "  n{above} -> n{number} [{edge}];")?;
        }
        Ok(number)
    }
}

impl Draw for Dot<'_> {
    fn node(&mut self, node: &TreeNode, _is_last: bool) -> Result<(), Failure> {
        self.above.truncate(node.depth);
        let words = Words::of(node);
        let colour = colour(words.standing.like());
        let notes = words.notes.join(", ");
        let edge = format!(r#"label="{}""#, words.policy.unwrap_or_default());
        let lines = [words.name.as_str(), words.standing.name(), &notes];
        let style = format!(r#"color="{colour}", penwidth=2"#);
        let number = self.put(&lines, &style, &edge)?;
        self.above.push(number);
        Ok(())
    }

    fn cut(&mut self, cut: Cut) -> Result<(), Failure> {
        self.above.truncate(cut.depth);
        self.put(&[&cut.words()], "shape=plaintext", "style=dotted").map(drop)
    }
}

/// A text within quotes. Graphviz reads backslashes, and entities as in HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str(r#"\""#),
            '\\' => escaped.push_str(r"\\"),
            '&' => escaped.push_str("&amp;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn a_text_stays_within_its_quotes() {
        assert_eq!(escape(r#"a"];b\N&lt;"#), r#"a\"];b\\N&amp;lt;"#);
        assert_eq!(escape(r#"\"#), r"\\");
    }
}
