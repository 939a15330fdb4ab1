//! Words of a simulated disk: what is stored to them is that of a write that nobody has synced.

use std::path::Path;
use std::sync::Arc;

use kinlog::disk::{Disk, OpenMode};
use kinlog::{Durability, Options, Store};
use kinlog_rig::disk::{Content, Operation, SimulatedDisk, Survivors};

fn put(store: &Store, number: u8, durability: Durability) {
    let mut tx = store.begin();
    tx.put("rows", &[number], &[7; 100]).unwrap();
    tx.commit_with(durability).unwrap();
}

fn rows(store: &Store) -> usize {
    store.snapshot().rows("rows", ..).count()
}

fn options(disk: &SimulatedDisk) -> Options {
    Options::new().disk(Arc::new(disk.clone()))
}

/// How many writes a buffered commit takes.
fn writes(disk: &SimulatedDisk) -> u64 {
    let store = options(disk).open("/store").unwrap();
    let before = disk.count(Operation::Write);
    put(&store, 0, Durability::Buffered);
    disk.count(Operation::Write) - before
}

#[test]
fn some_disks_have_words_and_some_have_none() {
    let found: Vec<u64> = (0..40).map(|seed| writes(&SimulatedDisk::new(seed))).collect();
    let with = found.iter().filter(|writes| **writes == 1).count();
    let without = found.iter().filter(|writes| **writes == 2).count();
    assert!(with + without == 40 && with > 9 && without > 9, "{with} with, {without} without");
}

#[test]
fn a_word_survives_a_power_loss_like_a_write() {
    let (path, word) = (Path::new("/file"), |content: &Content| {
        let bytes = content.file(Path::new("/file")).unwrap();
        u64::from_le_bytes(bytes[16..24].try_into().unwrap())
    });
    let disk = SimulatedDisk::new(1);
    disk.set_words(true);
    let file = disk.open(path, OpenMode::Create).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_at(&[0; 64], 0).unwrap();
    file.sync().unwrap();
    let stored = file.word(16).unwrap();
    let operations = disk.count(Operation::Any);
    (1..=3).for_each(|number| stored.store(number));
    assert_eq!(disk.count(Operation::Any), operations);
    let content = disk.content();
    assert_eq!(word(&content), 3);
    assert_eq!(word(&content.after_power_loss(Survivors::Everything)), 3);
    assert_eq!(word(&content.after_power_loss(Survivors::Nothing)), 0);
    let mut found = vec![false; 4];
    for seed in 0..200 {
        let word = word(&content.after_power_loss(Survivors::Pages(seed)));
        found[usize::try_from(word).unwrap()] = true;
    }
    assert_eq!(found, [true; 4]);

    file.sync().unwrap();
    stored.store(4);
    assert_eq!(word(&disk.content().after_power_loss(Survivors::Nothing)), 3);
    disk.cut_power();
    stored.store(5);
    assert_eq!(word(&disk.content()), 4);
}

/// The lock record speaks of commits that the log has lost; a reader beside the next writer goes by it as by a write.
#[test]
fn a_word_that_survived_what_it_tells_of_misleads_nobody() {
    for words in [false, true] {
        let disk = SimulatedDisk::new(1);
        disk.set_words(words);
        let store = options(&disk).open("/store").unwrap();
        put(&store, 0, Durability::Sync);
        (1..4).for_each(|number| put(&store, number, Durability::Buffered));
        let whole = disk.content();
        drop(store);
        let mut content = whole.after_power_loss(Survivors::Nothing);
        let lock = Path::new("/store/LOCK");
        content.put_file(lock, whole.file(lock).unwrap().to_vec());

        let disk = SimulatedDisk::with(content, 2);
        disk.set_words(words);
        let reader = options(&disk).read_only(true).open("/store").unwrap();
        assert!(!reader.refresh().unwrap());
        assert_eq!(rows(&reader), 1);
        let store = options(&disk).open("/store").unwrap();
        for number in 4..8 {
            put(&store, number, Durability::Buffered);
            assert!(reader.refresh().unwrap());
            assert_eq!(
                (rows(&reader), rows(&store)),
                (usize::from(number) - 2, usize::from(number) - 2)
            );
        }
    }
}
