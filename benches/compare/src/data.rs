//! Payloads sized like those of the recorded histories: median 145 bytes, mean 305, 99th percentile
//! about 2 KiB. Always the same ones.

/// SplitMix64.
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const MEDIAN: f64 = 145.0;
const SIGMA: f64 = 1.22;
const LONGEST: usize = 16 << 10;
const POOL_BYTES: usize = 4 << 20;

/// Text of 64 symbols, of which payloads are pieces: it compresses by a quarter at most.
pub struct Data {
    pool: Vec<u8>,
}

impl Default for Data {
    fn default() -> Self {
        const SYMBOLS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut state = 1;
        let pool = (0..POOL_BYTES + LONGEST).map(|_| SYMBOLS[(next(&mut state) >> 58) as usize]);
        Data { pool: pool.collect() }
    }
}

impl Data {
    /// The payload of an event.
    pub fn payload(&self, run: u32, event: u32) -> &[u8] {
        let mut state = u64::from(run) << 32 | u64::from(event);
        let (place, a, b) = (next(&mut state), next(&mut state), next(&mut state));
        let unit = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        // Box and Muller: log-normal lengths.
        let normal = (-2.0 * unit(a).ln()).sqrt() * (std::f64::consts::TAU * unit(b)).cos();
        let len = (MEDIAN * (SIGMA * normal).exp()).round() as usize;
        self.piece(place, len.clamp(1, LONGEST))
    }

    /// A payload of exactly `len` bytes.
    pub fn exactly(&self, run: u32, event: u32, len: usize) -> &[u8] {
        let mut state = u64::from(run) << 32 | u64::from(event);
        self.piece(next(&mut state), len)
    }

    fn piece(&self, place: u64, len: usize) -> &[u8] {
        let at = (place % POOL_BYTES as u64) as usize;
        &self.pool[at..at + len]
    }
}

/// What a reader makes of what it reads, so that engines can be held against one another.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Digest {
    pub events: u64,
    pub bytes: u64,
    sum: u64,
}

impl Digest {
    pub fn take(&mut self, id: u32, payload: &[u8]) {
        self.events += 1;
        self.bytes += payload.len() as u64;
        let ends = payload
            .first()
            .zip(payload.last())
            .map_or(0, |(a, b)| u64::from(*a) << 8 | u64::from(*b));
        self.sum = self.sum.rotate_left(5) ^ ends.wrapping_mul(u64::from(id) | 1);
    }
}
