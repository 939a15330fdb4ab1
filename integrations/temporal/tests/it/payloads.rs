//! Payloads in the forms of Temporal's UI and SDKs, and JSON that only looks like one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kinlog_temporal::History;
use serde_json::Value;

fn started(attributes: &str) -> String {
    format!(
        r#"{{"events": [{{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
            "workflowExecutionStartedEventAttributes": {{{attributes}}}}}]}}"#
    )
}

fn read(attributes: &str) -> History {
    let history = History::from_json(&started(attributes)).expect(attributes);
    // Whatever it was, it can be written and read again.
    let text = history.to_json().expect("JSON");
    assert_eq!(History::from_json(&text).expect(&text), history, "{text}");
    history
}

fn fail(attributes: &str) -> String {
    History::from_json(&started(attributes)).expect_err(attributes).to_string()
}

/// The metadata and data of a payload, as text.
type Text = (Vec<(String, String)>, String);

fn text(payload: &Value) -> Text {
    let decode = |value: &Value| {
        let bytes = STANDARD.decode(value.as_str().unwrap_or_default()).expect("base64");
        String::from_utf8(bytes).expect("text")
    };
    let metadata = payload["metadata"].as_object().expect("metadata").iter();
    let metadata = metadata.map(|(key, value)| (key.clone(), decode(value))).collect();
    (metadata, decode(&payload["data"]))
}

/// What `input` becomes, a payload each.
fn input(payloads: &str) -> Vec<Text> {
    let history = read(&format!(r#""input": {{"payloads": [{payloads}]}}"#));
    let json: Value = serde_json::from_str(&history.to_json().expect("JSON")).expect("JSON");
    let attributes = &json["events"][0]["workflowExecutionStartedEventAttributes"];
    attributes["input"]["payloads"].as_array().expect("payloads").iter().map(text).collect()
}

fn of(encoding: &str, data: &str) -> Text {
    (vec![("encoding".to_owned(), encoding.to_owned())], data.to_owned())
}

#[test]
fn a_readable_payload_is_encoded_again_as_it_is_written() {
    let json = |data: &str| {
        input(&format!(r#"{{"metadata": {{"encoding": "json/plain"}}, "data": {data}}}"#))
    };
    for (written, data) in [
        ("{\"order\": 42,\n \"b\": 1, \"a\": 2}", r#"{"order":42,"b":1,"a":2}"#),
        (r#""Hello,  world!""#, r#""Hello,  world!""#),
        // It reads as base64, and is none.
        (r#""order42A""#, r#""order42A""#),
        (r#""a \" b\\""#, r#""a \" b\\""#),
        ("7", "7"),
        ("null", "null"),
        (" [ ] ", "[]"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("[-0, 1e400, 1.0, 0.10000000000000000555]", "[-0,1e400,1.0,0.10000000000000000555]"),
    ] {
        assert_eq!(json(data.trim()), json(written), "{written}");
        assert_eq!(json(written), [of("json/plain", data)]);
    }
    for nothing in [r#", "data": null"#, r#", "data": """#, ""] {
        let payload = format!(r#"{{"metadata": {{"encoding": "binary/null"}}{nothing}}}"#);
        assert_eq!(input(&payload), [of("binary/null", "")]);
    }
    let message = r#"{"metadata": {"encoding": "json/protobuf", "messageType": "Text"}, "data": {"z": 1, "a": 2}}"#;
    let (metadata, data) = input(message).remove(0);
    assert_eq!(data, r#"{"z":1,"a":2}"#);
    // Four letters that read as base64.
    assert_eq!(metadata[1], ("messageType".to_owned(), "Text".to_owned()));
}

/// The UI decodes whatever reads as JSON.
#[test]
fn readable_data_of_another_encoding_is_json_or_in_doubt() {
    let of_encoding =
        |data: &str| format!(r#"{{"metadata": {{"encoding": "binary/plain"}}, "data": {data}}}"#);
    assert_eq!(
        input(&of_encoding(r#"{"b": 1, "a": 2}"#)),
        [of("binary/plain", r#"{"b":1,"a":2}"#)]
    );
    assert_eq!(input(&of_encoding(r#""so it is""#)), [of("binary/plain", r#""so it is""#)]);
    let error = fail(&format!(r#""input": [{}]"#, of_encoding(r#""SGVsbG8=""#)));
    assert!(error.ends_with("the data of a binary/plain payload may be text or base64"), "{error}");
    let null = r#"{"metadata": {"encoding": "binary/null"}, "data": {"a": 1}}"#;
    assert!(fail(&format!(r#""input": [{null}]"#)).contains("binary/null"));
}

#[test]
fn a_decoded_history_has_text_in_search_attributes_memo_and_header_only() {
    let history = read(
        r#""input": {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "eyJiIjoxfQ=="}]},
        "searchAttributes": {"indexedFields": {"Code": {"metadata":
            {"encoding": "json/plain", "type": "Keyword"}, "data": "cust0042"}}},
        "memo": {"fields": {"note": {"metadata": {"encoding": "json/plain"}, "data": "abcd"}}},
        "header": {"fields": {"trace": {"metadata": {"encoding": "json/plain"}, "data": {"t": 1}}}}"#,
    );
    let json: Value = serde_json::from_str(&history.to_json().expect("JSON")).expect("JSON");
    let it = &json["events"][0]["workflowExecutionStartedEventAttributes"];
    assert_eq!(text(&it["input"]["payloads"][0]), of("json/plain", r#"{"b":1}"#));
    assert_eq!(text(&it["memo"]["fields"]["note"]), of("json/plain", r#""abcd""#));
    assert_eq!(text(&it["header"]["fields"]["trace"]), of("json/plain", r#"{"t":1}"#));
    let (metadata, data) = text(&it["searchAttributes"]["indexedFields"]["Code"]);
    assert_eq!((metadata[1].1.as_str(), data.as_str()), ("Keyword", r#""cust0042""#));
}

#[test]
fn the_note_of_an_older_ui_is_gone_and_its_data_is_encoded_again() {
    let noted = |data: &str| {
        let metadata = r#""encoding": "anNvbi9wbGFpbg==", "encodingDecoded": "json/plain""#;
        input(&format!(r#"{{"metadata": {{{metadata}}}, "data": {data}}}"#))
    };
    for (written, data) in [
        (r#""IkFsaWNlIg==""#, r#""Alice""#),
        (r#""Bob""#, r#""Bob""#),
        // Base64 of what is no JSON.
        (r#""order42A""#, r#""order42A""#),
        (r#"{"c": 1}"#, r#"{"c":1}"#),
    ] {
        assert_eq!(noted(written), [of("json/plain", data)], "{written}");
    }
    // Somebody's own metadata of this name is no note.
    let own = r#"{"metadata": {"encoding": "anNvbi9wbGFpbg==", "encodingDecoded": "YQ=="}, "data": "MQ=="}"#;
    let (metadata, data) = input(own).remove(0);
    assert_eq!((metadata.len(), metadata[1].1.as_str(), data.as_str()), (2, "a", "1"));
}

#[test]
fn an_object_is_a_payload_only_if_it_reads_as_one() {
    for plain in [
        r#"{"data":"Hello, world!"}"#,
        r#"{"data":"abcd"}"#,
        r#"{"data":5}"#,
        "{}",
        r#"{"metadata":{}}"#,
        r#"{"metadata":{"source":"crm"}}"#,
        r#"{"metadata":{"a":"b"},"data":"row"}"#,
        r#"{"metadata":{"a":"row"},"data":"row"}"#,
        r#"{"metadata":{"encoding":"utf-8"},"data":"row"}"#,
        r#"{"metadata":{"a":5},"data":"abcd"}"#,
        r#"{"metadata":"a","data":"abcd"}"#,
        r#"{"metadata":{"encoding":"json/plain"},"data":"abcd","more":1}"#,
    ] {
        assert_eq!(input(plain), [of("json/plain", plain)]);
    }
    // `binary/null` with a line feed, which servers keep.
    let null = r#"{"metadata": {"encoding": "YmluYXJ5L251bGwK"}, "data": ""}"#;
    assert_eq!(input(null), [of("binary/null\n", "")]);
    let own = r#"{"metadata": {"kind": "YQ=="}, "data": "MQ=="}"#;
    assert_eq!(input(own), [(vec![("kind".to_owned(), "a".to_owned())], "1".to_owned())]);
    // It is meant to be one.
    for (broken, reason) in [
        (r#"{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": {"a": 1}}"#, "not base64"),
        (r#"{"metadata": {"encoding": "anNvbi9wbGFpbg==", "a": "!"}}"#, "\"a\" is not base64"),
        (r#"{"metadata": {"encoding": "json/plain", "a": 1}, "data": 1}"#, "\"a\" is not text"),
    ] {
        let error = fail(&format!(r#""input": [{broken}]"#));
        assert!(error.contains("input.payloads[0] (event 1)") && error.contains(reason), "{error}");
    }
}

#[test]
fn plain_json_stays_as_it_is_written() {
    let written =
        r#"{"z": 12345678901234567890123, "a": 0.10000000000000000555, "m": -0, "big": 1e400}"#;
    assert_eq!(input(written), [of("json/plain", &written.replace(' ', ""))]);
    let (metadata, data) = input(r#"{"z": 1.50, "_protoMessageType": "a.B", "a": 2}"#).remove(0);
    assert_eq!(data, r#"{"z":1.50,"a":2}"#);
    assert_eq!(metadata[1].1, "a.B");
}

#[test]
fn a_key_that_is_there_twice_is_refused_wherever_it_is() {
    for (attributes, at) in [
        (r#""input": [{"a": 1, "b": {"c": 1, "c": 1}}]"#, "\"c\" is there twice"),
        (r#""workflowId": "a", "workflowId": "a""#, "\"workflowId\" is there twice"),
        (r#""workflowId": "a", "workflow_id": "b""#, "one is too many"),
    ] {
        let error = fail(attributes);
        assert!(error.contains(at) && error.contains("(event 1)"), "{error}");
    }
    for text in [
        r#"[{"eventId": "1", "eventId": "2", "eventType": "TimerFired"}]"#,
        r#"{"events": [], "events": []}"#,
    ] {
        let error = History::from_json(text).expect_err(text).to_string();
        assert!(error.contains("is there twice"), "{error}");
    }
}

/// A payload in protobuf need not have metadata, nor data.
#[test]
fn every_payload_of_protobuf_goes_through_json() {
    for payload in [
        &[][..],
        &[18, 2, b'h', b'i'],
        &[10, 5, 10, 1, b'a', 18, 0],
        &[10, 5, 10, 1, b'a', 18, 0, 18, 1, 7],
        &[26, 2, 8, 9],
    ] {
        // A marker with details of one payload.
        let nested = |number: u8, content: &[u8]| {
            [&[number << 3 | 2, u8::try_from(content.len()).expect("short")], content].concat()
        };
        let payloads = nested(1, payload);
        let details = nested(2, &[nested(1, b"k"), nested(2, &payloads)].concat());
        let event = [&[8, 1, 24, 25, 0xca, 1][..], &nested(0, &details)[1..]].concat();
        let history = History::from_proto(&nested(1, &event)).expect("protobuf");
        let text = history.to_json().expect("JSON");
        assert_eq!(History::from_json(&text).expect(&text), history, "{text}");
    }
}
