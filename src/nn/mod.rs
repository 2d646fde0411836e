//! The builder: layers by name and functions, of which networks are made.

mod card;
mod functions;
mod layers;
mod losses;
mod scope;

pub use card::ALL;
pub use functions::LayerNorm;
pub use layers::{BatchNorm, Conv2d, ConvInit, STEP_NUMBERS};
pub use scope::{Mode, Scope};
