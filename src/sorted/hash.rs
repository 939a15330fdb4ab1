//! The hash of keys: the same in every build and on every machine, as files hold it.

const BEGIN: u64 = 0x9e37_79b9_7f4a_7c15;
const WORD: u64 = 0xd1b5_4a32_d192_ed03;
const END: u64 = 0x8bb8_4b93_962e_acc9;

/// A well mixed hash of `bytes`. Not against those who look for collisions: whoever takes two keys for the same must
/// compare them.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = fold(BEGIN ^ bytes.len() as u64, WORD);
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), WORD);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        state = fold(state ^ u64::from_le_bytes(last), WORD);
    }
    // Without this, the last word's bits would reach too few others.
    fold(state, END)
}

/// The two halves of the product, one upon the other: every bit of `a` changes about half of the result.
fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = a.carrying_mul(b, 0);
    low ^ high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_given_bytes_never_changes() {
        let hashes = [&b""[..], b"a", b"12345678", b"order-42", b"a workflow id of some length"]
            .map(|bytes| format!("{:016x}", hash(bytes)));
        assert_eq!(
            hashes,
            [
                "29c287be343b8893",
                "0f90490e2da26534",
                "7c636d7722c5af77",
                "043b190bffdce9c0",
                "de3ed67ed07e58ab"
            ]
        );
    }

    #[test]
    fn each_bit_of_a_key_changes_each_bit_of_the_hash_half_the_time() {
        for len in [1, 4, 8, 12, 16, 33] {
            for bit in 0..len * 8 {
                let mut changed = [0; 64];
                for sample in 0..=255u8 {
                    let bytes = vec![sample; len];
                    let mut other = bytes.clone();
                    other[bit / 8] ^= 1 << (bit % 8);
                    let difference = hash(&bytes) ^ hash(&other);
                    (0..64).for_each(|bit| changed[bit] += (difference >> bit) & 1);
                }
                let all: u64 = changed.iter().sum();
                assert!((28 * 256..36 * 256).contains(&all), "bit {bit} of {len} bytes: {all}");
                let each = changed.iter().all(|changed| (64..192).contains(changed));
                assert!(each, "bit {bit} of {len} bytes: {changed:?}");
            }
        }
    }

    #[test]
    fn dense_numbers_and_zeros_do_not_collide() {
        let numbers = (0..200_000u32).map(|number| hash(&number.to_le_bytes()));
        let zeros = (0..300).map(|len| hash(&vec![0; len]));
        let mut hashes: Vec<u64> = numbers.chain(zeros.skip(5)).collect();
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }
}
