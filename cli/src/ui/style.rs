//! Colours. None are written where standard output is no terminal, or if `NO_COLOR` is set.

use console::{StyledObject, style};
use kinlog::RunStatus;

/// What is important.
pub(crate) fn bold<D>(text: D) -> StyledObject<D> {
    style(text).bold()
}

/// What is less important.
pub(crate) fn dim<D>(text: D) -> StyledObject<D> {
    style(text).dim()
}

/// What begins something.
pub(crate) fn head<D>(text: D) -> StyledObject<D> {
    style(text).cyan().bold()
}

/// What went well.
pub(crate) fn check<D>(text: D) -> StyledObject<D> {
    style(text).green()
}

/// How a run stands.
pub(crate) fn status(status: RunStatus) -> StyledObject<RunStatus> {
    like(status, status)
}

/// A text in the colour of a status.
pub(crate) fn like<D>(status: RunStatus, text: D) -> StyledObject<D> {
    let styled = style(text);
    match status {
        RunStatus::Running => styled.cyan(),
        RunStatus::Completed => styled.green(),
        RunStatus::Failed | RunStatus::TimedOut => styled.red(),
        RunStatus::Canceled | RunStatus::Terminated => styled.yellow(),
        RunStatus::ContinuedAsNew => styled.blue(),
    }
}
