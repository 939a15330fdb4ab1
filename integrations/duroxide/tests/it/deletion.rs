//! What is deleted and pruned is deleted in the store, too.

use duroxide::providers::{Provider, ProviderAdmin, PruneOptions};
use kinlog_duroxide::{KinlogProvider, Options};

use super::restart::{begin, status};

/// An instance of three executions, the last of which runs.
async fn continued(provider: &KinlogProvider, id: &str) {
    begin(provider, id, vec![status(1, id, 1, "on its way")]).await;
    for execution in 2..=3 {
        let events = vec![status(1, id, execution, "further")];
        provider.append_with_execution(id, execution, events).await.unwrap();
    }
}

/// How many runs there are, and how many were deleted.
fn runs(provider: &KinlogProvider) -> (u64, u64) {
    let stats = provider.store().stats().unwrap();
    (stats.runs, stats.deleted_runs)
}

#[tokio::test]
async fn pruned_executions_are_deleted_runs() {
    let dir = tempfile::tempdir().unwrap();
    let provider = crate::open(dir.path(), Options::new());
    continued(&provider, "a").await;
    let keep = |keep_last| PruneOptions { keep_last: Some(keep_last), completed_before: None };
    let pruned = provider.prune_executions("a", keep(2)).await.unwrap();
    assert_eq!((pruned.executions_deleted, pruned.events_deleted), (1, 2));
    assert_eq!(runs(&provider), (2, 1));
    assert_eq!(provider.prune_executions("a", keep(1)).await.unwrap().executions_deleted, 1);
    assert_eq!(provider.list_executions("a").await.unwrap(), [3]);
    assert_eq!(provider.read_with_execution("a", 1).await.unwrap(), []);
    assert_eq!(provider.read("a").await.unwrap().len(), 1);
    assert_eq!(runs(&provider), (1, 2));
}

#[tokio::test]
async fn the_runs_of_deleted_instances_are_deleted_also_those_that_were_open() {
    let dir = tempfile::tempdir().unwrap();
    let provider = crate::open(dir.path(), Options::new());
    continued(&provider, "a").await;
    begin(&provider, "b", vec![status(1, "b", 1, "stays")]).await;
    let refused = provider.delete_instances_atomic(&["a".to_owned()], false).await;
    assert!(refused.is_err(), "it is running");
    let deleted = provider.delete_instances_atomic(&["a".to_owned()], true).await.unwrap();
    assert_eq!((deleted.executions_deleted, deleted.instances_deleted), (3, 1));
    assert_eq!(runs(&provider), (1, 3));
    // It is another one, whatever the first one was.
    continued(&provider, "a").await;
    assert_eq!(provider.list_executions("a").await.unwrap(), [1, 2, 3]);
    assert_eq!(runs(&provider), (4, 3));
}

/// The process ends between the two commits of a deletion; the first one is put here as it is.
#[tokio::test]
async fn what_a_deletion_has_left_goes_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let provider = crate::open(dir.path(), Options::new());
    continued(&provider, "a").await;
    let store = provider.store();
    let snapshot = store.snapshot();
    let known = snapshot.runs(kinlog::RunFilter::all()).collect::<Result<Vec<_>, _>>().unwrap();
    let first = |tx: &mut kinlog::Transaction<'_>| {
        for run in &known {
            if run.status.is_open() {
                tx.close_run(&run.id, kinlog::Close::terminated("deleted"))?;
            }
            tx.put("pruned", run.id.as_bytes(), b"")?;
        }
        tx.delete("instances", b"a")
    };
    store.transact(first).unwrap();
    drop((snapshot, provider));
    let provider = crate::open(dir.path(), Options::new());
    assert_eq!(runs(&provider), (0, 3));
    assert_eq!(provider.store().snapshot().rows("pruned", ..).count(), 0);
}
