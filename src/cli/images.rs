//! How images become those of a model: options that several commands share.

use clap::Args;
use tilewright::data::{DataError, Preprocessing};

#[derive(Args)]
pub struct ImageOptions {
    /// Resize the shorter side of images to this, and cut the centre out [default: as the weights expect]
    ///
    /// The centre is of the size that the model takes, or in training of --size. Without weights that expect it, images
    /// are stretched.
    #[arg(long, value_name = "PIXELS", help_heading = "Data")]
    pub resize: Option<usize>,
    /// As --resize, such that this share of the shorter side is seen, such as 0.875 for 224 of 256 pixels
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, help_heading = "Data")]
    pub crop_share: Option<f64>,
}

impl ImageOptions {
    /// What a checkpoint for the images `[C, H, W]` says, with what these options ask for.
    ///
    /// # Errors
    /// When they cannot be, or contradict each other.
    pub fn over(&self, own: Preprocessing, [_, height, width]: [usize; 3]) -> Result<Preprocessing, DataError> {
        own.asked(self.resize, self.crop_share, (height, width))
    }
}
