//! What stands for TensorBoard's events in a build without the feature `tensorboard`: nothing is written.

use super::HyperValue;
use std::io;
use std::path::Path;

/// No event file.
pub struct EventFile;

impl EventFile {
    /// Nothing.
    ///
    /// # Errors
    /// Never.
    pub fn create(_: &Path, _: u64) -> io::Result<EventFile> {
        Ok(EventFile)
    }

    /// Writes nothing.
    ///
    /// # Errors
    /// Never.
    pub fn scalars(&mut self, _: u64, _: &[(&str, f32)]) -> io::Result<()> {
        Ok(())
    }

    /// Writes nothing.
    ///
    /// # Errors
    /// Never.
    pub fn pictures(&mut self, _: u64, _: &[(String, &[u8])]) -> io::Result<()> {
        Ok(())
    }

    /// Writes nothing.
    ///
    /// # Errors
    /// Never.
    pub fn histograms(&mut self, _: u64, _: &[(String, &[f32])]) -> io::Result<()> {
        Ok(())
    }

    /// Writes nothing.
    ///
    /// # Errors
    /// Never.
    pub fn hyperparameters(&mut self, _: &[(&str, HyperValue)]) -> io::Result<()> {
        Ok(())
    }

    /// Writes nothing.
    ///
    /// # Errors
    /// Never.
    pub fn ended(&mut self) -> io::Result<()> {
        Ok(())
    }
}
