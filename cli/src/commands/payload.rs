//! A look at a payload.

use crate::ui::{clip, plain};

/// As much as fits a line.
const PREVIEW_CHARS: usize = 100;
/// Fewer readable characters between others are chance.
const WORD_MIN: usize = 4;

/// A payload on one line: the text, if it is one, else the words in it.
pub(super) fn preview(payload: &[u8]) -> String {
    let text = match str::from_utf8(payload) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => {
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        }
        _ => words(payload),
    };
    clip(&plain(&text), PREVIEW_CHARS).into_owned()
}

fn words(payload: &[u8]) -> String {
    let readable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let words = payload.split(|byte| !readable(byte)).filter(|word| word.len() >= WORD_MIN);
    let words = words.map(|word| String::from_utf8_lossy(word).trim().to_owned());
    words.collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::preview;

    #[test]
    fn text_is_shown_and_of_the_rest_the_words() {
        assert_eq!(preview(b"{\n  \"paid\": true\n}"), r#"{ "paid": true }"#);
        assert_eq!(preview(b"\n\x10encoding\x12\xff\xfe22\x01json/plain"), "encoding · json/plain");
        assert_eq!(preview(b""), "");
        assert_eq!(preview("a\u{202e}b".as_bytes()), r"a\u{202e}b");
        assert_eq!(preview("é".repeat(500).as_bytes()).chars().count(), 101);
    }
}
