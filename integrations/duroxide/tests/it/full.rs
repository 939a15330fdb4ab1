//! The disk is full: what has begun gets on to its end, and what has not is refused.

use std::sync::Arc;
use std::time::Duration;

use duroxide::providers::{
    ExecutionMetadata, Provider, ProviderAdmin, ProviderError, TagFilter, WorkItem,
};
use kinlog_duroxide::{KinlogProvider, Options};
use kinlog_rig::disk::SimulatedDisk;

use crate::restart::{begin, start, status};

const LONG: Duration = Duration::from_secs(60);

/// A provider on a disk, and the disk.
fn open() -> (KinlogProvider, SimulatedDisk) {
    let disk = SimulatedDisk::new(1);
    let options = kinlog::Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    let provider = KinlogProvider::new(options.open("/store").unwrap(), Options::new()).unwrap();
    (provider, disk)
}

fn job(id: u64) -> WorkItem {
    let (instance, name, input) = ("a".to_owned(), "Job".to_owned(), String::new());
    let (execution_id, session_id, tag) = (1, None, None);
    WorkItem::ActivityExecute { instance, execution_id, id, name, input, session_id, tag }
}

fn completion(id: u64, result: String) -> WorkItem {
    WorkItem::ActivityCompleted { instance: "a".to_owned(), execution_id: 1, id, result }
}

async fn fetch_job(provider: &KinlogProvider) -> String {
    let fetched = provider.fetch_work_item(LONG, LONG, None, &TagFilter::Any).await.unwrap();
    fetched.unwrap().1
}

/// Fills the disk with starts; why the last one was refused.
async fn fill(provider: &KinlogProvider, disk: &SimulatedDisk) -> ProviderError {
    disk.set_capacity(disk.used());
    for number in 0.. {
        let new = start(&format!("new-{number}"));
        if let Err(error) = provider.enqueue_for_orchestrator(new, Some(LONG)).await {
            return error;
        }
    }
    unreachable!()
}

#[tokio::test]
async fn workers_whose_reports_found_no_space_together_can_report_again() {
    let (provider, disk) = open();
    provider.enqueue_for_worker(job(1)).await.unwrap();
    provider.enqueue_for_worker(job(2)).await.unwrap();
    let (first, second) = (fetch_job(&provider).await, fetch_job(&provider).await);
    fill(&provider, &disk).await;
    // More than the reserve holds.
    let report = || {
        let large = |id| Some(completion(id, "done ".repeat(1_000)));
        (provider.ack_work_item(&first, large(1)), provider.ack_work_item(&second, large(2)))
    };
    let (one, other) = report();
    let (one, other) = tokio::join!(one, other);
    assert!(one.is_err_and(|error| error.is_retryable()));
    assert!(other.is_err_and(|error| error.is_retryable()));
    disk.set_capacity(u64::MAX);
    // At most the attempt that was under way says no.
    let _ = provider.enqueue_for_orchestrator(start("new"), None).await;
    let (one, other) = report();
    let (one, other) = tokio::join!(one, other);
    one.and(other).unwrap();
    assert_eq!(provider.get_queue_depths().await.unwrap().worker_queue, 0);
}

#[tokio::test]
async fn on_a_full_disk_what_has_begun_is_done_and_nothing_new_begins() {
    let (provider, disk) = open();
    begin(&provider, "a", vec![status(1, "a", 1, "begun")]).await;
    provider.enqueue_for_worker(job(2)).await.unwrap();
    let refused = fill(&provider, &disk).await;
    assert!(refused.is_retryable() && refused.message.contains("full"), "{refused}");

    let token = fetch_job(&provider).await;
    // More than is left for anyone.
    let completion = completion(2, "done ".repeat(60));
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
