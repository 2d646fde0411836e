#!/bin/sh
# Makes sure that the feature `mpi` builds and that its processes can be started: succeeds if an MPI compiler, mpirun and
# libclang are there, otherwise installs Open MPI and clang.
#
#   ensure-mpi.sh [--dry-run]
#
#   --dry-run  say what would be installed, install nothing, exit 3 if something is missing
set -eu

say() { printf '%s\n' "ensure-mpi: $*"; }
fail() {
    printf '%s\n' "ensure-mpi: $*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# Bindings to MPI's header are made when the feature is built, by clang.
is_complete() { has mpicc && has mpirun && has clang; }

main() {
    dry_run=false
    for argument; do
        case $argument in
        --dry-run) dry_run=true ;;
        *)
            printf '%s\n' "usage: ensure-mpi.sh [--dry-run]" >&2
            exit 2
            ;;
        esac
    done
    if is_complete; then
        say "$(command -v mpirun), $(command -v mpicc) and $(command -v clang) are there"
        return
    fi
    if has apt-get; then
        install apt-get libopenmpi-dev openmpi-bin libclang-dev clang
    elif has dnf; then
        install dnf openmpi-devel clang-devel clang
    elif has pacman; then
        install pacman openmpi clang
    elif has brew; then
        install brew open-mpi llvm
    else
        fail "no rule for this system: install an MPI with mpicc and mpirun, and clang with libclang"
    fi
    is_complete || fail "the packages are installed, but mpicc, mpirun or clang is not on the PATH"
}

# install MANAGER PACKAGE...
install() {
    manager=$1
    shift
    say "installing $*"
    if $dry_run; then exit 3; fi
    sudo=
    if [ "$(id -u)" != 0 ] && [ "$manager" != brew ]; then sudo=sudo; fi
    case $manager in
    apt-get)
        DEBIAN_FRONTEND=noninteractive $sudo apt-get update -qq
        DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "$@"
        ;;
    dnf) $sudo dnf install -y "$@" ;;
    pacman) $sudo pacman -Sy --noconfirm "$@" ;;
    brew) brew install "$@" ;;
    esac
}

main "$@"
