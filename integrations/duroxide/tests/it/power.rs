//! The power goes under the provider, again and again, on a disk that then holds any part of what was not synced:
//! what was acknowledged is completed, once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use duroxide::Client;
use kinlog::Durability;
use kinlog::disk::Disk;
use kinlog_duroxide::{KinlogProvider, Options};
use kinlog_rig::Random;
use kinlog_rig::disk::{Content, SimulatedDisk, Survivors};

use crate::orders;

/// How many times the disk loses power, and how many operations it does in between at most.
const LIVES: u64 = 3;
const OPERATIONS: usize = 300;
/// How many orders are open at a time.
const OPEN: u64 = 4;
/// How often it is asked whether the power is there.
const SHORT: Duration = Duration::from_millis(20);

/// A provider on a disk, if the power stays long enough.
fn open(disk: &SimulatedDisk, options: Options) -> kinlog::Result<Arc<KinlogProvider>> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = kinlog::Options::new().segment_bytes(64 << 10).disk(disk).open("/store")?;
    Ok(Arc::new(KinlogProvider::new(store, options).unwrap()))
}

/// Starts orders and does them until the power goes.
async fn live(disk: &SimulatedDisk, life: u64, acknowledged: &mut BTreeSet<String>) {
    let Ok(provider) = open(disk, Options::new()) else { return };
    let runtime = orders::run(&provider).await;
    let client = Client::new(provider);
    for number in 0_u64.. {
        let id = format!("order-{life}-{number}");
        if orders::start(&client, &id).await.is_err() {
            break;
        }
        acknowledged.insert(id);
        // A few at a time, so that they get far.
        let former = format!("order-{life}-{}", number.saturating_sub(OPEN));
        while number >= OPEN && !disk.is_dead() {
            if client.wait_for_orchestration(&former, SHORT).await.is_ok() {
                break;
            }
        }
    }
    assert!(disk.is_dead());
    runtime.shutdown(Some(0)).await;
}

async fn lose_power(seed: u64) {
    let mut random = Random::new(seed);
    let mut acknowledged = BTreeSet::new();
    let mut content = Content::default();
    for life in 0..LIVES {
        let disk = SimulatedDisk::with(content, random.draw());
        disk.cut_power_at(random.below(OPERATIONS) as u64);
        live(&disk, life, &mut acknowledged).await;
        content = disk.content().after_power_loss(Survivors::Sectors(random.draw()));
    }
    let disk = SimulatedDisk::with(content, seed);
    let options = Options::new().durability(Durability::Buffered);
    orders::finish(open(&disk, options).unwrap(), &acknowledged, 3).await;
}

/// 3 seeds, or as many as `KINLOG_POWER_LOSSES` says.
fn seeds() -> u64 {
    let seeds = std::env::var("KINLOG_POWER_LOSSES").ok();
    seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(3)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_power_loss_is_completed_once() {
    for seed in 0..seeds() {
        lose_power(seed).await;
    }
}
