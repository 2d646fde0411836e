//! `tilewright export`: a checkpoint's model for other programs.

use super::eval::checkpoint_file;
use super::output::refuse_overwriting;
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tilewright::checkpoint::load_checkpoint;
use tilewright::interop::{export_safetensors, onnx};
use tilewright::path_text::lossy;

/// Write a checkpoint's weights for PyTorch, or its model as ONNX
#[derive(Args)]
pub(super) struct Export {
    /// A checkpoint, or a run folder whose last checkpoint is taken
    checkpoint: PathBuf,
    /// OUT.safetensors: weights that load_state_dict(strict=True) takes. OUT.onnx: the inference graph,
    /// from `images` [N, C, H, W], normalised, to `logits` [N, classes]
    out: PathBuf,
    /// Make batch norms part of the convolutions before them (ONNX only)
    #[arg(long)]
    fold_batch_norm: bool,
    /// Write OUT even where it is the checkpoint that is read, or belongs to a run
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let path = checkpoint_file(&self.checkpoint);
        refuse_overwriting(&self.out, &[&path], self.force)?;
        let checkpoint = load_checkpoint(&path)?;
        match self.out.extension().and_then(|extension| extension.to_str()) {
            Some("safetensors") if self.fold_batch_norm => {
                return Err(CliError::usage("--fold-batch-norm is for .onnx: PyTorch's model has its batch norms"));
            }
            Some("safetensors") => export_safetensors(&checkpoint, &path, &self.out)?,
            Some("onnx") => onnx::export(&checkpoint, &path, &self.out, self.fold_batch_norm)?,
            _ => {
                let out = self.out.display();
                return Err(CliError::usage(format!("`{out}` ends neither in .safetensors nor in .onnx")));
            }
        }
        let normalization = &checkpoint.header.normalization;
        global.say(format_args!("{}: {}", self.out.display(), checkpoint.header.config.model));
        global.result(&json!({
            "file": lossy(&self.out),
            "model": checkpoint.header.config.model,
            "classes": checkpoint.header.classes,
            "mean": normalization.mean,
            "std": normalization.std,
        }));
        Ok(())
    }
}
