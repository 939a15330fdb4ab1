//! kill -9 under load: what was acknowledged is completed, once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use duroxide::providers::{Provider, ProviderAdmin, WorkItem};
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{
    ActivityContext, Client, Event, EventKind, OrchestrationContext, OrchestrationRegistry,
    OrchestrationStatus,
};
use kinlog::Durability;
use kinlog_duroxide::{KinlogProvider, Options};

/// Where the child finds the store, and the round that it is in.
const STORE: &str = "KINLOG_DUROXIDE_STORE";
const ROUND: &str = "KINLOG_DUROXIDE_ROUND";
/// How many starts a child has acknowledged when it is killed, and how many may be on their way.
const ACKNOWLEDGED: usize = 40;
const OPEN: usize = 16;
const LONG: Duration = Duration::from_secs(120);

/// 3 rounds, or as many as `KINLOG_KILLS` says.
fn rounds() -> u32 {
    std::env::var("KINLOG_KILLS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3)
}

/// Two executions, each with three activities side by side, a timer, and two children with one activity each.
async fn order(ctx: OrchestrationContext, input: String) -> Result<String, String> {
    let parts = (0..3).map(|part| ctx.schedule_activity("Echo", part.to_string())).collect();
    ctx.join(parts).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    ctx.schedule_timer(Duration::from_millis(1)).await;
    let children = (0..2).map(|part| ctx.schedule_sub_orchestration("Ship", part.to_string()));
    ctx.join(children.collect()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    match input.as_str() {
        "again" => ctx.continue_as_new("last").await,
        _ => Ok("done".to_owned()),
    }
}

async fn ship(ctx: OrchestrationContext, input: String) -> Result<String, String> {
    ctx.schedule_activity("Echo", input).await
}

async fn run(provider: &Arc<KinlogProvider>) -> Arc<Runtime> {
    let echo = |_: ActivityContext, input: String| async move { Ok(input) };
    let activities = ActivityRegistry::builder().register("Echo", echo).build();
    let orchestrations = OrchestrationRegistry::builder();
    let orchestrations = orchestrations.register("Order", order).register("Ship", ship).build();
    let options = RuntimeOptions { worker_concurrency: 4, ..Default::default() };
    Runtime::start_with_options(provider.clone(), activities, orchestrations, options).await
}

/// Starts orders until it is killed, and says which starts were acknowledged. Only as a child of the test below.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let (Ok(store), Ok(round)) = (std::env::var(STORE), std::env::var(ROUND)) else { return };
    let odd = round.parse::<u32>().unwrap() % 2 == 1;
    let durability = if odd { Durability::Sync } else { Durability::Buffered };
    let options = Options::new().durability(durability);
    let provider = Arc::new(crate::open(Path::new(&store), options));
    let _runtime = run(&provider).await;
    let client = Client::new(provider);
    for number in 0.. {
        let id = format!("order-{round}-{number}");
        client.start_orchestration(&id, "Order", "again").await.unwrap();
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
    let admin: &dyn ProviderAdmin = &*provider;
    // A start that was on its way when its child was killed may be there, too.
    let mut orders: BTreeSet<_> = admin.list_instances().await.unwrap().into_iter().collect();
    for row in provider.store().snapshot().rows("inbox", ..) {
        let item = serde_json::from_slice(row.unwrap().value);
        if let Ok(WorkItem::StartOrchestration { instance, .. }) = item {
            orders.insert(instance);
        }
    }
    orders.retain(|id| !id.contains("::sub::"));
    assert!(orders.is_superset(&acknowledged), "acknowledged, and lost");
    assert!(orders.len() <= acknowledged.len() + usize::try_from(rounds()).unwrap());
    let runtime = run(&provider).await;
    let client = Client::new(provider.clone());
    for id in &orders {
        let status = client.wait_for_orchestration(id, LONG).await.unwrap();
        let OrchestrationStatus::Completed { output, .. } = status else {
            panic!("{id}: {status:?}");
        };
        assert_eq!(output, "done");
        assert_eq!(admin.list_executions(id).await.unwrap(), [1, 2], "{id}");
        let mut instances = vec![id.clone()];
        instances.extend(admin.list_children(id).await.unwrap());
        assert_eq!(instances.len(), 1 + 4, "{id} has four children");
        for instance in instances {
            let executions = admin.list_executions(&instance).await.unwrap();
            for execution in executions {
                let history = provider.read_with_execution(&instance, execution).await.unwrap();
                check(&instance, &history);
            }
        }
    }
    let metrics = admin.get_system_metrics().await.unwrap();
    let orders = u64::try_from(orders.len()).unwrap();
    assert_eq!(metrics.completed_instances, orders * 5);
    assert_eq!(metrics.total_instances, orders * 5);
    assert_eq!(metrics.total_executions, orders * 6);
    runtime.shutdown(None).await;
    let depths = admin.get_queue_depths().await.unwrap();
    assert_eq!((depths.worker_queue, depths.orchestrator_queue), (0, 0));
}

/// Whatever a history began has ended in it, once.
fn check(instance: &str, history: &[Event]) {
    let mut open = BTreeMap::new();
    for event in history {
        match &event.kind {
            EventKind::ActivityScheduled { .. }
            | EventKind::TimerCreated { .. }
            | EventKind::SubOrchestrationScheduled { .. } => {
                assert!(open.insert(event.event_id, 0).is_none());
            }
            EventKind::ActivityCompleted { .. }
            | EventKind::TimerFired { .. }
            | EventKind::SubOrchestrationCompleted { .. } => {
                *open.get_mut(&event.source_event_id.unwrap()).unwrap() += 1;
            }
            EventKind::ActivityFailed { .. } | EventKind::SubOrchestrationFailed { .. } => {
                panic!("{instance}: {event:?}");
            }
            _ => {}
        }
    }
    assert!(open.values().all(|ends| *ends == 1), "{instance}: {open:?}");
    let ids: Vec<_> = history.iter().map(|event| event.event_id).collect();
    assert_eq!(ids, (1..=u64::try_from(ids.len()).unwrap()).collect::<Vec<_>>(), "{instance}");
}
