//! What header pages have in common: a magic number, the version, the fingerprint, a checksum.

use std::ops::RangeInclusive;
use std::path::Path;

use crate::bytes::{put, u32_at, u64_at};
use crate::error::{Corruption, Error, Result};
use crate::event::LAYOUT_FINGERPRINT;

/// Bytes of a page.
pub(super) const HEADER_PAGE_BYTES: usize = 4096;
/// The version of everything in this directory; `docs/format.md` describes it.
pub(crate) const FORMAT_VERSION: u32 = 8;
/// The versions that this build reads. In version 2, every segment has the length `segment_bytes`; version 3 has no
/// deletions, version 4 no segments that were compacted, and version 6 none that were packed.
const READABLE_VERSIONS: RangeInclusive<u32> = 2..=FORMAT_VERSION;

/// The layout fingerprints that this build reads. Adding a record changes only the fingerprint, so
/// every earlier one stays in this list.
const READABLE_LAYOUTS: [u64; 1] = [LAYOUT_FINGERPRINT];

/// Writes the checksum of the first `fields` bytes of a page, the rest of which is zero.
pub(crate) fn write_page_checksum(page: &mut [u8], fields: usize) {
    let checksum = crc32fast::hash(page.get(..fields - 4).unwrap_or_default());
    put(page, fields - 4, &checksum.to_le_bytes());
}

/// Verifies a page, and that this build can read it; returns its format version.
pub(crate) fn check_page(page: &[u8], magic: &[u8; 8], fields: usize, path: &Path) -> Result<u32> {
    let found = u64_at(page, 0).unwrap_or_default();
    if found != u64::from_le_bytes(*magic) {
        let expected = u64::from_le_bytes(*magic);
        return Err(corrupt(path, 0, "the magic number is wrong", expected, found));
    }
    let found = u64::from(u32_at(page, fields - 4).unwrap_or_default());
    let expected = u64::from(crc32fast::hash(page.get(..fields - 4).unwrap_or_default()));
    if found != expected {
        return Err(corrupt(path, 0, "the page does not match its check", expected, found));
    }
    if page.get(fields..).unwrap_or_default().iter().any(|byte| *byte != 0) {
        return Err(corrupt(path, fields as u64, "the rest of the page is not zero", 0, 1));
    }
    // After the checksum: a damaged page is not reported as another format.
    let version = u32_at(page, 8).unwrap_or_default();
    if !READABLE_VERSIONS.contains(&version) {
        return Err(unsupported(path, "the format version", FORMAT_VERSION.into(), version.into()));
    }
    let fingerprint = u64_at(page, 16).unwrap_or_default();
    if !READABLE_LAYOUTS.contains(&fingerprint) {
        return Err(unsupported(path, "the layout fingerprint", LAYOUT_FINGERPRINT, fingerprint));
    }
    Ok(version)
}

pub(crate) fn unsupported(path: &Path, what: &'static str, supported: u64, found: u64) -> Error {
    Error::UnsupportedFormat { path: path.to_owned(), what, supported, found }
}

/// [`Error::Corrupt`] for a file of another length than it must have.
pub(crate) fn wrong_length(path: &Path, expected: u64, found: u64) -> Error {
    corrupt(path, found.min(expected), "the file's length is wrong", expected, found)
}

/// [`Error::Corrupt`] at `offset` of a file; the affected runs are not known yet.
pub(crate) fn corrupt(
    path: &Path,
    offset: u64,
    what: &'static str,
    expected: u64,
    found: u64,
) -> Error {
    let path = path.to_owned();
    Error::Corrupt(Box::new(Corruption { path, offset, what, expected, found, runs: vec![] }))
}
