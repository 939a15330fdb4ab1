//! Where a process runs: the boot id of its machine, its process namespace, its host name. A process id is
//! meaningful only together with these.
//!
//! ```text
//! 0 check u32: CRC-32 of the process id u32 and bytes 4..96 · 4 zero u32 · 8 process namespace u64
//! 16 boot id 16 bytes · 32 host name, 64 bytes, filled with zeros
//! ```
//!
//! What the system does not provide is zero.

use std::fs;

use crate::bytes::{array_at, put, u32_at, u64_at};
use crate::disk::DiskFile;
use crate::id::RunId;

const HOST_BYTES: usize = 96;
const NAME_OFFSET: usize = 32;

/// Where a process runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Host {
    /// The boot id of the machine, different after each boot.
    pub(crate) boot: [u8; 16],
    /// The process namespace, in which process ids are unique.
    pub(crate) namespace: u64,
    pub(crate) name: String,
}

impl Host {
    /// Where this process runs. Known on Linux only.
    pub(crate) fn of_this_process() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let boot: Option<RunId> = read("/proc/sys/kernel/random/boot_id").trim().parse().ok();
        let boot = boot.map(|id| *id.as_bytes()).unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let digits = namespace.to_string_lossy().replace(|c: char| !c.is_ascii_digit(), "");
        let mut name = read("/proc/sys/kernel/hostname").trim().to_owned();
        name.truncate(name.floor_char_boundary(HOST_BYTES - NAME_OFFSET));
        Host { boot, namespace: digits.parse().unwrap_or_default(), name }
    }

    /// Its bytes in the lock record of `process`.
    pub(crate) fn encode(&self, process: u32) -> [u8; HOST_BYTES] {
        let mut bytes = [0; HOST_BYTES];
        put(&mut bytes, 8, &self.namespace.to_le_bytes());
        put(&mut bytes, 16, &self.boot);
        put(&mut bytes, NAME_OFFSET, self.name.as_bytes());
        let checksum = checksum(process, &bytes);
        put(&mut bytes, 0, &checksum.to_le_bytes());
        bytes
    }

    /// Reads it at `offset` of the lock record of `process`; `None` if it is missing, damaged, or of another
    /// process.
    pub(crate) fn read(file: &dyn DiskFile, offset: u64, process: u32) -> Option<Self> {
        let mut bytes = [0; HOST_BYTES];
        file.read_at(&mut bytes, offset).ok()?;
        if u32_at(&bytes, 0)? != checksum(process, &bytes) {
            return None;
        }
        let name = bytes.get(NAME_OFFSET..)?.split(|byte| *byte == 0).next()?;
        Some(Host {
            boot: array_at(&bytes, 16)?,
            namespace: u64_at(&bytes, 8)?,
            name: String::from_utf8_lossy(name).into_owned(),
        })
    }
}

fn checksum(process: u32, bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&process.to_le_bytes());
    crc.update(bytes.get(4..).unwrap_or_default());
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, FileSystem, OpenMode};

    #[test]
    fn a_host_is_read_as_it_was_written_and_for_its_own_process_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = FileSystem::new().open(&dir.path().join("file"), OpenMode::Create).unwrap();
        let long = "ä".repeat(40);
        for name in ["", "db-1", long.get(..64).unwrap()] {
            let host = Host { boot: [7; 16], namespace: 4_026_531_836, name: name.into() };
            file.write_at(&host.encode(42), 40).unwrap();
            assert_eq!(Host::read(file.as_ref(), 40, 42), Some(host));
            assert_eq!(Host::read(file.as_ref(), 40, 43), None);
        }
    }
}
