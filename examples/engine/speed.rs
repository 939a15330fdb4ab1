//! How fast the engine is: workflows of one activity each, and a parent of as many children.
//! `tests/judge/speed.py` sets it beside a Temporal server.

use std::path::Path;
use std::time::Instant;

use kinlog::ParentClosePolicy::Terminate;

use super::flow::{Flow, Outcome, Workflow};
use super::{Engine, Result};

/// Measures in `directory`, with commits that wait for the device and with commits that do not.
pub(crate) fn measure(directory: &Path, workflows: u32, children: u32) -> Result<()> {
    let ids: Vec<_> = (0..workflows).map(|number| format!("one-{number}")).collect();
    let many: Vec<_> = ids.iter().map(|id| (id.as_str(), "One", "")).collect();
    let children = children.to_string();
    for commits in ["synced", "buffered"] {
        let directory = directory.join(commits);
        let buffered = commits == "buffered";
        let alone = timed(&directory.join("many"), buffered, &many)?;
        let parent = [("parent", "Parent", children.as_str())];
        let family = timed(&directory.join("family"), buffered, &parent)?;
        println!("{commits}: {:.0} workflows/s, {family:.3} s", f64::from(workflows) / alone);
    }
    Ok(())
}

/// The seconds from the start of workflows until nothing is left to do.
fn timed(directory: &Path, buffered: bool, workflows: &[(&str, &str, &str)]) -> Result<f64> {
    std::fs::create_dir_all(directory)?;
    let activity = |_: &str, input: &str| Ok(input.to_owned());
    let engine = Engine::open(directory, workflow, activity, None)?;
    let engine = if buffered { engine.buffered() } else { engine };
    let began = Instant::now();
    engine.start(workflows)?;
    engine.run()?;
    Ok(began.elapsed().as_secs_f64())
}

fn workflow(flow: Flow, workflow_type: &str, input: String) -> Option<Workflow> {
    match workflow_type {
        "One" => Some(Box::pin(one(flow))),
        "Parent" => Some(Box::pin(parent(flow, input))),
        _ => None,
    }
}

async fn one(flow: Flow) -> Outcome {
    flow.activity("echo", "hello").await
}

async fn parent(flow: Flow, children: String) -> Outcome {
    let ids = 0..children.parse().unwrap_or(0);
    let started: Vec<_> =
        ids.map(|id| flow.child(&format!("child-{id}"), "One", Terminate, "")).collect();
    for child in started {
        child.await?;
    }
    Ok(children)
}
