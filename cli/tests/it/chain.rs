//! `kinlog chain`.

use kinlog::event::ContinuedAsNew;
use kinlog::{Body, Store};
use serde_json::{Value, json};

use super::common::{call, small_store};
use super::family::{chain, id, record};

#[test]
fn runs_say_how_they_came() {
    let dir = tempfile::tempdir().unwrap();
    let store = chain(dir.path());
    let out = call(&store, ["chain", "poll"]).ok().out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2 + 1 + 5 + 1, "{out}");
    assert_eq!(lines[0], "poll  in shop");
    for (line, (number, came, status)) in lines[3..].iter().zip([
        (1, "started", "ContinuedAsNew"),
        (2, "continued as new", "Failed"),
        (3, "retry, attempt 2", "Completed"),
        (4, "cron", "Terminated"),
        (5, "reset of 4 to event 1", "Running"),
    ]) {
        assert!(line.starts_with(&format!("{number}  {}  {came}  ", id(number))), "{out}");
        assert!(line.contains(&format!("  {status}  ")), "{out}");
        assert_eq!(line.ends_with("current"), number == 5, "{out}");
    }
    assert!(lines[8].starts_with("5 runs, 11 events, "), "{out}");
    // Any run stands for its chain.
    assert_eq!(call(&store, ["chain", &id(2).to_string()]).ok().out, out);
    call(&store, ["chain", "nobody"]).fails(5, "there is no run");
    let shown = call(&store, ["show", &id(5).to_string()]).ok().out;
    assert!(shown.contains("chain      number 5 of 5 runs\n"), "{shown}");
    assert!(shown.contains(&format!("reset of   {} to event 1\n", id(4))), "{shown}");
}

#[test]
fn a_run_is_an_object() {
    let dir = tempfile::tempdir().unwrap();
    let store = chain(dir.path());
    let mut runs = call(&store, ["chain", "poll", "--json"]).ok().json();
    assert_eq!(runs.len(), 5);
    let mut retry = runs[2].take();
    for field in ["bytes", "started_at", "closed_at"] {
        assert!(!retry[field].take().is_null(), "{field}");
    }
    let expected = json!({
        "number": 3, "run_id": id(3).to_string(), "is_here": true, "is_current": false,
        "is_imported": false, "came_by": "Retry", "attempt": 2,
        "before_run_id": id(2).to_string(), "before_is_here": true, "reset_to_event": null,
        "status": "Completed", "cancel_requested": false, "events": 2, "bytes": null,
        "started_at": null, "closed_at": null,
    });
    assert_eq!(retry, expected);
    assert_eq!((&runs[4]["came_by"], &runs[4]["reset_to_event"]), (&json!("Reset"), &json!(1)));
    assert_eq!(runs[4]["before_run_id"], id(4).to_string());
}

/// Of the runs 1, 2, 3, 4, 5 the store holds 3 and 4.
#[test]
fn runs_that_are_not_here_are_marked() {
    let dir = tempfile::tempdir().unwrap();
    let path = small_store(dir.path());
    let store = Store::open(&path).unwrap();
    let next = |run| {
        [Body::WorkflowExecutionContinuedAsNew(ContinuedAsNew {
            new_run_id: Some(id(run)),
            ..Default::default()
        })]
    };
    record(&store, 3, 1, Some(2), &next(4));
    record(&store, 4, 1, Some(3), &next(5));
    drop(store);
    let out = call(&path, ["chain", &id(3).to_string()]).ok().out;
    let lines: Vec<&str> = out.lines().skip(3).collect();
    for (line, run) in [(0, 1), (1, 2), (4, 5)] {
        assert_eq!(lines[line], format!("·  {}  a run that is not here", id(run)), "{out}");
    }
    assert!(lines[2].starts_with(&format!("1  {}  continued", id(3))), "{out}");
    let runs = call(&path, ["chain", &id(3).to_string(), "--json"]).ok().json();
    let here: Vec<&Value> = runs.iter().map(|run| &run["is_here"]).collect();
    assert_eq!(here, [false, false, true, true, false]);
    assert_eq!((&runs[0]["number"], &runs[0]["run_id"]), (&json!(null), &json!(id(1).to_string())));
}

/// As earlier servers wrote them: nobody says which run is the first.
#[test]
fn imported_runs_are_a_chain_by_their_links() {
    let event = |id: u32, kind: &str, attributes: &str| {
        let key = format!("{}{}EventAttributes", kind[..1].to_lowercase(), &kind[1..]);
        format!(r#"{{"eventId": "{id}", "eventType": "{kind}", "{key}": {{{attributes}}}}}"#)
    };
    let history = |run: u8, before: Option<u8>, next: Option<u8>| {
        let before = before.map(|run| format!(r#", "continuedExecutionRunId": "{}""#, id(run)));
        let own = format!(r#""workflowId": "c", "originalExecutionRunId": "{}""#, id(run));
        let started = event(1, "WorkflowExecutionStarted", &(own + &before.unwrap_or_default()));
        let closed = match next {
            Some(next) => {
                let next = format!(r#""newExecutionRunId": "{}""#, id(next));
                event(2, "WorkflowExecutionContinuedAsNew", &next)
            }
            None => event(2, "WorkflowExecutionCompleted", ""),
        };
        format!("[{started}, {closed}]")
    };
    let dir = tempfile::tempdir().unwrap();
    let files = [(1, None, Some(2)), (2, Some(1), Some(3)), (3, Some(2), None)].map(
        |(run, before, next)| {
            let file = dir.path().join(format!("{run}.json"));
            std::fs::write(&file, history(run, before, next)).unwrap();
            file.to_str().unwrap().to_owned()
        },
    );
    for order in [[0, 1, 2], [2, 0, 1], [2, 1, 0]] {
        let dir = tempfile::tempdir().unwrap();
        let store = small_store(dir.path());
        for place in order {
            call(&store, ["import", &files[place]]).ok();
        }
        for run in 1..4 {
            let runs = call(&store, ["chain", &id(run).to_string(), "--json"]).ok().json();
            let ids: Vec<&str> = runs.iter().filter_map(|run| run["run_id"].as_str()).collect();
            assert_eq!(ids, [1, 2, 3].map(|run| id(run).to_string()), "{order:?}");
        }
    }
}
