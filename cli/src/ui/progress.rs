//! Progress bars: on standard error, and only where that is a terminal.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

const CHARS: &str = "━╸─";

/// A bar over bytes; its message goes in front.
pub(crate) fn byte_bar(total: u64, message: &str) -> ProgressBar {
    bar(
        total,
        message,
        "{msg} {bar:32.cyan/dim} {percent:>3}%  {binary_bytes}  {binary_bytes_per_sec}  {eta} left",
    )
}

/// A bar over things of this name.
pub(crate) fn count_bar(total: u64, message: &str, things: &str) -> ProgressBar {
    let template = "{msg} {bar:32.cyan/dim} {percent:>3}%  {human_pos} THINGS  {rate}  {eta} left";
    bar(total, message, &template.replace("THINGS", things))
}

fn bar(total: u64, message: &str, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(total).with_message(message.to_owned());
    if let Ok(style) = ProgressStyle::with_template(template) {
        let rate = |state: &ProgressState, text: &mut dyn Write| {
            // A bar has nowhere to report an error to.
            let _ = write!(text, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.progress_chars(CHARS).with_key("rate", rate));
    }
    bar
}
