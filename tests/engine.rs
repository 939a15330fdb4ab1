//! The example engine: whatever it is killed at, it ends as if it had not been.
//!
//! The process that is killed is this test binary, told by its environment to be one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../examples/engine/main.rs"]
mod example;
#[path = "engine/wild.rs"]
mod wild;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use example::flow::{Flow, Workflow, replay};
use example::{live, report, shop};
use kinlog::{EventKind, RunFilter, RunStatus};

const DIRECTORY: &str = "KINLOG_ENGINE_DIRECTORY";
const DEATH: &str = "KINLOG_ENGINE_DEATH";
const SEED: &str = "KINLOG_ENGINE_SEED";
const SIGABRT: i32 = 6;
/// How many sets of wild workflows are killed again and again.
const SEEDS: u32 = 8;

/// Not a test of its own: one life of the engine, with the shop or with wild workflows.
#[test]
fn life() {
    let (Ok(directory), Ok(death)) = (std::env::var(DIRECTORY), std::env::var(DEATH)) else {
        return;
    };
    let (directory, death) = (Path::new(&directory), Some(death.parse().unwrap()));
    match std::env::var(SEED) {
        Ok(seed) => wild::live(directory, &seed, death),
        Err(_) => live(directory, death).unwrap(),
    };
}

/// Lives in a process of its own; whether it came to the end.
fn live_until(directory: &Path, seed: Option<&str>, death: u64) -> bool {
    let mut life = Command::new(std::env::current_exe().unwrap());
    life.args(["--exact", "life"]).env(DIRECTORY, directory).env(DEATH, death.to_string());
    life.envs(seed.map(|seed| (SEED, seed)));
    let end = life.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(end.success() || end.signal() == Some(SIGABRT), "{end}");
    end.success()
}

/// Checks what came of an engine that was killed; whether activities were done again.
fn check(directory: &Path, whole: &str, effects: &[String]) -> bool {
    assert_eq!(live(directory, None).unwrap(), whole);
    let times = shop::effects(directory).unwrap();
    let once: Vec<_> = times.iter().map(|e| e.split(" (").next().unwrap().to_string()).collect();
    assert_eq!(once, effects);
    times != once
}

#[test]
fn killed_after_any_commit_it_ends_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let whole = live(&dir.path().join("whole"), None).unwrap();
    let effects = shop::effects(&dir.path().join("whole")).unwrap();
    let mut deaths = 0;
    let mut repeated = 0;
    loop {
        let directory = dir.path().join(deaths.to_string());
        if live_until(&directory, None, deaths) {
            break;
        }
        repeated += u32::from(check(&directory, &whole, &effects));
        deaths += 1;
    }
    // One before each commit, and the six activities were each done when the engine died once.
    let engine = shop::open(&dir.path().join("whole"), None).unwrap();
    assert_eq!(deaths, engine.store().stats().unwrap().commits);
    assert_eq!(repeated, 6);
}

#[test]
fn killed_again_and_again_it_ends_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let whole = live(&dir.path().join("whole"), None).unwrap();
    let effects = shop::effects(&dir.path().join("whole")).unwrap();
    for death in [1, 2, 3, 5, 8, 13] {
        let directory = dir.path().join(death.to_string());
        let kills = (0..100).take_while(|_| !live_until(&directory, None, death)).count();
        assert!((2..100).contains(&kills), "{kills}");
        check(&directory, &whole, &effects);
    }
}

#[test]
fn wild_workflows_end_the_same() {
    let mut all = String::new();
    for seed in 0..SEEDS {
        let seed = seed.to_string();
        let dir = tempfile::tempdir().unwrap();
        let whole = wild::live(&dir.path().join("whole"), &seed, None);
        let killed = dir.path().join("killed");
        let deaths = (0..).map(|life| wild::draw(&seed, &format!("death {life}"), 40).into());
        let kills = deaths.take_while(|death| !live_until(&killed, Some(&seed), *death)).count();
        assert_eq!(wild::live(&killed, &seed, None), whole, "seed {seed} after {kills} kills");
        all += &whole;
    }
    for kind in HAPPENS {
        assert!(all.contains(&format!(" {kind} ")), "{kind} did not happen");
    }
}

/// What some wild workflow or other comes to.
const HAPPENS: [EventKind; 14] = [
    EventKind::ACTIVITY_TASK_FAILED,
    EventKind::TIMER_FIRED,
    EventKind::START_CHILD_WORKFLOW_EXECUTION_FAILED,
    EventKind::CHILD_WORKFLOW_EXECUTION_COMPLETED,
    EventKind::CHILD_WORKFLOW_EXECUTION_FAILED,
    EventKind::CHILD_WORKFLOW_EXECUTION_CANCELED,
    EventKind::EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
    EventKind::SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
    EventKind::WORKFLOW_EXECUTION_SIGNALED,
    EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED,
    EventKind::WORKFLOW_EXECUTION_CANCELED,
    EventKind::WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    EventKind::WORKFLOW_EXECUTION_FAILED,
    EventKind::WORKFLOW_EXECUTION_TERMINATED,
];

#[test]
fn each_workflow_ends_once_and_as_its_policy_says() {
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), None).unwrap();
    let engine = shop::open(dir.path(), None).unwrap();
    let snapshot = engine.store().snapshot();
    let ended = |id: &str| {
        let runs =
            snapshot.runs(RunFilter::all().namespace("shop").workflow_id(id)).map(Result::unwrap);
        runs.map(|run| run.status).collect::<Vec<_>>()
    };
    assert_eq!(ended("order-42"), [RunStatus::Completed]);
    assert_eq!(ended("payment-42"), [RunStatus::Completed]);
    assert_eq!(ended("parcel-42"), [RunStatus::Canceled]);
    assert_eq!(ended("survey-42"), [RunStatus::Completed]);
    let continued = RunStatus::ContinuedAsNew;
    assert_eq!(ended("tracking-42"), [continued, continued, RunStatus::Terminated]);
    assert_eq!(report::tree(engine.store()).unwrap(), TREE);
    for table in ["ready", "activities", "timers"] {
        assert_eq!(snapshot.rows(table, ..).count(), 0, "{table}");
    }
}

const TREE: &str = "\
order-42       Completed                  withdrawn (found it cheaper), refunded receipt 1
  payment-42   Completed   Terminate      receipt 1
  parcel-42    Canceled    RequestCancel
  tracking-42  Terminated  Terminate      3 runs
  survey-42    Completed   Abandon        mail: done
anna           Completed                  withdrew
";

/// A workflow that asks for something else than it did is told so.
#[test]
fn a_workflow_that_left_its_history_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    live(dir.path(), None).unwrap();
    let engine = shop::open(dir.path(), None).unwrap();
    let run = engine.store().current_run("shop", "anna").unwrap().unwrap();
    let history = engine.store().history(&run).unwrap();

    let other = |flow: Flow, _: &str, _: String| -> Option<Workflow> {
        Some(Box::pin(async move { flow.activity("call", "order-42").await }))
    };
    let told = replay(&history, other).err().unwrap().to_string();
    assert_eq!(
        told,
        "Customer has left its history: event 2 is Timer { seconds: 10800 }, \
         but now it is Activity { name: \"call\", input: \"order-42\" }"
    );

    let idle = |flow: Flow, _: &str, _: String| -> Option<Workflow> {
        Some(Box::pin(async move {
            flow.canceled().await;
            Ok(String::new())
        }))
    };
    let told = replay(&history, idle).err().unwrap().to_string();
    let expected = "event 2 is Timer { seconds: 10800 }, but now it is nothing";
    assert!(told.ends_with(expected), "{told}");
}

/// The engine can be opened in the middle: what is not done lies in its tables.
#[test]
fn what_is_to_be_done_lies_in_tables() {
    let dir = tempfile::tempdir().unwrap();
    let engine = shop::open(dir.path(), None).unwrap();
    let snapshot = engine.store().snapshot();
    let ready: BTreeSet<_> = snapshot.rows("ready", ..).map(|r| r.unwrap().key.to_vec()).collect();
    let runs: BTreeSet<_> = snapshot
        .runs(RunFilter::all())
        .map(Result::unwrap)
        .map(|run| run.id.as_bytes().to_vec())
        .collect();
    assert_eq!(ready, runs);
}
