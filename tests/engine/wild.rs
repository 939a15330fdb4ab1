//! Workflows that do anything: what they do is drawn from their input, the same in each life.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use kinlog::ParentClosePolicy::{Abandon, RequestCancel, Terminate};

use super::example::flow::{Either, Flow, Outcome, Stop, Workflow, either};
use super::example::{Engine, report};

const ROOTS: [&str; 4] = ["root-0", "root-1", "root-2", "root-3"];

/// A number below `below`, the same for the same words.
pub(crate) fn draw(words: &str, what: &str, below: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    (words, what).hash(&mut hasher);
    u32::try_from(hasher.finish() % u64::from(below)).unwrap()
}

/// Runs wild workflows from where `directory` stands until nothing is left to do; what came of it.
pub(crate) fn live(directory: &Path, seed: &str, death: Option<u64>) -> String {
    let activity = |name: &str, input: &str| match draw(input, "activity", 4) {
        0 => Err("broken".into()),
        _ => Ok(format!("{name}: done")),
    };
    let engine = Engine::open(directory, workflow, activity, death).unwrap();
    let inputs = ROOTS.map(|root| format!("{seed}-{root} 0"));
    let roots: Vec<_> =
        ROOTS.iter().zip(&inputs).map(|(id, input)| (*id, "Wild", &**input)).collect();
    engine.start(&roots).unwrap();
    engine.run().unwrap();
    engine.store().verify(|_| {}).unwrap();
    assert_eq!(engine.store().stats().unwrap().open_runs, 0);
    report::all(engine.store()).unwrap()
}

fn workflow(flow: Flow, _: &str, input: String) -> Option<Workflow> {
    Some(Box::pin(wild(flow, input)))
}

/// The input is a name, which tells how deep in its tree the workflow is, and how often it
/// continued as new.
async fn wild(flow: Flow, input: String) -> Outcome {
    let (name, generation) = input.split_once(' ').unwrap();
    let generation: u32 = generation.parse().unwrap();
    let mut waiting = vec![];
    for step in 0..2 + draw(&input, "steps", 5) {
        let words = format!("{input} {step}");
        let draw = |what, below| draw(&words, what, below);
        match draw("step", 9) {
            0 => waiting.push(flow.timer(draw("seconds", 100))),
            1 => drop(flow.activity("do", &words).await),
            2 | 3 if name.matches('/').count() < 3 => {
                let policy = [Terminate, Abandon, RequestCancel][draw("policy", 3) as usize];
                // Now and then the id is taken.
                let child = format!("{name}/{}", step % 3);
                waiting.push(flow.child(&child, "Wild", policy, &format!("{child} 0")));
            }
            4 => {
                let root = ROOTS[draw("root", 4) as usize];
                waiting.push(flow.signal(root, "hello", &words));
            }
            5 => {
                if let Either::First(from) = either(flow.signaled("hello"), flow.timer(30)).await {
                    waiting.push(flow.activity("hear", &from));
                }
            }
            6 => {
                let seconds = draw("seconds", 60);
                if let Either::First(()) = either(flow.canceled(), flow.timer(seconds)).await {
                    flow.activity("clean", &words).await?;
                    return Err(Stop::Canceled);
                }
            }
            7 => waiting.push(flow.activity("do in the background", &words)),
            _ => {}
        }
        if draw("wait", 3) == 0
            && let Some(answer) = waiting.pop()
        {
            drop(answer.await);
        }
    }
    match draw(&input, "end", 8) {
        0 if generation < 3 => Err(Stop::ContinueAsNew(format!("{name} {}", generation + 1))),
        1 => Err(Stop::Failed("broken".into())),
        2 => Err(Stop::Canceled),
        3 => Ok("early".into()),
        _ => {
            for answer in waiting {
                drop(answer.await);
            }
            Ok("late".into())
        }
    }
}
