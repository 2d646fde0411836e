//! Runs that are done, to be looked at: several side by side, and one as a page.

mod comparison;
mod html;
mod page;
mod summary;

pub use comparison::Comparison;
pub use page::page;
pub use summary::RunSummary;
