//! Reads and writes every recorded history.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use kinlog_temporal::{History, ImportError, batches};

#[test]
fn every_temporal_history_is_read_as_its_canonical_protobuf_says() {
    let Some(recorded) = common::recorded() else { return };
    let (mut histories, mut events, mut failures) = (0, 0, Vec::new());
    for it in &recorded {
        let Some(canonical) = &it.canonical else { continue };
        let expected = History::from_proto(canonical).expect("a canonical history");
        assert!(expected == History::from_bytes(canonical).expect("it is protobuf"), "{}", it.file);
        assert_eq!(expected.events().len(), it.events, "{}", it.file);
        match History::from_bytes(&it.bytes) {
            // The canonical bytes were taken from the file's protobuf twin, which has an id more.
            Ok(history) if it.file.ends_with("__signal_with_start.json") => {
                assert!(history.events()[1..] == expected.events()[1..]);
                events += history.events().len();
            }
            Ok(history) if history == expected => events += history.events().len(),
            Ok(_) => failures.push(format!("{}: differs", it.file)),
            Err(error) => failures.push(error.in_file(&it.file).to_string()),
        }
        histories += 1;
    }
    println!("{histories} histories of {events} events, {} failures", failures.len());
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(histories > 0);
}

#[test]
fn what_is_written_is_read_again() {
    let Some(recorded) = common::recorded() else { return };
    let (mut proto, mut json, mut same) = (0, 0, 0);
    for it in &recorded {
        let Some(canonical) = &it.canonical else { continue };
        let history = History::from_bytes(&it.bytes).expect(&it.file);
        let bytes = history.to_proto();
        assert!(History::from_proto(&bytes).expect("protobuf") == history, "{}", it.file);
        assert!(bytes == History::from_proto(&bytes).expect("protobuf").to_proto());
        proto += bytes.len();
        same += usize::from(bytes == *canonical);
        let text = history.to_json().expect("JSON");
        let again = History::from_json(&text).expect(&it.file);
        assert!(again == history, "{}", it.file);
        assert!(again.to_json().expect("JSON") == text, "{}", it.file);
        assert!(again.to_proto() == bytes, "{}", it.file);
        json += text.len();
    }
    println!("{proto} bytes of protobuf ({same} byte for byte the canonical), {json} of JSON");
}

#[test]
fn everything_else_is_refused_with_its_reason() {
    let Some(recorded) = common::recorded() else { return };
    let (mut cadence, mut unknown) = (0, 0);
    for it in recorded.iter().filter(|it| it.canonical.is_none()) {
        let error = History::from_bytes(&it.bytes).expect_err(&it.file);
        match &error {
            ImportError::Cadence { .. } if it.format == "json-cadence" => cadence += 1,
            ImportError::UnknownEventType { .. } => {
                unknown += 1;
                println!("{error}");
            }
            other => panic!("{}: {other}", it.file),
        }
    }
    println!("{cadence} Cadence histories and {unknown} of unknown events refused");
    assert_eq!(cadence + unknown, recorded.iter().filter(|it| it.canonical.is_none()).count());
}

#[test]
fn batches_cover_every_history() {
    let Some(recorded) = common::recorded() else { return };
    let (mut count, mut events) = (0, 0);
    for it in &recorded {
        let Some(canonical) = &it.canonical else { continue };
        let history = History::from_proto(canonical).expect("a canonical history");
        let batches = batches(&history);
        let mut next = 0;
        for batch in &batches {
            assert!(batch.start == next && batch.end > next, "{}: {batch:?}", it.file);
            next = batch.end;
        }
        assert_eq!(next, history.events().len());
        count += batches.len();
        events += next;
    }
    println!("{count} batches of {events} events");
    assert_eq!((count, events), (12_530, 22_598));
}

/// Cutting a file anywhere gives an error or a shorter history, and never a panic.
#[test]
fn truncated_files_are_errors() {
    let Some(recorded) = common::recorded() else { return };
    let (mut refused, mut shorter) = (0, 0);
    for it in recorded.iter().filter(|it| it.canonical.is_some()).step_by(25) {
        let whole = History::from_bytes(&it.bytes).expect(&it.file);
        for step in 1..20 {
            let cut = it.bytes.len() * step / 20;
            match History::from_bytes(&it.bytes[..cut]) {
                Err(ImportError::Json { line, .. }) => refused += usize::from(line > 0),
                Err(ImportError::Protobuf { offset, .. }) => refused += usize::from(offset <= cut),
                Err(other) => panic!("{}: {other}", it.file),
                Ok(history) => {
                    let len = history.events().len();
                    assert!(it.format == "bin" && len < whole.events().len());
                    assert_eq!(history.events(), &whole.events()[..len]);
                    shorter += 1;
                }
            }
        }
    }
    println!("{refused} refused, {shorter} cut between two events");
    assert!(refused > 0);
}

#[test]
fn histories_name_their_run() {
    let Some(recorded) = common::recorded() else { return };
    let (mut named, mut unnamed) = (0, 0);
    for it in recorded.iter().filter(|it| it.canonical.is_some()) {
        let history = History::from_bytes(&it.bytes).expect(&it.file);
        match history.run_id() {
            Some(run) => {
                assert_eq!(run.to_string(), it.run_id, "{}", it.file);
                named += 1;
            }
            None => unnamed += 1,
        }
    }
    println!("{named} histories name their run, {unnamed} do not");
    assert!(named > unnamed);
}
