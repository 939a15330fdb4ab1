//! What threads of the store's do beside the writer: writing and merging the files of the cold index; and, if asked,
//! expiring runs and compacting the log.

mod round;
mod thread;
mod write;

pub(crate) use round::start_maintaining;
pub(crate) use thread::start;
