//! A small durable workflow engine on kinlog: its workflows are killed in the middle, again and
//! again, and end as if nothing had happened.
//!
//! ```sh
//! cargo run --example engine
//! ```
//!
//! Read `shop.rs` for what a workflow looks like, `flow.rs` for how it is replayed, `engine.rs`
//! for how all that happens is kept in kinlog.

mod engine;
pub(crate) mod flow;
pub(crate) mod report;
pub(crate) mod shop;
mod speed;

use std::error::Error;
use std::path::Path;
use std::process::Command;

pub(crate) use engine::Engine;

/// The result of anything that may fail for any reason.
pub(crate) type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// `engine` shows it all; `engine --speed WORKFLOWS CHILDREN` measures it; `engine DIRECTORY
/// [DEATH]` is one life of it: from where the directory stands to the end, or to its death before
/// the commit after the first DEATH ones.
fn main() -> Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [mode, workflows, children] if mode == "--speed" => {
            let directory = std::env::temp_dir().join(format!("kinlog-{}", std::process::id()));
            let measured = speed::measure(&directory, workflows.parse()?, children.parse()?);
            std::fs::remove_dir_all(&directory)?;
            measured?;
        }
        [directory, death @ ..] => {
            let death = death.first().map(|commits| commits.parse()).transpose()?;
            println!("{}", live(Path::new(directory), death)?);
        }
        [] => {
            let directory = std::env::temp_dir().join(format!("kinlog-{}", std::process::id()));
            let shown = show(&directory);
            std::fs::remove_dir_all(&directory)?;
            println!("{}", shown?);
        }
    }
    Ok(())
}

/// Runs the shop from where `directory` stands until nothing is left to do; what came of it.
pub(crate) fn live(directory: &Path, death: Option<u64>) -> Result<String> {
    std::fs::create_dir_all(directory)?;
    let engine = shop::open(directory, death)?;
    engine.run()?;
    report::all(engine.store())
}

/// Lives once without being killed, and once with a death after 1 commit, after 2 more, after 3
/// more, and so on; what came of it, which must be the same.
fn show(directory: &Path) -> Result<String> {
    let whole = live(&directory.join("whole"), None)?;
    let killed = directory.join("killed");
    let mut kills = 0;
    loop {
        let death = (kills + 1).to_string();
        let life = Command::new(std::env::current_exe()?).arg(&killed).arg(death).output()?;
        if life.status.success() {
            break;
        }
        kills += 1;
    }
    if live(&killed, None)? != whole {
        return Err("what came of the killed engine is not what should have".into());
    }
    let tree = report::tree(shop::open(&killed, None)?.store())?;
    let effects = shop::effects(&killed)?.join("\n  ");
    Ok(format!(
        "{tree}\ndone to the world:\n  {effects}\n\nresumed after {kills} kills, same result"
    ))
}
