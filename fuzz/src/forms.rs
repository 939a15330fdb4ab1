//! Forms in which people have histories, made of plain ones, for fuzzing to begin with.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// JSON as it is, twice in a list, on two lines, as an archive, as the UI saves payloads, in UTF-16
/// and compressed.
pub fn of_json(text: &str) -> Vec<Vec<u8>> {
    let line = text.replace('\n', " ");
    let utf16 = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let readable = text.replace("\"anNvbi9wbGFpbg==\"", "\"json/plain\"");
    vec![
        text.into(),
        format!("[{text}, {text}]").into(),
        format!("{line}\n{line}\n").into(),
        format!("[{{\"header\": {{}}, \"body\": [{text}]}}]").into(),
        text.replace("EventAttributes\"", "EventAttribute\"").into(),
        readable.into(),
        utf16,
        gzip(text.as_bytes()),
    ]
}

/// Protobuf as it is, as an export of Temporal Cloud with two executions, and compressed.
pub fn of_protobuf(bytes: &[u8]) -> Vec<Vec<u8>> {
    let execution = wrap(&wrap(bytes));
    vec![bytes.into(), [&execution[..], &execution].concat(), gzip(bytes)]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(vec![], Compression::fast());
    out.write_all(bytes).and_then(|()| out.finish()).expect("memory takes everything")
}

/// Field 1 of a message.
fn wrap(content: &[u8]) -> Vec<u8> {
    let (mut out, mut len) = (vec![10], content.len());
    while len >= 0x80 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend(content);
    out
}
