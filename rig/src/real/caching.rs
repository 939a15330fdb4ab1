//! A real file system on a device whose cache loses power.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::BackgroundSession;

use super::cache::{CachingDevice, NAME};
use super::file_system::FileSystem;
use super::front;
use super::ground::{End, Ground};
use super::image::Image;
use super::kill::remove;
use super::loader::Loader;
use crate::random::Random;

/// A file system over a loop device over a [`CachingDevice`]. What the copied image cannot show: a
/// device that completes a write need not have it.
pub(super) struct Caching {
    kind: FileSystem,
    device: CachingDevice,
    mounted: Option<Image>,
    /// Unmounted after what lies on it.
    front: Option<BackgroundSession>,
    image: PathBuf,
    at: PathBuf,
    store: PathBuf,
    random: Random,
    losses: u64,
    replayed: u64,
}

impl Caching {
    pub(super) fn start(kind: FileSystem, dir: &Path, seed: u64) -> Result<Self, String> {
        let device = CachingDevice::new(super::file_system::BYTES);
        let (devices, at) = (dir.join("device"), dir.join("mounted"));
        let mounted = front::mount(Arc::new(device.clone()), &devices, None);
        let front = mounted.map_err(|error| format!("mounting: {error}"))?;
        let (image, store) = (devices.join(NAME), at.join("store"));
        let mut caching = Caching {
            kind,
            device,
            mounted: None,
            front: Some(front),
            image,
            at,
            store,
            random: Random::of(seed, 2),
            losses: 0,
            replayed: 0,
        };
        caching.mounted = Some(Image::format(&caching.image, kind.mkfs(), &caching.at)?);
        Ok(caching)
    }
}

impl Ground for Caching {
    fn store(&self) -> &Path {
        &self.store
    }

    fn begin(&mut self) {
        // Most moments are idle ones: in most lives the power goes in the middle of an operation.
        if self.random.chance(70) {
            self.device.cut_power_after(1 + self.random.below(500) as u64);
        }
    }

    fn end(&mut self, loader: Loader) -> Result<End, String> {
        // Only the end itself excuses a failure.
        let excuse = loader.said().failed.is_none() || self.device.is_dead();
        // From here on nothing is flushed, so nothing is acknowledged as durable that is not.
        self.device.cut_power();
        let said = loader.kill()?;
        self.losses += 1;
        drop(self.mounted.take());
        self.device.start(&mut self.random);
        let before = self.kind.last_repair();
        self.mounted = Some(Image::mount(&self.image, &self.at)?);
        self.replayed += u64::from(self.kind.last_repair() != before);
        Ok(End { kept: said.durable, said, excuse })
    }

    fn clear(&mut self) -> Result<(), String> {
        remove(&self.store)?;
        // Else the next loss may bring it back.
        self.mounted.as_ref().map_or(Ok(()), Image::sync)
    }

    fn remark(&self) -> String {
        let Caching { replayed, losses, .. } = self;
        let lost = self.device.lost();
        format!("{replayed} of {losses} mounts replayed a journal; {lost} blocks were lost")
    }
}

impl Drop for Caching {
    fn drop(&mut self) {
        drop(self.mounted.take());
        let stopped = self.front.take().map_or(Ok(()), BackgroundSession::umount_and_join);
        if let Err(error) = stopped {
            eprintln!("unmounting: {error}");
        }
    }
}
