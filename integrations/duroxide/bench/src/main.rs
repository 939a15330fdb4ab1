//! Orchestrations per second on kinlog and on duroxide's bundled SQLite provider, in one run.
//!
//! Each round starts so many orchestrations, then a runtime that does them all, and takes the time until the last
//! one has ended. The providers take turns; a figure is the median of five rounds.
//!
//! ```text
//! cargo run --release -- [ORCHESTRATIONS] [ACTIVITIES] [ROUNDS]
//! ```

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duroxide::providers::Provider;
use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{
    ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus,
};
use kinlog::{Durability, Stats, Store};
use kinlog_duroxide::{KinlogProvider, Options};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many dispatchers of each kind a runtime has.
const DISPATCHERS: usize = 4;

/// What is measured.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Sqlite,
    Kinlog(Durability),
}

const KINDS: [(Kind, &str); 3] = [
    (Kind::Sqlite, "SQLite, file: no sync per commit"),
    (Kind::Kinlog(Durability::Buffered), "kinlog, buffered"),
    (Kind::Kinlog(Durability::Sync), "kinlog, synced"),
];

/// One round.
#[derive(Clone, Copy, Default)]
struct Round {
    per_second: f64,
    /// Of all threads, the engine's own among them, in microseconds for each orchestration.
    cpu: f64,
    /// Orchestrations that the provider could not bring to their end.
    failed: usize,
    /// Of the log, for each orchestration, its start not counted.
    bytes: f64,
    commits: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    // SQLite's provider warns of each lock that it meets.
    tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default())?;
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let (orchestrations, activities, rounds) = (next(500)?, next(5)?, next(5)?);
    println!(
        "{orchestrations} orchestrations of {activities} activities side by side, \
         {DISPATCHERS} + {DISPATCHERS} dispatchers, median of {rounds} rounds\n"
    );
    let mut taken = [const { vec![] }; KINDS.len()];
    for _ in 0..rounds {
        for ((kind, _), taken) in KINDS.iter().zip(&mut taken) {
            taken.push(round(*kind, orchestrations, activities).await?);
        }
    }
    println!(
        "| provider | orchestrations/s | beside SQLite | CPU, us each | failed | log, B each | commits each |"
    );
    println!("|---|---|---|---|---|---|---|");
    let median = |taken: &[Round], of: fn(&Round) -> f64| {
        let mut values: Vec<_> = taken.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let sqlite = median(&taken[0], |round| round.per_second);
    for ((kind, name), taken) in KINDS.iter().zip(&taken) {
        let per_second = median(taken, |round| round.per_second);
        let failed: usize = taken.iter().map(|round| round.failed).sum();
        let (ratio, cpu) = (per_second / sqlite, median(taken, |round| round.cpu));
        print!("| {name} | {per_second:.0} | {ratio:.1} | {cpu:.0} | {failed} | ");
        match kind {
            Kind::Sqlite => println!("| |"),
            Kind::Kinlog(_) => {
                let bytes = median(taken, |round| round.bytes);
                println!("{bytes:.0} | {:.2} |", median(taken, |round| round.commits));
            }
        }
    }
    println!("\na sync of this device, after 4 KiB are written: {:?}", sync_time()?);
    Ok(())
}

async fn round(kind: Kind, orchestrations: usize, activities: usize) -> Result<Round> {
    let dir = tempfile::tempdir_in(".")?;
    let (provider, store) = open(kind, dir.path()).await?;
    let client = Client::new(provider.clone());
    let ids: Vec<_> = (0..orchestrations).map(|number| format!("order-{number}")).collect();
    for id in &ids {
        client.start_orchestration(id, "Fan", activities.to_string()).await?;
    }
    let stats = || store.as_ref().map(|store| store.stats()).transpose();
    let before_log = stats()?;
    let (begin, before) = (Instant::now(), cpu()?);
    let runtime = start(provider).await;
    let mut failed = 0;
    for id in &ids {
        let status = client.wait_for_orchestration(id, Duration::from_secs(600)).await?;
        failed += usize::from(!matches!(status, OrchestrationStatus::Completed { .. }));
    }
    let per_second = orchestrations as f64 / begin.elapsed().as_secs_f64();
    let cpu = (cpu()? - before) * 1e6 / orchestrations as f64;
    let mut round = Round { per_second, cpu, failed, ..Round::default() };
    runtime.shutdown(None).await;
    if let (Some(now), Some(before)) = (stats()?, before_log) {
        let each = |count: u64| count as f64 / orchestrations as f64;
        round.bytes = each(bytes(&now) - bytes(&before));
        round.commits = each(now.commits - before.commits);
    }
    Ok(round)
}

/// The seconds that this process has had of the processors, in steps of 10 ms.
fn cpu() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<std::result::Result<f64, _>>()? / 100.0)
}

async fn open(kind: Kind, dir: &Path) -> Result<(Arc<dyn Provider>, Option<Arc<Store>>)> {
    let Kind::Kinlog(durability) = kind else {
        let file = dir.join("orchestrations.db");
        std::fs::File::create(&file)?;
        let url = format!("sqlite:{}", file.display());
        return Ok((Arc::new(SqliteProvider::new(&url, None).await?), None));
    };
    let provider = KinlogProvider::new(Store::open(dir)?, Options::new().durability(durability))?;
    let store = provider.store().clone();
    Ok((Arc::new(provider), Some(store)))
}

async fn start(provider: Arc<dyn Provider>) -> Arc<Runtime> {
    let activity = |_: ActivityContext, input: String| async move { Ok(input) };
    let activities = ActivityRegistry::builder().register("Echo", activity).build();
    let fan = |ctx: OrchestrationContext, input: String| async move {
        let count: usize = input.parse().map_err(|_| "a number of activities".to_owned())?;
        let parts = (0..count).map(|part| ctx.schedule_activity("Echo", part.to_string()));
        let done = ctx.join(parts.collect()).await;
        Ok(done.len().to_string())
    };
    let orchestrations = OrchestrationRegistry::builder().register("Fan", fan).build();
    let options = RuntimeOptions {
        orchestration_concurrency: DISPATCHERS,
        worker_concurrency: DISPATCHERS,
        ..Default::default()
    };
    Runtime::start_with_options(provider, activities, orchestrations, options).await
}

/// The bytes that commits take in the log.
fn bytes(stats: &Stats) -> u64 {
    stats.event_bytes + stats.frame_bytes + stats.row_bytes
}

/// How long a sync takes: the median of 100.
fn sync_time() -> Result<Duration> {
    let mut file = tempfile::tempfile_in(".")?;
    let mut times = vec![];
    for _ in 0..100 {
        std::io::Write::write_all(&mut file, &[1; 4096])?;
        let begin = Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
