//! How images become those of a model: options that several commands share.

use clap::Args;
use tilewright::data::{Asked, DataError, Interpolation, Preprocessing};

#[derive(Args)]
pub(super) struct ImageOptions {
    /// Resize the shorter side of images to this, and cut the centre out [default: as the weights expect]
    ///
    /// The centre is of the size that the model takes, or in training of --size. Without weights that expect it, images
    /// are stretched.
    #[arg(long, value_name = "PIXELS", help_heading = "Data")]
    pub resize: Option<usize>,
    /// As --resize, such that this share of the shorter side is seen, such as 0.875 for 224 of 256 pixels
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true, help_heading = "Data")]
    pub crop_share: Option<f64>,
    /// How pixels between pixels are found: bilinear or bicubic [default: as the weights expect, else bilinear]
    #[arg(long, value_name = "bilinear|bicubic", help_heading = "Data")]
    pub interpolation: Option<Interpolation>,
}

impl ImageOptions {
    /// What these options say.
    pub(super) fn asked(&self) -> Asked {
        let ImageOptions { resize, crop_share, interpolation } = *self;
        Asked { resize, crop_share, interpolation }
    }

    /// What a checkpoint for the images `[C, H, W]` says, with what these options ask for.
    ///
    /// # Errors
    /// When they cannot be, or contradict each other.
    pub(super) fn over(&self, own: Preprocessing, [_, height, width]: [usize; 3]) -> Result<Preprocessing, DataError> {
        own.asked(self.asked(), (height, width))
    }
}
