//! Reads and writes every recorded history.

use kinlog_temporal::{History, ImportError, batches};
use prost_reflect::prost::Message;
use prost_reflect::prost::encoding::encode_varint;
use prost_reflect::{DynamicMessage, Value};

use crate::histories;

#[test]
fn every_temporal_history_is_read_as_its_canonical_protobuf_says() {
    let Some(recorded) = histories::recorded() else { return };
    let (mut histories, mut events, mut unknown, mut noted) = (0, 0, 0, 0);
    let mut failures = Vec::new();
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
            // Its canonical protobuf has the UI's note as metadata, as if it were base64.
            Ok(_) if it.file.ends_with("command_reordering_backward_compatibility.json") => {
                assert!(String::from_utf8_lossy(&it.bytes).contains("encodingDecoded"));
                noted += 1;
            }
            // What the API had once, or the UI adds, is in no canonical history.
            Ok(history) if history.unknown() > 0 && without_unknown(&history) == expected => {
                events += history.events().len();
                unknown += 1;
            }
            Ok(_) => failures.push(format!("{}: differs", it.file)),
            Err(error) => failures.push(error.in_file(&it.file).to_string()),
        }
        histories += 1;
    }
    println!("{histories} histories of {events} events, {} failures", failures.len());
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(histories > 0);
    assert_eq!((unknown, noted), (35, 1), "with fields that are not known, with a note");
}

#[test]
fn what_is_written_is_read_again() {
    let Some(recorded) = histories::recorded() else { return };
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
    let Some(recorded) = histories::recorded() else { return };
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
    let Some(recorded) = histories::recorded() else { return };
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
    let Some(recorded) = histories::recorded() else { return };
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
    let Some(recorded) = histories::recorded() else { return };
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

/// The history without the fields that JSON named and nobody knew: a canonical one has lost them.
fn without_unknown(history: &History) -> History {
    let mut bytes = vec![];
    for event in history {
        let mut message = event.message().clone();
        forget_unknown(&mut message);
        let event = message.encode_to_vec();
        bytes.push(10);
        encode_varint(event.len() as u64, &mut bytes);
        bytes.extend(event);
    }
    History::from_proto(&bytes).expect("a history")
}

fn forget_unknown(message: &mut DynamicMessage) {
    message.take_unknown_fields().for_each(drop);
    for (_, value) in message.fields_mut() {
        match value {
            Value::Message(inner) => forget_unknown(inner),
            Value::List(items) => {
                items.iter_mut().filter_map(Value::as_message_mut).for_each(forget_unknown);
            }
            _ => {}
        }
    }
}
