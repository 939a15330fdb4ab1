//! Another process reads beside the writer, without asking it and without waiting for it.
//!
//! ```text
//! reader: 1 run
//! writer: one more
//! reader: 2 runs
//! ```

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use kinlog::{NewRun, Options, RunFilter, Store};

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(dir) = std::env::args().nth(1) {
        return read(&dir);
    }
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;
    start(&store, "order-1")?;

    let mut command = Command::new(std::env::current_exe()?);
    command.arg(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = command.spawn()?;
    let talked = talk(&store, &mut reader);
    // Its standard input has been closed by now.
    let ended = reader.wait()?;
    talked?;
    assert!(ended.success());
    Ok(())
}

fn talk(store: &Store, reader: &mut Child) -> Result<(), Box<dyn Error>> {
    let mut lines = BufReader::new(reader.stdout.take().ok_or("no pipe")?).lines();
    let mut ask = reader.stdin.take().ok_or("no pipe")?;
    println!("{}", lines.next().ok_or("no line")??);
    start(store, "order-2")?;
    println!("writer: one more");
    ask.write_all(b"look\n")?;
    println!("{}", lines.next().ok_or("no line")??);
    Ok(())
}

fn start(store: &Store, id: &str) -> kinlog::Result<()> {
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", id, "Order"))?;
    tx.commit().map(drop)
}

fn read(dir: &str) -> Result<(), Box<dyn Error>> {
    let store = Options::new().read_only(true).open(dir)?;
    println!("reader: {} run", store.snapshot().runs(RunFilter::all()).count());
    for _ in std::io::stdin().lines() {
        store.refresh()?;
        println!("reader: {} runs", store.snapshot().runs(RunFilter::all()).count());
    }
    Ok(())
}
