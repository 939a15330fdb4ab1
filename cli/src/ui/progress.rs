//! Progress bars: on standard error, and only where that is a terminal.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

const TICK: Duration = Duration::from_millis(100);
const CHARS: &str = "━╸─";

/// A bar over bytes; its message goes in front.
pub(crate) fn byte_bar(total: u64, message: &str) -> ProgressBar {
    bar(
        total,
        message,
        "{msg} {bar:32.cyan/dim} {percent:>3}%  {binary_bytes}  {binary_bytes_per_sec}  {eta} left",
    )
}

/// Moves a bar whose total is told on the way.
pub(crate) fn advance(bar: &ProgressBar, done: u64, total: u64) {
    bar.set_length(total);
    bar.set_position(done);
}

/// Something that moves while nobody knows for how long.
pub(crate) fn spinner(message: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(message.to_owned());
    spinner.enable_steady_tick(TICK);
    spinner
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
