//! `scripts/ensure-adapter.sh` on systems made of stub commands: what it finds and what it installs.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A system with the loader and one driver on request, and only the package managers given to it.
struct System {
    root: tempfile::TempDir,
}

impl System {
    fn new() -> System {
        let system = System { root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(system.path("bin")).unwrap();
        fs::create_dir_all(system.path("icd.d")).unwrap();
        system.command("uname", "echo Linux");
        system.command("id", "echo 0");
        system.command("ldconfig", "true");
        for tool in ["sh", "sed", "awk", "tr", "head", "dirname"] {
            let real = ["/usr/bin", "/bin"].map(|folder| PathBuf::from(folder).join(tool));
            let real = real.iter().find(|path| path.exists()).expect(tool);
            std::os::unix::fs::symlink(real, system.path("bin").join(tool)).unwrap();
        }
        system
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn command(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn driver(&self, library: &str) {
        let manifest = format!(r#"{{"ICD": {{"library_path": "{library}"}}}}"#);
        fs::write(self.path("icd.d/some_icd.json"), manifest).unwrap();
    }

    /// The exit status, and standard output and error together.
    fn ensure(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/ensure-adapter.sh");
        // The real /usr/sbin would bring the real ldconfig and package managers back.
        let text = fs::read_to_string(source).unwrap();
        let real_path = "PATH=$PATH:/usr/sbin:/sbin\n";
        assert!(text.contains(real_path));
        let text = text.replace(real_path, "");
        let script = self.path("ensure-adapter.sh");
        fs::write(&script, text).unwrap();
        let output = Command::new("/bin/sh")
            .arg(&script)
            .args(arguments)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("TILEWRIGHT_ICD_DIRS", self.path("icd.d"))
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        (output.status.code().unwrap(), text)
    }
}

#[track_caller]
fn assert_told(got: (i32, String), status: i32, parts: &[&str]) {
    assert_eq!(got.0, status, "{}", got.1);
    for part in parts {
        assert!(got.1.contains(part), "`{part}` is not in: {}", got.1);
    }
}

const LOADER: &str = "echo '	libvulkan.so.1 (libc6,x86-64) => /lib/libvulkan.so.1'";
const BOTH: &str = "echo '	libvulkan.so.1 (x) => /a'; echo '	libsome.so (x) => /b'";

#[test]
fn a_driver_with_its_library_and_the_loader_is_enough() {
    let system = System::new();
    system.command("ldconfig", BOTH);
    system.driver("libsome.so");
    assert_told(system.ensure(&[], &[]), 0, &["some_icd.json"]);

    fs::write(system.path("icd.d/libbeside.so"), "").unwrap();
    system.driver("./libbeside.so");
    assert_told(system.ensure(&[], &[]), 0, &["some_icd.json"]);
}

#[test]
fn a_driver_without_its_library_is_none() {
    let system = System::new();
    system.command("ldconfig", LOADER);
    system.command("apt-get", "exit 1");
    system.driver("libother.so");
    let got = system.ensure(&["--dry-run"], &[]);
    assert_told(got, 3, &["libother.so", "mesa-vulkan-drivers libvulkan1"]);
}

#[test]
fn each_package_manager_has_its_packages() {
    for (manager, packages) in [
        ("apt-get", "mesa-vulkan-drivers libvulkan1"),
        ("dnf", "mesa-vulkan-drivers vulkan-loader"),
        ("pacman", "vulkan-swrast vulkan-icd-loader"),
    ] {
        let system = System::new();
        system.command(manager, "exit 1");
        let got = system.ensure(&["--dry-run"], &[]);
        assert_told(got, 3, &["libvulkan.so.1", "would run", packages]);
        let spirv = system.ensure(&["--dry-run", "--spirv-tools"], &[]);
        assert_told(spirv, 3, &[packages, "spirv-tools"]);
    }
}

#[test]
fn what_it_installs_it_looks_for_again() {
    let system = System::new();
    system.driver("libsome.so");
    let log = system.path("log");
    let installed = format!(
        "echo \"apt-get $*\" >> {log}; [ \"$1\" != install ] || echo \"{BOTH}\" > {ldconfig}",
        log = log.display(),
        ldconfig = system.path("bin/ldconfig").display(),
    );
    system.command("apt-get", &installed);
    assert_told(system.ensure(&[], &[]), 0, &["running", "some_icd.json"]);
    let log = fs::read_to_string(log).unwrap();
    let install = "apt-get install -y --no-install-recommends mesa-vulkan-drivers libvulkan1";
    assert_eq!(log, format!("apt-get update\n{install}\n"));

    let useless = System::new();
    useless.command("apt-get", "true");
    assert_told(useless.ensure(&[], &[]), 1, &["still no Vulkan driver"]);
    useless.command("apt-get", "exit 100");
    assert_told(useless.ensure(&[], &[]), 1, &["that failed", "apt-get install"]);
}

#[test]
fn without_root_it_takes_sudo_or_says_what_to_run() {
    let system = System::new();
    system.command("id", "echo 1000");
    system.command("apt-get", "true");
    let alone = system.ensure(&[], &[]);
    assert_told(alone, 1, &["run this as root", "apt-get install -y"]);

    system.driver("libsome.so");
    let ldconfig = system.path("bin/ldconfig");
    let sudo = format!("echo sudo \"$1\"; echo \"{BOTH}\" > {}", ldconfig.display());
    system.command("sudo", &sudo);
    assert_told(system.ensure(&[], &[]), 0, &["sudo sh", "some_icd.json"]);
}

#[test]
fn missing_spirv_tools_do_not_fail() {
    let system = System::new();
    system.command("ldconfig", BOTH);
    system.driver("libsome.so");
    let none = system.ensure(&["--spirv-tools"], &[]);
    assert_told(none, 0, &["spirv-val is missing"]);
    system.command("apt-get", "exit 100");
    let failing = system.ensure(&["--spirv-tools"], &[]);
    assert_told(failing, 0, &["that failed", "spirv-val is missing"]);
}

#[test]
fn drivers_named_in_the_environment_are_the_only_ones() {
    let system = System::new();
    system.command("ldconfig", BOTH);
    system.command("apt-get", "exit 1");
    system.driver("libsome.so");
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        let nowhere = system.ensure(&[], &[(variable, "/nowhere.json")]);
        assert_told(nowhere, 1, &["/nowhere.json", "unset it"]);
        let named = format!("/nowhere.json:{}/some_icd.json", system.path("icd.d").display());
        assert_told(system.ensure(&[], &[(variable, &named)]), 0, &["some_icd"]);
    }
}

#[test]
fn other_systems_need_nothing_or_are_told_what() {
    let system = System::new();
    assert_told(system.ensure(&[], &[]), 1, &["no rule for this system"]);
    for (uname, status, part) in [("Darwin", 0, "Metal"), ("MINGW64_NT-10.0", 0, "DirectX 12"), ("Plan9", 1, "Plan9")] {
        system.command("uname", &format!("echo {uname}"));
        assert_told(system.ensure(&[], &[]), status, &[part]);
    }
    assert_told(system.ensure(&["--help-me"], &[]), 2, &["usage"]);
}
