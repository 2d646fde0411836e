//! What a test needs that may be absent, and what then becomes of the test.

use libtest_mimic::{Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use tilewright::gpu::{Adapter, AdapterKind, adapters};

/// Names of needs, with commas between them: a test whose need is absent and stands here fails.
const REQUIRE: &str = "TILEWRIGHT_REQUIRE";

/// What a test cannot run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// A graphics adapter.
    Adapter,
    /// An adapter that runs on the CPU, where a test knows which kernels the rule picks.
    CpuAdapter,
    /// An adapter with matrix units.
    MatrixUnits,
    /// An adapter without them.
    NoMatrixUnits,
    /// An adapter with f16 in shaders.
    F16,
    /// An adapter whose driver keeps compiled kernels.
    PipelineCache,
    /// Vulkan as the only way to an adapter, so that an environment variable hides it.
    Vulkan,
    /// The validator of SPIR-V.
    SpirvVal,
    /// One that knows cooperative matrices.
    SpirvValOfMatrices,
    /// More conformance cases, in a folder beside the repository.
    Cases,
    /// MNIST and CIFAR-10, in a folder beside the repository.
    Data,
    /// Python 3.11 or later, on Unix.
    Python,
    /// Chromium, or Chrome.
    Chromium,
    /// The page of `make web`, with Chromium and what drives it, which `make web-test` installs.
    WebPage,
    /// Mesa's drivers and no-op devices, which `make test` downloads where it can.
    MesaDrmShim,
    /// A build with the feature `mpi`, and what starts its processes.
    Mpi,
}

/// Each need by the name that [`REQUIRE`] takes.
const NAMES: [(&str, Need); 17] = [
    ("nothing", Need::Nothing),
    ("adapter", Need::Adapter),
    ("cpu-adapter", Need::CpuAdapter),
    ("matrix-units", Need::MatrixUnits),
    ("no-matrix-units", Need::NoMatrixUnits),
    ("f16", Need::F16),
    ("pipeline-cache", Need::PipelineCache),
    ("vulkan", Need::Vulkan),
    ("spirv-val", Need::SpirvVal),
    ("spirv-val-2023.3", Need::SpirvValOfMatrices),
    ("cases", Need::Cases),
    ("data", Need::Data),
    ("python-3.11", Need::Python),
    ("chromium", Need::Chromium),
    ("web-page", Need::WebPage),
    ("mesa-drm-shim", Need::MesaDrmShim),
    ("mpi", Need::Mpi),
];

impl Need {
    fn name(self) -> &'static str {
        NAMES.iter().find(|(_, need)| *need == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn is_there(self) -> bool {
        // Asked once: each program has many tests that need it.
        static ADAPTER: LazyLock<Option<Adapter>> = LazyLock::new(|| adapters().into_iter().next());
        static SPIRV_VAL: LazyLock<Option<f64>> = LazyLock::new(spirv_val);
        static PYTHON: LazyLock<bool> = LazyLock::new(python);
        let adapter = || ADAPTER.as_ref();
        match self {
            Need::Nothing => true,
            Need::Adapter => adapter().is_some(),
            Need::CpuAdapter => adapter().is_some_and(|adapter| adapter.info.kind == AdapterKind::Software),
            Need::MatrixUnits => adapter().is_some_and(|adapter| adapter.matrix_units.is_ok()),
            Need::NoMatrixUnits => adapter().is_some_and(|adapter| adapter.matrix_units.is_err()),
            Need::F16 => adapter().is_some_and(|adapter| adapter.f16),
            Need::PipelineCache => adapter().is_some_and(|adapter| adapter.pipeline_cache),
            Need::Vulkan => cfg!(target_os = "linux"),
            Need::SpirvVal => SPIRV_VAL.is_some(),
            Need::SpirvValOfMatrices => SPIRV_VAL.is_some_and(|version| version >= 2023.3),
            Need::Cases => beside("conformance/cases").is_dir(),
            Need::Data => beside("data").is_dir(),
            Need::Python => *PYTHON,
            Need::Chromium => chromium().is_some(),
            Need::WebPage => {
                let drives = web_tools().join("node_modules/puppeteer-core").is_dir();
                drives && chromium().is_some() && web_page().join("index.html").is_file()
            }
            Need::Mpi => cfg!(feature = "mpi") && mpirun(),
            Need::MesaDrmShim => *PYTHON && gpu_audit_mesa().join("packages.txt").is_file(),
        }
    }
}

/// The version of `spirv-val`, such as 2023.1.
fn spirv_val() -> Option<f64> {
    let output = Command::new("spirv-val").arg("--version").output().ok()?;
    // It begins with `SPIRV-Tools v2023.1`.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.split_whitespace().find_map(|word| word.strip_prefix('v')?.parse().ok()).unwrap_or(0.0))
}

/// Whether `python3` is recent enough for `scripts/gpu_audit`.
fn python() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import tomllib"]).stderr(Stdio::null());
    cfg!(unix) && command.status().is_ok_and(|status| status.success())
}

fn mpirun() -> bool {
    let mut command = Command::new("mpirun");
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The browser that pages are shown in.
pub(crate) fn chromium() -> Option<&'static str> {
    static CHROMIUM: LazyLock<Option<&'static str>> = LazyLock::new(|| {
        let is_there = |name: &&str| {
            let mut command = Command::new(name);
            command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there)
    });
    *CHROMIUM
}

/// Where `scripts/gpu_audit --fetch --suite trixie` puts Mesa: in the folder that cargo builds in.
pub(crate) fn gpu_audit_mesa() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("gpu-audit").join("trixie")
}

/// Where `make web` puts the page: under the repository.
pub(crate) fn web_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/web")
}

/// What built it, and what drives a browser.
pub(crate) fn web_tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/web-tools")
}

/// A folder or file of `shared`, which may lie beside the repository.
pub(crate) fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path)
}

/// The needs that must be there, by the environment.
fn required() -> Vec<Need> {
    let text = std::env::var(REQUIRE).unwrap_or_default();
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let need = |word: &str| {
        let known = || NAMES.map(|(name, _)| name).join(", ");
        let found = NAMES.iter().find(|(name, _)| *name == word);
        found.unwrap_or_else(|| panic!("{REQUIRE} is `{text}`, but `{word}` is none of {}", known())).1
    };
    words.map(need).collect()
}

/// A test that runs where its need is met. Where it is not, the test counts as ignored, or fails where the need is required.
pub(crate) fn trial(name: String, need: Need, test: impl FnOnce() + Send + 'static) -> Trial {
    static REQUIRED: LazyLock<Vec<Need>> = LazyLock::new(required);
    let (is_there, is_required) = (need.is_there(), REQUIRED.contains(&need));
    let run = move || match is_there {
        true => {
            test();
            Ok(())
        }
        false => Err(Failed::from(format!("there is no {}", need.name()))),
    };
    let trial = Trial::test(name, run).with_ignored_flag(!is_there && !is_required);
    match need {
        Need::Nothing => trial,
        _ => trial.with_kind(format!("needs {}", need.name())),
    }
}

/// The tests of a module, each after what it needs. A function that stands in no list is dead code, of which the
/// compiler tells.
macro_rules! trials {
    ($($need:ident: $($(#[$attribute:meta])? $test:ident),+;)+) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            let (_, module) = module_path!().split_once("::").unwrap();
            let mut all = Vec::new();
            $($(
                $(#[$attribute])?
                all.push($crate::need::trial(
                    format!("{module}::{}", stringify!($test)), $crate::need::Need::$need, $test,
                ));
            )+)+
            all
        }
    };
}
pub(crate) use trials;
