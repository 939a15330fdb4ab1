//! The files of a store, in memory.

use crate::{PAGE_BYTES, SEGMENT_BYTES};

/// A manifest and segments, whatever is in them. The lock file says nothing while nobody writes.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    pub manifest: Vec<u8>,
    pub segments: Vec<Vec<u8>>,
}

impl Image {
    /// The bytes to damage: the manifest, then each segment up to a little behind its last byte
    /// that is not zero.
    pub fn used(&self) -> usize {
        self.manifest.len() + self.segments.iter().map(|bytes| used(bytes)).sum::<usize>()
    }

    /// The file that the byte `place` of [`Image::used`] is in, and its offset there.
    pub fn locate(&mut self, place: usize) -> Option<(&mut Vec<u8>, usize)> {
        if place < self.manifest.len() {
            return Some((&mut self.manifest, place));
        }
        let mut place = place - self.manifest.len();
        for segment in &mut self.segments {
            let used = used(segment);
            if place < used {
                return Some((segment, place));
            }
            place -= used;
        }
        None
    }

    /// Adds an empty segment behind the last one, with a header like that one's.
    pub fn add_segment(&mut self) {
        let Some(last) = self.segments.last() else { return };
        let mut segment = vec![0; SEGMENT_BYTES];
        segment[..PAGE_BYTES].copy_from_slice(&last[..PAGE_BYTES]);
        let number = u32::try_from(self.segments.len()).expect("few segments");
        segment[12..16].copy_from_slice(&number.to_le_bytes());
        fix_page(&mut segment);
        self.segments.push(segment);
    }

    /// Makes the checks of the manifest's slots and the segments' headers right.
    pub fn fix_pages(&mut self) {
        self.manifest.chunks_mut(PAGE_BYTES).for_each(fix_page);
        self.segments.iter_mut().for_each(|segment| fix_page(segment));
    }
}

fn used(segment: &[u8]) -> usize {
    let zeros = segment.iter().rev().take_while(|byte| **byte == 0).count();
    (segment.len() - zeros + 64).min(segment.len())
}

/// Makes the check of a header page or a manifest's slot right.
pub fn fix_page(page: &mut [u8]) {
    if page.len() >= 72 {
        let check = crc32fast::hash(&page[..68]);
        page[68..72].copy_from_slice(&check.to_le_bytes());
    }
}
