//! Reads histories from bytes, one at a time, whatever form they are in.

mod gather;
mod proto;
mod source;
mod split;
mod text;

use std::io::Read;
use std::ops::ControlFlow;

use crate::{History, ImportError};
use source::{Form, Source};
use split::Histories;

pub(crate) use proto::EVENTS;

/// How histories are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions {
    /// What becomes of what this version of Temporal's API does not know.
    pub unknown: Unknown,
}

/// What becomes of fields, event types and enum values that this version of Temporal's API does not
/// have: those of a newer server, and some that earlier ones had.
///
/// What is kept comes back when the history is written again, and [`History::unknown`] counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unknown {
    /// All of it is an error.
    Refuse,
    /// Fields are kept, and what is known by its number alone. A name of an event type or enum
    /// value that nobody knows is an error, as is a number that no server gives an event type: one
    /// over 1023.
    #[default]
    KeepFields,
    /// All of it is kept.
    Keep,
}

/// Reads all histories in `input`, and gives each to `each` when it is complete, so that no more
/// than one is in memory.
///
/// The input is protobuf or JSON, also compressed by gzip and in UTF-16 with a mark; the
/// documentation of this crate lists all forms.
///
/// # Errors
/// [`ImportError`] for what cannot be read, with the histories before it given to `each`; and what
/// `each` returns, which ends the reading.
pub fn read_histories<E: From<ImportError>>(
    input: impl Read,
    options: ReadOptions,
    mut each: impl FnMut(History) -> Result<(), E>,
) -> Result<(), E> {
    let mut failure = None;
    let mut each = |history| match each(history) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    };
    let read = read(input, options.unknown, &mut each);
    match failure {
        Some(error) => Err(error),
        None => read.or_else(|stop| stop.ended().map_err(E::from)),
    }
}

fn read(
    input: impl Read,
    unknown: Unknown,
    each: &mut dyn FnMut(History) -> ControlFlow<()>,
) -> Result<(), Stop> {
    let source = Source::open(Box::new(input))?;
    let mut histories = Histories::new(each);
    match source.form {
        Form::Protobuf => proto::read(source.bytes, unknown, &mut histories)?,
        Form::Json => gather::read(source.bytes, unknown, &mut histories)?,
    }
    histories.finish()
}

/// Reads the one history that is in `input`.
pub(crate) fn read_one(input: &[u8], unknown: Unknown) -> Result<History, ImportError> {
    one(|each| read(input, unknown, each))
}

/// Reads the one history that is in protobuf.
pub(crate) fn read_one_proto(input: &[u8], unknown: Unknown) -> Result<History, ImportError> {
    one(|each| {
        let mut histories = Histories::new(each);
        proto::read(Box::new(input), unknown, &mut histories)?;
        histories.finish()
    })
}

fn one(
    read: impl FnOnce(&mut dyn FnMut(History) -> ControlFlow<()>) -> Result<(), Stop>,
) -> Result<History, ImportError> {
    let mut found = Vec::new();
    let read = read(&mut |history| {
        found.push(history);
        ControlFlow::Continue(())
    });
    read.or_else(Stop::ended)?;
    match found.len() {
        0 | 1 => Ok(found.pop().unwrap_or_default()),
        count => Err(ImportError::ManyHistories { count }),
    }
}

/// Why reading stops before the end.
enum Stop {
    Error(ImportError),
    /// Whoever takes the histories wants no more.
    Asked,
}

impl Stop {
    fn ended(self) -> Result<(), ImportError> {
        match self {
            Stop::Error(error) => Err(error),
            Stop::Asked => Ok(()),
        }
    }
}

impl<E: Into<ImportError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Error(error.into())
    }
}
