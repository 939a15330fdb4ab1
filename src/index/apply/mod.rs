//! Taking in commits that passed the rules.

mod begin;
mod commit;
mod delete;
mod erase;
mod fold;
