//! `tilewright export`: a checkpoint's model for other programs, and for a page.

use super::eval::checkpoint_file;
use super::output::refuse_overwriting;
use super::page::{self, Asked};
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use tilewright::checkpoint::{Header, load_checkpoint};
use tilewright::interop::{export_safetensors, onnx};
use tilewright::path_text::lossy;
use tilewright::recipe::Precision;

/// Write a checkpoint's weights for PyTorch, its model as ONNX, or a page that tells what is on images
#[derive(Args)]
pub(super) struct Export {
    /// A checkpoint, or a run folder whose last checkpoint is taken
    checkpoint: PathBuf,
    /// OUT.safetensors: weights that load_state_dict(strict=True) takes. OUT.onnx: the inference graph,
    /// from `images` [N, C, H, W], normalised, to `logits` [N, classes]. OUT/: a page for any static host, where one drops
    /// an image and sees its classes
    out: PathBuf,
    /// Make batch norms part of the convolutions before them (ONNX; in a page they always are)
    #[arg(long)]
    fold_batch_norm: bool,
    /// What weights are stored in (page only): f16 halves the page, and rounds them
    #[arg(long, value_name = "f32|f16")]
    precision: Option<Precision>,
    /// Folder with the program of the page, as `make web` writes it (page only); else it is looked for in `web` beside this
    /// program and beside the folder of this program, and in target/web
    #[arg(long, value_name = "DIR")]
    program: Option<PathBuf>,
    /// Write OUT even where it is the checkpoint that is read, or belongs to a run
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let path = checkpoint_file(&self.checkpoint);
        if page::is_folder(&self.out) {
            return self.page(global, &path);
        }
        if let Some(option) = self.option_of_pages() {
            return Err(CliError::usage(format!(
                "{option} is for a page, whose folder ends in a slash, but `{}` does not",
                self.out.display()
            )));
        }
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
                return Err(CliError::usage(format!(
                    "`{out}` ends neither in .safetensors nor in .onnx, nor in a slash, as the folder of a page does"
                )));
            }
        }
        tell(global, &self.out, &checkpoint.header, "");
        Ok(())
    }

    fn page(&self, global: &Global, path: &Path) -> Result<(), CliError> {
        let checkpoint = load_checkpoint(path)?;
        let (precision, program) = (self.precision.unwrap_or_default(), self.program.as_deref());
        let bytes = page::export(&checkpoint, path, &self.out, &Asked { precision, program, force: self.force })?;
        let told = format!(", a page of {:.1} MB; any static host serves it", bytes as f64 / 1e6);
        tell(global, &self.out, &checkpoint.header, &told);
        Ok(())
    }

    /// An option that was given, and that only a page has.
    fn option_of_pages(&self) -> Option<&'static str> {
        match (self.precision, &self.program) {
            (Some(_), _) => Some("--precision"),
            (None, Some(_)) => Some("--program"),
            (None, None) => None,
        }
    }
}

fn tell(global: &Global, out: &Path, header: &Header, more: &str) {
    global.say(format_args!("{}: {}{more}", out.display(), header.config.model));
    global.result(&json!({
        "file": lossy(out),
        "model": header.config.model,
        "classes": header.classes,
        "mean": header.normalization.mean,
        "std": header.normalization.std,
    }));
}
