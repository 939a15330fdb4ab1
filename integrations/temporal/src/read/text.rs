//! Text in UTF-8 or UTF-16 as UTF-8, checked on the way.

use std::io::{self, BufRead, ErrorKind, Read};

use crate::ImportError;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// Text as UTF-8, without the mark at its beginning.
pub(super) struct Text<R> {
    from: R,
    encoding: Encoding,
    /// Bytes taken from the input.
    offset: usize,
    /// Of the input: the beginning of a character whose end is not read yet.
    rest: Vec<u8>,
    /// Checked, and not given out yet.
    ready: Vec<u8>,
    given: usize,
    /// What follows is no text.
    broken: bool,
}

impl<R: BufRead> Text<R> {
    pub(super) fn new(from: R, encoding: Encoding) -> Self {
        Text { from, encoding, offset: 0, rest: vec![], ready: vec![], given: 0, broken: false }
    }

    /// Reads on until there is something to give, or the end. What is right is given before the
    /// error about what follows it.
    fn refill(&mut self) -> io::Result<()> {
        while self.given == self.ready.len() {
            if self.broken {
                let encoding = if self.encoding == Encoding::Utf8 { "UTF-8" } else { "UTF-16" };
                let error = ImportError::NotText { encoding, offset: self.offset };
                return Err(io::Error::new(ErrorKind::InvalidData, error));
            }
            self.ready.clear();
            self.given = 0;
            let chunk = match self.from.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            let len = chunk.len();
            self.rest.extend_from_slice(chunk);
            self.from.consume(len);
            let begins = self.offset == 0;
            let (taken, wrong) = match self.encoding {
                Encoding::Utf8 => self.take_utf8(),
                Encoding::Utf16Le => self.take_utf16(u16::from_le_bytes),
                Encoding::Utf16Be => self.take_utf16(u16::from_be_bytes),
            };
            self.offset += taken;
            self.rest.drain(..taken);
            self.broken = wrong || (len == 0 && !self.rest.is_empty());
            if begins && self.ready.starts_with("\u{feff}".as_bytes()) {
                self.given = "\u{feff}".len();
            }
            if len == 0 && !self.broken {
                break;
            }
        }
        Ok(())
    }

    /// Takes whole characters; returns how many bytes they had, and whether what follows is wrong.
    fn take_utf8(&mut self) -> (usize, bool) {
        let (good, wrong) = match str::from_utf8(&self.rest) {
            Ok(text) => (text.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_some()),
        };
        self.ready.extend(self.rest.iter().take(good));
        (good, wrong)
    }

    fn take_utf16(&mut self, unit: fn([u8; 2]) -> u16) -> (usize, bool) {
        let (pairs, _) = self.rest.as_chunks::<2>();
        let mut taken = 0;
        for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
            match character {
                Ok(character) => {
                    let mut utf8 = [0; 4];
                    self.ready.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                    taken += 2 * character.len_utf16();
                }
                // The other half may be still to come.
                Err(error) => {
                    let is_first = (0xd800..0xdc00).contains(&error.unpaired_surrogate());
                    return (taken, !is_first || taken + 2 < 2 * pairs.len());
                }
            }
        }
        (taken, false)
    }
}

impl<R: BufRead> Read for Text<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.refill()?;
        let mut ready = self.ready.get(self.given..).unwrap_or_default();
        let count = ready.read(to)?;
        self.given += count;
        Ok(count)
    }
}
