#!/bin/sh
# Builds the page that runs tilewright in a browser into target/web, a folder for any static host.
#
#   web.sh [--tools] [--browser] [--no-build]
#
#   --tools     install what the build lacks: Rust's target for browsers, wasm-bindgen and wasm-opt, the latter two in
#               target/web-tools; without it, say what is missing and exit 3
#   --browser   also install what tests the page: Chromium, and puppeteer-core in target/web-tools
#   --no-build  only see to what is needed
set -eu
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
tools=target/web-tools
page=target/web
may_install=false
with_browser=false
may_build=true

say() { printf '%s\n' "web: $*"; }
fail() {
    printf '%s\n' "web: $*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

main() {
    for argument; do
        case $argument in
        --tools) may_install=true ;;
        --browser) with_browser=true ;;
        --no-build) may_build=false ;;
        *)
            printf '%s\n' "usage: web.sh [--tools] [--browser] [--no-build]" >&2
            exit 2
            ;;
        esac
    done
    mkdir -p "$tools"
    ensure_target
    ensure_wasm_bindgen
    ensure_wasm_opt
    if $with_browser; then ensure_browser; fi
    if $may_build; then build; fi
}

# Runs what installs something, if that was asked for.
install() {
    if ! $may_install; then
        printf '%s\n' "web: $1 is missing: run \`make web WEB_TOOLS=1\`, or: $2" >&2
        exit 3
    fi
    say "installing $1: $2"
    sh -c "$2" || fail "$1 could not be installed: mend what it says above, then try again"
}

ensure_target() {
    if [ ! -d "$(rustc --print target-libdir --target $target)" ]; then
        install "Rust's standard library for browsers" "rustup target add $target"
    fi
}

# It must be of the version of the crate, or it does not read what that writes.
ensure_wasm_bindgen() {
    version=$(sed -n '/^name = "wasm-bindgen"$/ { n; s/^version = "\(.*\)"$/\1/p; }' web/Cargo.lock)
    for bindgen in "$tools/bin/wasm-bindgen" "$(command -v wasm-bindgen || true)"; do
        if [ -x "$bindgen" ] && [ "$("$bindgen" --version)" = "wasm-bindgen $version" ]; then return; fi
    done
    # Without its optimisation it is built in a third of the time, and runs for a second.
    install "wasm-bindgen $version" "cargo install wasm-bindgen-cli --version $version --debug --root $tools"
    bindgen=$tools/bin/wasm-bindgen
}

ensure_wasm_opt() {
    for optimizer in "$tools/node_modules/.bin/wasm-opt" "$(command -v wasm-opt || true)"; do
        if [ -x "$optimizer" ]; then return; fi
    done
    ensure_npm
    install "wasm-opt" "npm install --no-fund --no-audit --prefix $tools binaryen@132"
    optimizer=$tools/node_modules/.bin/wasm-opt
}

ensure_browser() {
    if ! has chromium && ! has google-chrome; then apt_get "Chromium" chromium; fi
    if [ ! -d "$tools/node_modules/puppeteer-core" ]; then
        ensure_npm
        install "puppeteer-core" "npm install --no-fund --no-audit --prefix $tools puppeteer-core@24"
    fi
}

ensure_npm() {
    if ! has npm; then apt_get "npm" npm nodejs; fi
}

apt_get() {
    what=$1
    shift
    has apt-get || fail "there is no $what, and no rule for this system: install it"
    root=
    if [ "$(id -u)" != 0 ]; then root="sudo "; fi
    install "$what" "${root}apt-get update; ${root}apt-get install -y --no-install-recommends $*"
}

build() {
    (cd web && cargo build --release --target $target --target-dir ../target/web-build)
    rm -rf "$page"
    mkdir -p "$page/digits"
    "$bindgen" --target web --no-typescript --out-dir "$page" --out-name tilewright \
        "target/web-build/$target/release/tilewright_web.wasm"
    # What browsers with WebGPU have. Of "all features" some are in none yet.
    "$optimizer" -Oz --enable-bulk-memory --enable-bulk-memory-opt --enable-mutable-globals --enable-multivalue \
        --enable-nontrapping-float-to-int --enable-reference-types --enable-sign-ext \
        "$page/tilewright_bg.wasm" -o "$page/small.wasm"
    mv "$page/small.wasm" "$page/tilewright_bg.wasm"
    cp -r web/page/. "$page"
    cp src/data/mnist_sample/*.gz "$page/digits"
    say "$page: $(du -sk "$page" | cut -f1) kB, of which the program is $(($(wc -c <"$page/tilewright_bg.wasm") / 1000)) kB"
}

main "$@"
