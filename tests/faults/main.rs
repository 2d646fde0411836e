//! What once went wrong, tried as a user would: each module is a kind of fault, each test one example of it.
//! Small inputs that belong to a test lie in `tests/data/faults/`, by the name of the module.

#[path = "../common/mod.rs"]
mod common;

mod data;
mod divergence;
mod kill;
mod numbers;
mod resume;
mod runs;
mod schedules;
mod weights;
mod words;
