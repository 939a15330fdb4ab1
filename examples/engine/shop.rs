//! The workflows and activities of a shop. An order is withdrawn while it is on its way; the
//! children that it leaves behind end each by its own close policy.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use kinlog::ParentClosePolicy::{Abandon, RequestCancel, Terminate};

use super::flow::{Either, Flow, Outcome, Stop, Workflow, either};
use super::{Engine, Result};

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// The engine with the shop's workflows, and the one commit that begins it all.
pub(crate) fn open(directory: &Path, death: Option<u64>) -> Result<Engine> {
    let effects = directory.join("effects.txt");
    let effects = OpenOptions::new().create(true).append(true).open(effects)?;
    let activity = move |name: &str, input: &str| activity(&effects, name, input);
    let engine = Engine::open(&directory.join("store"), workflow, activity, death)?;
    engine.start(&[("order-42", "Order", "42 EUR"), ("anna", "Customer", "order-42")])?;
    Ok(engine)
}

fn workflow(flow: Flow, workflow_type: &str, input: String) -> Option<Workflow> {
    Some(match workflow_type {
        "Order" => Box::pin(order(flow, input)),
        "Customer" => Box::pin(customer(flow, input)),
        "Payment" => Box::pin(payment(flow, input)),
        "Parcel" => Box::pin(parcel(flow, input)),
        "Tracking" => Box::pin(tracking(flow, input)),
        "Survey" => Box::pin(survey(flow, input)),
        _ => return None,
    })
}

/// Waits for its payment, then sends a parcel, unless the customer withdraws.
async fn order(flow: Flow, price: String) -> Outcome {
    let receipt = flow.child("payment-42", "Payment", Terminate, &price).await?;
    let parcel = flow.child("parcel-42", "Parcel", RequestCancel, "");
    let _tracking = flow.child("tracking-42", "Tracking", Terminate, "1");
    let _survey = flow.child("survey-42", "Survey", Abandon, "anna");
    match either(flow.signaled("withdraw"), parcel).await {
        Either::First(why) => {
            let refund = flow.activity("refund", &receipt).await?;
            Ok(format!("withdrawn ({why}), {refund}"))
        }
        Either::Second(delivered) => delivered,
    }
}

/// A workflow that signals another one.
async fn customer(flow: Flow, order: String) -> Outcome {
    flow.timer(3 * HOUR).await?;
    flow.signal(&order, "withdraw", "found it cheaper").await?;
    Ok("withdrew".into())
}

/// Tries an activity until it succeeds.
async fn payment(flow: Flow, price: String) -> Outcome {
    let mut attempt = 1;
    loop {
        match flow.activity("charge", &format!("{price}, attempt {attempt}")).await {
            Err(Stop::Failed(_)) if attempt < 3 => flow.timer(attempt * MINUTE).await?,
            receipt => return receipt,
        };
        attempt += 1;
    }
}

/// Cleans up when it is asked to cancel.
async fn parcel(flow: Flow, _: String) -> Outcome {
    let label = flow.activity("print label", "parcel-42").await?;
    match either(flow.canceled(), flow.timer(2 * DAY)).await {
        Either::First(()) => {
            flow.activity("void label", &label).await?;
            Err(Stop::Canceled)
        }
        Either::Second(_) => Ok("delivered".into()),
    }
}

/// Goes on for ever, each hour as a new run.
async fn tracking(flow: Flow, hour: String) -> Outcome {
    flow.timer(HOUR).await?;
    let hour: u32 = hour.parse().map_err(|_| Stop::Failed("not an hour".into()))?;
    Err(Stop::ContinueAsNew((hour + 1).to_string()))
}

/// Outlives its parent.
async fn survey(flow: Flow, customer: String) -> Outcome {
    flow.timer(7 * DAY).await?;
    flow.activity("mail", &customer).await
}

/// What an activity does to the world is one line in a file: it is done at least once, and again
/// if the engine dies before the result is committed.
fn activity(mut effects: &File, name: &str, input: &str) -> Result<String, String> {
    writeln!(effects, "{name} {input}").map_err(|error| error.to_string())?;
    match (name, input) {
        ("charge", "42 EUR, attempt 1") => Err("the bank does not answer".into()),
        ("charge", _) => Ok("receipt 1".into()),
        ("print label", _) => Ok("label 1".into()),
        ("refund", receipt) => Ok(format!("refunded {receipt}")),
        (name, _) => Ok(format!("{name}: done")),
    }
}

/// What activities did to the world, in order, each with how often if more than once.
pub(crate) fn effects(directory: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(directory.join("effects.txt"))?;
    let mut effects: Vec<(&str, u32)> = vec![];
    for line in text.lines() {
        match effects.iter_mut().find(|(found, _)| *found == line) {
            Some((_, times)) => *times += 1,
            None => effects.push((line, 1)),
        }
    }
    let shown = effects.into_iter().map(|(effect, times)| match times {
        1 => effect.to_string(),
        _ => format!("{effect} ({times} times)"),
    });
    Ok(shown.collect())
}
