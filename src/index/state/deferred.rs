//! What a commit touches between runs, looked at once all of its batches are taken in.

use super::runs::Size;

/// What a commit touched, to be looked at once all of it is taken in.
#[derive(Default)]
pub(crate) struct Deferred {
    pub(crate) closed: Vec<u32>,
    pub(crate) canceled: Vec<u32>,
    /// A run, and the place of a relation among its children.
    pub(crate) relations: Vec<(u32, u32)>,
    /// By how much namespaces grew.
    pub(crate) grown: Vec<(usize, Size)>,
}

impl Deferred {
    pub(crate) fn touch(&mut self, run: u32, place: usize) {
        self.relations.extend(u32::try_from(place).ok().map(|place| (run, place)));
    }

    pub(crate) fn grow(&mut self, namespace: Option<usize>, by: Size) {
        match (namespace, self.grown.last_mut()) {
            (Some(namespace), Some((last, size))) if *last == namespace => *size += by,
            (Some(namespace), _) => self.grown.push((namespace, by)),
            (None, _) => {}
        }
    }
}
