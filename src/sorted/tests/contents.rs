//! Sections with random entries, as maps and as files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kinlog_testing::Rng;

use crate::disk::{Disk, Memory, OpenMode};
use crate::error::Result;
use crate::sorted::{SectionKind, SortedFile, SortedWriter, Summary, Width};

const fn kind(id: u8, key: Width, value: Width, filtered: u8) -> SectionKind {
    SectionKind { id, key, value, filtered }
}

pub(super) static KINDS: [SectionKind; 8] = [
    kind(1, Width::Varying, Width::Varying, 0),
    kind(2, Width::Fixed(4), Width::Fixed(8), 0),
    kind(3, Width::Fixed(12), Width::Fixed(0), 8),
    kind(4, Width::Varying, Width::Varying, 5),
    kind(5, Width::Varying, Width::Fixed(3), 1),
    kind(6, Width::Fixed(0), Width::Varying, 0),
    kind(7, Width::FrontCoded(16), Width::Fixed(0), 0),
    kind(8, Width::FrontCoded(4), Width::Varying, 3),
];

/// The entries of a section.
pub(super) type Map = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The sections of [`KINDS`], as many as there are; the others are empty.
pub(super) type Contents = Vec<Map>;

/// A key that is likely to have neighbours which begin alike.
pub(super) fn key(rng: &mut Rng, width: Width) -> Vec<u8> {
    let len = match width {
        Width::Fixed(width) | Width::FrontCoded(width) => usize::from(width),
        Width::Varying if rng.chance(1) => 3000 + rng.below(3000),
        Width::Varying => rng.below(12),
    };
    let letters: &[u8] = rng.pick(&[b"ab\0\xff", b"\0\x01", b"0123456789abcdef"]);
    let mut key: Vec<u8> = match rng.below(3) {
        // Dense numbers, in the order of their bytes.
        0 => rng.number(2000).to_le_bytes().into_iter().take(4).rev().collect(),
        1 => b"all of these begin alike: ".to_vec(),
        _ => vec![],
    };
    while key.len() < len {
        key.push(rng.pick(letters));
    }
    match width {
        Width::Fixed(_) | Width::FrontCoded(_) => key.truncate(len),
        Width::Varying => key.extend((0..rng.below(4)).map(|_| rng.pick(letters))),
    }
    key
}

fn value(rng: &mut Rng, width: Width) -> Vec<u8> {
    let len = match width {
        Width::Fixed(width) => width.into(),
        Width::Varying if rng.chance(1) => rng.below(20_000),
        Width::FrontCoded(_) | Width::Varying => rng.below(40),
    };
    let byte = rng.byte();
    (0..len).map(|at| byte.wrapping_add(u8::try_from(at % 256).unwrap())).collect()
}

pub(super) fn random(rng: &mut Rng, most: usize) -> Contents {
    let mut contents = vec![];
    for kind in &KINDS {
        let count = rng.below(most + 1);
        let deleted = rng.pick(&[0, 0, 30, 100]);
        let mut map = Map::new();
        for _ in 0..count {
            let value = if rng.chance(deleted) { None } else { Some(value(rng, kind.value)) };
            map.insert(key(rng, kind.key), value);
        }
        contents.push(map);
    }
    contents
}

/// More than 4 MiB.
pub(super) fn large(rng: &mut Rng) -> Contents {
    let mut contents = random(rng, 5000);
    for number in 0..5000u32 {
        let value = vec![rng.byte(); rng.below(2000)];
        contents[0].insert(number.to_le_bytes().to_vec(), Some(value));
    }
    contents
}

/// A disk with one directory, and how many files were written to it.
pub(super) struct Place {
    pub(super) disk: Memory,
    files: usize,
}

impl Place {
    pub(super) fn new() -> Self {
        let disk = Memory::new();
        disk.create_dir(Path::new("/")).unwrap();
        Place { disk, files: 0 }
    }

    /// A path where nothing is.
    pub(super) fn path(&mut self) -> PathBuf {
        self.files += 1;
        format!("/{}", self.files).into()
    }

    pub(super) fn writer(&mut self) -> (SortedWriter, PathBuf) {
        let path = self.path();
        (SortedWriter::create(&self.disk, &path, &KINDS).unwrap(), path)
    }

    pub(super) fn write(&mut self, contents: &Contents) -> SortedFile {
        let (mut writer, path) = self.writer();
        for (section, map) in contents.iter().enumerate() {
            writer.begin(section, map.len() as u64).unwrap();
            for (key, value) in map {
                writer.add(key, value.as_deref()).unwrap();
            }
        }
        let summary = writer.finish().unwrap();
        for (section, map) in contents.iter().enumerate() {
            assert_eq!(summary.entries[section], map.len() as u64);
        }
        self.open(&path, &summary).unwrap()
    }

    pub(super) fn open(&self, path: &Path, summary: &Summary) -> Result<SortedFile> {
        SortedFile::open(&self.disk, path, &KINDS, summary.len, summary.checksum)
    }

    pub(super) fn bytes(&self, file: &SortedFile) -> Vec<u8> {
        let file = self.disk.open(&file.file.path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    /// A file of these bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) -> PathBuf {
        let path = self.path();
        self.disk.open(&path, OpenMode::Create).unwrap().write_at(bytes, 0).unwrap();
        path
    }
}
