//! A naive model of relations, chains, close policies, duties, limits and resets beside the store,
//! under random steps.
//!
//! Every seed is a world of its own. `KINLOG_SEED` runs one seed and says what happens,
//! `KINLOG_STEPS` multiplies the work. A failure is made smaller before it is shown.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "trees/body.rs"]
mod body;
#[path = "trees/check.rs"]
mod check;
#[path = "trees/deletion.rs"]
mod deletion;
#[path = "trees/done.rs"]
mod done;
#[path = "trees/draft.rs"]
mod draft;
#[path = "trees/draw.rs"]
mod draw;
#[path = "trees/long.rs"]
mod long;
#[path = "trees/naive.rs"]
mod naive;
#[path = "trees/op.rs"]
mod op;
#[path = "trees/regressions.rs"]
mod regressions;
#[path = "trees/rivals.rs"]
mod rivals;
#[path = "trees/seeds.rs"]
mod seeds;
#[path = "trees/settle.rs"]
mod settle;
#[path = "trees/settling.rs"]
mod settling;
#[path = "trees/steps.rs"]
mod steps;
#[path = "trees/stock.rs"]
mod stock;
#[path = "trees/world.rs"]
mod world;

use draw::Theme;
use seeds::Plan;

#[test]
fn many_small_worlds_agree_with_a_naive_model() {
    seeds::run(&Plan { theme: Theme::All, seeds: 1..401, steps: 60 });
}

#[test]
fn worlds_agree_with_a_naive_model() {
    seeds::run(&Plan { theme: Theme::All, seeds: 10_001..10_101, steps: 200 });
}

#[test]
fn large_worlds_agree_with_a_naive_model() {
    seeds::run(&Plan { theme: Theme::All, seeds: 20_001..20_009, steps: 600 });
}

#[test]
fn children_that_go_on_and_on_agree_with_a_naive_model() {
    seeds::run(&Plan { theme: Theme::LongChildren, seeds: 30_001..30_101, steps: 100 });
}
