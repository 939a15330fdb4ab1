//! What the library reads from a store, as the lines that the Python reader prints.

use std::fmt::Write;

use kinlog::event::FieldValue;
use kinlog::{Body, Child, DutyFilter, Event, RunFilter, RunId, RunInfo, Snapshot, Store};

/// One JSON object a line for each event: run by run, in the order in which they came.
pub(crate) fn events(store: &Store) -> String {
    let snapshot = store.snapshot();
    let mut out = String::new();
    for run in whole(&snapshot) {
        out.push_str(&run_events(&snapshot, &run.id));
    }
    out
}

/// The runs whose histories were not deleted.
fn whole(snapshot: &Snapshot) -> impl Iterator<Item = RunInfo> {
    snapshot.runs(RunFilter::all()).map(Result::unwrap).filter(|run| run.deleted.is_none())
}

/// The events of one run.
pub(crate) fn run_events(snapshot: &Snapshot, run: &RunId) -> String {
    let history = snapshot.history(run).unwrap();
    let mut out = String::new();
    for event in &history {
        line(&mut out, run, &event.unwrap());
    }
    out
}

/// One JSON object a line for each row: table by table, key by key.
pub(crate) fn rows(store: &Store) -> String {
    let snapshot = store.snapshot();
    let mut out = String::new();
    for table in snapshot.tables() {
        for row in snapshot.rows(&table, ..) {
            let row = row.unwrap();
            let (key, value) = (base64(row.key), base64(row.value));
            let table = text(&table);
            writeln!(out, r#"{{"table":{table},"key":"{key}","value":"{value}"}}"#).unwrap();
        }
    }
    out
}

/// One JSON object a line for each relation of a run that was started in the store, then one for each
/// duty.
pub(crate) fn kin(store: &Store) -> String {
    let snapshot = store.snapshot();
    let mut out = String::new();
    for run in whole(&snapshot).filter(|run| !run.is_imported) {
        for child in snapshot.children(&run.id).unwrap() {
            relation(&mut out, &run.id, &child.unwrap());
        }
    }
    for duty in store.duties(DutyFilter::all()).map(Result::unwrap) {
        let (kind, run, since) = (duty.kind(), duty.run(), duty.since());
        let event = duty.initiated_event_id();
        writeln!(
            out,
            r#"{{"duty":"{kind}","run_id":"{run}","initiated_event_id":{event},"since":{since}}}"#
        )
        .unwrap();
    }
    out
}

fn relation(out: &mut String, run: &RunId, child: &Child) {
    let outcome = child.outcome.map_or("null".into(), |outcome| format!("\"{}\"", outcome.name()));
    let current = child.current.as_ref().map(|current| current.id);
    writeln!(
        out,
        concat!(
            r#"{{"run_id":"{}","initiated_event_id":{},"workflow_id":{},"workflow_type":{},"#,
            r#""close_policy":"{:?}","state":"{}","outcome":{},"reported":{},"#,
            r#""first_run_id":{},"current_run_id":{},"held_by":{}}}"#,
        ),
        run,
        child.initiated_event_id,
        text(&child.workflow_id),
        text(&child.workflow_type),
        child.policy,
        child.state,
        outcome,
        child.reported,
        json(FieldValue::Run(child.first_run)),
        json(FieldValue::Run(current)),
        json(FieldValue::Run(child.held_by)),
    )
    .unwrap();
}

fn line(out: &mut String, run: &RunId, event: &Event<'_>) {
    write!(
        out,
        concat!(
            r#"{{"run_id":"{}","id":{},"kind":"{}","kind_number":{},"version":{},"#,
            r#""time_unix_nanos":{},"size":{},"payload_bytes":{},"payload":"{}","body":"#,
        ),
        run,
        event.id(),
        event.kind(),
        event.kind().number(),
        event.version(),
        event.time().unix_nanos(),
        event.size(),
        event.payload().len(),
        base64(event.payload()),
    )
    .unwrap();
    writeln!(out, "{}}}", body(&event.body())).unwrap();
}

fn body(body: &Body<'_>) -> String {
    let fields = body.fields().into_iter();
    let fields: Vec<_> =
        fields.map(|(name, value)| format!("\"{name}\":{}", json(value))).collect();
    format!("{{{}}}", fields.join(","))
}

fn json(value: FieldValue<'_>) -> String {
    match value {
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Flag(flag) => flag.to_string(),
        FieldValue::Text(it) => text(it),
        FieldValue::Run(run) => run.map_or("null".into(), |run| format!("\"{run}\"")),
        FieldValue::Events(ids) => {
            let ids: Vec<_> = ids.iter().map(|id| id.to_string()).collect();
            format!("[{}]", ids.join(","))
        }
        FieldValue::Choice(name) => format!("\"{name}\""),
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out + "\""
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}
