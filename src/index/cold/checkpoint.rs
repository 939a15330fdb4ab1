//! The checkpoint: which files make up the cold index, which part of the log they hold, and what of the index is kept
//! in memory as a whole. A file that is replaced by a rename: the one switch from one state of the index to the next.

use std::path::PathBuf;

use crate::bytes::wide;
use crate::id::Position;
use crate::index::pack::{Pack, Unpack};
use crate::log::format::Paths;
use crate::log::open::Covered;

const MAGIC: &[u8; 8] = b"KINLOGIX";
/// The version of all files of the index. An index of another version is built anew.
const VERSION: u64 = 6;

/// A state of the index on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Checkpoint {
    /// What it holds of the log.
    pub(crate) covered: Covered,
    /// The newest one first.
    pub(crate) files: Vec<FileEntry>,
    /// What is kept in memory as a whole: [`Index::decode`](crate::index::Index::decode).
    pub(crate) resident: Vec<u8>,
}

/// A sorted file of the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FileEntry {
    /// It holds what commits from here on have changed …
    pub(crate) from: Position,
    /// … up to here.
    pub(crate) upto: Position,
    /// How often its content was merged.
    pub(crate) level: u8,
    /// Its length in bytes.
    pub(crate) len: u64,
    /// The checksum of its footer.
    pub(crate) checksum: u32,
}

impl FileEntry {
    /// The name of the file: what it holds, in hexadecimal digits.
    pub(crate) fn name(&self) -> String {
        format!("{:012x}-{:012x}.idx", self.from.as_u64(), self.upto.as_u64())
    }

    /// Whether a file of an index may have this name.
    pub(crate) fn is_name(name: &str) -> bool {
        let held = name.strip_suffix(".idx").and_then(|held| held.split_once('-'));
        let is_position = |digits: &str| {
            digits.len() == 12
                && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        held.is_some_and(|(from, upto)| is_position(from) && is_position(upto))
    }

    pub(crate) fn path(&self, paths: &Paths) -> PathBuf {
        paths.index().join(self.name())
    }
}

impl Checkpoint {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut to = MAGIC.to_vec();
        to.number(VERSION);
        to.position(self.covered.last);
        to.number(self.covered.checksum.into());
        to.number(wide(self.files.len()));
        for file in &self.files {
            to.position(file.from);
            to.position(file.upto);
            to.push(file.level);
            to.number(file.len);
            to.number(file.checksum.into());
        }
        to.extend_from_slice(&self.resident);
        let checksum = crc32fast::hash(&to);
        to.extend_from_slice(&checksum.to_le_bytes());
        to
    }

    /// Whether these are the bytes of a whole checkpoint of a version that this build does not know.
    pub(crate) fn is_of_another_version(bytes: &[u8]) -> bool {
        let version = checked(bytes).and_then(|mut content| content.number());
        version.is_some_and(|version| version != VERSION)
    }

    /// The checkpoint with these bytes; `None` if they are damaged, or of another version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = checked(bytes)?;
        if from.number()? != VERSION {
            return None;
        }
        let covered = Covered { last: from.position()?, checksum: from.narrow()? };
        let files = 0..from.count()?;
        let files = files.map(|_| {
            Some(FileEntry {
                from: from.position()?,
                upto: from.position()?,
                level: from.byte()?,
                len: from.number()?,
                checksum: from.narrow()?,
            })
        });
        let files = files.collect::<Option<_>>()?;
        Some(Checkpoint { covered, files, resident: from.0.to_vec() })
    }
}

/// What follows the magic number, if the checksum is right.
fn checked(bytes: &[u8]) -> Option<Unpack<'_>> {
    let (bytes, checksum) = bytes.split_last_chunk()?;
    let matches = u32::from_le_bytes(*checksum) == crc32fast::hash(bytes);
    bytes.strip_prefix(MAGIC).filter(|_| matches).map(Unpack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let at = Position::from_u64;
        let file = |from, upto| FileEntry {
            from: at(from),
            upto: at(upto),
            level: 1,
            len: 1 << 40,
            checksum: u32::MAX,
        };
        Checkpoint {
            covered: Covered { last: at(1 << 47), checksum: 5 },
            files: vec![file(1 << 46, 1 << 47), file(0, 1 << 46)],
            resident: b"what is resident".to_vec(),
        }
    }

    #[test]
    fn a_checkpoint_comes_back_whole_or_not_at_all() {
        let bytes = checkpoint().encode();
        assert_eq!(Checkpoint::decode(&bytes), Some(checkpoint()));
        for at in 0..bytes.len() {
            assert_eq!(Checkpoint::decode(&bytes[..at]), None, "cut at {at}");
            let mut damaged = bytes.clone();
            damaged[at] ^= 16;
            assert_eq!(Checkpoint::decode(&damaged), None, "damaged at {at}");
        }
    }

    #[test]
    fn files_sort_by_what_they_hold() {
        let names: Vec<_> = checkpoint().files.iter().map(FileEntry::name).collect();
        assert_eq!(names, ["400000000000-800000000000.idx", "000000000000-400000000000.idx"]);
        assert!(names.iter().all(|name| FileEntry::is_name(name)));
        let others =
            ["", ".idx", "-.idx", "400000000000-80000000000.idx", "400000000000-80000000000G.idx"];
        assert!(!others.iter().any(|name| FileEntry::is_name(name)));
    }
}
