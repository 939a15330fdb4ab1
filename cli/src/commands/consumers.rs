//! `kinlog consumers`: who reads the log commit by commit, and how far each has come.

use std::path::Path;
use std::process::ExitCode;

use kinlog::read::Consumer;
use serde::Serialize;

use crate::args::ConsumersArgs;
use crate::failure::Failure;
use crate::open;
use crate::ui::{self, Align, Output, Table};

pub(crate) fn consumers(
    store: &Path,
    args: &ConsumersArgs,
    out: &mut Output,
) -> Result<ExitCode, Failure> {
    match &args.remove {
        Some(name) => remove(store, name, out)?,
        None => list(&open::to_read(store)?.consumers()?, args.json, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A consumer, for scripts.
#[derive(Serialize)]
pub(super) struct ConsumerLine<'a> {
    name: &'a str,
    position: u64,
    behind_bytes: u64,
}

impl<'a> ConsumerLine<'a> {
    pub(super) fn of(consumer: &'a Consumer) -> Self {
        let Consumer { name, position, behind_bytes, .. } = consumer;
        ConsumerLine { name, position: position.as_u64(), behind_bytes: *behind_bytes }
    }
}

fn list(consumers: &[Consumer], json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        return Ok(consumers.iter().try_for_each(|it| out.json(&ConsumerLine::of(it)))?);
    }
    if !consumers.is_empty() {
        let columns =
            [("CONSUMER", Align::Left), ("POSITION", Align::Right), ("BEHIND", Align::Right)];
        let mut table = Table::new(columns);
        for consumer in consumers {
            let name = ui::plain(&consumer.name).into_owned();
            let position = consumer.position.as_u64().to_string();
            table.row([name, position, ui::bytes(consumer.behind_bytes)]);
        }
        table.print(out)?;
    }
    Ok(out.prose(0, ui::dim(ui::many(consumers.len() as u64, "consumer")))?)
}

fn remove(store: &Path, name: &str, out: &mut Output) -> Result<(), Failure> {
    let store = open::to_change(store)?;
    if store.consumer(name)?.is_none() {
        let named = ui::plain(name);
        return Err(Failure::NotFound(format!("there is no consumer {named}")));
    }
    store.transact(|tx| tx.remove_consumer(name))?;
    store.shut_down()?;
    Ok(out.prose(0, format!("{} {}", ui::check("✓ removed"), ui::plain(name)))?)
}
