//! The files that people have: each is read, or named in the error.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use kinlog_temporal::{History, ImportError, ReadOptions, read_histories};

/// The events of a run, a list without its brackets.
fn run(number: u32) -> [String; 2] {
    let started = format!(
        r#"{{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
            "workflowExecutionStartedEventAttributes": {{"workflowId": "w-{number}"}}}}"#
    );
    let signaled = r#"{"eventId": "2", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED",
        "workflowExecutionSignaledEventAttributes": {"signalName": "schön"}}"#;
    [started, signaled.to_owned()].map(|event| event.replace('\n', " "))
}

fn document(number: u32) -> String {
    format!(r#"{{"events": [{}]}}"#, run(number).join(", "))
}

fn history(number: u32) -> History {
    History::from_json(&document(number)).expect("a history")
}

fn histories(numbers: impl IntoIterator<Item = u32>) -> Vec<History> {
    numbers.into_iter().map(history).collect()
}

/// Gives out a few bytes at a time, as a pipe may.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let few = to.len().min(3);
        self.0.read(&mut to[..few])
    }
}

fn read(bytes: impl AsRef<[u8]>) -> Result<Vec<History>, ImportError> {
    let read_from = |input: &mut dyn Read| {
        let mut found = vec![];
        let read = read_histories(input, ReadOptions::default(), |history| {
            found.push(history);
            Ok::<(), ImportError>(())
        });
        read.map(|()| found)
    };
    let found = read_from(&mut bytes.as_ref());
    let dripping = read_from(&mut Dripping(bytes.as_ref()));
    let text = |it: &Result<_, ImportError>| it.as_ref().map_err(ToString::to_string).cloned();
    assert_eq!(text(&found), text(&dripping));
    found
}

fn fail(bytes: impl AsRef<[u8]>) -> String {
    read(bytes).expect_err("it is refused").to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(vec![], Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).expect("gzip")
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

fn wrap(content: &[u8]) -> Vec<u8> {
    let mut out = vec![10];
    let mut len = content.len();
    while len >= 0x80 {
        out.push(u8::try_from(len & 0x7f).expect("a byte") | 0x80);
        len >>= 7;
    }
    out.push(u8::try_from(len).expect("a byte"));
    [out.as_slice(), content].concat()
}

#[test]
fn an_archive_has_a_history_in_batches_below_a_header() {
    let [started, signaled] = run(1);
    let header = r#""header": {"namespace": "shop", "runId": "r", "isLast": true}"#;
    let body = format!(r#""body": [{{"events": [{started}]}}, {{"events": [{signaled}]}}]"#);
    for text in [
        format!("[{{{header}, {body}}}]"),
        format!("{{{body}, {header}}}"),
        format!(
            r#"[{{{header}, "body": [{{"events": [{started}]}}]}}, {{{header}, "body": [{{"events": [{signaled}]}}]}}]"#
        ),
    ] {
        assert_eq!(read(&text).expect(&text), histories([1]));
    }
}

#[test]
fn json_lines_are_histories_pages_or_events() {
    let lines: Vec<String> = (1..4).map(document).collect();
    assert_eq!(read(lines.join("\n")).expect("lines"), histories(1..4));
    assert_eq!(read(format!("{}\r\n\r\n", lines.join("\r\n"))).expect("lines"), histories(1..4));
    let [started, signaled] = run(7);
    let pages = format!("{{\"events\": [{started}]}}\n{{\"events\": [{signaled}]}}\n");
    assert_eq!(read(pages).expect("pages"), histories([7]));
    let events = [run(1).join("\n"), run(2).join("\n")].join("\n");
    assert_eq!(read(events).expect("events"), histories([1, 2]));
    let error =
        fail(format!("{}\n{{\"events\": [{{\"eventId\": 1, \"eventType\": \"No\"}}]}}", lines[0]));
    assert_eq!(error, r#"document 2.events[0].eventType (event 1): unknown event type "No""#);
    let error = fail(format!("{}\n{{\"events\"", lines[0]));
    assert!(error.starts_with("broken JSON at line 2, column 9: EOF"), "{error}");
}

#[test]
fn a_list_has_pages_of_one_history_or_many_histories() {
    let many: Vec<String> = (1..4).map(document).collect();
    assert_eq!(read(format!("[{}]", many.join(","))).expect("many"), histories(1..4));
    let lists = (1..4).map(|number| format!("[{}]", run(number).join(",")));
    let lists = lists.collect::<Vec<_>>().join(",");
    assert_eq!(read(format!("[{lists}]")).expect("many"), histories(1..4));
    assert_eq!(
        read(format!("{{\"items\": [{}]}}", many.join(","))).expect("many"),
        histories(1..4)
    );
    // Newest event first.
    let turned = |number| {
        let [started, signaled] = run(number);
        format!("{{\"history\": {{\"events\": [{signaled}, {started}]}}}}")
    };
    assert_eq!(read(format!("[{}, {}]", turned(1), turned(2))).expect("many"), histories([1, 2]));
    // One history is what a caller may ask for.
    let error = History::from_json(&format!("[{}]", many.join(","))).expect_err("three");
    assert_eq!(error.to_string(), "there are 3 histories where one is expected");
    let both = format!(r#"{{"history": {}, "events": [{}]}}"#, document(1), run(1).join(","));
    assert!(fail(both).contains(r#"found both "history" and "events""#));
}

#[test]
fn what_comes_before_an_error_is_read() {
    let mut found = vec![];
    let text = format!("{}\n{}\nnonsense", document(1), document(2));
    let error = read_histories(text.as_bytes(), ReadOptions::default(), |history| {
        found.push(history);
        Ok::<(), ImportError>(())
    });
    let error = error.expect_err("nonsense").to_string();
    assert!(error.starts_with("broken JSON at line 3"), "{error}");
    // The second one may have gone on in the third line.
    assert_eq!(found, histories([1]));
    // Who has enough says so.
    let mut count = 0;
    let text = (0..100).map(document).collect::<String>();
    let enough = read_histories(text.as_bytes(), ReadOptions::default(), |_| {
        count += 1;
        if count == 3 { Err(ImportError::NoEvents) } else { Ok(()) }
    });
    assert!(matches!(enough, Err(ImportError::NoEvents)) && count == 3);
}

/// `WorkflowExecutions`, each with a `History`, and a response with one.
#[test]
fn an_export_of_temporal_cloud_has_many_histories() {
    // Lengths that look like braces, too.
    for count in [1, 2, 40] {
        let items = (0..count).map(|number| wrap(&wrap(&history(number).to_proto())));
        let export: Vec<u8> = items.flatten().collect();
        assert_eq!(read(&export).expect("an export"), histories(0..count));
        assert!(fail(&export[..export.len() - 1]).contains("cut off"));
    }
    for len in 1..200 {
        let text = document(1).replace("w-1", &"x".repeat(len));
        let history = History::from_json(&text).expect("a history");
        for bytes in [wrap(&history.to_proto()), wrap(&wrap(&history.to_proto()))] {
            assert_eq!(read(bytes).expect("protobuf"), std::slice::from_ref(&history), "{len}");
        }
    }
    let inner = [wrap(&history(1).to_proto()), vec![18, 1, 7]].concat();
    let error = fail(wrap(&inner));
    assert!(error.contains("unknown field number 2 beside events"), "{error}");
}

#[test]
fn gzip_and_utf_16_are_read_in_every_combination() {
    for bytes in [document(1).into_bytes(), history(1).to_proto()] {
        assert_eq!(read(gzip(&bytes)).expect("gzip"), histories([1]));
        let two_members = [gzip(&bytes[..9]), gzip(&bytes[9..])].concat();
        assert_eq!(read(two_members).expect("gzip"), histories([1]));
    }
    for unit in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
        let text = utf16(&format!("\u{feff}{}", document(1).replace('ö', "\u{1f600}")), unit);
        let expected = document(1).replace('ö', "\u{1f600}");
        let expected = [History::from_json(&expected).expect("a history")];
        assert_eq!(read(&text).expect("UTF-16"), expected);
        assert_eq!(read(gzip(&text)).expect("UTF-16 in gzip"), expected);
        assert!(fail(&text[..text.len() - 1]).starts_with("not UTF-16 text at byte"));
        assert!(fail(&text[2..]).contains("UTF-16 without a mark"));
    }
    // Half a character.
    let broken = utf16("\u{feff}{\"a\": \"x\"}", u16::to_le_bytes);
    let broken = [&broken[..16], &[0, 0xd8], &broken[16..]].concat();
    assert_eq!(fail(broken), "not UTF-16 text at byte 16");
    let cut = fail(&gzip(document(1).as_bytes())[..100]);
    assert!(cut.starts_with("broken gzip: "), "{cut}");
}

#[test]
fn what_is_not_read_is_named() {
    for (bytes, name) in [
        (&b"PK\x03\x04...."[..], "a zip archive"),
        (b"\x28\xb5\x2f\xfd....", "compressed by zstd"),
        (b"BZh91AY", "compressed by bzip2"),
        (b"\xfd7zXZ\0..", "compressed by xz"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"\x04\x22\x4d\x18", "compressed by lz4"),
        (b"\xff\x06\0\0sNaPpY", "compressed by snappy"),
        (b"\xff\xfe\0\0{\0\0\0", "text in UTF-32"),
        (b"\0\0\xfe\xff\0\0\0{", "text in UTF-32"),
        (&gzip(&gzip(b"{}")), "compressed by gzip twice"),
    ] {
        assert_eq!(
            fail(bytes),
            format!("this is {name}, which is not read: unpack or convert it first")
        );
    }
    for text in ["<html>", "events:\n- eventId: 1", "eventId,eventType", "no"] {
        assert!(fail(text).contains("found neither JSON nor protobuf"), "{text}");
    }
    assert_eq!(fail(""), "the file is empty");
    assert_eq!(fail(gzip(b"")), "the file is empty");
}
