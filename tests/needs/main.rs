//! Tests that need what may be absent, such as a graphics adapter, and those that stand beside them.
//!
//! Where a need is not met, a test counts as ignored, with the need in front of its name. `TILEWRIGHT_REQUIRE`, which
//! the check of a change sets, turns that into a failure: `TILEWRIGHT_REQUIRE=adapter,spirv-val`. Each module lists its
//! tests in [`trials!`](need), not with `#[test]`, which this program does not know (docs/decisions/0010-needs.md).

#[path = "../common/mod.rs"]
mod common;
mod need;

mod averages;
mod browser;
mod command_line;
mod conformance;
mod ensemble;
mod examples;
mod gpu_audit;
mod half;
mod kernels;
mod layers;
mod lr_find;
#[cfg(target_os = "linux")]
mod mpi;
mod numbers;
mod ops_plain;
mod optimizers;
mod parallel;
mod pictures;
mod properties;
mod real_data;
mod runs;
mod session;
mod shaders;
mod stochastic_depth;
mod sweep;
mod training;
mod tune;
mod zoo_training;

fn main() {
    let all = [
        averages::trials(),
        browser::trials(),
        command_line::trials(),
        conformance::trials(),
        ensemble::trials(),
        examples::trials(),
        gpu_audit::trials(),
        half::trials(),
        kernels::trials(),
        layers::trials(),
        lr_find::trials(),
        #[cfg(target_os = "linux")]
        mpi::trials(),
        numbers::trials(),
        ops_plain::trials(),
        optimizers::trials(),
        parallel::trials(),
        pictures::trials(),
        properties::trials(),
        real_data::trials(),
        runs::trials(),
        session::trials(),
        shaders::trials(),
        stochastic_depth::trials(),
        sweep::trials(),
        training::trials(),
        tune::trials(),
        zoo_training::trials(),
    ];
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), all.into_iter().flatten().collect()).exit();
}
