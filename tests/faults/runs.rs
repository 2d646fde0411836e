//! Runs that are stopped, damaged, resumed or written to twice.
