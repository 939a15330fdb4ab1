//! A file system in an image that is copied under load.
//!
//! The image is copied at a random moment of a running load, and the copy is mounted. It is what
//! the machine would find after the power went at that moment, if the device had kept all that it
//! had completed and nothing else.
//!
//! That takes a copy of one instant. If it were read while writes go on, it could lack an early
//! block of the file system's journal and hold a later one that was only written because a flush
//! had put the early one on the device: no power loss does that. So the image lies on a file system
//! of its own that can clone files, and is cloned: the kernel locks the image against writes
//! meanwhile, and the loop device makes all of its writes through that lock. Neither the load nor
//! the file system under it is told. Nothing is flushed: what was not written back is lost, and
//! with it whatever a sync under way had not yet written.

use std::fs;
use std::path::{Path, PathBuf};

use super::file_system::{BYTES, FileSystem};
use super::ground::{End, Ground};
use super::image::{Image, sized};
use super::kill::remove;
use super::loader::Loader;
use super::shell::run;

/// A file system under load, in an image that can be cloned.
pub(super) struct Copied {
    kind: FileSystem,
    /// Unmounted before what it lies on, as it is declared before it.
    mounted: Option<Image>,
    _outer: Image,
    images: PathBuf,
    at: PathBuf,
    store: PathBuf,
    losses: u64,
    replayed: u64,
}

impl Copied {
    pub(super) fn start(kind: FileSystem, dir: &Path) -> Result<Self, String> {
        let (outer, images, at) = (dir.join("outer"), dir.join("images"), dir.join("mounted"));
        sized(&outer, 3 << 30)?;
        let outer = Image::format(&outer, FileSystem::Xfs.mkfs(), &images)?;
        let first = images.join("0");
        sized(&first, BYTES as u64)?;
        let mounted = Image::format(&first, kind.mkfs(), &at)?;
        let store = at.join("store");
        let (losses, replayed, mounted) = (0, 0, Some(mounted));
        Ok(Copied { kind, mounted, _outer: outer, images, at, store, losses, replayed })
    }
}

impl Ground for Copied {
    fn store(&self) -> &Path {
        &self.store
    }

    fn end(&mut self, loader: Loader) -> Result<End, String> {
        let mounted = self.mounted.take().ok_or("nothing is mounted")?;
        self.losses += 1;
        let copy = self.images.join(self.losses.to_string());
        // What is acknowledged from here on may or may not be in the copy.
        let kept = loader.said().durable;
        run("cp", &["--reflink=always".as_ref(), mounted.file().as_os_str(), copy.as_os_str()])?;
        let said = loader.kill()?;
        let image = mounted.file().to_owned();
        drop(mounted);
        fs::remove_file(&image).map_err(|error| format!("{}: {error}", image.display()))?;
        let before = self.kind.last_repair();
        self.mounted = Some(Image::mount(&copy, &self.at)?);
        self.replayed += u64::from(self.kind.last_repair() != before);
        Ok(End { kept, said, excuse: false })
    }

    fn clear(&mut self) -> Result<(), String> {
        remove(&self.store)?;
        // Else the next loss may bring it back.
        self.mounted.as_ref().map_or(Ok(()), Image::sync)
    }

    fn remark(&self) -> String {
        format!("{} of {} mounts replayed a journal", self.replayed, self.losses)
    }
}
