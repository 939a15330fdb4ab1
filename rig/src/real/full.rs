//! A disk that is full.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;
use kinlog::{Close, Error, NewRun, Options, RunId, Store, Verdict};

use super::file_system::FileSystem;
use super::image::{Image, sized};
use super::ordeal::Tally;
use super::shell::run;
use crate::portrait;

/// Runs that are there to be closed and cancelled once the disk is full.
const RUNS: usize = 24;
const SEGMENT_BYTES: u32 = 1 << 20;
/// What runs begin with: large enough to fill the disk soon.
const INPUT_BYTES: usize = 16 << 10;

/// Fills a disk to its last byte. Closing, cancelling and opening must work on it, new work must be
/// refused and go on when there is space.
#[derive(Debug, Args)]
pub struct Full {
    /// The file system.
    #[arg(long, default_value = "ext4")]
    fs: FileSystem,
    /// Where the image and its mount are, for as long as it runs. Memory will do.
    #[arg(long)]
    dir: PathBuf,
}

impl Full {
    /// Fills it, and prints a row of the table.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(&self) -> Result<(), String> {
        fs::create_dir_all(&self.dir).map_err(|error| error.to_string())?;
        let image = self.dir.join("image");
        sized(&image, self.fs.least_bytes())?;
        let at = self.dir.join("mounted");
        let _mounted = Image::format(&image, self.fs.mkfs(), &at)?;
        let mut disk = FullDisk { at, tally: Tally { worlds: 1, ..Tally::default() } };
        disk.run()?;
        let remark = "new work was refused, and taken with space again; the rest worked";
        println!("{}", disk.tally.row(&format!("full {}", self.fs.name()), remark));
        Ok(())
    }
}

struct FullDisk {
    at: PathBuf,
    tally: Tally,
}

impl FullDisk {
    fn run(&mut self) -> Result<(), String> {
        let store = self.open()?;
        let runs: Result<Vec<RunId>, String> = (0..RUNS).map(|i| self.start(&store, i)).collect();
        let (runs, mut next) = (runs?, RUNS);
        let refusal = loop {
            self.fill()?;
            match start(&store, next) {
                Ok(_) => next += 1,
                Err(error) => break error,
            }
        };
        is_full(&refusal)?;
        // A third of what is to be done now, a third after the store was opened again, and a third
        // after it was restored from a sparse copy.
        let (now, later) = runs.split_at(RUNS / 3);
        let (later, last) = later.split_at(RUNS / 3);
        self.close_and_cancel(&store, now)?;
        is_full(&start(&store, next).err().ok_or("new work is taken on a full disk")?)?;
        let before = portrait::commits(&store).map_err(|error| error.to_string())?;
        store.shut_down().map_err(|error| format!("closing the store: {error}"))?;
        self.fill()?;
        let reader = Options::new().read_only(true).open(self.store());
        let reader = reader.map_err(|error| format!("a reader is refused: {error}"))?;
        let seen = portrait::commits(&reader).map_err(|error| error.to_string())?;
        drop(reader);
        let store = self.open()?;
        let after = portrait::commits(&store).map_err(|error| error.to_string())?;
        if before != seen || before != after {
            return Err("LOST: the store holds something else than before".into());
        }
        self.fill()?;
        self.close_and_cancel(&store, later)?;
        is_full(&start(&store, next).err().ok_or("new work is taken on a full disk")?)?;
        fs::remove_file(self.ballast()).map_err(|error| format!("ballast: {error}"))?;
        let goes_on = start(&store, next);
        goes_on.map_err(|error| format!("with space again: {error}"))?;
        store.verify(|_| {}).map_err(|error| format!("verify: {error}"))?;
        store.shut_down().map_err(|error| format!("closing the store: {error}"))?;
        let store = self.open_sparse_copy()?;
        self.fill()?;
        self.close_and_cancel(&store, last)?;
        store.shut_down().map_err(|error| format!("closing the store: {error}"))?;
        let store = self.open()?;
        match store.report().verdict {
            Verdict::Clean => Ok(()),
            other => Err(format!("opened again: {other:?}")),
        }
    }

    fn store(&self) -> PathBuf {
        self.at.join("store")
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// A copy in which zeros take no space is put in the place of the store, and the disk filled: it
    /// opens only where there is room for what it will write.
    fn open_sparse_copy(&mut self) -> Result<Store, String> {
        let (store, copy) = (self.store(), self.at.join("copy"));
        let args = ["-a".as_ref(), "--sparse=always".as_ref(), store.as_os_str(), copy.as_os_str()];
        run("cp", &args)?;
        fs::remove_dir_all(&store).map_err(|error| format!("{}: {error}", store.display()))?;
        fs::rename(&copy, &store).map_err(|error| format!("{}: {error}", copy.display()))?;
        self.fill()?;
        match self.try_open() {
            Ok(store) => Ok(store),
            Err(error) => {
                is_no_room(&error)?;
                fs::remove_file(self.ballast()).map_err(|error| format!("ballast: {error}"))?;
                self.open()
            }
        }
    }

    fn open(&mut self) -> Result<Store, String> {
        self.try_open().map_err(|error| format!("opening: {error}"))
    }

    fn try_open(&mut self) -> kinlog::Result<Store> {
        let store = Options::new().segment_bytes(SEGMENT_BYTES).open(self.store())?;
        self.tally.checks += 1;
        *self.tally.verdicts.entry(format!("{:?}", store.report().verdict)).or_default() += 1;
        Ok(store)
    }

    fn start(&mut self, store: &Store, number: usize) -> Result<RunId, String> {
        let run = start(store, number).map_err(|error| format!("starting: {error}"))?;
        self.acknowledged();
        Ok(run)
    }

    fn acknowledged(&mut self) {
        self.tally.acknowledged = self.tally.acknowledged.map(|count| count + 1);
    }

    /// Takes every byte that is left: the store has to do with what it has.
    fn fill(&self) -> Result<(), String> {
        let (path, mut piece) = (self.ballast(), 1 << 20);
        let file = File::options().create(true).append(true).open(&path);
        // Where not even a name fits any more, it is full.
        let mut file = match file {
            Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
            file => file.map_err(|error| format!("{}: {error}", path.display()))?,
        };
        while piece > 0 {
            let written = file.write_all(&vec![1; piece]).and_then(|()| file.sync_all());
            match written {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => piece /= 2,
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
        }
        Ok(())
    }

    fn close_and_cancel(&mut self, store: &Store, runs: &[RunId]) -> Result<(), String> {
        for run in runs {
            let cancelled = (|| {
                let mut tx = store.begin();
                tx.request_cancel(run, b"no space")?;
                tx.commit()
            })();
            cancelled.map_err(|error| format!("cancelling on a full disk: {error}"))?;
            self.acknowledged();
            let closed = (|| {
                let mut tx = store.begin();
                tx.close_run(run, Close::terminated("no space"))?;
                tx.commit()
            })();
            closed.map_err(|error| format!("closing on a full disk: {error}"))?;
            self.acknowledged();
        }
        Ok(())
    }
}

fn start(store: &Store, number: usize) -> kinlog::Result<RunId> {
    let mut tx = store.begin();
    let (workflow, input) = (format!("order-{number}"), vec![7; INPUT_BYTES]);
    let run = tx.start(NewRun::new("rig", &workflow, "Order").input(&input))?;
    tx.commit()?;
    Ok(run)
}

/// Whether opening was refused as there is no room.
fn is_no_room(error: &Error) -> Result<(), String> {
    match error {
        Error::DiskFull { .. } => Ok(()),
        Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull => Ok(()),
        other => Err(format!("opening on a full disk: {other}")),
    }
}

fn is_full(error: &Error) -> Result<(), String> {
    match error {
        Error::DiskFull { .. } => Ok(()),
        other => Err(format!("on a full disk: {other}")),
    }
}
