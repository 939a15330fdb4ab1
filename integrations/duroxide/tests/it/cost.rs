//! What an orchestration costs in the log. It is counted, and so is the same on every machine.

use std::sync::Arc;
use std::time::Duration;

use duroxide::runtime::Runtime;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry};
use kinlog::{Durability, Stats, Store};
use kinlog_duroxide::{KinlogProvider, Options};

const ACTIVITIES: usize = 5;
const OUTPUT: usize = 1_000;

async fn fan(ctx: OrchestrationContext, _: String) -> Result<String, String> {
    let parts = (0..ACTIVITIES).map(|part| ctx.schedule_activity("Echo", part.to_string()));
    // An output stands in the log once.
    Ok(ctx.join(parts.collect()).await.len().to_string().repeat(OUTPUT))
}

/// What commits take in the log.
fn bytes(stats: &Stats) -> u64 {
    stats.event_bytes + stats.frame_bytes + stats.row_bytes
}

#[tokio::test]
async fn an_orchestration_of_five_activities_takes_few_bytes_and_commits() {
    let options = Options::new().durability(Durability::Buffered);
    let provider = Arc::new(KinlogProvider::new(Store::temporary().unwrap(), options).unwrap());
    let client = Client::new(provider.clone());
    client.start_orchestration("order-100", "Fan", "5").await.unwrap();
    let store = provider.store();
    let before = store.stats().unwrap();
    let echo = |_: ActivityContext, input: String| async move { Ok(input) };
    let activities = ActivityRegistry::builder().register("Echo", echo).build();
    let orchestrations = OrchestrationRegistry::builder().register("Fan", fan).build();
    let runtime = Runtime::start_with_store(provider.clone(), activities, orchestrations).await;
    client.wait_for_orchestration("order-100", Duration::from_secs(60)).await.unwrap();
    runtime.shutdown(None).await;
    let now = store.stats().unwrap();
    let (bytes, commits) = (bytes(&now) - bytes(&before), now.commits - before.commits);
    // One for each turn at most, one for each activity.
    assert!(commits <= 12, "{commits} commits");
    assert!(bytes <= 2_840 + 40 * commits, "{bytes} bytes, {commits} commits");
}
