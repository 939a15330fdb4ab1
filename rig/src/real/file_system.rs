//! The file systems that stores are tried on.

use clap::ValueEnum;

use super::shell::run;

/// How large they are made.
pub(super) const BYTES: usize = 400 << 20;

/// A file system with a journal, or what stands for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum FileSystem {
    /// A journal of metadata; data is written before the metadata that names it.
    Ext4,
    /// A journal of metadata.
    Xfs,
    /// Copies on write, and a log of syncs.
    Btrfs,
}

impl FileSystem {
    pub(super) fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
            FileSystem::Btrfs => "btrfs",
        }
    }

    /// The tool that makes one, and its options.
    pub(super) fn mkfs(self) -> &'static [&'static str] {
        match self {
            FileSystem::Ext4 => &["mkfs.ext4", "-q"],
            FileSystem::Xfs => &["mkfs.xfs", "-q", "-m", "reflink=1"],
            FileSystem::Btrfs => &["mkfs.btrfs", "-q"],
        }
    }

    /// The size of a small one, in bytes.
    pub(super) fn least_bytes(self) -> u64 {
        match self {
            FileSystem::Ext4 => 16 << 20,
            FileSystem::Xfs => 300 << 20,
            FileSystem::Btrfs => 128 << 20,
        }
    }

    /// What the kernel's log says of the last one that was repaired as it was mounted, and when.
    pub(super) fn last_repair(self) -> Option<String> {
        let text = match self {
            FileSystem::Ext4 => "recovery complete",
            FileSystem::Xfs => "Ending recovery",
            FileSystem::Btrfs => "start tree-log replay",
        };
        let log = run::<&str>("dmesg", &[]).unwrap_or_default();
        log.lines().rfind(|line| line.contains(text)).map(str::to_owned)
    }
}
