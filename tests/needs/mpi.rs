//! Runs of several processes under `mpirun`, with the program as `make test FEATURES=mpi` builds it.

use crate::common::{Ended, command};
use crate::need::trials;
use crate::parallel::expect_same_bits;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::tempdir;
use tilewright::checkpoint::{Checkpoint, load_checkpoint};
use tilewright::train::RunFolder;

trials! {
    Mpi:
        under_mpirun_a_run_of_four_shards_has_the_same_bits_on_one_two_or_four_processes,
        a_run_one_of_whose_processes_is_killed_goes_on_with_another_number_of_them,
        a_process_that_hangs_ends_the_run_after_the_time_that_it_was_given,
        processes_that_are_not_alike_are_refused_with_the_rank_and_what_differs,
        what_all_processes_find_wrong_is_told_once_with_the_status_of_a_single_one;
}

/// `mpirun -n COUNT`, as root and on fewer cores too; `:` begins another program.
fn mpirun(count: usize) -> Command {
    let mut mpirun = Command::new("mpirun");
    mpirun.args(["-n", &count.to_string()]);
    for name in ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_rmaps_base_oversubscribe"] {
        mpirun.env(name, "1");
    }
    for (name, value) in command().get_envs() {
        value.map(|value| mpirun.env(name, value));
    }
    mpirun
}

/// Runs `tilewright train ARGUMENTS` on so many processes; none is without `mpirun`.
fn train(processes: usize, arguments: &[&str], status: i32) -> Ended {
    let program = command();
    let mut run = match processes {
        0 => command(),
        _ => {
            let mut mpirun = mpirun(processes);
            mpirun.arg(program.get_program());
            mpirun
        }
    };
    Ended::of(run.arg("train").args(arguments).output().unwrap(), status)
}

fn last(run: &Path) -> Checkpoint {
    load_checkpoint(&RunFolder::checkpoint(run)).unwrap()
}

const LENET: &[&str] =
    &["lenet5", "--limit", "88", "--batch", "16", "--shards", "4", "--epochs", "2", "--flip", "--crop", "2"];

const RESIDUAL: &[&str] =
    &["resnet18_cifar", "--data", "synthetic:3x16x16:4:16", "--batch", "8", "--shards", "4", "--epochs", "1", "--flip"];

fn under_mpirun_a_run_of_four_shards_has_the_same_bits_on_one_two_or_four_processes() {
    let folder = tempdir().unwrap();
    for (name, model, counts) in [("lenet5", LENET, &[1, 2, 4][..]), ("residual", RESIDUAL, &[2])] {
        let run = |processes: usize| {
            let path = folder.path().join(format!("{name}-{processes}"));
            let ended = train(processes, &[model, &["--run", path.to_str().unwrap()]].concat(), 0);
            assert_eq!(ended.stdout.matches("; best epoch").count(), 1, "one speaks: {}", ended.stdout);
            last(&path)
        };
        let alone = run(0);
        for &processes in counts {
            expect_same_bits(&run(processes), &alone);
        }
        let path = folder.path().join(format!("{name}-devices"));
        train(0, &[model, &["--devices", "0,0", "--run", path.to_str().unwrap()]].concat(), 0);
        expect_same_bits(&last(&path), &alone);
    }
}

/// The smallest run there is, on the reference, with a checkpoint after each step.
const TINY: &[&str] = &[
    "lenet5",
    "--device",
    "cpu",
    "--data",
    "synthetic:1x12x12:2:16",
    "--batch",
    "4",
    "--shards",
    "4",
    "--checkpoint-every",
    "1",
    "--epochs",
];

fn a_run_one_of_whose_processes_is_killed_goes_on_with_another_number_of_them() {
    let folder = tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    train(0, &[TINY, &["40", "--run", whole.to_str().unwrap()]].concat(), 0);
    let mut run = mpirun(2);
    run.arg(command().get_program()).arg("train").args(TINY).args(["40", "--run", killed.to_str().unwrap()]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(run.stderr.take().unwrap());
    let mut lines = said.lines().map_while(Result::ok);
    lines.find(|line| line.contains("epoch 2/")).expect("it trains");
    // The one that does not hold the folder.
    let holder = std::fs::read_to_string(killed.join(".lock")).unwrap();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.id())).unwrap();
    let other = children.split_whitespace().find(|child| *child != holder.trim()).expect("there are two");
    assert!(Command::new("kill").args(["-9", other]).status().unwrap().success());
    lines.for_each(drop);
    assert!(!run.wait().unwrap().success(), "no one waits for ever");
    let done = last(&killed).header.progress.step;
    assert!(done < last(&whole).header.progress.step, "it was ended in the middle");
    train(4, &["--resume", killed.to_str().unwrap(), "--device", "cpu"], 0);
    expect_same_bits(&last(&killed), &last(&whole));
}

fn a_process_that_hangs_ends_the_run_after_the_time_that_it_was_given() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("run");
    let mut run = mpirun(2);
    run.arg(command().get_program()).arg("train").args(TINY);
    run.args(["4000", "--member-timeout", "2s", "--run", path.to_str().unwrap()]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(run.stderr.take().unwrap());
    let mut lines = said.lines().map_while(Result::ok);
    lines.find(|line| line.contains("epoch 2/")).expect("it trains");
    let holder = std::fs::read_to_string(path.join(".lock")).unwrap();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.id())).unwrap();
    let other = children.split_whitespace().find(|child| *child != holder.trim()).expect("there are two");
    assert!(Command::new("kill").args(["-STOP", other]).status().unwrap().success());
    let said: Vec<String> = lines.collect();
    assert!(!run.wait().unwrap().success());
    let told = said.iter().any(|line| line.contains("rank 1 of 2 has not answered for 2 s"));
    assert!(told, "{said:?}");
}

fn processes_that_are_not_alike_are_refused_with_the_rank_and_what_differs() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("run");
    let own = |epochs: &str| -> Vec<String> {
        let fixed = TINY.iter().map(|&argument| argument.to_owned());
        fixed.chain([epochs.to_owned(), "--run".to_owned(), run.to_str().unwrap().to_owned()]).collect()
    };
    let program = command().get_program().to_owned();
    let mut both = mpirun(1);
    both.arg(&program).arg("train").args(own("1")).args([":", "-n", "1"]).arg(&program).arg("train").args(own("2"));
    let ended = Ended::of(both.output().unwrap(), 1);
    assert!(ended.stderr.contains("rank 1 of 2 differs from rank 0 in its command line"), "{}", ended.stderr);
    assert!(!run.exists(), "before anything is begun");
}

fn what_all_processes_find_wrong_is_told_once_with_the_status_of_a_single_one() {
    let ended = train(2, &[TINY, &["1", "--lr", "-1"]].concat(), 2);
    assert_eq!(ended.stderr.matches("error: ").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("--lr is -1"), "{}", ended.stderr);
}
