//! `kinlog tables` and `kinlog rows`: what an engine keeps beside its runs.

use std::borrow::Cow;
use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kinlog::Result;
use kinlog::read::Row;
use serde::Serialize;

use super::payload::preview;
use crate::args::{RowsArgs, TablesArgs};
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Align, Output, Table};

pub(crate) fn tables(
    store: &Path,
    args: &TablesArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    let tables = open::to_read(store)?.stats()?.tables;
    if args.json {
        for table in &tables {
            out.json(&TableLine { table: &table.name, rows: table.rows, bytes: table.bytes })?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !tables.is_empty() {
        let columns = [("TABLE", Align::Left), ("ROWS", Align::Right), ("SIZE", Align::Right)];
        let mut printed = Table::new(columns);
        for table in &tables {
            let name = ui::plain(&table.name).into_owned();
            printed.row([name, ui::count(table.rows), ui::bytes(table.bytes)]);
        }
        printed.print(out)?;
    }
    out.prose(0, ui::dim(ui::many(tables.len() as u64, "table")))?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct TableLine<'a> {
    table: &'a str,
    rows: u64,
    bytes: u64,
}

pub(crate) fn rows(store: &Path, args: &RowsArgs, out: &mut Output) -> Result<ExitCode, Failure> {
    let store = open::to_read(store)?;
    let snapshot = store.snapshot();
    let tables = snapshot.tables();
    if !tables.contains(&args.table) {
        let known =
            tables.iter().map(|name| format!("\n  {}", ui::plain(name))).collect::<String>();
        let known =
            if known.is_empty() { " nor any other".into() } else { format!("; there are{known}") };
        let named = ui::plain(&args.table);
        return Err(Failure::NotFound(format!("there is no table {named}{known}")));
    }
    let prefix = bytes_of(args.prefix.as_deref().unwrap_or_default());
    let rows = snapshot.rows_with_prefix(&args.table, &prefix);
    let rows: Box<dyn Iterator<Item = Result<Row<'_>>>> =
        if args.reverse { Box::new(rows.rev()) } else { Box::new(rows) };
    let mut rows = rows.take(args.limit.unwrap_or(usize::MAX));
    if args.json {
        return rows
            .try_for_each(|row| Ok(out.json(&RowLine::of(&row?))?))
            .map(|()| ExitCode::SUCCESS);
    }
    let columns = [("KEY", Align::Left), ("SIZE", Align::Right), ("VALUE", Align::Left)];
    let mut table = Table::new(columns).spare([2]);
    let mut shown = 0u64;
    for row in rows {
        let row = row?;
        table.row([
            key(row.key).into_owned(),
            ui::bytes(row.value.len() as u64),
            preview(row.value),
        ]);
        shown += 1;
    }
    if shown > 0 {
        table.print(out)?;
    }
    out.prose(0, ui::dim(ui::many(shown, "row")))?;
    Ok(ExitCode::SUCCESS)
}

/// The text, where it is one; both are there in any case as base64.
#[derive(Serialize)]
struct RowLine<'a> {
    key: Option<&'a str>,
    key_base64: String,
    value: Option<&'a str>,
    value_base64: String,
}

impl<'a> RowLine<'a> {
    fn of(row: &Row<'a>) -> Self {
        RowLine {
            key: str::from_utf8(row.key).ok(),
            key_base64: BASE64_STANDARD.encode(row.key),
            value: str::from_utf8(row.value).ok(),
            value_base64: BASE64_STANDARD.encode(row.value),
        }
    }
}

/// A key as text, or in hexadecimal where it is none.
fn key(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => ui::plain(text),
        _ => format!("0x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            .into(),
    }
}

/// The bytes that [`key`] shows like this.
fn bytes_of(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len().is_multiple_of(2));
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let hex = digits.and_then(|digits| digits.as_bytes().chunks(2).map(byte).collect());
    hex.unwrap_or_else(|| text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::{bytes_of, key};

    #[test]
    fn a_key_that_is_no_text_is_shown_and_asked_for_in_hexadecimal() {
        for bytes in [&b"order-42"[..], &[0, 255, 1], b"a\nb", "\u{e9}".as_bytes(), b""] {
            assert_eq!(bytes_of(&key(bytes)), bytes);
        }
        assert_eq!((&*key(&[0, 255]), bytes_of("0xyz")), ("0x00ff", b"0xyz".to_vec()));
    }
}
