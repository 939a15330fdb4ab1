//! What stays, also when the store is opened again.

use std::path::Path;
use std::time::Duration;

use duroxide::providers::{ExecutionMetadata, Provider, ProviderAdmin, TagFilter, WorkItem};
use duroxide::{Event, EventKind};
use kinlog_duroxide::{KinlogProvider, Options};

const LONG: Duration = Duration::from_secs(60);

fn open(path: &Path) -> KinlogProvider {
    crate::open(path, Options::new())
}

pub(crate) fn start(instance: &str) -> WorkItem {
    WorkItem::StartOrchestration {
        instance: instance.to_owned(),
        orchestration: "Order".to_owned(),
        input: "{}".to_owned(),
        version: Some("1.0.0".to_owned()),
        parent_instance: None,
        parent_id: None,
        parent_execution_id: None,
        execution_id: 1,
    }
}

/// Starts an instance, and commits one turn of it.
pub(crate) async fn begin(provider: &KinlogProvider, instance: &str, events: Vec<Event>) {
    provider.enqueue_for_orchestrator(start(instance), None).await.unwrap();
    let fetched = provider.fetch_orchestration_item(LONG, LONG, None).await.unwrap();
    let metadata = ExecutionMetadata {
        orchestration_name: Some("Order".to_owned()),
        orchestration_version: Some("1.0.0".to_owned()),
        ..Default::default()
    };
    let (token, none) = (fetched.unwrap().1, vec![]);
    let acknowledged =
        provider.ack_orchestration_item(&token, 1, events, vec![], vec![], metadata, none).await;
    acknowledged.unwrap();
}

pub(crate) fn status(id: u64, instance: &str, execution: u64, text: &str) -> Event {
    let kind = EventKind::CustomStatusUpdated { status: Some(text.to_owned()) };
    Event::with_event_id(id, instance, execution, None, kind)
}

#[tokio::test]
async fn attempts_are_counted_over_restarts_but_for_the_first_process() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).enqueue_for_orchestrator(start("a"), None).await.unwrap();
    for expected in 1..5 {
        let provider = open(dir.path());
        let fetched = provider.fetch_orchestration_item(LONG, LONG, None).await.unwrap();
        assert_eq!(fetched.unwrap().2, expected);
    }
    // In the process that it came in, the first attempt is not written down.
    let dir = tempfile::tempdir().unwrap();
    let provider = open(dir.path());
    let (instance, name, input) = ("a".to_owned(), "Job".to_owned(), String::new());
    let (session_id, tag) = (None, None);
    let job = WorkItem::ActivityExecute {
        instance,
        execution_id: 1,
        id: 1,
        name,
        input,
        session_id,
        tag,
    };
    provider.enqueue_for_worker(job.clone()).await.unwrap();
    provider.fetch_work_item(LONG, LONG, None, &TagFilter::Any).await.unwrap().unwrap();
    drop(provider);
    for expected in 1..3 {
        let provider = open(dir.path());
        let fetched = provider.fetch_work_item(LONG, LONG, None, &TagFilter::Any).await.unwrap();
        let (item, _, attempts) = fetched.unwrap();
        assert_eq!((item, attempts), (job.clone(), expected));
    }
}

#[tokio::test]
async fn events_come_back_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut events = vec![
        status(1, "a", 1, "plain"),
        // These say something else than their run.
        status(2, "b", 1, "of another instance"),
        status(3, "a", 7, "of another execution"),
        status(4, "a", 1, "beyond time"),
        status(99_999, "a", 1, "far away"),
    ];
    events[3].timestamp_ms = u64::MAX;
    events[4].duroxide_version = "0.1.99-next".to_owned();
    events[4].source_event_id = Some(4);
    begin(&open(dir.path()), "a", events.clone()).await;
    let provider = open(dir.path());
    assert_eq!(provider.read("a").await.unwrap(), events);
    let custom = provider.get_custom_status("a", 0).await.unwrap();
    assert_eq!(custom, Some((Some("far away".to_owned()), 1)));
}

#[tokio::test]
async fn what_was_deleted_stays_away_and_its_id_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let provider = open(dir.path());
    begin(&provider, "a", vec![status(1, "a", 1, "first life")]).await;
    provider.enqueue_for_orchestrator(start("a"), None).await.unwrap();
    provider.delete_instances_atomic(&["a".to_owned()], true).await.unwrap();
    drop(provider);

    let provider = open(dir.path());
    assert_eq!(provider.list_instances().await.unwrap(), Vec::<String>::new());
    assert_eq!(provider.read("a").await.unwrap(), vec![]);
    assert_eq!(provider.get_queue_depths().await.unwrap().orchestrator_queue, 0);
    let second = vec![status(1, "a", 1, "second life")];
    begin(&provider, "a", second.clone()).await;
    drop(provider);
    let provider = open(dir.path());
    assert_eq!(provider.read("a").await.unwrap(), second);
    assert_eq!(provider.list_executions("a").await.unwrap(), [1]);
}

#[tokio::test]
async fn messages_for_nobody_go_without_the_start_that_comes_later() {
    let dir = tempfile::tempdir().unwrap();
    let provider = open(dir.path());
    let (instance, name, data) = ("a".to_owned(), "topic".to_owned(), String::new());
    let message = WorkItem::QueueMessage { instance, name, data };
    provider.enqueue_for_orchestrator(message.clone(), None).await.unwrap();
    provider.enqueue_for_orchestrator(start("a"), Some(LONG)).await.unwrap();
    let fetched = provider.fetch_orchestration_item(LONG, Duration::ZERO, None).await.unwrap();
    assert!(fetched.is_none());
    drop(provider);
    // The delay ends with the process.
    let provider = open(dir.path());
    let fetched = provider.fetch_orchestration_item(LONG, Duration::ZERO, None).await.unwrap();
    let (item, ..) = fetched.unwrap();
    assert!(item.messages.contains(&start("a")));
}
