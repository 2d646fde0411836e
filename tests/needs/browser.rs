//! The page of `make web` in a browser: training against the reference, conformance, check, what a
//! visitor presses, and pages of models.

use crate::need::{trials, web_page, web_tools};
use std::path::Path;
use std::process::Command;

trials! {
    WebPage: the_page_trains_checks_and_predicts_in_a_browser;
}

fn the_page_trains_checks_and_predicts_in_a_browser() {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/test/run.mjs");
    let mut node = Command::new("node");
    node.arg(driver).arg(web_page()).arg(web_tools()).arg("--program").arg(env!("CARGO_BIN_EXE_tilewright"));
    let output = node.output().unwrap();
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("all passed"), "{told}{said}");
    println!("{told}");
}
