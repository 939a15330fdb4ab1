//! Running a world under many schedules, or under one again.

use std::env;
use std::path::PathBuf;

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};

const SEED: u64 = 42;
/// How often PCT changes the thread that comes first.
const CHANGES: usize = 4;

/// Runs `world` under so many random schedules and as many of PCT's.
pub(crate) fn explore(schedules: usize, world: fn()) {
    if let Ok(file) = env::var("KINLOG_SCHEDULE") {
        run(ReplayScheduler::new_from_file(file).unwrap(), world);
        return;
    }
    let asked = env::var("KINLOG_SCHEDULES").ok().map(|number| number.parse().unwrap());
    let schedules = asked.unwrap_or(schedules);
    run(RandomScheduler::new_from_seed(SEED, schedules), world);
    run(PctScheduler::new_from_seed(SEED, CHANGES, schedules), world);
}

fn run(scheduler: impl Scheduler + 'static, world: fn()) {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true;
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    config.failure_persistence = FailurePersistence::File(Some(kept));
    // Unwinding would close stores, on threads that nobody schedules any more.
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    Runner::new(scheduler, config).run(world);
}
