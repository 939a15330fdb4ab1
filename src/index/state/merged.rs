//! The entries of several layers as one sequence.

use std::cmp::Ordering;

/// The entries of several layers in the order of their keys, from both ends; of those with one key, that of the newest
/// layer.
pub(crate) struct Merged<L: Iterator> {
    /// The newest one first.
    sources: Vec<Source<L>>,
}

/// A layer with what was read of it and not taken yet, at either end.
struct Source<L: Iterator> {
    layer: L,
    front: Option<L::Item>,
    back: Option<L::Item>,
}

impl<K: Ord + Copy, V: Copy, L: DoubleEndedIterator<Item = (K, V)>> Source<L> {
    fn step(&mut self, backwards: bool) -> Option<L::Item> {
        if backwards { self.layer.next_back() } else { self.layer.next() }
    }

    /// The next entry from one end.
    fn peek(&mut self, backwards: bool) -> Option<L::Item> {
        let known = if backwards { self.back } else { self.front };
        let next = known.or_else(|| self.step(backwards)).or_else(|| match backwards {
            true => self.front.take(),
            false => self.back.take(),
        });
        *(if backwards { &mut self.back } else { &mut self.front }) = next;
        next
    }

    /// Takes what was peeked at.
    fn take(&mut self, backwards: bool) {
        *(if backwards { &mut self.back } else { &mut self.front }) = None;
    }
}

impl<K: Ord + Copy, V: Copy, L: DoubleEndedIterator<Item = (K, V)>> Merged<L> {
    /// The newest layer comes first.
    pub(crate) fn of(layers: impl Iterator<Item = L>) -> Self {
        let source = |layer| Source { layer, front: None, back: None };
        Merged { sources: layers.map(source).collect() }
    }

    fn step(&mut self, backwards: bool) -> Option<L::Item> {
        // There is mostly one layer.
        if let [only] = self.sources.as_mut_slice() {
            return only.step(backwards);
        }
        let comes_first = if backwards { Ordering::Greater } else { Ordering::Less };
        let mut next: Option<L::Item> = None;
        for source in &mut self.sources {
            let Some((key, value)) = source.peek(backwards) else { continue };
            if next.is_none_or(|(first, _)| key.cmp(&first) == comes_first) {
                next = Some((key, value));
            }
        }
        let (key, _) = next?;
        for source in &mut self.sources {
            if source.peek(backwards).is_some_and(|(other, _)| other == key) {
                source.take(backwards);
            }
        }
        next
    }
}

impl<K: Ord + Copy, V: Copy, L: DoubleEndedIterator<Item = (K, V)>> Iterator for Merged<L> {
    type Item = L::Item;

    fn next(&mut self) -> Option<L::Item> {
        self.step(false)
    }
}

impl<K: Ord + Copy, V: Copy, L: DoubleEndedIterator<Item = (K, V)>> DoubleEndedIterator
    for Merged<L>
{
    fn next_back(&mut self) -> Option<L::Item> {
        self.step(true)
    }
}
