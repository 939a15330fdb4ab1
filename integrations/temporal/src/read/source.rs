//! What the bytes of an input are.

use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use super::text::{Encoding, Text};
use crate::ImportError;

/// So much of an input is looked at to tell what it is.
const HEAD_BYTES: usize = 4096;
/// What is compressed in a way that is not read, by its first bytes.
const PACKED: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\0", "compressed by xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x04\x22\x4d\x18", "compressed by lz4"),
    (b"\xff\x06\0\0sNaPpY", "compressed by snappy"),
];
const GZIP: &[u8] = b"\x1f\x8b";
const UTF_32: [&[u8]; 2] = [b"\xff\xfe\0\0", b"\0\0\xfe\xff"];
const BOM: &[u8] = "\u{feff}".as_bytes();

pub(super) enum Form {
    Protobuf,
    Json,
}

/// An input, unpacked and, if it is text, in UTF-8.
pub(super) struct Source<'r> {
    pub(super) form: Form,
    pub(super) bytes: Box<dyn BufRead + 'r>,
}

impl<'r> Source<'r> {
    pub(super) fn open(input: Box<dyn Read + 'r>) -> Result<Self, ImportError> {
        let (head, bytes) = look(input)?;
        if !head.starts_with(GZIP) {
            return Self::of(&head, bytes);
        }
        let (head, bytes) = look(Box::new(Gunzip(MultiGzDecoder::new(bytes))))?;
        match head.starts_with(GZIP) {
            true => Err(ImportError::NotRead { what: "compressed by gzip twice" }),
            false => Self::of(&head, bytes),
        }
    }

    fn of(head: &[u8], bytes: Box<dyn BufRead + 'r>) -> Result<Self, ImportError> {
        let text = |encoding, bytes| {
            let bytes = Box::new(BufReader::new(Text::new(bytes, encoding)));
            Ok(Source { form: Form::Json, bytes })
        };
        if let Some((_, what)) = PACKED.iter().find(|(begin, _)| head.starts_with(begin)) {
            return Err(ImportError::NotRead { what });
        }
        if UTF_32.iter().any(|mark| head.starts_with(mark)) {
            return Err(ImportError::NotRead { what: "text in UTF-32" });
        }
        match head {
            [] => Err(ImportError::Empty),
            [0xff, 0xfe, ..] => text(Encoding::Utf16Le, bytes),
            [0xfe, 0xff, ..] => text(Encoding::Utf16Be, bytes),
            [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => {
                Err(ImportError::NotRead { what: "text in UTF-16 without a mark" })
            }
            _ if looks_like_json(head) => text(Encoding::Utf8, bytes),
            [b'\n', ..] => Ok(Source { form: Form::Protobuf, bytes }),
            _ => {
                let found = "found neither JSON nor protobuf with events".to_owned();
                Err(ImportError::NotAHistory { at: "the file".to_owned(), found })
            }
        }
    }
}

/// Unpacks, and says that it was unpacking when it fails.
struct Gunzip<R>(MultiGzDecoder<R>);

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.0.read(to).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                io::Error::other(ImportError::Gzip { reason: error.to_string() })
            }
            _ => error,
        })
    }
}

/// Reads the head of an input, which stays in front of it.
fn look<'r>(
    mut input: Box<dyn Read + 'r>,
) -> Result<(Vec<u8>, Box<dyn BufRead + 'r>), ImportError> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(own_error)?;
    let bytes = BufReader::new(Cursor::new(head.clone()).chain(input));
    Ok((head, Box::new(bytes)))
}

/// Whether the first byte that is no space opens an object or a list.
///
/// A protobuf history begins with a line feed and the length of what follows, which may look like
/// a brace; what follows begins with a control character. If that is a line feed too, a length
/// follows, which then is a letter.
fn looks_like_json(head: &[u8]) -> bool {
    let rest = head.strip_prefix(BOM).unwrap_or(head).trim_ascii_start();
    match rest {
        [b'{' | b'[', b'\n', after, ..] if head.starts_with(b"\n") => !after.is_ascii_alphabetic(),
        [b'{' | b'[', next, ..] => !next.is_ascii_control() || next.is_ascii_whitespace(),
        [b'{' | b'['] => true,
        _ => false,
    }
}

/// Takes what this crate said out of an error of the system.
pub(super) fn own_error(error: io::Error) -> ImportError {
    match error.downcast::<ImportError>() {
        Ok(own) => own,
        Err(error) => ImportError::Io(error),
    }
}
