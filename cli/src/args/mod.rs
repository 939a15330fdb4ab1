//! The command line.

mod deletion;
mod demo;
mod files;
mod kin;
mod runs;
mod tables;
mod temporal;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

pub(crate) use deletion::{CompactArgs, DeleteArgs, ExpireArgs, RetentionArgs};
pub(crate) use demo::DemoArgs;
pub(crate) use files::{BackupArgs, SalvageArgs, StatsArgs, VerifyArgs};
pub(crate) use kin::{ChainArgs, ChildrenArgs, DutiesArgs, TreeArgs};
pub(crate) use runs::{By, FollowArgs, LsArgs, ShowArgs};
pub(crate) use tables::{ConsumersArgs, RowsArgs, TablesArgs};
pub(crate) use temporal::{ExportArgs, Format, ImportArgs, Unknown};

use crate::ui::plain;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Exit codes:
  0  all is well
  1  an error
  2  the command line makes no sense
  3  the store is corrupt
  4  some files could not be imported
  5  there is no such store or run, or more than one run fits
  6  another process uses the store
  7  the store is of another version of kinlog
  8  the system refused to read or write a file; among other reasons, as the disk is full
  9  the last bytes of the store are in doubt: a crash left them, or damage
 10  no backup can be made there, or not from that former one
 11  what is whole was salvaged, and something is lost

Try `kinlog demo`, then `kinlog tree fulfilment`.";

/// The folder of a store, where nothing else is said.
pub(crate) const DEFAULT_STORE: &str = "kinlog-data";

/// Looks into kinlog stores: the histories of durable workflows, in one folder.
#[derive(Debug, Parser)]
#[command(name = "kinlog", version, styles = STYLES, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The folder of the store.
    #[arg(long, global = true, env = "KINLOG_STORE", value_name = "DIR", default_value = DEFAULT_STORE,
        hide_env_values = true)]
    pub(crate) store: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// The command line, or what is wrong with it.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Args::try_parse().map_err(|error| {
            // The error repeats what was typed: it is typed again, with what a terminal would act on
            // spelled out.
            let spelled = |arg: OsString| match arg.to_str() {
                Some(text) => plain(text).into_owned().into(),
                None => arg,
            };
            Args::try_parse_from(env::args_os().map(spelled)).err().unwrap_or(error)
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(ImportArgs),
    Ls(LsArgs),
    Show(ShowArgs),
    Tree(TreeArgs),
    Chain(ChainArgs),
    Children(ChildrenArgs),
    Duties(DutiesArgs),
    Follow(FollowArgs),
    Export(ExportArgs),
    Tables(TablesArgs),
    Rows(RowsArgs),
    Consumers(ConsumersArgs),
    Delete(DeleteArgs),
    Retention(RetentionArgs),
    Expire(ExpireArgs),
    Compact(CompactArgs),
    Stats(StatsArgs),
    Verify(VerifyArgs),
    Backup(BackupArgs),
    Salvage(SalvageArgs),
    Demo(DemoArgs),
}

/// Which run is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// A run id, a workflow id, which stands for its current run, or the beginning of a run id.
    #[arg(allow_hyphen_values = true)]
    pub(crate) run: String,
    /// Look in this namespace only.
    #[arg(long, value_name = "NS", allow_hyphen_values = true)]
    pub(crate) namespace: Option<String>,
}
