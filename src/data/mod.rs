//! Data sets: sources, splits and batches.
