//! Orders: what is run while something goes wrong, and whether it came to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use duroxide::providers::{Provider, ProviderAdmin, WorkItem};
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{
    ActivityContext, Client, Event, EventKind, OrchestrationContext, OrchestrationRegistry,
    OrchestrationStatus,
};
use kinlog_duroxide::KinlogProvider;

pub(crate) const LONG: Duration = Duration::from_secs(120);

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

/// A runtime that does orders.
pub(crate) async fn run(provider: &Arc<KinlogProvider>) -> Arc<Runtime> {
    let echo = |_: ActivityContext, input: String| async move { Ok(input) };
    let activities = ActivityRegistry::builder().register("Echo", echo).build();
    let orchestrations = OrchestrationRegistry::builder();
    let orchestrations = orchestrations.register("Order", order).register("Ship", ship).build();
    let options = RuntimeOptions { worker_concurrency: 4, ..Default::default() };
    Runtime::start_with_options(provider.clone(), activities, orchestrations, options).await
}

/// Starts an order.
pub(crate) async fn start(client: &Client, id: &str) -> Result<(), String> {
    client.start_orchestration(id, "Order", "again").await.map_err(|error| error.to_string())
}

/// The orders that a store knows, begun or not.
async fn all(provider: &KinlogProvider) -> BTreeSet<String> {
    let mut orders: BTreeSet<_> = provider.list_instances().await.unwrap().into_iter().collect();
    for row in provider.store().snapshot().rows("inbox", ..) {
        let item = serde_json::from_slice(row.unwrap().value);
        if let Ok(WorkItem::StartOrchestration { instance, .. }) = item {
            orders.insert(instance);
        }
    }
    orders.retain(|id| !id.contains("::sub::"));
    orders
}

/// Runs all orders to their end. The acknowledged ones are among them, at most so many others, and each was done
/// once.
pub(crate) async fn finish(
    provider: Arc<KinlogProvider>,
    acknowledged: &BTreeSet<String>,
    others: usize,
) {
    let orders = all(&provider).await;
    assert!(orders.is_superset(acknowledged), "acknowledged, and lost");
    assert!(orders.len() <= acknowledged.len() + others);
    let admin: &dyn ProviderAdmin = &*provider;
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
