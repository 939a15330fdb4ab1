//! Running many worlds, and telling of the first that goes wrong.

use crate::mix::Mix;
use crate::tell::tell;
use crate::world::{Broken, Extent, Play, Tally, run};

/// How often one seed is run when it is asked for: threads do not interleave the same way twice.
const AGAIN: usize = 200;
/// How often a smaller world is tried.
const TRIES: usize = 15;

/// Runs worlds until so many transactions were committed in all of them.
pub(crate) fn check(mix: &Mix, extent: Extent, least: usize) {
    let asked = std::env::var("KINLOG_SEED").ok().map(|seed| seed.parse().unwrap());
    let mut total = Tally::default();
    let mut once = |seed| match run(&Play::drawn(mix, seed, extent)) {
        Ok(tally) => {
            total.committed += tally.committed;
            total.refused += tally.refused;
            total.committed
        }
        Err(broken) => {
            let before = total.committed;
            let (extent, broken) = smaller(mix, seed, extent, broken);
            eprintln!("world {} with {extent:?}, seed {seed}:", mix.name);
            tell(&broken);
            let again = "cargo test -p kinlog --test serializable --";
            eprintln!("again: KINLOG_SEED={seed} {again} {}", mix.name);
            panic!("not serializable; before this world {before} transactions were committed");
        }
    };
    match asked {
        Some(seed) => (0..AGAIN).for_each(|_| _ = once(seed)),
        None => _ = (1..).find(|seed| once(*seed) >= least),
    }
    println!("{}: {total:?}", mix.name);
}

/// The world with fewer threads and programs, as far as it still goes wrong.
fn smaller(
    mix: &Mix,
    seed: u64,
    mut extent: Extent,
    mut broken: Box<Broken>,
) -> (Extent, Box<Broken>) {
    loop {
        let Extent { threads, programs } = extent;
        let fewer = [
            Extent { threads, programs: programs / 2 },
            Extent { threads: threads / 2, programs },
            Extent { threads: threads - 1, programs },
        ];
        let fewer = fewer.into_iter().filter(|fewer| fewer.threads > 1 && fewer.programs > 0);
        let tried = fewer.flat_map(|fewer| std::iter::repeat_n(fewer, TRIES));
        let found = tried
            .map(|fewer| (fewer, run(&Play::drawn(mix, seed, fewer))))
            .find(|(_, it)| it.is_err());
        let Some((smaller, Err(again))) = found else { return (extent, broken) };
        (extent, broken) = (smaller, again);
    }
}
