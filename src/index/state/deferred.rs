//! What a commit touches between runs, looked at once all of its batches are taken in.

use super::links::ChildRef;
use super::runs::Size;
use crate::id::RunNumber;

/// What a commit touched, to be looked at once all of it is taken in.
#[derive(Default)]
pub(crate) struct Deferred {
    pub(crate) closed: Vec<RunNumber>,
    pub(crate) canceled: Vec<RunNumber>,
    pub(crate) relations: Vec<ChildRef>,
    /// By how much namespaces grew.
    pub(crate) grown: Vec<(u32, Size)>,
}

impl Deferred {
    pub(crate) fn clear(&mut self) {
        self.closed.clear();
        self.canceled.clear();
        self.relations.clear();
        self.grown.clear();
    }

    pub(crate) fn grow(&mut self, namespace: u32, by: Size) {
        match self.grown.last_mut() {
            Some((last, size)) if *last == namespace => *size += by,
            _ => self.grown.push((namespace, by)),
        }
    }
}
