//! Harm to the files of a store that nobody has open.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::disk::{Content, SimulatedDisk};
use crate::reference::{STORE, options};
use crate::schedule::Harm;
use crate::world::{Given, World};

/// Does harm to the files; whether anything is different after it.
pub(crate) fn do_harm(harm: Harm, content: &mut Content, ends: &[Content]) -> bool {
    let before: Vec<(PathBuf, Vec<u8>)> =
        content.files().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
    if before.is_empty() {
        return false;
    }
    let file = |number: usize| before[number % before.len()].clone();
    match harm {
        Harm::Flip(number, offset, bit) => {
            let (path, mut bytes) = file(number);
            if bytes.is_empty() {
                return false;
            }
            let len = bytes.len();
            bytes[offset % len] ^= 1 << bit;
            content.put_file(&path, bytes);
        }
        Harm::FlipLast(back, bit) => {
            let written = |(path, bytes): &&(PathBuf, Vec<u8>)| {
                path.extension().is_some_and(|end| end == "seg") && last_byte(bytes) > PAGE_BYTES
            };
            let Some((path, bytes)) = before.iter().rfind(written) else { return false };
            let mut bytes = bytes.clone();
            let at = last_byte(&bytes).saturating_sub(back).max(PAGE_BYTES);
            bytes[at] ^= 1 << bit;
            content.put_file(path, bytes);
        }
        Harm::Truncate(number, len) => {
            let (path, mut bytes) = file(number);
            bytes.truncate(len);
            content.put_file(&path, bytes);
        }
        Harm::Remove(number) => content.remove_file(&file(number).0),
        Harm::Swap(a, b) => {
            let (a, b) = (file(a), file(b));
            content.put_file(&a.0, b.1);
            content.put_file(&b.0, a.1);
        }
        Harm::Duplicate(from, to) => content.put_file(&file(to).0, file(from).1),
        Harm::Foreign(number) => {
            let (path, _) = file(number);
            if let Some(bytes) = foreign().file(&path) {
                content.put_file(&path, bytes.to_vec());
            }
        }
        Harm::NoIndex => {
            let index = Path::new(STORE).join("index");
            let files = before.iter().filter(|(path, _)| path.starts_with(&index));
            files.for_each(|(path, _)| content.remove_file(path));
        }
        Harm::Old(number, life) => {
            let (path, _) = file(number);
            let old = ends.get(life % ends.len().max(1));
            if let Some(bytes) = old.and_then(|content| content.file(&path)) {
                content.put_file(&path, bytes.to_vec());
            }
        }
    }
    if harm == Harm::NoIndex {
        return false;
    }
    let after = content.files().map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    !after.eq(before)
}

/// The page of a segment's header.
const PAGE_BYTES: usize = 4096;

/// The last byte that is not zero.
fn last_byte(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap_or_default()
}

/// The files of another store in the same place.
fn foreign() -> &'static Content {
    static FOREIGN: OnceLock<Content> = OnceLock::new();
    FOREIGN.get_or_init(|| {
        let world = World::of(0xf0e1);
        let disk = SimulatedDisk::new(world.seed);
        let store = options(world, &disk).open(STORE).expect("a store on a sound disk");
        for number in 0..40 {
            world.prepare(&disk, number);
            if let Given::Submitted(handle, _) = world.commit(&store, number).expect("a commit") {
                handle.wait().expect("a commit");
            }
        }
        store.shut_down().expect("a sound disk");
        disk.content()
    })
}
