//! What once went wrong, tried as a user would: each module is a kind of fault, each test one example of it.
//! Small inputs that belong to a test lie in `tests/data/faults/`, by the name of the module.

mod data;
mod divergence;
mod kill;
mod resume;
mod schedules;
mod weights;
mod words;
