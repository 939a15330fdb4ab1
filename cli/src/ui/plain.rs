//! Names as they can be shown: a workflow id may hold anything.

use std::borrow::Cow;

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
    use super::{clip, plain};

    #[test]
    fn what_a_terminal_acts_on_is_spelled_out() {
        assert_eq!(plain("order-42 é 日本"), "order-42 é 日本");
        assert_eq!(plain("a\nb\x1b[2Jc"), r"a\nb\u{1b}[2Jc");
        assert_eq!(plain("\u{9b}31m\u{202e}x\u{2028}"), r"\u{9b}31m\u{202e}x\u{2028}");
    }

    #[test]
    fn long_texts_are_clipped_between_characters() {
        assert_eq!(clip("日本語", 2), "日本…");
        assert_eq!(clip("日本語", 3), "日本語");
    }
}
