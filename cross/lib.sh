# shellcheck shell=bash disable=SC2034 # what it sets is for those who source it
# What the scripts of this folder share; sourced, not run.
# Everything that they fetch lies in $BOARD_HOME, outside of the clone; to remove that folder undoes it.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${BOARD_HOME:=${XDG_CACHE_HOME:-${HOME-}/.cache}/ringferry-board}"
# Two boards: pages of 4 KiB and a kernel as old as the first Raspberry Pi OS of bookworm; and pages of 16 KiB, as a
# Raspberry Pi 5 has by default. The name of a kernel, and the processor that goes with it.
kernel_packages="linux-image-cloud-arm64 linux-image-6.12-arm64-16k"
board_pi4="-k cloud-arm64 -c cortex-a72"
board_pi5="-k 6.12-arm64-16k -c cortex-a76"

debs=$BOARD_HOME/debs
rust=$BOARD_HOME/rust/usr     # Debian's rustc with the standard library for the board
root=$BOARD_HOME/root         # files for the board
kernels=$BOARD_HOME/kernels
emulator=$BOARD_HOME/emulator # of this machine's kind, if it has none
target=aarch64-unknown-linux-gnu
profile=${CARGO_TARGET_DIR:-target}/$target/ringferry.profdata # see cross/train
board_program=${CARGO_TARGET_DIR:-target}/$target/release/ringferry

die() { echo "cross/${0##*/}: $*" >&2; exit 1; }

# The newest C library that a program asks for. That with DT_RELR is asked for by a name of its own.
glibc_of() {
    LC_ALL=C readelf -V "$1" | grep -o 'GLIBC_[0-9A-Z_.]*' | sed 's/GLIBC_ABI_DT_RELR/GLIBC_2.36/; s/GLIBC_//' | sort -Vu | tail -n 1
}

kernel_names() { (cd "$kernels" 2> /dev/null && echo *) || echo none; }

# Of this program.
version() { sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml"; }

# apt with a state of its own, for another processor: the lists and packages of this system are neither read nor
# changed, so it needs no root and no foreign architecture.
board_apt() { # amd64|arm64 COMMAND...
    local arch=$1 dir=$BOARD_HOME/apt-$1
    shift
    if [ ! -e "$dir/apt.conf" ]; then
        mkdir -p "$dir"/etc/{apt.conf.d,preferences.d,sources.list.d} "$dir"/lists/partial "$dir"/cache/archives/partial
        : > "$dir/status"
        # The archive that this machine uses already, whatever mirror that is.
        cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2> /dev/null | grep '^deb ' > "$dir/etc/sources.list" || true
        cp /etc/apt/sources.list.d/*.sources "$dir/etc/sources.list.d/" 2> /dev/null || true
        [ -s "$dir/etc/sources.list" ] || [ -n "$(ls "$dir/etc/sources.list.d")" ] || die "this machine has no apt sources"
        cat > "$dir/apt.conf" <<CONF
Dir "$dir"; Dir::Etc "$dir/etc"; Dir::State "$dir"; Dir::Cache "$dir/cache";
Dir::State::status "$dir/status"; Dir::Etc::sourceparts "$dir/etc/sources.list.d";
APT::Architecture "$arch"; APT::Architectures { "$arch"; };
Acquire::Languages "none"; APT::Sandbox::User "$(id -un)";
CONF
    fi
    APT_CONFIG=$dir/apt.conf "$@"
}

# Becomes the emulator: this machine's, or the one that `cross/setup` has fetched.
emulate() {
    local libraries=$emulator/usr/lib/x86_64-linux-gnu:$emulator/lib/x86_64-linux-gnu
    if command -v qemu-system-aarch64 > /dev/null; then
        exec qemu-system-aarch64 "$@"
    else
        LD_LIBRARY_PATH=$libraries exec "$emulator/usr/bin/qemu-system-aarch64" "$@"
    fi
}
