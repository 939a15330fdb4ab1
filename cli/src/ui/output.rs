//! Standard output.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use console::{Term, measure_text_width};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::plain_json;

/// Standard output, written in large pieces; errors come back, so that a closed pipe ends quietly.
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    width: Option<usize>,
}

impl Output {
    pub(crate) fn new() -> Self {
        let term = Term::stdout();
        let width = term.is_term().then(|| usize::from(term.size().1));
        Output { writer: BufWriter::new(io::stdout().lock()), width }
    }

    /// The columns of the terminal, if it is one.
    pub(crate) fn width(&self) -> Option<usize> {
        self.width
    }

    /// Whether nobody reads any more, as far as the system tells before something is written.
    pub(crate) fn is_closed(&self) -> bool {
        let mut stdout = [PollFd::new(self.writer.get_ref(), PollFlags::empty())];
        // An error says nothing about the reader.
        poll(&mut stdout, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Writes a text of words, over as many lines as the terminal asks for.
    pub(crate) fn prose(&mut self, indent: usize, text: impl Display) -> io::Result<()> {
        let text = text.to_string();
        let width = self.width.unwrap_or(usize::MAX).saturating_sub(indent);
        for line in broken(&text, width) {
            writeln!(self.writer, "{:indent$}{line}", "")?;
        }
        Ok(())
    }

    /// Writes one JSON value and ends the line.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        let json = serde_json::to_string(value)?;
        writeln!(self.writer, "{}", plain_json(&json)).map_err(serde_json::Error::io)
    }

    /// Writes what is left: an error here would be lost when the output is dropped.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// The text in lines of at most so many columns; only a word that is wider is left whole.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in text.split(' ') {
        let is_first = line.is_empty();
        if !is_first && measure_text_width(&line) + 1 + measure_text_width(word) > width {
            lines.push(std::mem::take(&mut line));
        } else if !is_first {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::broken;

    #[test]
    fn words_are_not_broken() {
        let text = "31 runs,  386 events, 23.41 KiB";
        assert_eq!(broken(text, 31), [text]);
        assert_eq!(broken(text, 30), ["31 runs,  386 events, 23.41", "KiB"]);
        assert_eq!(broken(text, 9), ["31 runs, ", "386", "events,", "23.41 KiB"]);
        assert_eq!(broken("\u{1b}[2mtwo words\u{1b}[0m", 5), ["\u{1b}[2mtwo", "words\u{1b}[0m"]);
        assert_eq!(broken("", 5), [""]);
    }
}
