//! `kinlog`: looks into kinlog stores, and brings Temporal histories into them.

mod args;
mod commands;
mod failure;
mod find;
mod open;
mod ui;

use std::process::ExitCode;

use args::{Args, Command};
use failure::Failure;
use ui::Output;

fn main() -> ExitCode {
    let args = Args::read().unwrap_or_else(|error| error.exit());
    match run(&args) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn run(args: &Args) -> Result<ExitCode, Failure> {
    let store = args.store.as_path();
    let mut out = Output::new();
    let code = match &args.command {
        Command::Import(args) => commands::import(store, args, &mut out)?,
        Command::Ls(args) => commands::ls(store, args, &mut out)?,
        Command::Show(args) => commands::show(store, args, &mut out)?,
        Command::Tree(args) => commands::tree(store, args, &mut out)?,
        Command::Chain(args) => commands::chain(store, args, &mut out)?,
        Command::Children(args) => commands::children(store, args, &mut out)?,
        Command::Duties(args) => commands::duties(store, args, &mut out)?,
        Command::Follow(args) => commands::follow(store, args, &mut out)?,
        Command::Export(args) => commands::export(store, args, &mut out)?,
        Command::Tables(args) => commands::tables(store, args, &mut out)?,
        Command::Rows(args) => commands::rows(store, args, &mut out)?,
        Command::Consumers(args) => commands::consumers(store, args, &mut out)?,
        Command::Delete(args) => commands::delete(store, args, &mut out)?,
        Command::Retention(args) => commands::retention(store, args, &mut out)?,
        Command::Expire(args) => commands::expire(store, args, &mut out)?,
        Command::Compact(args) => commands::compact(store, args, &mut out)?,
        Command::Stats(args) => commands::stats(store, args, &mut out)?,
        Command::Verify(args) => commands::verify(store, args, &mut out)?,
        Command::Backup(args) => commands::backup(store, args, &mut out)?,
        Command::Salvage(args) => commands::salvage(args, &mut out)?,
        Command::Demo(args) => commands::demo(store, args, &mut out)?,
    };
    out.finish()?;
    Ok(code)
}
