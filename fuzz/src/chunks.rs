//! An input as a list of pieces: each is a length, a `u16`, and as many bytes.

/// The pieces of an input. A length that is too high takes what is left.
pub struct Chunks<'a>(pub &'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_le_bytes(*len)).min(rest.len());
        let (chunk, rest) = rest.split_at(len);
        self.0 = rest;
        Some(chunk)
    }
}

/// An input that begins with `first` and goes on with these pieces.
pub fn join<'a>(first: &[u8], chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut input = first.to_vec();
    for chunk in chunks {
        let len = u16::try_from(chunk.len()).expect("a piece of less than 64 KiB");
        input.extend_from_slice(&len.to_le_bytes());
        input.extend_from_slice(chunk);
    }
    input
}
