//! Plays programs on a kinlog store through its live API, and says what came of them.
//!
//! One request a line on standard input, one answer a line on standard output, both JSON.
//! `tests/judge/README.md` says what it is for.

mod engine;
mod play;
mod portrait;
mod program;
mod round_trip;

use std::error::Error;
use std::io::{BufRead, Write};

use serde::Deserialize;
use serde_json::{Value, json};

use program::Program;

/// The result of anything that may fail for any reason.
pub(crate) type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// What is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    /// Play a program.
    Play(Program),
    /// Import a history, in protobuf as base64, and export it again.
    RoundTrip(String),
}

fn main() -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&line?).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(line: &str) -> Result<Value> {
    match serde_json::from_str(line)? {
        Request::Play(program) => play::play(&program),
        Request::RoundTrip(history) => round_trip::round_trip(&history),
    }
}
