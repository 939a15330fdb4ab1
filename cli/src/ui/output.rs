//! Standard output.

use std::io::{self, BufWriter, StdoutLock, Write};

use console::Term;
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
