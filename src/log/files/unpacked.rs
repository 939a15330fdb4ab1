//! What was read from packed segments, unpacked: the last few blocks, for all readers of a store, and for each reader copies
//! of what it has read, from which events are borrowed.

use std::sync::{Arc, OnceLock};

use crate::id::Position;
use crate::log::format::Blocks;
use crate::sync::Mutex;

/// Bytes of blocks that are kept, so that whoever reads on does not unpack them anew.
const CACHED_BYTES: usize = 8 << 20;

/// The blocks that were read last, of all packed segments of a store.
#[derive(Default)]
pub(crate) struct BlockCache(Mutex<Vec<CachedBlock>>);

/// A block by those of its segment, which are of no other as long as they are here, and its number among them.
struct CachedBlock {
    blocks: Arc<Blocks>,
    number: usize,
    bytes: Arc<[u8]>,
}

impl BlockCache {
    /// The block, which `unpack` reads if it is not there; `None` if that does not succeed.
    pub(super) fn get(
        &self,
        blocks: &Arc<Blocks>,
        number: usize,
        unpack: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Arc<[u8]>> {
        let is_it =
            |block: &CachedBlock| block.number == number && Arc::ptr_eq(&block.blocks, blocks);
        let mut cached = self.0.lock();
        if let Some(at) = cached.iter().rposition(is_it) {
            // The one that was read last is the last one.
            let block = cached.remove(at);
            let bytes = block.bytes.clone();
            cached.push(block);
            return Some(bytes);
        }
        // Not under the lock: others read on meanwhile.
        drop(cached);
        let bytes: Arc<[u8]> = unpack()?.into();
        let mut cached = self.0.lock();
        cached.retain(|block| !is_it(block));
        cached.push(CachedBlock { blocks: blocks.clone(), number, bytes: bytes.clone() });
        let mut total = 0;
        let kept = cached.iter().rev().take_while(|block| {
            total += block.bytes.len();
            total <= CACHED_BYTES
        });
        let dropped = cached.len() - kept.count().max(1);
        cached.drain(..dropped);
        Some(bytes)
    }
}

/// Copies of the pieces that were read, by their positions. They stay where they are, so that readers can borrow from them while others are
/// added: a trie of the positions' hashes that only grows (lock-free).
#[derive(Default)]
pub(super) struct Copies(OnceLock<Box<Copied>>);

struct Copied {
    position: Position,
    bytes: Box<[u8]>,
    beyond: [Copies; 4],
}

impl Copies {
    /// The copy for a position, which `read` makes if there is none; `None` if that does not succeed.
    pub(super) fn get(
        &self,
        position: Position,
        read: impl FnOnce() -> Option<Box<[u8]>>,
    ) -> Option<&[u8]> {
        let (mut slot, mut hash) = (self, scattered(position));
        let mut read = Some(read);
        loop {
            let copied = match slot.0.get() {
                Some(copied) => copied,
                None => {
                    // Another reader may fill the slot first, with the same or with another position.
                    let bytes = read.take()?()?;
                    let copied = Copied { position, bytes, beyond: Default::default() };
                    return slot.insert(copied, hash);
                }
            };
            if copied.position == position {
                return Some(&copied.bytes);
            }
            slot = copied.beyond.get(hash & 3)?;
            hash = hash.rotate_right(2);
        }
    }

    /// Puts a copy into the first slot from here on that is free.
    fn insert(&self, copied: Copied, hash: usize) -> Option<&[u8]> {
        let (mut slot, mut hash) = (self, hash);
        let position = copied.position;
        let mut copied = Box::new(copied);
        loop {
            match slot.0.set(copied) {
                Ok(()) => return slot.0.get().map(|copied| &*copied.bytes),
                Err(refused) => copied = refused,
            }
            let there = slot.0.get()?;
            if there.position == position {
                return Some(&there.bytes);
            }
            slot = there.beyond.get(hash & 3)?;
            hash = hash.rotate_right(2);
        }
    }
}

/// Bits of a position, any two of which are as good as random (Fibonacci hashing).
fn scattered(position: Position) -> usize {
    let hash = position.as_u64().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::try_from(hash.rotate_left(32)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(number: u64) -> Box<[u8]> {
        Box::from(number.to_le_bytes().as_slice())
    }

    #[test]
    fn copies_are_read_once_and_stay_where_they_are() {
        let copies = Copies::default();
        let at = |number: u64| Position::from_u64(number * 4);
        let made: Vec<&[u8]> =
            (0..5_000).map(|n| copies.get(at(n), || Some(bytes_of(n))).unwrap()).collect();
        for (number, made) in (0..5_000).zip(made) {
            let again = copies.get(at(number), || None).unwrap();
            assert_eq!((again, again.as_ptr()), (&*bytes_of(number), made.as_ptr()));
        }
        assert!(copies.get(at(5_000), || None).is_none());
        assert!(copies.get(at(5_000), || Some(bytes_of(1))).is_some());
    }

    #[test]
    fn readers_of_one_position_have_one_copy() {
        let copies = Copies::default();
        std::thread::scope(|scope| {
            let reader = || {
                let read = |n| copies.get(Position::from_u64(n * 8), || Some(bytes_of(n))).unwrap();
                (0..2_000)
                    .map(|n| (read(n).as_ptr() as usize, read(n).to_vec()))
                    .collect::<Vec<_>>()
            };
            let readers: Vec<_> = (0..4).map(|_| scope.spawn(reader)).collect();
            let mut seen = readers.into_iter().map(|reader| reader.join().unwrap());
            let first = seen.next().unwrap();
            assert!(first.iter().zip(0..).all(|((_, bytes), n)| **bytes == *bytes_of(n)));
            assert!(seen.all(|other| other == first));
        });
    }

    #[test]
    fn the_blocks_that_were_read_last_are_kept() {
        let cache = BlockCache::default();
        let segments: Vec<_> = (0..6).map(|_| Arc::<Blocks>::default()).collect();
        let mut unpacked = 0;
        let mut read = |segment: usize| {
            let block = cache.get(&segments[segment], 1, || {
                unpacked += 1;
                Some(vec![0; CACHED_BYTES / 4])
            });
            assert!(block.is_some());
            unpacked
        };
        // Four have room.
        let counts = [1, 2, 3, 4, 1, 5, 1, 2, 5].map(&mut read);
        assert_eq!(counts, [1, 2, 3, 4, 4, 5, 5, 6, 6]);
        let large = cache.get(&segments[0], 0, || Some(vec![0; CACHED_BYTES + 1]));
        assert!(large.is_some() && cache.get(&segments[0], 0, || None).is_some());
        assert!(cache.get(&segments[1], 1, || None).is_none());
    }
}
