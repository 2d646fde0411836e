//! Where schedules end, and how they are written.
