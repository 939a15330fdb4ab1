//! A log that was shut down: most of its free space is not read.

use super::recovery::{Scan, Scanner};
use super::segment_reader::SegmentReader;
use crate::error::Result;
use crate::log::format::{SEGMENT_HEADER_BYTES, SegmentHeader};

impl Scanner<'_> {
    /// Leaves out most of free space if the manifest says that the log was closed where it ends.
    pub(crate) fn trust_closing(&mut self) {
        self.trusts_closing = true;
    }

    /// Whether the manifest vouches for the end of what was read: then nothing that follows was ever acknowledged.
    pub(super) fn was_closed_here(&self) -> bool {
        let Scan { end, durable_upto, .. } = self.scan;
        self.manifest.closed && end == self.manifest.durable_upto && end == durable_upto
    }

    /// Whether free space begins at the end of what was read, which is in the segment of `last`, and in each segment
    /// behind it. Where files were copied apart from each other, and the log went on in between, a frame would begin
    /// at one of these places.
    pub(super) fn is_followed_by_free_space(
        &self,
        last: &SegmentHeader,
        reader: &mut SegmentReader<'_>,
    ) -> Result<bool> {
        let (_, end) = self.identity().locate(self.scan.end);
        for header in self.scan.segments.iter().filter(|header| header.number >= last.number) {
            let from = if header.number == last.number { end } else { SEGMENT_HEADER_BYTES };
            if !reader.open(header)?.begins_free(from)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
