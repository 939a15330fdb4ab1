//! The disk is full: what has begun gets on to its end, and what has not is refused.

use std::sync::Arc;
use std::time::Duration;

use duroxide::providers::{ExecutionMetadata, Provider, ProviderAdmin, TagFilter, WorkItem};
use kinlog_duroxide::{KinlogProvider, Options};
use kinlog_rig::disk::SimulatedDisk;

use crate::restart::{begin, start, status};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn on_a_full_disk_what_has_begun_is_done_and_nothing_new_begins() {
    let disk = SimulatedDisk::new(1);
    let options = kinlog::Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    let provider = KinlogProvider::new(options.open("/store").unwrap(), Options::new()).unwrap();
    begin(&provider, "a", vec![status(1, "a", 1, "begun")]).await;
    let (instance, name, input) = ("a".to_owned(), "Job".to_owned(), String::new());
    let (execution_id, session_id, tag) = (1, None, None);
    let job =
        WorkItem::ActivityExecute { instance, execution_id, id: 2, name, input, session_id, tag };
    provider.enqueue_for_worker(job).await.unwrap();
    disk.set_capacity(disk.used());
    let mut refused = None;
    for number in 0.. {
        let new = start(&format!("new-{number}"));
        if let Err(error) = provider.enqueue_for_orchestrator(new, Some(LONG)).await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.unwrap();
    assert!(refused.is_retryable() && refused.message.contains("full"), "{refused}");

    let fetched = provider.fetch_work_item(LONG, LONG, None, &TagFilter::Any).await.unwrap();
    let (_, token, _) = fetched.unwrap();
    // More than is left for anyone.
    let (instance, result) = ("a".to_owned(), "done ".repeat(60));
    let completion = WorkItem::ActivityCompleted { instance, execution_id, id: 2, result };
    provider.ack_work_item(&token, Some(completion)).await.unwrap();
    // Taking a turn twice writes down that it was.
    for attempt in 1..3 {
        let fetched = provider.fetch_orchestration_item(LONG, LONG, None).await.unwrap().unwrap();
        let (item, token, attempts) = fetched;
        assert_eq!((item.instance.as_str(), attempts), ("a", attempt));
        if attempt == 1 {
            provider.abandon_orchestration_item(&token, None, false).await.unwrap();
            continue;
        }
        let (events, none) = (vec![status(2, "a", 1, &"ended ".repeat(40))], vec![]);
        let ended = Some("Completed".to_owned());
        let metadata = ExecutionMetadata { status: ended, ..Default::default() };
        let acknowledged =
            provider.ack_orchestration_item(&token, 1, events, vec![], vec![], metadata, none);
        acknowledged.await.unwrap();
    }
    let (instance, reason) = ("new-0".to_owned(), String::new());
    let cancel = WorkItem::CancelInstance { instance, reason };
    provider.enqueue_for_orchestrator(cancel, None).await.unwrap();
    assert_eq!(provider.get_instance_info("a").await.unwrap().status, "Completed");

    assert!(provider.enqueue_for_orchestrator(start("still-new"), None).await.is_err());
    disk.set_capacity(u64::MAX);
    // At most the attempt that was under way says no.
    if provider.enqueue_for_orchestrator(start("new"), None).await.is_err() {
        provider.enqueue_for_orchestrator(start("new"), None).await.unwrap();
    }
}
