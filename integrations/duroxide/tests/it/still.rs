//! The disk stands still: nobody who serves the provider does, and whoever waits for the disk goes on with it.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use duroxide::providers::{Provider, ProviderAdmin, TagFilter, WorkItem};
use kinlog::Durability;
use kinlog_duroxide::{KinlogProvider, Options};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::{Closed, Gate};

const LONG: Duration = Duration::from_secs(60);
const SEGMENT: u32 = 64 << 10;

/// A provider on a disk that stands still from the first operation on that `held` names.
fn still(
    dir: &Path,
    durability: Durability,
    held: impl Fn(Op, &Path) -> bool + Send + Sync + 'static,
) -> (KinlogProvider, Closed) {
    let gate = Gate::default();
    let disk = {
        let gate = gate.clone();
        disk_with(move |op, path| {
            if held(op, path) {
                gate.pass();
            }
            Fate::Done
        })
    };
    let store = kinlog::Options::new().segment_bytes(SEGMENT).disk(disk).open(dir).unwrap();
    let provider = KinlogProvider::new(store, Options::new().durability(durability)).unwrap();
    let closed = gate.close();
    (provider, closed)
}

fn job(id: u64) -> WorkItem {
    WorkItem::ActivityExecute {
        instance: "one".to_owned(),
        execution_id: 1,
        id,
        name: "Job".to_owned(),
        input: "x".repeat(7_000),
        session_id: None,
        tag: None,
    }
}

/// Whether a future is not ready when it is asked once, which must return.
async fn is_pending(future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// Runs a test on one thread, which hangs where a call blocks; whoever closed the gate opens it then.
fn on_one_thread(test: impl Future<Output = ()> + Send + 'static) {
    let (send, done) = channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test);
        send.send(()).unwrap();
    });
    match done.recv_timeout(LONG) {
        Err(RecvTimeoutError::Timeout) => panic!("a call blocks on the disk"),
        _ => thread.join().unwrap(),
    }
}

#[test]
fn without_room_for_a_commit_calls_wait_and_block_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let prepares = |op, path: &Path| op == Op::Write && path.ends_with("prepared.tmp");
    let (provider, gate) = still(dir.path(), Durability::Buffered, prepares);
    on_one_thread(async move {
        // Where this fails, the gate is opened before the store is closed.
        let (provider, gate) = (provider, gate);
        let (mut jobs, mut waiting) = (0, vec![]);
        // The segment becomes full, and there is no next one.
        while waiting.len() < 2 {
            let mut put = Box::pin(provider.enqueue_for_worker(job(jobs)));
            jobs += 1;
            while is_pending(&mut put).await {
                if is_pending(provider.store().room()).await {
                    waiting.push(put);
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        assert!(is_pending(waiting.last_mut().unwrap()).await);
        // Meanwhile there is work to be had.
        for id in 0..3 {
            let fetched = provider.fetch_work_item(LONG, LONG, None, &TagFilter::Any).await;
            assert_eq!(fetched.unwrap().unwrap().0, job(id));
        }
        let report = provider.ack_work_item("no token", None);
        assert!(report.await.is_err());
        drop(gate);
        for put in waiting {
            put.await.unwrap();
        }
        let depths = provider.get_queue_depths().await.unwrap();
        assert_eq!(depths.worker_queue + 3, usize::try_from(jobs).unwrap());
    });
}

#[test]
fn work_is_handed_out_once_it_is_as_durable_as_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let syncs = |op, path: &Path| op == Op::Sync && path.ends_with("00000000.seg");
    let (provider, gate) = still(dir.path(), Durability::Sync, syncs);
    on_one_thread(async move {
        let (provider, gate) = (provider, gate);
        let mut put = pin!(provider.enqueue_for_worker(job(1)));
        let any = &TagFilter::Any;
        let mut fetch = pin!(provider.fetch_work_item(LONG, LONG, None, any));
        assert!(is_pending(&mut put).await);
        assert!(is_pending(&mut fetch).await);
        // What changes nothing in the log waits for nothing.
        assert!(provider.abandon_work_item("no token", None, false).await.is_err());
        assert_eq!(provider.read("one").await.unwrap(), vec![]);
        drop(gate);
        put.await.unwrap();
        let (item, _, attempts) = fetch.await.unwrap().unwrap();
        assert_eq!((item, attempts), (job(1), 1));
    });
}
