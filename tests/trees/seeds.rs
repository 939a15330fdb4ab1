//! Running worlds, and making failures smaller.

use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};

use crate::done::Done;
use crate::draw::Theme;
use crate::world::World;

const THREADS: usize = 2;
/// How often a failure is tried again with fewer steps.
const TRIES: usize = 400;

thread_local! {
    /// Whether a failure on this thread is news.
    static LOUD: Cell<bool> = const { Cell::new(true) };
}

/// Failures on the way to a smaller one are not shown.
fn hush() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let show = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if LOUD.get() {
                show(info);
            }
        }));
    });
}

/// Worlds to run.
pub(crate) struct Plan {
    pub(crate) theme: Theme,
    pub(crate) seeds: Range<u64>,
    pub(crate) steps: u64,
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")))
}

pub(crate) fn run(plan: &Plan) {
    hush();
    let Range { start, end } = plan.seeds;
    let end = start + (end - start) * number("KINLOG_STEPS").unwrap_or(1);
    let seeds = match number("KINLOG_SEED") {
        Some(seed) if (start..end).contains(&seed) => seed..seed + 1,
        Some(_) => return,
        None => start..end,
    };
    let many = seeds.end - seeds.start > 1;
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new(Done::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let done = world(plan, seed);
            total.lock().unwrap().add(&done);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let failed = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        assert_eq!(failed, 0, "a thread found a difference, see above");
    });
    let total = total.lock().unwrap();
    println!("{total:?}");
    if many {
        // A store that refuses whatever others come before would agree with any model.
        assert!(total.beside * 5 > total.overtaken, "commits beside others are rare: {total:?}");
        assert!(total.needless * 2 < total.overtaken, "refused without need: {total:?}");
        assert!(total.packed * 10 > total.compacted, "hardly anything is packed: {total:?}");
        assert!(total.erased * 200 > total.deleted, "runs are hardly ever erased: {total:?}");
        let most = |worlds: u64| worlds * 2 > end - start || plan.theme != Theme::LongChildren;
        assert!(most(total.shortened), "children are hardly ever erased in part: {total:?}");
        assert!(most(total.asked), "children are hardly ever asked to cancel: {total:?}");
    }
}

/// One world; a failure is shown in its smallest form.
fn world(&Plan { theme, steps, .. }: &Plan, seed: u64) -> Done {
    let all: Vec<u64> = (0..steps).collect();
    let failed = match attempt(theme, seed, &all, false) {
        Ok(done) => return done,
        Err(failed) => failed,
    };
    let few = smaller(theme, seed, all[..=failed.min(all.len() - 1)].to_vec());
    eprintln!("seed {seed} fails with the steps {few:?}:");
    let _ = attempt(theme, seed, &few, true);
    panic!("seed {seed}: again with KINLOG_SEED={seed} cargo test --test trees");
}

/// Runs the given steps; the place of the one that failed.
fn attempt(theme: Theme, seed: u64, steps: &[u64], loud: bool) -> Result<Done, usize> {
    let mut world = World::new(theme, loud);
    let mut at = 0;
    LOUD.set(loud);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        for step in steps {
            world.step(seed, *step);
            at += 1;
        }
        world.finish();
    }));
    LOUD.set(true);
    outcome.map(|()| world.done.clone()).map_err(|_| at)
}

/// Leaves out what a failure does not need.
fn smaller(theme: Theme, seed: u64, mut steps: Vec<u64>) -> Vec<u64> {
    let mut tries = 0;
    let mut size = steps.len() / 2;
    while size > 0 && tries < TRIES {
        let mut from = 0;
        while from < steps.len() && tries < TRIES {
            let mut fewer = steps.clone();
            fewer.drain(from..(from + size).min(steps.len()));
            tries += 1;
            match attempt(theme, seed, &fewer, false) {
                Err(_) => steps = fewer,
                Ok(_) => from += size,
            }
        }
        size /= 2;
    }
    steps
}
