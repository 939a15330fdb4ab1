//! kill -9 under load: what was acknowledged is completed, once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use duroxide::Client;
use kinlog::Durability;
use kinlog_duroxide::Options;

use crate::orders::{self, LONG};

/// Where the child finds the store, and the round that it is in.
const STORE: &str = "KINLOG_DUROXIDE_STORE";
const ROUND: &str = "KINLOG_DUROXIDE_ROUND";
/// How many starts a child has acknowledged when it is killed, and how many may be on their way.
const ACKNOWLEDGED: usize = 40;
const OPEN: usize = 16;

/// 3 rounds, or as many as `KINLOG_KILLS` says.
fn rounds() -> u32 {
    std::env::var("KINLOG_KILLS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// Starts orders until it is killed, and says which starts were acknowledged. Only as a child of the test below.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let (Ok(store), Ok(round)) = (std::env::var(STORE), std::env::var(ROUND)) else { return };
    let odd = round.parse::<u32>().unwrap() % 2 == 1;
    let durability = if odd { Durability::Sync } else { Durability::Buffered };
    let options = Options::new().durability(durability);
    let provider = Arc::new(crate::open(Path::new(&store), options));
    let _runtime = orders::run(&provider).await;
    let client = Client::new(provider);
    for number in 0.. {
        let id = format!("order-{round}-{number}");
        orders::start(&client, &id).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {id}").unwrap();
        out.flush().unwrap();
        drop(out);
        if number >= OPEN {
            let former = format!("order-{round}-{}", number - OPEN);
            client.wait_for_orchestration(&former, LONG).await.unwrap();
        }
    }
}

/// Lets a child work, and kills it. What it has acknowledged.
fn kill_one(store: &Path, round: u32) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--nocapture"])
        .env(STORE, store)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut acknowledged = vec![];
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        acknowledged.extend(line.rsplit_once("acknowledged ").map(|(_, id)| id.to_owned()));
        if acknowledged.len() == ACKNOWLEDGED {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "the child ended by itself");
    assert!(acknowledged.len() >= ACKNOWLEDGED);
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_kill_is_completed_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..rounds() {
        acknowledged.extend(kill_one(dir.path(), round));
    }
    let provider = Arc::new(crate::open(dir.path(), Options::new()));
    // A start that was on its way when its child was killed may be there, too.
    orders::finish(provider, &acknowledged, usize::try_from(rounds()).unwrap()).await;
}
