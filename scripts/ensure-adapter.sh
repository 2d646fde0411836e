#!/bin/sh
# Makes sure that wgpu will find a graphics driver: succeeds if one is installed,
# otherwise installs Mesa's, which includes one that runs on the CPU.
#
#   ensure-adapter.sh [--spirv-tools] [--dry-run]
#
#   --spirv-tools  also install spirv-val for the shader tests; failing at that is no error
#   --dry-run      say what would be installed, install nothing, exit 3 if a driver is missing
#
# TILEWRIGHT_ICD_DIRS, separated by colons, replaces the folders searched for Vulkan drivers.
set -eu

# ldconfig is there, but not on everyone's path.
PATH=$PATH:/usr/sbin:/sbin

usual_dirs=/usr/share/vulkan/icd.d:/etc/vulkan/icd.d:/usr/local/share/vulkan/icd.d:/usr/local/etc/vulkan/icd.d
usual_dirs=$usual_dirs:${XDG_DATA_HOME:-${HOME:-}/.local/share}/vulkan/icd.d
status=0
dry_run=false
spirv_tools=false

say() { printf '%s\n' "ensure-adapter: $*"; }
fail() {
    printf '%s\n' "ensure-adapter: $*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

main() {
    for argument; do
        case $argument in
        --dry-run) dry_run=true ;;
        --spirv-tools) spirv_tools=true ;;
        *)
            printf '%s\n' "usage: ensure-adapter.sh [--spirv-tools] [--dry-run]" >&2
            exit 2
            ;;
        esac
    done
    case $(uname -s) in
    Darwin) say "macOS brings Metal, nothing to install" ;;
    MINGW* | MSYS* | CYGWIN*) say "Windows brings DirectX 12, nothing to install" ;;
    Linux)
        ensure_driver
        if $spirv_tools; then ensure_spirv_val; fi
        ;;
    *) fail "no rule for the system $(uname -s): install a Vulkan driver and its loader, libvulkan.so.1" ;;
    esac
}

ensure_driver() {
    if find_drivers; then
        say "Vulkan drivers:$drivers"
        return
    fi
    if [ -n "${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}" ] && found_library libvulkan.so.1; then
        fail "no Vulkan driver found: $missing. VK_DRIVER_FILES or VK_ICD_FILENAMES is set, and the" \
            "loader then looks nowhere else: unset it or name a driver's .json file"
    fi
    say "no Vulkan driver found: $missing"
    if has apt-get; then
        install mesa-vulkan-drivers libvulkan1
    elif has dnf; then
        install mesa-vulkan-drivers vulkan-loader
    elif has pacman; then
        install vulkan-swrast vulkan-icd-loader
    else
        fail "no rule for this system: install a Vulkan driver (Mesa's lavapipe runs on any CPU)" \
            "and the Vulkan loader, libvulkan.so.1"
    fi
    if $dry_run; then
        status=3
    elif find_drivers; then
        say "Vulkan drivers:$drivers"
    else
        fail "the packages are installed, but there is still no Vulkan driver: $missing"
    fi
}

# Sets `drivers` to those that can be loaded, or `missing` to why there is none.
find_drivers() {
    drivers=
    if ! found_library libvulkan.so.1; then
        missing="the loader, libvulkan.so.1, is not installed"
        return 1
    fi
    paths=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-${TILEWRIGHT_ICD_DIRS:-$usual_dirs}}}
    missing="no driver's .json file in $paths"
    while IFS= read -r path; do
        if [ -f "$path" ]; then
            check_driver "$path"
            continue
        fi
        for manifest in "$path"/*.json; do
            if [ -f "$manifest" ]; then check_driver "$manifest"; fi
        done
    done <<EOF
$(printf '%s\n' "$paths" | tr ':' '\n')
EOF
    [ -n "$drivers" ]
}

# Adds a driver's .json file to `drivers` if the library it names is there too.
check_driver() {
    library=$(sed -n 's/.*"library_path"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p' "$1" | head -n 1)
    case $library in
    '') false ;;
    /*) [ -f "$library" ] ;;
    */*) [ -f "$(dirname "$1")/$library" ] ;;
    *) found_library "$library" ;;
    esac && drivers="$drivers $1" || missing="the library '$library' of $1 is not installed"
}

found_library() {
    if has ldconfig && ldconfig -p | awk -v name="$1" '$1 == name { found = 1 } END { exit !found }'; then
        return 0
    fi
    while IFS= read -r folder; do
        if [ -f "$folder/$1" ]; then return 0; fi
    done <<EOF
$(printf '%s\n' "${LD_LIBRARY_PATH:-}" | tr ':' '\n')
EOF
    return 1
}

ensure_spirv_val() {
    if has spirv-val; then
        say "spirv-val: $(command -v spirv-val)"
    elif has apt-get || has dnf || has pacman; then
        # In a subshell, so that a failure ends only that.
        (install spirv-tools) || say "spirv-val is missing: the tests that need it are ignored"
    else
        say "spirv-val is missing: the tests that need it are ignored"
    fi
}

# Installs packages with the system's package manager, as root or through sudo.
install() {
    if has apt-get; then
        # An update fails when one source of many does; the install then tells whether it matters.
        command="apt-get update; DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $*"
    elif has dnf; then
        command="dnf install -y --setopt=install_weak_deps=False $*"
    else
        command="pacman -Sy --noconfirm --needed $*"
    fi
    set -- sh -c "$command"
    if [ "$(id -u)" != 0 ]; then
        has sudo || fail "there is neither root nor sudo here: run this as root, then try again: $command"
        set -- sudo "$@"
    fi
    if $dry_run; then
        say "would run: $command"
        return
    fi
    say "running: $command"
    "$@" || fail "that failed: mend what it says above, or run it yourself, then try again: $command"
}

main "$@"
exit "$status"
