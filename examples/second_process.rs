//! Another process reads beside the writer, without asking it and without waiting for it.
//!
//! ```text
//! reader: 1 run
//! writer: one more
//! reader: 2 runs
//! ```

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use kinlog::{NewRun, Options, Result, RunFilter, Store};

fn main() -> Result<()> {
    if let Some(dir) = std::env::args().nth(1) {
        return read(&dir);
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path())?;
    start(&store, "order-1")?;

    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = command.spawn().expect("it starts");
    let mut lines = BufReader::new(reader.stdout.take().expect("a pipe")).lines();
    let mut ask = reader.stdin.take().expect("a pipe");

    println!("{}", lines.next().expect("a line").expect("text"));
    start(&store, "order-2")?;
    println!("writer: one more");
    ask.write_all(b"look\n").expect("the reader is there");
    println!("{}", lines.next().expect("a line").expect("text"));
    drop(ask);
    assert!(reader.wait().expect("it ends").success());
    Ok(())
}

fn start(store: &Store, id: &str) -> Result<()> {
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", id, "Order"))?;
    tx.commit().map(drop)
}

fn read(dir: &str) -> Result<()> {
    let store = Options::new().read_only(true).open(dir)?;
    println!("reader: {} run", store.snapshot().runs(RunFilter::all()).count());
    for _ in std::io::stdin().lines() {
        store.refresh()?;
        println!("reader: {} runs", store.snapshot().runs(RunFilter::all()).count());
    }
    Ok(())
}
