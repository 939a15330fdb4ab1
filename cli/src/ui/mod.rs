//! What the terminal shows: output, tables, units, colours, progress.

mod output;
mod plain;
mod progress;
mod style;
mod table;
mod units;

pub(crate) use output::Output;
pub(crate) use plain::{clip, path, plain, plain_json};
pub(crate) use progress::{advance, byte_bar, count_bar, spinner};
pub(crate) use style::{bold, check, dim, head, like, status};
pub(crate) use table::{Align, Table};
pub(crate) use units::{
    byte_rate, bytes, clock, count, many, now, rate, ratio, read_age, read_time, rfc3339, share,
    span, time,
};
