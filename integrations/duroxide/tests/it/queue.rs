//! Several consumers of one queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use duroxide::providers::{Provider, TagFilter, WorkItem};
use kinlog_duroxide::{KinlogProvider, Options, Polling};

const JOBS: u64 = 400;
const CONSUMERS: usize = 8;
const LONG: Duration = Duration::from_secs(60);

fn job(id: u64) -> WorkItem {
    WorkItem::ActivityExecute {
        instance: "one".to_owned(),
        execution_id: 1,
        id,
        name: "Job".to_owned(),
        input: "{}".to_owned(),
        session_id: None,
        tag: None,
    }
}

fn completed(item: &WorkItem) -> (u64, WorkItem) {
    let WorkItem::ActivityExecute { instance, execution_id, id, .. } = item else {
        panic!("{item:?} is no activity");
    };
    let (instance, result) = (instance.clone(), String::new());
    (*id, WorkItem::ActivityCompleted { instance, execution_id: *execution_id, id: *id, result })
}

/// Takes jobs until it gets the one that says that there are no more, which it passes on.
async fn consume(provider: Arc<KinlogProvider>) -> Vec<u64> {
    let mut done = vec![];
    loop {
        let fetched = provider.fetch_work_item(LONG, LONG, None, &TagFilter::Any).await.unwrap();
        let (item, token, attempts) = fetched.unwrap();
        let (id, completion) = completed(&item);
        assert_eq!(attempts, 1, "job {id} was fetched before");
        if id == JOBS {
            provider.enqueue_for_worker(item).await.unwrap();
            provider.ack_work_item(&token, None).await.unwrap();
            return done;
        }
        provider.ack_work_item(&token, Some(completion)).await.unwrap();
        done.push(id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_consumers_do_each_job_once_and_lose_none() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Arc::new(crate::open(dir.path(), Options::new().polling(Polling::Long)));
    // Half of them wait before there is anything.
    let mut consumers: Vec<_> =
        (0..CONSUMERS / 2).map(|_| tokio::spawn(consume(provider.clone()))).collect();
    for id in 0..JOBS {
        provider.enqueue_for_worker(job(id)).await.unwrap();
    }
    consumers.extend((CONSUMERS / 2..CONSUMERS).map(|_| tokio::spawn(consume(provider.clone()))));
    provider.enqueue_for_worker(job(JOBS)).await.unwrap();
    let mut done = vec![];
    for consumer in consumers {
        done.extend(consumer.await.unwrap());
    }
    done.sort_unstable();
    assert_eq!(done, (0..JOBS).collect::<Vec<_>>());

    // And so it is in the store.
    drop(Arc::into_inner(provider).unwrap());
    let provider = crate::open(dir.path(), Options::new());
    let depths = provider.as_management_capability().unwrap().get_queue_depths().await.unwrap();
    assert_eq!(depths.worker_queue, 1, "the job that says that there are no more");
    assert_eq!(depths.orchestrator_queue, usize::try_from(JOBS).unwrap());
    let mut completions = HashMap::new();
    for row in provider.store().snapshot().rows("inbox", ..) {
        let row: (String, u64, u64, String) = serde_json::from_slice(row.unwrap().value).unwrap();
        *completions.entry(row.2).or_insert(0) += 1;
    }
    assert!((0..JOBS).all(|id| completions.get(&id) == Some(&1)));
}
