//! Names as they can be shown: a workflow id may hold anything.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// The text on one line, with what a terminal would act on spelled out.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match acts(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// A path, as a text that can be shown.
pub(crate) fn path(path: &Path) -> String {
    plain(&path.display().to_string()).into_owned()
}

/// JSON that says the same, with what a terminal would act on spelled out; its lines stay.
pub(crate) fn plain_json(json: &str) -> Cow<'_, str> {
    let acts = |c: char| acts(c) && c != '\n';
    if !json.contains(acts) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        match acts(c) {
            // All of these are found below U+10000. Writing to a string does not fail.
            true => drop(write!(shown, "\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The first characters of a text, and a mark if there are more.
pub(crate) fn clip(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// Whether it ends a line, begins a command, or turns the direction of the text.
fn acts(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    let turns = turns || matches!(c, '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::{clip, plain, plain_json};

    #[test]
    fn what_a_terminal_acts_on_is_spelled_out() {
        assert_eq!(plain("order-42 é 日本"), "order-42 é 日本");
        assert_eq!(plain("a\nb\x1b[2Jc"), r"a\nb\u{1b}[2Jc");
        assert_eq!(plain("\u{9b}31m\u{202e}x\u{2028}"), r"\u{9b}31m\u{202e}x\u{2028}");
    }

    #[test]
    fn json_says_the_same_spelled_out() {
        let text = "{\n  \"a\": \"é\u{7f}\u{9b}\u{202e}\"\n}";
        let shown = plain_json(text);
        assert_eq!(shown, "{\n  \"a\": \"é\\u007f\\u009b\\u202e\"\n}");
        let value = |text| serde_json::from_str::<serde_json::Value>(text).ok();
        assert_eq!(value(&shown), value(text));
    }

    #[test]
    fn long_texts_are_clipped_between_characters() {
        assert_eq!(clip("日本語", 2), "日本…");
        assert_eq!(clip("日本語", 3), "日本語");
    }
}
