//! What a thread of the store's does beside the writer: writing and merging the files of the cold index.

mod thread;
mod write;

pub(crate) use thread::start;
